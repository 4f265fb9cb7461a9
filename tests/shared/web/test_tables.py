"""Tables of the folder are decoded in a process of their own."""

from __future__ import annotations

import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import CaseError, FacesetError, FinderError, ManifestError
from shared.faces.facesets.reader import Faceset
from shared.web import tables
from shared.web.tables import Kept, decoded_apart, send_case, send_faceset, send_labels, send_landmarks
from tests.shared.web.conftest import OLD

_CASES = [
    (send_case, (), CaseError),
    (send_faceset, (10,), FacesetError),
    (send_labels, ("a/real/b",), ManifestError),
    (send_landmarks, (), FinderError),
]


def _number(value: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    value, found = value << 1, b""
    while value > 127:
        value, found = value >> 7, found + bytes([value & 127 | 128])
    return found + bytes([value])


def with_claim(path: Path, claimed_bytes: int) -> None:
    """Has the page of the last column say that it unpacks to ``claimed_bytes``; the footer goes on saying the truth."""
    with pq.ParquetFile(path) as file:
        last = file.metadata.row_group(0).column(file.metadata.num_columns - 1)
    data = path.read_bytes()
    length = struct.unpack("<I", data[-8:-4])[0]
    pages, footer, at = data[: -8 - length], data[-8 - length : -8], last.data_page_offset
    assert pages[at : at + 3] == b"\x15\x00\x15"  # a data page, then the size it unpacks to
    stop = next(place for place in range(at + 3, len(pages)) if not pages[place] & 128) + 1
    changed = pages[: at + 3] + _number(claimed_bytes) + pages[stop:]
    before, after = b"\x16" + _number(last.total_uncompressed_size) + b"\x16", b"\x26" + _number(at)
    packed = last.total_compressed_size
    stated, longer = (before + _number(size) + after for size in (packed, packed + len(changed) - len(pages)))
    assert footer.count(stated) == 1
    footer = footer.replace(stated, longer)
    path.write_bytes(changed + footer + struct.pack("<I", len(footer)) + b"PAR1")


def _case_table(path: Path) -> Path:
    columns = {
        "frame": pa.array([0, 1], pa.int32()), "seconds": pa.array([0.0, 0.1]), "track": pa.array([0, 0], pa.int32()),
        "box": pa.array([[0, 0, 9, 9]] * 2, pa.list_(pa.float32(), 4)), "logit": pa.array([0.5, 0.6], pa.float32()),
    }  # fmt: skip
    pq.write_table(pa.table(columns), path, use_dictionary=False, compression="zstd")
    return path


def test_a_page_that_claims_more_than_the_footer_ends_only_the_process_that_decodes_it(tmp_path, monkeypatch):
    path = _case_table(tmp_path / "frames.parquet")
    assert decoded_apart(path, send_case, error=CaseError)["frame"].to_pylist() == [0, 1]
    with_claim(path, 2**31 - 1)
    with pq.ParquetFile(path) as file:
        assert file.metadata.row_group(0).total_byte_size < 1000
    monkeypatch.setattr(pq, "ParquetFile", lambda *_: pytest.fail("this process opened it"))
    with pytest.raises(CaseError, match=r"could not be read.*memory|cannot be read") as caught:
        decoded_apart(path, send_case, error=CaseError)
    assert "\n" not in str(caught.value)


def test_what_unpacks_to_more_than_the_page_takes_is_refused(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(tables, "MOST_BYTES", 10)
    pipe = type("Sent", (), {"send": lambda self, *values: sent.append(values)})()
    with pytest.raises(Exception, match="unpacks to more than"):
        send_case(pipe, _case_table(tmp_path / "frames.parquet"))
    assert sent == []


@pytest.mark.parametrize(("function", "arguments", "error"), _CASES)
def test_what_is_no_table_is_one_sentence_of_the_right_kind(tmp_path, function, arguments, error):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1" + b"\xff" * 64 + b"PAR1")
    with pytest.raises(error) as caught:
        decoded_apart(path, function, *arguments, error=error)
    assert str(path) in str(caught.value)


def test_a_faceset_decoded_apart_is_the_same():
    path = OLD / "faces" / "actor-50000"
    apart = Faceset.open(path, read=lambda file, faces: decoded_apart(file, send_faceset, faces, error=FacesetError))
    assert apart.table.equals(Faceset.open(path).table)


def test_values_are_kept_by_bytes_and_made_once():
    kept, made = Kept(len, most_bytes=10), []

    def get(key: str, size: int) -> bytes:
        return kept.get(key, lambda: made.append(key) or bytes(size))

    assert [len(get(*each)) for each in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4))] == [4] * 6
    assert made == ["a", "b", "c", "b"]
    assert len(get("large", 99)) == 99
    get("large", 99)
    get("a", 4)
    assert made[4:] == ["large", "a"]
