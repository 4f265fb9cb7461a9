"""The manifest and the frame table: what is written comes back, what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.dataset.frame_table import FRAME_SCHEMA, labels_of, read_frame_table, write_frame_labels
from shared.dataset.manifest import append_record, decode_record, encode_record, read_manifest, write_manifest
from shared.errors import ManifestError
from shared.types import ClipId, ClipRecord, FrameLabel, Masks

FAKE = ClipRecord(
    id=ClipId("set", "iae", "b+a"),
    kind="swap",
    label="fake",
    path="media/iae/b+a.mp4",
    sha256="a" * 64,
    target_identity="b",
    rights="consent",
    frames=100,
    width=640,
    height=480,
    codec="h264",
    rendition="h264-crf23",
    split="train",
    source_identity="a",
    faked=((0, 10), (20, 100)),
    masks=Masks("masks/1.mkv", "masks/2.mkv", "masks/3.mkv", ("b" * 64, "c" * 64, "d" * 64)),
    swapper="e" * 64,
    architecture="iae-64",
    config="f" * 64,
    seed=7,
    parent=ClipId("set", None, "b"),
    content_sha256="1" * 64,
    tool_version="0.1.0",
    factors={"paste": "poisson", "colour": "lab"},
)
REAL = ClipRecord(
    id=ClipId("set", None, "b"),
    kind="real",
    label="real",
    path="media/real/b.mp4",
    sha256="2" * 64,
    target_identity="b",
    rights="consent",
    frames=100,
    width=640,
    height=480,
    codec="h264",
)


def _edited(change: Callable[[dict], object]) -> bytes:
    plain = json.loads(encode_record(FAKE))
    change(plain)
    return json.dumps(plain).encode()


def test_records_come_back_as_they_were(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, [REAL, FAKE])
    assert read_manifest(path) == [REAL, FAKE]
    assert path.read_bytes().count(b"\n") == 2


def test_every_field_of_a_record_stands_in_its_line_even_when_empty():
    names = {field.name for field in dataclasses.fields(ClipRecord)}
    assert set(json.loads(encode_record(REAL))) == names == set(json.loads(encode_record(FAKE)))


def test_the_order_of_factors_does_not_change_the_line():
    turned = dataclasses.replace(FAKE, factors=dict(reversed(FAKE.factors.items())))
    assert encode_record(turned) == encode_record(FAKE)


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        (_edited(lambda plain: plain.update(labl="fake")), "unknown field `labl`", "label"),
        (_edited(lambda plain: plain.pop("sha256")), "missing required field `sha256`", "ClipRecord"),
        (
            _edited(lambda plain: plain.update(frames="100")),
            r"Expected `int`, got `str` - at `\$.frames`",
            "ClipRecord",
        ),
        (_edited(lambda plain: plain.update(split="holdout")), "Invalid enum value 'holdout'", "ClipRecord"),
        (_edited(lambda plain: plain["masks"].update(beta="x")), "unknown field `beta`", "known names"),
        (_edited(lambda plain: plain.update(label="real")), "names its manipulation", "contradicts"),
        (_edited(lambda plain: plain.update(id="b+a")), "dataset/manipulation/name", "contradicts"),
        (_edited(lambda plain: plain.update(faked=[[5, 500]])), "faked ranges", "contradicts"),
        (b"[]", "Expected `object`", "ClipRecord"),
        (b'{"id":', "truncated", "ClipRecord"),
        (b"\xff\xfe", "malformed", "ClipRecord"),
    ],
)
def test_a_wrong_line_is_refused_and_named(tmp_path: Path, line: bytes, says: str, hint: str):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(encode_record(REAL) + b"\n" + line + b"\n")
    with pytest.raises(ManifestError, match=says) as caught:
        read_manifest(path)
    assert "line 2" in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_an_id_stands_once(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes((encode_record(REAL) + b"\n") * 2)
    with pytest.raises(ManifestError, match="line 2: set/real/b is there already, on line 1"):
        read_manifest(path)
    with pytest.raises(ManifestError, match="twice"):
        write_manifest(tmp_path / "other.jsonl", [REAL, REAL])
    assert not (tmp_path / "other.jsonl").exists()


def test_a_line_counts_once_its_newline_is_there(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    whole, started = encode_record(REAL) + b"\n", encode_record(FAKE)[:40]
    path.write_bytes(whole + started)
    with pytest.raises(ManifestError, match="line 2 is unfinished"):
        read_manifest(path)
    assert read_manifest(path, partial_tail_ok=True) == [REAL]
    append_record(path, FAKE)
    assert read_manifest(path) == [REAL, FAKE]


def test_absurd_lines_and_missing_files_are_refused(tmp_path: Path):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"x" * (2 << 20))
    with pytest.raises(ManifestError, match="longer than 1 MiB"):
        read_manifest(path, partial_tail_ok=True)
    path.write_bytes(b"\n")
    with pytest.raises(ManifestError, match="line 1 is empty"):
        read_manifest(path)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "absent.jsonl")
    with pytest.raises(ManifestError, match="longer than 1 MiB"):
        append_record(path, dataclasses.replace(FAKE, factors={"note": "x" * (2 << 20)}))


def test_a_long_manifest_is_read_and_written_fast(tmp_path: Path):
    records = [
        dataclasses.replace(FAKE, id=ClipId("set", "iae", f"c{index}"), sha256=f"{index:064x}")
        for index in range(20_000)
    ]
    started = time.process_time()
    write_manifest(tmp_path / "manifest.jsonl", records)
    assert len(read_manifest(tmp_path / "manifest.jsonl")) == 20_000
    assert time.process_time() - started < 5  # 0.5 s where 100,000 take 2.4


def test_frame_labels_come_back_as_they_were(tmp_path: Path):
    labels = [
        FrameLabel(FAKE.id, 0, 512, 0.04, "fake", 1, (1.5, 2.0, 30.25, 40.0), 28.75),
        FrameLabel(FAKE.id, 1, 1024, 0.08, "real"),
        FrameLabel(REAL.id, 0, 0, 0.0, "real", 0, (0.0, 0.0, 9.0, 9.0), 9.0),
    ]
    path = tmp_path / "frames.parquet"
    write_frame_labels(path, labels)
    assert labels_of([read_frame_table(path)]) == labels
    assert labels_of([read_frame_table(path, [REAL.id])]) == labels[2:]
    assert labels_of([read_frame_table(path, [])]) == []


def test_a_frame_table_with_other_columns_is_refused(tmp_path: Path):
    path = tmp_path / "frames.parquet"
    pq.write_table(pa.table({"clip": ["x"]}), path)
    with pytest.raises(ManifestError, match="other columns"):
        labels_of([read_frame_table(path)])
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ManifestError, match="Parquet"):
        labels_of([read_frame_table(path)])


@pytest.mark.parametrize(("clip", "label"), [("set/real/b", "maybe"), ("nonsense", "real")])
def test_frame_rows_that_cannot_be_are_refused(tmp_path: Path, clip: str, label: str):
    row = {
        "clip": clip,
        "frame": 0,
        "pts": 0,
        "seconds": 0.0,
        "label": label,
        "track": None,
        "box": None,
        "face_px": None,
    }
    path = tmp_path / "frames.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=FRAME_SCHEMA), path)
    with pytest.raises(ManifestError):
        labels_of([read_frame_table(path)])


def test_reading_a_manifest_needs_no_torch():
    code = "import shared.dataset.manifest, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_line_can_be_read_by_itself():
    assert decode_record(encode_record(FAKE)) == FAKE
