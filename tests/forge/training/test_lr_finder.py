from __future__ import annotations

import cv2
import numpy as np
import pytest

from forge.training.lr_finder import RateTrial, rate_plot, smooth, suggest
from shared.errors import UsageError


def test_the_running_mean_has_no_bias():
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2, 2, 2])
    assert smooth([1.0, 0.0])[1] == pytest.approx(0.09 / 0.19)


def test_the_steepest_fall_before_the_lowest_point_is_suggested():
    rates = np.geomspace(1e-6, 1e-1, 51)
    place = np.arange(51)
    # A slide whose middle is at 20, then a burst.
    losses = 1 / (1 + np.exp((place - 20) / 2)) + np.where(place > 40, (place - 40) * 0.5, 0)
    assert suggest(rates.tolist(), losses.tolist()) == pytest.approx(rates[20], rel=0.01)


def test_a_burst_at_once_is_said():
    with pytest.raises(UsageError, match="at once"):
        suggest([1e-3, 2e-3], [1.0, 5.0])


def test_the_trial_is_drawn():
    rates = tuple(np.geomspace(1e-6, 1e-2, 30).tolist())
    losses = tuple(np.linspace(1, 0.2, 30).tolist())
    picture = cv2.imdecode(np.frombuffer(rate_plot(RateTrial(rates, losses, losses, 1e-4)), np.uint8), 1)
    assert picture.shape == (440, 880, 3)
