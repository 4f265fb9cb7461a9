"""Masks that were wrong from the start are found by the pixels; right ones are not accused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from shared.dataset.excerpts import TARGET_FRAMES
from shared.dataset.files import PresentFiles
from shared.dataset.held import TARGET_STILL
from shared.dataset.masks import Originals, mask_faults
from shared.types import ClipRecord, Masks
from shared.video import Encoding
from shared.video.images import encode_png
from tests.factories import clip_record, write_clip

SIDE, FRAMES = 128, 6
LOSSY = Encoding(preset="ultrafast", crf=30)
FACE = (slice(32, 80), slice(32, 80))
WALL = (slice(0, 128), slice(96, 128))


def _picture(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.integers(60, 190, (8, 8, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), np.uint8))


SIZE = {"frames": FRAMES, "width": SIDE, "height": SIDE, "rendition": "c30"}


class Pair:
    """A real clip, and a fake in which ``forged`` of every frame was brightened; the mask marks ``marked``."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder = folder
        self.real = clip_record("ann", dataset="toy", path="ann.mp4", **SIZE)
        self.fake = clip_record(
            "ann",
            "bright",
            name="ann+bob",
            source="bob",
            dataset="toy",
            path="ann+bob.mp4",
            **SIZE,
            faked=((0, FRAMES),),
            parent=self.real.id,
            masks=Masks("a.mkv", "c.mkv", "r.mkv"),
        )
        self.picture = _picture(rng)

    def faults(self, forged: tuple[slice, slice] | None, marked: Sequence[np.ndarray]) -> list[str]:
        changed = self.picture.copy()
        if forged is not None:
            changed[forged] = np.clip(changed[forged].astype(int) + 40, 0, 255)
        write_clip(self.folder / "ann.mp4", [self.picture] * FRAMES, encoding=LOSSY)
        write_clip(self.folder / "ann+bob.mp4", [changed] * FRAMES, encoding=LOSSY)
        write_clip(self.folder / "c.mkv", marked, encoding=Encoding.lossless_mask())
        return list(mask_faults(PresentFiles(self.folder), self.fake, Originals([self.real, self.fake])))


@pytest.fixture
def pair(tmp_path: Path, rng: np.random.Generator) -> Pair:
    return Pair(tmp_path, rng)


def _mask(region: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[region] = 255
    return mask


def test_a_mask_that_fits_is_not_accused(pair: Pair):
    assert pair.faults(FACE, [_mask(FACE)] * FRAMES) == []


def test_pixels_that_changed_where_the_mask_marks_nothing_are_found(pair: Pair):
    (fault,) = pair.faults(FACE, [_mask(WALL)] * FRAMES)
    assert "differs from toy/real/ann in" in fault
    assert "c.mkv leaves out" in fault


def test_a_mask_over_pixels_that_are_the_original_s_is_found_but_for_self_swaps(pair: Pair):
    (fault,) = pair.faults(None, [_mask(FACE)] * FRAMES)
    assert fault == "what its masks mark as forged looks as it does in toy/real/ann"
    pair.fake = dataclasses.replace(pair.fake, source_identity="ann")
    assert pair.faults(None, [_mask(FACE)] * FRAMES) == []


def test_a_mask_that_contradicts_the_forged_frames_is_found(pair: Pair):
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    (fault,) = pair.faults(FACE, [*[_mask(FACE)] * 5, nothing])
    assert fault == "frame 5 of c.mkv marks nothing, and the clip says it is forged (1 such frames)"
    pair.fake = dataclasses.replace(pair.fake, faked=((0, 4),))
    (fault,) = pair.faults(FACE, [_mask(FACE)] * FRAMES)
    assert "frame 4 of c.mkv marks pixels of an untouched one (2 such frames)" in fault


def test_a_mask_of_another_size_is_found(pair: Pair):
    (fault,) = pair.faults(FACE, [np.full((64, 64), 255, np.uint8)] * FRAMES)
    assert fault == "c.mkv is 64x64, its clip is 128x128"


def test_a_fake_of_a_stretch_is_compared_with_those_frames(pair: Pair, tmp_path: Path):
    first = 2
    pair.fake = dataclasses.replace(
        pair.fake, frames=FRAMES - first, faked=((0, FRAMES - first),), factors={TARGET_FRAMES: f"{first}-{FRAMES}"}
    )
    # Each frame of the real clip is lighter than the one before; the fake's face is lighter still, or nothing is.
    real = [np.clip(pair.picture.astype(int) - 30 + 15 * n, 0, 255).astype(np.uint8) for n in range(FRAMES)]
    light = [image.copy() for image in real[first:]]
    for image in light:
        image[FACE] = np.clip(image[FACE].astype(int) + 40, 0, 255)
    for path, images in (("ann.mp4", real), ("ann+bob.mp4", light)):
        write_clip(tmp_path / path, images, encoding=LOSSY)

    def faults(marked: tuple[slice, slice]) -> list[str]:
        write_clip(tmp_path / "c.mkv", [_mask(marked)] * len(light), encoding=Encoding.lossless_mask())
        return list(mask_faults(PresentFiles(tmp_path), pair.fake, Originals([pair.real, pair.fake])))

    assert faults(FACE) == []
    (fault,) = faults(WALL)
    assert "differs from toy/real/ann in" in fault


def test_the_original_of_a_stretch_holds_its_frames(pair: Pair):
    stretch = {"frames": 3, "faked": ((0, 3),)}
    fake = dataclasses.replace(pair.fake, **stretch, factors={TARGET_FRAMES: "2-5"})
    assert Originals([pair.real, fake]).matched(fake) == (pair.real, 2)
    late = dataclasses.replace(fake, factors={TARGET_FRAMES: "4-7"})
    assert Originals([pair.real, late]).of(late) is None
    wrong = dataclasses.replace(fake, factors={TARGET_FRAMES: "2-4"})
    assert Originals([pair.real, wrong]).of(wrong) is None
    # A fake made of frames 1 and 2 of that fake.
    second = clip_record("ann", "bright", name="again", source="bob", dataset="toy", path="again.mp4", parent=fake.id,
                         **{**SIZE, "frames": 2}, faked=((0, 2),), factors={TARGET_FRAMES: "1-3"})  # fmt: skip
    assert Originals([pair.real, fake, second]).matched(second) == (pair.real, 3)


def test_the_original_is_the_same_footage_in_the_same_rendition_size_and_length(pair: Pair):
    facts = {**SIZE, "factors": {"original_sha256": "1"}}
    other = clip_record("ann", name="ann-low", **{**facts, "rendition": "c40"})
    same = clip_record("ann", name="ann-mid", **facts)
    fake = dataclasses.replace(pair.fake, parent=other.id)
    assert Originals([other, same, fake]).of(fake) == same
    assert Originals([other, fake]).of(fake) is None
    assert Originals([other, same, fake]).of(dataclasses.replace(fake, frames=5, faked=((0, 5),))) is None
    assert Originals([fake]).of(dataclasses.replace(fake, parent=None)) is None
    loop = dataclasses.replace(fake, parent=fake.id)
    assert Originals([loop]).of(loop) is None


def test_frames_of_a_still_are_all_forged_also_where_nothing_is_marked(pair: Pair):
    marked = [_mask(FACE)] * (FRAMES - 1) + [np.zeros((SIDE, SIDE), np.uint8)]
    assert any("marks nothing" in fault for fault in pair.faults(FACE, marked))
    pair.fake = dataclasses.replace(pair.fake, factors={TARGET_STILL: "photograph"}, parent=None)
    assert pair.faults(FACE, marked) == []
    pair.fake = dataclasses.replace(pair.fake, faked=((0, FRAMES - 1),))
    (fault,) = pair.faults(FACE, marked)
    assert "frame 5 of toy/bright/ann+bob is called real" in fault


def test_a_clip_of_a_still_is_compared_with_the_still(pair: Pair, tmp_path: Path):
    """The still is a picture of other compression, and twice as large."""
    still = clip_record("ann", name="ann-still", dataset="toy", path="ann.png", frames=1, width=256, height=256)
    (tmp_path / "ann.png").write_bytes(encode_png(np.kron(pair.picture, np.ones((2, 2, 1), np.uint8))))
    facts = {"factors": {TARGET_STILL: "photograph"}, "parent": still.id}
    held = pair.fake = dataclasses.replace(pair.fake, **facts)

    def faults(forged: tuple[slice, slice] | None, marked: tuple[slice, slice], record: ClipRecord) -> list[str]:
        pair.faults(forged, [_mask(marked)] * FRAMES)
        return list(mask_faults(PresentFiles(tmp_path), record, Originals([still, record])))

    assert faults(FACE, FACE, held) == []
    (fault,) = faults(FACE, WALL, held)
    assert "differs from toy/real/ann-still in" in fault
    (fault,) = faults(None, FACE, held)
    assert fault == "what its masks mark as forged looks as it does in toy/real/ann-still"
    assert faults(None, FACE, dataclasses.replace(held, source_identity="ann")) == []


def test_a_still_of_another_shape_or_a_smaller_one_is_not_compared(pair: Pair):
    def found(width: int, height: int, frames: int = 1) -> bool:
        still = clip_record("ann", name="still", width=width, height=height, frames=frames)
        held = dataclasses.replace(pair.fake, factors={TARGET_STILL: "generate"}, parent=still.id)
        return Originals([still, held]).still_of(held) is not None

    assert found(SIDE, SIDE)
    assert found(999, 1000)
    assert not found(SIDE, SIDE, frames=2)
    assert not found(SIDE - 1, SIDE)
    assert not found(256, 512)
    assert Originals([pair.real, pair.fake]).still_of(pair.fake) is None
