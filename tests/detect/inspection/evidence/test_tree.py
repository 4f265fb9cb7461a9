"""The structure of files whose parts are known."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect.inspection.evidence.tree import Tree, read_tree
from tests.factories import write_clip


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3), dtype=np.uint8))


def _names(tree: Tree) -> list[str]:
    return [part.name for part in tree.parts]


def test_the_boxes_of_a_clip_are_nested_whole_and_name_the_encoder(clip):
    tree = read_tree(clip)
    assert (tree.kind, tree.odd) == ("ISO media", ())
    assert {"ftyp", "moov", "mdat"} <= {part.name for part in tree.parts if part.depth == 0}
    assert {"trak", "stbl", "stsz"} <= set(_names(tree))
    top = [part for part in tree.parts if part.depth == 0]
    assert sum(part.size for part in top) == clip.stat().st_size
    assert any(text.startswith("x264 - core") for text in tree.strings)


def test_strange_boxes_and_bytes_behind_the_end_are_odd(clip):
    whole = clip.read_bytes()
    clip.write_bytes(whole + struct.pack(">I4s", 16, b"xyzw") + b"12345678" + b"abc")
    tree = read_tree(clip)
    assert any("xyzw" in text and "no box" in text for text in tree.odd)
    assert any("3 bytes follow the last box" in text for text in tree.odd)
    clip.write_bytes(whole[: len(whole) // 2])
    assert any("are there" in text for text in read_tree(clip).odd)


def test_a_second_index_is_odd(clip):
    whole = clip.read_bytes()
    place = next(part for part in read_tree(clip).parts if part.name == "moov")
    clip.write_bytes(whole + whole[place.offset : place.offset + place.size])
    assert "moov stands 2 times" in read_tree(clip).odd


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_bytes_behind_a_picture_and_a_missing_end_are_odd(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    assert read_tree(path).odd == ()
    path.write_bytes(whole + b"hidden")
    assert any("6 bytes follow" in text for text in read_tree(path).odd)
    path.write_bytes(whole[:-9])
    assert read_tree(path).odd


def test_elements_of_matroska_are_read_at_the_top(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", np.zeros((4, 48, 64, 3), np.uint8))
    tree = read_tree(path)
    assert (tree.kind, tree.odd) == ("Matroska", ())
    assert {"EBML", "Segment", "Tracks", "Cluster"} <= set(_names(tree))


def test_other_formats_and_hostile_depth_and_number_are_bounded(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"plain text, no media")
    assert read_tree(path).kind == "unknown"
    path.write_bytes(struct.pack(">I4s", 16, b"ftyp") + b"isom" * 2 + struct.pack(">I4s", 8, b"free") * 10_000)
    tree = read_tree(path)
    assert len(tree.parts) == 3000
    assert any("more than 3000 parts" in text for text in tree.odd)
    nested = b""
    for _ in range(40):
        nested = struct.pack(">I4s", len(nested) + 8, b"moov") + nested
    path.write_bytes(nested)
    assert max(part.depth for part in read_tree(path).parts) == 8
    path.write_bytes(b"")
    assert read_tree(path).parts == ()
