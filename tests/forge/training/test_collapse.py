from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forge.training.collapse import CollapseWatch, Sign, reconstruction
from forge.training.config import TrainConfig

EARLY, LATE = object(), object()


def watched(*parts: tuple[object, Any], noise: float = 0.1, log_every: int = 20) -> list[Sign]:
    """Signs in noisy losses of phases: each part is a phase and its mean losses, log by log."""
    watch, rng, step, signs = CollapseWatch(log_every), np.random.default_rng(5), 0, []
    for phase, means in parts:
        for mean in means:
            step += log_every
            sign = watch.loss(phase, step, mean * float(rng.normal(1, noise)))
            signs += [sign] if sign else []
    return signs


FALLING = np.geomspace(1.0, 0.2, 200)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_a_loss_that_falls_or_stays_is_no_sign(noise):
    assert watched((EARLY, FALLING), (EARLY, np.full(800, 0.2)), noise=noise) == []


def test_a_loss_that_rises_for_long_is_one_and_names_the_step_before():
    signs = watched((EARLY, FALLING), (EARLY, np.linspace(0.2, 0.6, 100)))
    assert signs
    assert 3_500 <= signs[0].good_step <= 4_600
    assert "risen from 0.2" in signs[0].text


def test_some_spikes_are_none():
    losses = np.full(200, 0.2)
    losses[100:110:3] = 3.0
    assert watched((EARLY, FALLING), (EARLY, losses)) == []


def test_what_a_phase_changes_is_none_but_what_it_ruins_is():
    # A new phase doubles the loss at once, and over its first 500 steps once more.
    changed = np.concatenate([np.linspace(0.4, 0.8, 25), np.full(200, 0.8)])
    assert watched((EARLY, FALLING), (LATE, changed)) == []
    assert watched((EARLY, FALLING), (EARLY, changed))
    assert watched((EARLY, FALLING), (LATE, changed), (LATE, np.linspace(0.8, 1.6, 100)))


def test_the_same_steps_count_however_often_they_are_logged():
    steps = np.concatenate([np.full(1_000, 0.2), np.full(500, 0.4)])
    assert watched((EARLY, steps), log_every=1)
    assert watched((EARLY, steps[::10]), log_every=10)
    assert not watched((EARLY, steps[:1_050]), log_every=1)


@pytest.mark.parametrize(
    ("found", "sign"),
    [
        ([(0.5, 0.1), (0.7, 0.4), (0.8, 0.5)], False),
        ([(0.8, 0.5), (0.7, 0.2)], True),
        ([(0.8, 0.5), (0.7, 0.3)], False),  # softer, and still more than half
        ([(0.3, 0.9), (0.6, 0.1)], False),  # the noise of an untrained decoder is sharp
        ([(0.8, 0.5), (0.79, 0.2)], False),  # softer, and as like
    ],
)
def test_detail_that_goes_is_a_sign_where_likeness_goes_too(found, sign):
    watch = CollapseWatch(20)
    signs = [watch.preview(EARLY, 100 * n, *each) for n, each in enumerate(found, start=1)]
    assert any(signs) is sign
    if sign:
        assert signs[-1] is not None
        assert signs[-1].good_step == 100
        assert "sharpness 0.50 of the real faces' then and 0.20 now" in signs[-1].text


def test_previews_of_another_phase_are_not_compared():
    watch = CollapseWatch(20)
    assert watch.preview(EARLY, 100, 0.8, 0.5) is None
    assert watch.preview(LATE, 200, 0.5, 0.1) is None
    assert watch.preview(LATE, 300, 0.4, 0.04) is not None


def test_the_adversary_is_no_part_of_the_reconstruction():
    config = TrainConfig()
    scalars = {"dssim": 0.1, "mae": 0.2, "adversary": 9.0, "critic": 9.0, "true_face": 9.0, "loss/ann": 9.0}
    assert reconstruction(scalars, config) == pytest.approx(0.1 * config.loss.dssim + 0.2 * config.loss.mae)
