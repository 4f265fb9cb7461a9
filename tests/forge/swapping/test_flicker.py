from __future__ import annotations

import numpy as np
import pytest

from forge.image_metrics import flicker
from forge.swapping.flicker import FaceCrops, flickers
from shared.faces.align import MEAN_FACE

LANDMARKS = (MEAN_FACE * 40 + [30, 24]).astype(np.float32)


def _take(crops: FaceCrops, index: int, fake: int, target: int = 100):
    return crops.take(index, *(np.full((96, 110, 3), grey, np.uint8) for grey in (fake, target)), LANDMARKS)


def test_crops_of_frames_in_a_row_are_kept_three_at_most():
    crops = FaceCrops(32, "full")
    assert [[one.index for one in _take(crops, index, 90)] for index in (0, 1, 2, 3, 5, 6)] == [
        [0], [0, 1], [0, 1, 2], [1, 2, 3], [5], [5, 6],
    ]  # fmt: skip
    newest = _take(crops, 7, 80)[-1]
    assert newest.fake.shape == newest.target.shape == (32, 32, 3)
    assert newest.mask.shape == (32, 32)
    assert (newest.fake == 80).all()
    assert (newest.target == 100).all()


def test_both_are_measured_under_one_mask():
    crops = FaceCrops(32, "full")
    for index, grey in enumerate((100, 110, 100)):
        run = _take(crops, index, grey)
    fake, target = flickers(*run)
    assert fake == pytest.approx(10, abs=1e-3)
    assert target == pytest.approx(0, abs=1e-3)
    assert fake == flicker(run[0].fake, run[1].fake, run[2].fake, run[1].mask)
