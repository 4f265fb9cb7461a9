from __future__ import annotations

import itertools

import numpy as np
import pytest

from forge.training.augment_config import AugmentConfig
from forge.training.config import TrainConfig
from forge.training.schedule import learning_rate, next_preview, warp_strength

CONFIG = TrainConfig(
    steps=1000,
    learning_rate=1e-3,
    warmup_steps=10,
    decay_from=0.5,
    decay_to=0.1,
    augment=AugmentConfig(warp_until=0.8),
)


@pytest.mark.parametrize(
    ("step", "fraction", "expected"),
    [(0, 0.0, 1e-4), (4, 0.0, 5e-4), (9, 0.0, 1e-3), (500, 0.5, 1e-3), (750, 0.75, 5.5e-4), (999, 1.0, 1e-4)],
)
def test_the_rate_warms_up_holds_and_falls(step, fraction, expected):
    assert learning_rate(step, fraction, CONFIG) == pytest.approx(expected)


def test_no_warm_up_and_no_decay():
    config = TrainConfig(warmup_steps=0, decay_from=1.0, learning_rate=1e-3)
    assert learning_rate(0, 0.0, config) == learning_rate(9, 1.0, config) == 1e-3


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 1), (0.8, 1), (0.9, 0.5), (1.0, 0)])
def test_the_warp_fades_at_the_end(fraction, expected):
    assert warp_strength(fraction, CONFIG) == pytest.approx(expected)


def test_previews_come_early_then_less_and_less_often():
    at = [0.0]
    while at[-1] < 9 * 3600:
        at.append(next_preview(at[-1]))
    assert at[1:5] == [30, 45, 67.5, 101.25]
    gaps = np.diff(at[1:])
    assert all(later >= earlier for earlier, later in itertools.pairwise(gaps))
    assert gaps.max() == 3600
    assert len([each for each in at if 0 < each <= 25 * 60]) == 10
    # Between two of them the next one is due, however long a step takes.
    assert next_preview(50) == 67.5
    assert next_preview(29.9) == 30
