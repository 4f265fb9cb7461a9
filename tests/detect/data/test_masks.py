from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from detect.data.crops import ClipFaces, CropRequest, find_faces
from detect.data.masks import MASK_PX, ForgedMasks, face_masks
from shared.dataset import DatasetFolder
from shared.dataset.held import TARGET_STILL
from shared.errors import MediaError
from shared.faces.finders.finder import finders
from shared.types import Masks
from shared.video import Encoding
from tests.factories import write_clip

RATE = Fraction(25)


@pytest.fixture
def fake(toy_set: Path, toy_config) -> ClipFaces:
    dataset = DatasetFolder.open(toy_set)
    record = next(record for record in dataset.records() if record.label == "fake")
    request = CropRequest(64, "whole", 4, toy_config.faces)
    return find_faces(dataset, [record], request, lambda: finders.create("toy", settings=None))[0]


def write_masks(path: Path, *, frames: int = 8, width: int = 160, height: int = 96) -> Path:
    """The upper half of the toy face is forged, more from frame to frame."""
    masks = np.zeros((frames, height, width), np.uint8)
    masks[:, : height // 2, : width // 2] = 100 + 10 * np.arange(frames, dtype=np.uint8)[:, None, None]
    return write_clip(path, masks, encoding=Encoding.lossless_mask())


def test_every_face_gets_the_mask_of_its_frame_and_place(fake: ClipFaces, tmp_path: Path):
    masks = face_masks(write_masks(tmp_path / "m.mkv"), fake)
    assert masks.shape == (len(fake.frames), MASK_PX, MASK_PX)
    for mask, frame in zip(masks, fake.frames, strict=True):
        # The toy face is centred on row 48 of the frame: its crop is forged above, clean below.
        assert mask[MASK_PX // 4, MASK_PX // 2] == 100 + 10 * frame
        assert mask[-4, MASK_PX // 2] == 0


def test_masks_of_another_rendition_cover_the_same_picture(fake: ClipFaces, tmp_path: Path):
    large = face_masks(write_masks(tmp_path / "l.mkv", width=320, height=192), fake).astype(int)
    same = face_masks(write_masks(tmp_path / "s.mkv"), fake)
    assert np.abs(large - same).mean() < 4


def test_a_mask_that_ends_early_is_said(fake: ClipFaces, tmp_path: Path):
    with pytest.raises(MediaError, match="ends before frame"):
        face_masks(write_masks(tmp_path / "m.mkv", frames=2), fake)


def test_they_are_read_once_and_kept(fake: ClipFaces, toy_set: Path, monkeypatch: pytest.MonkeyPatch):
    dataset = DatasetFolder.open(toy_set)
    write_masks(dataset.path / "masks.mkv")
    masked = dataclasses.replace(fake, record=dataclasses.replace(fake.record, masks=Masks(*["masks.mkv"] * 3)))
    first = ForgedMasks(dataset, [masked, fake])
    (dataset.path / "masks.mkv").unlink()
    again = ForgedMasks(dataset, [masked])
    assert first.mask((1, 0)) is None
    mask, kept = first.mask((0, 1)), again.mask((0, 1))
    assert mask is not None
    assert kept is not None
    np.testing.assert_array_equal(mask, kept)
    assert mask.max() == pytest.approx((100 + 10 * fake.frames[1]) / 255)


def test_masks_of_a_clip_made_of_a_generated_still_are_left_out(fake: ClipFaces, toy_set: Path):
    dataset = DatasetFolder.open(toy_set)
    write_masks(dataset.path / "held.mkv")
    clips = [
        dataclasses.replace(
            fake,
            record=dataclasses.replace(fake.record, masks=Masks(*["held.mkv"] * 3), factors={TARGET_STILL: kind}),
        )
        for kind in ("generate", "photograph")
    ]
    masks = ForgedMasks(dataset, clips)
    assert masks.mask((0, 1)) is None
    assert masks.mask((1, 1)) is not None
