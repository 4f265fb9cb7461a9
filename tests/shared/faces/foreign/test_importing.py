"""Facesets of DeepFaceLab and faceswap, written here by hand as those programs write them, are read."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from shared.actors import cast, film, portrait
from shared.cli import run
from shared.errors import MediaError, UsageError
from shared.faces.align import align, map_points
from shared.faces.boxes import box_around
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.reader import Faceset
from shared.faces.foreign import faceswap
from shared.faces.foreign.deepfacelab import read_aligned
from shared.faces.foreign.faceswap import literal, read_alignments, read_face_picture
from shared.faces.foreign.importing import import_faces
from shared.faces.foreign.stored import landmarks_of
from shared.types import Face
from shared.video.images import encode_jpeg, encode_png

PX = 96
CONFIG = ExtractConfig("ann", "synthetic", px=64, min_face_px=16, embed_every=0)


def dfl_jpeg(picture: np.ndarray, payload: bytes) -> bytes:
    """A JPEG with ``payload`` in an APP15 segment after the other application segments, as DeepFaceLab writes it."""
    jpeg = encode_jpeg(picture, 95)
    first = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:first] + b"\xff\xef" + struct.pack(">H", len(payload) + 2) + payload + jpeg[first:]


def dfl_facts(landmarks: np.ndarray, **facts: Any) -> dict[str, Any]:
    plain = {
        "face_type": "whole_face",
        "landmarks": landmarks.tolist(),
        "source_filename": "00001.png",
        "source_rect": [1, 2, 3, 4],
        "source_landmarks": landmarks.tolist(),
        "image_to_face_mat": np.eye(2, 3),
        "xseg_mask": np.zeros((50, 1), np.uint8),
        "seg_ie_polys": {"polys": [{"type": 1, "pts": np.zeros((3, 2), np.float32)}]},
    }
    return plain | facts


@pytest.fixture(scope="module")
def faces() -> list[tuple[np.ndarray, np.ndarray]]:
    """Three aligned faces of an actor with their landmarks in the crop."""
    actor = cast(1, 5)[0]
    found = []
    for seed in range(3):
        taken = portrait(actor, px=PX, seed=seed)
        face = Face(box_around(taken.landmarks), taken.landmarks, 1.0)
        cut = align(taken.image, face, px=PX, framing="whole", frame=0)
        found.append((cut.crop, map_points(cut.frame_to_crop, taken.landmarks).astype(np.float32)))
    return found


@pytest.fixture
def aligned(faces, tmp_path) -> Path:
    folder = tmp_path / "aligned"
    folder.mkdir()
    for number, (crop, landmarks) in enumerate(faces):
        (folder / f"{number:05d}_0.jpg").write_bytes(dfl_jpeg(crop, pickle.dumps(dfl_facts(landmarks))))
    return folder


def test_the_landmarks_of_deepfacelab_are_taken(aligned, faces, tmp_path):
    info = import_faces(aligned, tmp_path / "faces", CONFIG, "deepfacelab")
    assert (info.faces, info.kept, info.framing, info.finder["name"]) == (3, 3, "whole", "deepfacelab")
    opened = Faceset.open(tmp_path / "faces")
    opened.verify()
    table = pq.read_table(tmp_path / "faces" / "faces.parquet")
    for row, (_crop, landmarks) in zip(table["landmarks"].to_pylist(), faces, strict=True):
        np.testing.assert_allclose(np.reshape(row, (68, 2)), landmarks, atol=1e-4)


def test_pictures_without_readable_data_are_named_and_the_others_are_used(aligned, faces, tmp_path, capsys):
    crop, landmarks = faces[0]
    others = {
        "plain.jpg": encode_jpeg(crop),
        "evil.jpg": dfl_jpeg(crop, pickle.dumps({"landmarks": _Evil(tmp_path / "run")})),
        "points.jpg": dfl_jpeg(crop, pickle.dumps(dfl_facts(landmarks[:5]))),
        "type.jpg": dfl_jpeg(crop, pickle.dumps(dfl_facts(landmarks, face_type="mark_only"))),
        "list.jpg": dfl_jpeg(crop, pickle.dumps([1])),
    }
    for name, data in others.items():
        (aligned / name).write_bytes(data)
    info = import_faces(aligned, tmp_path / "faces", CONFIG, "deepfacelab")
    assert info.faces == 3
    assert set(info.unread) == set(others)
    assert "which is code and no data" in info.unread["evil.jpg"]
    assert "no 68 landmarks" in info.unread["points.jpg"]
    assert not (tmp_path / "run").exists()
    assert "3 of 8" in " ".join(capsys.readouterr().err.split()) or info.unread


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_no_more_of_the_head_than_the_pictures_show(aligned, faces, tmp_path):
    crop, landmarks = faces[0]
    half = pickle.dumps(dfl_facts(landmarks, face_type="half_face"))
    (aligned / "half.jpg").write_bytes(dfl_jpeg(crop, half))
    with pytest.raises(UsageError, match="show no more than half"):
        import_faces(aligned, tmp_path / "faces", CONFIG, "deepfacelab", framing="full")
    assert import_faces(aligned, tmp_path / "faces", CONFIG, "deepfacelab").framing == "half"


@pytest.mark.parametrize(
    "change",
    [
        lambda jpeg: jpeg[:30],
        lambda jpeg: b"GIF89a" + jpeg,
        lambda jpeg: jpeg.replace(b"\xff\xef", b"\xff\xee"),
        lambda jpeg: jpeg[:22] + b"\xff\xff\x00\x00" + jpeg[22:],
        lambda _jpeg: b"",
    ],
)
def test_damaged_pictures_end_in_one_sentence(faces, tmp_path, change: Callable[[bytes], bytes]):
    path = tmp_path / "a.jpg"
    path.write_bytes(change(dfl_jpeg(faces[0][0], pickle.dumps(dfl_facts(faces[0][1])))))
    with pytest.raises(MediaError, match=r"a\.jpg"):
        read_aligned(path)


@pytest.mark.parametrize(
    "points",
    [
        None, 3, [], "x" * 68, [[0, 1]] * 67, [[0]] * 68, [[0, "1"]] * 68, [[0, float("nan")]] * 68, [[0, 1e9]] * 68,
        [[3, index] for index in range(68)], np.zeros((68, 3)), np.full((68, 2), np.inf), [[10**400, 0]] * 68,
    ],
)  # fmt: skip
def test_landmarks_are_68_points_of_a_face(points):
    with pytest.raises(MediaError, match="landmarks"):
        landmarks_of(points, "file")


def test_nested_lists_that_refer_to_each_other_are_not_followed():
    value: Any = [0, 1]
    for _ in range(80):
        value = [value, value]
    with pytest.raises(MediaError, match="no 68 landmarks"):
        landmarks_of([value] * 68, "file")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> tuple[Path, list[np.ndarray]]:
    """A clip of an actor of six frames and its landmarks."""
    path = film(cast(1, 5)[0], tmp_path_factory.mktemp("clip") / "ann.mp4", seconds=6 / 25, px=PX, seed=1, audio=False)
    rows = pq.read_table(path.with_suffix(".landmarks.parquet"))["landmarks"].to_pylist()
    return path, [np.reshape(row, (68, 2)).astype(np.float32) for row in rows]


def fsa(frames: dict[str, list[Any]], **more: Any) -> bytes:
    entries = {
        name: {"faces": [alignment(points) for points in each], "video_meta": {}} for name, each in frames.items()
    }
    return zlib.compress(pickle.dumps({"__meta__": {"version": 2.4}, "__data__": entries} | more))


def alignment(points: Any) -> dict[str, Any]:
    mask = {"mask": b"\x00\xff'\"\\", "affine_matrix": [[1.0, 0.0, -2.5e-05]] * 2, "stored_size": 128}
    return {
        "x": 1, "y": 2, "w": 3, "h": 4, "landmarks_xy": points, "mask": {"components": mask},
        "identity": {"vggface2": [0.25, -1e-9]}, "thumb": [1, 2, 255],
    }  # fmt: skip


@pytest.mark.parametrize("as_list", [True, False])
def test_the_alignments_of_faceswap_cut_faces_from_their_video(clip, tmp_path, as_list):
    path, points = clip
    # The first frame is number 1. Frame 3 has no face, and another program's order is not ours.
    frames = {f"ann_{index + 1:06d}.png": [one.tolist() if as_list else one] for index, one in enumerate(points)}
    frames["ann_000004.png"] = []
    (tmp_path / "ann.fsa").write_bytes(fsa(dict(reversed(frames.items()))))
    info = import_faces(tmp_path / "ann.fsa", tmp_path / "faces", CONFIG, "faceswap", source=path)
    assert (info.faces, info.finder["name"], info.clips[0].frames_without_face) == (5, "faceswap", 1)
    table = pq.read_table(tmp_path / "faces" / "faces.parquet")
    assert table["frame"].to_pylist() == [0, 1, 2, 4, 5]
    for frame, row in zip(table["frame"].to_pylist(), table["landmarks"].to_pylist(), strict=True):
        np.testing.assert_allclose(np.reshape(row, (68, 2)), points[frame], atol=1e-4)


def face_png(picture: np.ndarray, note: str, keyword: bytes = b"faceswap") -> bytes:
    """A PNG with the note in an iTXt chunk before the picture data, as faceswap writes it."""
    png = encode_png(picture)
    content = keyword + b"\0\0\0\0\0" + note.encode()
    chunk = struct.pack(">I", len(content)) + b"iTXt" + content + struct.pack(">I", zlib.crc32(b"iTXt" + content))
    place = png.index(b"IDAT") - 4
    return png[:place] + chunk + png[place:]


def note_of(points: np.ndarray, frame: str) -> str:
    source = {
        "alignments_version": 2.4, "original_filename": "x.png", "face_index": 0, "source_filename": frame,
        "source_is_video": True, "source_frame_dims": (PX, PX),
    }  # fmt: skip
    return str({"alignments": alignment(points.tolist()), "source": source})


def test_face_pictures_of_faceswap_choose_the_faces(clip, faces, tmp_path):
    path, points = clip
    folder = tmp_path / "faces-of-ann"
    folder.mkdir()
    for index in (1, 4):
        note = note_of(points[index], f"ann_{index + 1:06d}.png")
        (folder / f"{index}.png").write_bytes(face_png(faces[0][0], note))
    (folder / "other.png").write_bytes(encode_png(faces[0][0]))
    info = import_faces(folder, tmp_path / "out", CONFIG, "faceswap", source=path)
    assert (info.faces, info.clips[0].frames_without_face) == (2, 4)


def test_pictures_as_source_are_found_by_name(clip, tmp_path):
    taken = portrait(cast(1, 5)[0], px=PX, seed=3)
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(encode_png(taken.image + (name == "b.png")))
    (tmp_path / "x.fsa").write_bytes(fsa({"a.png": [taken.landmarks.tolist()]}))
    info = import_faces(tmp_path / "x.fsa", tmp_path / "out", CONFIG, "faceswap", source=folder)
    assert (info.faces, [one.frames_without_face for one in info.clips]) == (1, [0, 1])
    (tmp_path / "y.fsa").write_bytes(fsa({"c.png": [taken.landmarks.tolist()]}))
    for source in (folder, clip[0]):
        with pytest.raises(MediaError, match="not what these faces are from"):
            import_faces(tmp_path / "y.fsa", tmp_path / "other", CONFIG, "faceswap", source=source)


def test_without_the_source_landmarks_are_found_anew_and_that_is_said(clip, faces, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "1.png").write_bytes(face_png(faces[0][0], note_of(clip[1][0], "ann_000001.png")))
    asked: list[Any] = []
    monkeypatch.setattr(
        "shared.faces.foreign.importing.extract", lambda clips, out, config, **more: asked.append((clips, more))
    )
    import_faces(folder, tmp_path / "out", CONFIG, "faceswap")
    assert asked == [([folder], {"force": False})]
    assert "landmarks are found anew" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UsageError, match="holds no pictures"):
        import_faces(tmp_path / "x.fsa", tmp_path / "out", CONFIG, "faceswap")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"no zlib", "no alignments file"),
        (zlib.compress(pickle.dumps({}))[:-6], "cut off"),
        (zlib.compress(b"no pickle"), "no data that can be read"),
        (zlib.compress(pickle.dumps([1])), "names no face"),
        (zlib.compress(pickle.dumps({"__data__": {"a": 3, "b": {"faces": 4}, "c": {"faces": [5]}}})), "names no face"),
        (fsa({"a.png": [[[1, 2]] * 3]}), "no 68 landmarks"),
    ],
)
def test_other_alignments_are_refused_in_one_sentence(tmp_path, data, said):
    (tmp_path / "a.fsa").write_bytes(data)
    with pytest.raises(MediaError, match=said):
        read_alignments(tmp_path / "a.fsa")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.fsa").write_bytes(zlib.compress(b"\0" * (3 << 20)))
    monkeypatch.setattr(faceswap, "MAX_ALIGNMENTS_BYTES", 1 << 20)
    with pytest.raises(MediaError, match="unpacks to more than 1 MiB"):
        read_alignments(tmp_path / "a.fsa")


def test_one_list_of_faces_under_many_names_is_counted_as_many(tmp_path, monkeypatch):
    face = {"landmarks_xy": [[float(n), 2.0 * n] for n in range(68)]}
    faces = [face] * 20
    (tmp_path / "a.fsa").write_bytes(zlib.compress(pickle.dumps({f"{n}.png": {"faces": faces} for n in range(20)})))
    monkeypatch.setattr(faceswap, "_MOST_FACES", 300)
    with pytest.raises(MediaError, match="more than 300 faces"):
        read_alignments(tmp_path / "a.fsa")


def test_code_in_alignments_is_not_run(tmp_path):
    (tmp_path / "a.fsa").write_bytes(zlib.compress(pickle.dumps({"__data__": _Evil(tmp_path / "run")})))
    with pytest.raises(MediaError, match="code and no data"):
        read_alignments(tmp_path / "a.fsa")
    assert not (tmp_path / "run").exists()


def test_notes_are_plain_dicts():
    text = "{'a': [1, -2.5e-07, 'it\\'s', b'\\x00\"'], \"b\": (True, None, ()), 'c': {}}"
    assert literal(text, "file") == {"a": [1, -2.5e-07, "it's", b'\x00"'], "b": (True, None, ()), "c": {}}


@pytest.mark.parametrize(
    "text",
    [
        "", "open('x')", "{'a': __import__('os')}", "[" * 13 + "]" * 13, "[" * 100_000, "-" * 100_000 + "1",
        "1" + "+1" * 9, "{'a': 'b' 'c'", "'" + "x" * (1 << 20) + "'", "{1: f'{x}'}", "{'a'}; import os", "lambda: 0",
        "]", "{[]: 1}", "'\\x'", "9" * 5000, "\0", "[1,,2]",
    ],
)  # fmt: skip
def test_other_notes_are_refused(text):
    with pytest.raises(MediaError, match="the note in file is not read"):
        literal(text, "file")


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffiTXtfaceswap"]
)
def test_pictures_without_a_note_are_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.png"):
        read_face_picture(tmp_path / "a.png")


def test_a_note_has_to_say_which_frame(tmp_path, faces):
    for note in (
        "{}",
        "{'source': {}, 'alignments': {}}",
        "{'source': {'source_filename': 3}, 'alignments': {}}",
        "[]",
    ):
        (tmp_path / "a.png").write_bytes(face_png(faces[0][0], note))
        with pytest.raises(MediaError, match="does not say which frame"):
            read_face_picture(tmp_path / "a.png")


def test_the_command_makes_a_faceset(aligned, tmp_path, capsys):
    words = ["--identity", "ann", "--rights", "synthetic", "--out", str(tmp_path / "faces"), "--px", "64"]
    assert run(["--json", "faces", "import", str(aligned), "--from", "deepfacelab", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["identity"], told["faces"], told["framing"]) == ("ann", 3, "whole")
    assert run(["faces", "import", str(aligned), "--from", "deepfacelab", *words]) == 2
    assert run(["faces", "import", str(aligned), "--from", "deepfacelab", *words, "--force"]) == 0


@pytest.mark.parametrize(
    ("name", "more", "said", "code"),
    [
        ("aligned", ["--from", "roop"], "no program is named 'roop'", 2),
        ("aligned", ["--from", "deepfacelab", "--source", "x.mp4"], "leave out --source", 2),
        ("aligned", ["--from", "deepfacelab", "--framing", "head"], "show no more than whole", 2),
        ("aligned", ["--from", "deepfacelab", "--framing", "foot"], "framing", 2),
        ("nothing", ["--from", "deepfacelab"], "no folder of aligned faces", 2),
        ("nothing", ["--from", "faceswap", "--source", "x.mp4"], "neither an alignments file", 2),
        ("aligned", ["--from", "faceswap"], "no PNG picture", 1),
    ],
)
def test_the_command_refuses_the_rest(aligned, tmp_path, capsys, name, more, said, code):
    words = ["--identity", "ann", "--rights", "synthetic", "--out", str(tmp_path / "faces")]
    assert run(["faces", "import", str(tmp_path / name), *words, *more]) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "faces").exists()
