from __future__ import annotations

import cv2
import numpy as np
import pytest

from detect.robustness import perturb
from detect.robustness.perturb import CLEAN, KINDS, Cell, all_cells, encodings, keeps_every, perturbed, quick_cells


def picture(height: int = 64, width: int = 80) -> np.ndarray:
    ramp = np.linspace(30, 220, width, dtype=np.float32)
    image = np.stack([np.tile(ramp, (height, 1)), np.full((height, width), 90.0), np.tile(ramp[::-1], (height, 1))], 2)
    return image.astype(np.uint8)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_published_levels():
    """DeeperForensics-1.0, perturbation/add_distortion_to_video.py: seven types by five levels."""
    published = {name: kind.levels for name, kind in KINDS.items() if kind.group == "DeeperForensics"}
    assert published == {
        "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
        "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
        "blocks": (16, 32, 48, 64, 80),
        "noise": (0.001, 0.002, 0.005, 0.01, 0.05),
        "blur": (7, 9, 13, 17, 21),
        "pixelation": (2, 3, 4, 5, 6),
        "h264": (30, 32, 35, 38, 40),
    }
    assert len(all_cells()) == 1 + 7 * 5 + 5 + 2 + 2 + 2
    assert [str(cell) for cell in quick_cells()][:3] == ["clean", "saturation-3", "contrast-3"]
    assert {cell.kind for cell in quick_cells()} == {"clean", *KINDS}


def test_saturation_scales_chroma_and_keeps_luma():
    image = picture()
    grey = perturb.saturation(image, 0.0)
    assert np.ptp(grey.astype(int), axis=2).max() <= 1
    luma = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[..., 0] - luma).max() <= 1.01  # cut off, not rounded
    half = perturb.saturation(image, 0.4)
    away = (half[..., 0] - half @ np.array([0.299, 0.587, 0.114])) - 0.4 * (image[..., 0] - luma)
    assert np.abs(away).max() <= 1.5
    assert np.array_equal(perturb.saturation(image, 1.0), image)


def test_contrast_multiplies_and_cuts_off():
    image = np.full((2, 2, 3), 101, np.uint8)
    assert perturb.contrast(image, 0.85)[0, 0, 0] == 85  # 85.85
    assert perturb.contrast(image, 0.35)[0, 0, 0] == 35  # 35.35


@pytest.mark.parametrize(("side", "blocks"), [(64, 16), (300, 16), (600, 32)])
def test_blocks_are_grey_and_as_many_as_the_side_asks(side: int, blocks: int):
    image = np.zeros((side, side + 10, 3), np.uint8)
    done = perturb.blocks(image, 16, rng())
    touched = (done == 128).all(2)
    assert 64 < touched.sum() <= blocks * 64  # they may overlap
    assert set(np.unique(done)) == {0, 128}
    assert image.max() == 0
    apart = [perturb.blocks(image, 16, np.random.default_rng(seed)) for seed in range(40)]
    if side == 600:
        assert np.mean([(a == 128).all(2).sum() / 64 for a in apart]) == pytest.approx(blocks, rel=0.08)


def test_noise_has_the_published_variance():
    """On grey, luma noise of sqrt(variance) x 255 studio levels shows as 255/219 as much."""
    image = np.full((256, 256, 3), 128, np.uint8)
    done = perturb.noise(image, 0.001, rng()).astype(np.float64)
    luma = done @ np.array([0.299, 0.587, 0.114])
    assert luma.std() == pytest.approx(255 * np.sqrt(0.001) * 255 / 219, rel=0.02)
    blue = (done[..., 2] - luma) / 1.772
    assert blue.std() == pytest.approx(255 * np.sqrt(0.001) * 255 / 224, rel=0.03)
    assert np.array_equal(perturb.noise(image, 0.001, rng()), perturb.noise(image, 0.001, rng()))


def test_blur_of_a_point_is_its_kernel():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    done = perturb.blur(image, 13)[..., 0].astype(np.float64)
    wanted = np.outer(*[cv2.getGaussianKernel(13, 13 / 6).ravel()] * 2) * 255
    assert np.abs(done[14:27, 14:27] - wanted).max() <= 1
    assert done[:14].max() == 0


def test_pixelation_samples_and_does_not_average():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, ::4] = 255  # bilinear at a factor of four reads between columns 1 and 2 of each four
    assert perturb.pixelation(image, 4).max() == 0
    flat = picture()
    assert perturb.pixelation(flat, 3).shape == flat.shape


def test_every_kind_changes_the_picture_or_encodes_it():
    image = picture()
    for cell in all_cells():
        before = image.copy()
        done = perturbed(image, cell, rng())
        assert done.dtype == np.uint8
        assert done.shape == image.shape
        assert np.array_equal(image, before)
        changed = not np.array_equal(done, image)
        assert changed != (bool(encodings(cell)) or cell == CLEAN)


def test_stronger_levels_change_more():
    image = np.random.default_rng(1).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    for kind in ("saturation", "contrast", "blocks", "noise", "blur", "jpeg", "resize"):
        moved = [
            np.abs(perturbed(image, Cell(kind, n), rng()).astype(int) - image).mean()
            for n in range(1, len(KINDS[kind].levels) + 1)
        ]
        assert moved == sorted(moved), kind


def test_encoders_and_frame_rates_by_definition():
    assert [one.crf for one in encodings(Cell("h264", 3))] == [35]
    assert [one.crf for one in encodings(Cell("h264-twice", 2))] == [23, 35]
    assert [one.preset for one in encodings(Cell("h264", 1))] == ["medium"]
    assert (keeps_every(Cell("frame-rate", 1)), keeps_every(Cell("frame-rate", 2)), keeps_every(CLEAN)) == (2, 4, 1)
    for bad in (("h264", 6), ("jpg", 1), ("clean", 1), ("blur", 0)):
        with pytest.raises(ValueError, match="no perturbation"):
            Cell(*bad)
