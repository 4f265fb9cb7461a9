from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import FinderError
from shared.faces.align import MEAN_FACE
from shared.faces.finders.finder import IndexedFinder, make_finder
from shared.faces.finders.sidecar import SidecarFinder, sidecar_of
from shared.storage import sha256_file
from shared.types import Frame, Timestamp

IMAGE = np.zeros((64, 64, 3), np.uint8)


def face_at(x: float) -> np.ndarray:
    return (MEAN_FACE * 20 + [x, 10]).astype(np.float32)


def write(path: Path, frames: list[int], landmarks: list[np.ndarray], **changes: pa.Array) -> Path:
    flat = pa.array(np.stack(landmarks).reshape(-1)) if landmarks else pa.array([], pa.float32())
    columns = {
        "frame": pa.array(frames, pa.int32()),
        "landmarks": pa.FixedSizeListArray.from_arrays(flat, 136),
        **changes,
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def sidecar(tmp_path) -> Path:
    """Frame 0 has a face, frame 1 none, frame 2 two."""
    return write(tmp_path / "clip.landmarks.parquet", [0, 2, 2], [face_at(5), face_at(8), face_at(40)])


def frame(index: int) -> Frame:
    return Frame(index, Timestamp(index, Fraction(1, 25)), IMAGE)


def test_faces_are_looked_up_by_frame_index(sidecar):
    finder = make_finder(f"sidecar:{sidecar}")
    assert isinstance(finder, IndexedFinder)
    found = finder.find_indexed([frame(2), frame(0), frame(1), frame(99)])
    assert [len(faces) for faces in found] == [2, 1, 0, 0]
    np.testing.assert_array_equal(found[1][0].landmarks, face_at(5))
    assert found[1][0].confidence == 1


def test_without_indices_frames_count_from_zero(sidecar):
    finder = SidecarFinder(sidecar)
    assert [len(faces) for faces in finder.find([IMAGE, IMAGE])] == [1, 0]
    assert [len(faces) for faces in finder.find([IMAGE, IMAGE])] == [2, 0]


def test_refining_gives_the_stored_face_under_each_box(sidecar):
    finder = SidecarFinder(sidecar)
    left, right = finder.find_indexed([frame(2)])[0]
    again = finder.refine(IMAGE, [right.box, left.box + 2, np.array([0, 60, 4, 64.0])])
    np.testing.assert_array_equal(again[0].landmarks, right.landmarks)
    np.testing.assert_array_equal(again[1].landmarks, left.landmarks)
    assert [face.confidence for face in again] == [1, 1, 0]


def test_the_record_names_the_file_by_hash(sidecar):
    assert SidecarFinder(sidecar).describe()["sidecar.sha256"] == sha256_file(sidecar)


def test_a_sidecar_lies_beside_its_clip():
    assert sidecar_of(Path("a/b.mp4")) == Path("a/b.landmarks.parquet")


def test_an_empty_sidecar_is_a_clip_without_faces(tmp_path):
    finder = SidecarFinder(write(tmp_path / "none.parquet", [], []))
    assert finder.find([IMAGE]) == [[]]


def test_a_missing_sidecar_is_refused(tmp_path):
    with pytest.raises(FinderError, match="does not exist"):
        make_finder(f"sidecar:{tmp_path / 'gone.parquet'}")


def test_text_and_folders_are_refused(tmp_path):
    text = tmp_path / "text.parquet"
    text.write_text("frame,landmarks")
    for path in (text, tmp_path):
        with pytest.raises(FinderError, match="cannot be read as a sidecar"):
            SidecarFinder(path)


@pytest.mark.parametrize(
    "landmarks",
    [
        pa.array([[1.0, 2.0]], pa.list_(pa.float32())),
        pa.array([[float("nan")] * 136], pa.list_(pa.float32())),
        pa.array([None], pa.list_(pa.float32())),
        pa.array(["136"]),
        pa.array([[b"x"] * 136], pa.list_(pa.binary())),
    ],
    ids=["two values", "not a number", "null", "text", "bytes"],
)
def test_what_is_no_landmarks_is_refused(tmp_path, landmarks):
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"frame": pa.array([0]), "landmarks": landmarks}), path)
    with pytest.raises(FinderError):
        SidecarFinder(path)


def test_other_columns_do_not_make_a_sidecar(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"frames": pa.array([0])}), path)
    with pytest.raises(FinderError):
        SidecarFinder(path)


def test_rows_that_only_add_up_are_refused(tmp_path):
    path = tmp_path / "shifted.parquet"
    uneven = pa.array([[0.0] * 100, [0.0] * 172], pa.list_(pa.float32()))
    pq.write_table(pa.table({"frame": pa.array([0, 1]), "landmarks": uneven}), path)
    with pytest.raises(FinderError, match="136 finite numbers"):
        SidecarFinder(path)
