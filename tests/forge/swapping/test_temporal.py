from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from forge.swapping.color import ColorMap
from forge.swapping.config import TemporalConfig
from forge.swapping.stages import DecodedFace, SwappedFrame
from forge.swapping.temporal import OneEuro, stabilize_color, stabilize_landmarks
from shared.faces.align import MEAN_FACE
from shared.types import Frame, SwappedFace, Timestamp

ONE_EURO = TemporalConfig(landmarks="one-euro", color="one-euro")
SECONDS = np.arange(100) / 25


def test_the_filter_by_hand():
    # Casiez et al., algorithm 1, with rate 10, least cut-off 1, beta 0.5, derivative cut-off 1.
    filtered = OneEuro(1.0, 0.5, 1.0)
    assert filtered(np.array([2.0]), 0.0) == pytest.approx([2.0])

    def share(cutoff):
        return 1 / (1 + 10 / (2 * math.pi * cutoff))

    slope = share(1.0) * (3.0 - 2.0) * 10
    cutoff = 1.0 + 0.5 * slope
    assert filtered(np.array([3.0]), 0.1) == pytest.approx([2.0 + share(cutoff) * 1.0])
    with pytest.raises(ValueError, match="moments ascend"):
        filtered(np.array([3.0]), 0.1)


def _still(noise: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    return MEAN_FACE * 80 + 20 + rng.normal(0, noise, (len(SECONDS), 68, 2))


def test_a_face_that_holds_still_trembles_less():
    found = _still(0.6)
    for config, least in ((ONE_EURO, 2.0), (TemporalConfig(), 2.0)):
        settled = stabilize_landmarks(found, SECONDS, config)
        trembling = [np.diff(points[20:], axis=0).std() for points in (found, settled)]
        assert trembling[0] / trembling[1] > least
        assert settled.dtype == np.float32
    assert np.array_equal(
        stabilize_landmarks(found, SECONDS, TemporalConfig(landmarks="none")), found.astype(np.float32)
    )


def test_one_euro_looks_only_back_and_zero_phase_does_not_lag():
    moving = MEAN_FACE * 80 + np.stack([40 * SECONDS, np.zeros(100)], axis=1)[:, None]
    causal = stabilize_landmarks(moving, SECONDS, ONE_EURO)
    lag = (moving - causal)[50:, :, 0].mean()
    assert 0.2 < lag < 4  # behind a motion of 1.6 pixels a frame
    assert stabilize_landmarks(moving, SECONDS, TemporalConfig()) == pytest.approx(moving, abs=0.05)
    changed = moving.copy()
    changed[60:] += 30
    assert np.array_equal(stabilize_landmarks(changed, SECONDS, ONE_EURO)[:60], causal[:60])


def test_the_filter_means_the_same_at_every_size():
    found = _still(0.6)
    small, large = (stabilize_landmarks(found * scale, SECONDS, ONE_EURO) / scale for scale in (1, 8))
    assert large == pytest.approx(small, abs=1e-3)


def _colored(index: int, offset: float, track: int = 0) -> SwappedFrame:
    plane = np.zeros((8, 8), np.float32)
    swapped = SwappedFace(np.zeros((8, 8, 3), np.float32), None, np.eye(2, 3))
    color = ColorMap("rgb", np.eye(3), np.full(3, offset))
    face = DecodedFace(track, swapped, plane, plane, np.zeros((68, 2), np.float32), color)
    return SwappedFrame(Frame(index, Timestamp(index, Fraction(1, 25)), np.zeros((8, 8, 3), np.uint8)), (face,))


def _offsets(frames) -> list[float]:
    return [float(one.faces[0].color.offset[0]) for one in frames]


def test_colours_settle_by_what_came_before():
    flicker = [_colored(i, float(i % 2)) for i in range(60)]
    settled = _offsets(stabilize_color(flicker, ONE_EURO))
    assert settled[0] == 0.0
    assert np.ptp(settled[40:]) < 0.15
    assert np.mean(settled[40:]) == pytest.approx(0.5, abs=0.02)
    step = _offsets(stabilize_color([_colored(i, float(i >= 10)) for i in range(40)], ONE_EURO))
    assert step[:10] == [0.0] * 10
    assert 0 < step[10] < step[20] < step[39] <= 1


def test_each_track_settles_by_itself_and_none_changes_nothing():
    mixed = [_colored(i, float(i % 2), track=i % 2) for i in range(10)]
    assert _offsets(stabilize_color(mixed, ONE_EURO)) == pytest.approx([float(i % 2) for i in range(10)])
    flicker = [_colored(i, float(i % 2)) for i in range(4)]
    assert _offsets(stabilize_color(flicker, TemporalConfig(color="none"))) == [0.0, 1.0, 0.0, 1.0]
