"""Stretches of timelines that are made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detect.inspection.evidence.found import Material
from detect.inspection.evidence.stretches import largest_stretch, stretch_evidence, stretches_of
from shared.results.scores import FrameScore
from shared.types import ClipId, VideoInfo
from shared.video.child import NoChild

CLIP = ClipId("suspect", None, "clip")
TIMES = np.arange(120) / 8


def noise(seed: int, *, alike: float = 0.6, count: int = 120) -> np.ndarray:
    """Scores whose neighbours are alike, of deviation 1."""
    rng = np.random.default_rng(seed)
    values = np.empty(count)
    values[0] = rng.normal()
    for place in range(1, count):
        values[place] = alike * values[place - 1] + np.sqrt(1 - alike**2) * rng.normal()
    return values


def material(tracks: dict[int, np.ndarray], *, still: bool = False) -> Material:
    scores = tuple(
        FrameScore(CLIP, place * 3, float(TIMES[place]), track, float(value), (0, 0, 9, 9))
        for track, values in tracks.items()
        for place, value in enumerate(values)
    )
    info = VideoInfo.__new__(VideoInfo)
    return Material(Path("clip.mp4"), NoChild(Path("clip.mp4")), still, info, scores)


def test_the_largest_stretch_by_hand():
    values = np.array([0.0, 0.1, 0.0, 0.1, 5.0, 5.1, 5.0, 5.1, 0.0, 0.1, 0.0, 0.1])
    begin, end, size = largest_stretch(values)
    assert (begin, end) == (4, 8)
    # The sum above the mean 1.7167 is 4 (5.05 - 1.7167); the mean absolute difference is (9 * .1 + 4.9 + 5.1) / 11.
    above, spread = 4 * (5.05 - values.mean()), (0.9 + 4.9 + 5.1) / 11 * np.sqrt(np.pi) / 2
    assert size == pytest.approx(above * np.sqrt(1 / 4 + 1 / 8) / spread)


def test_a_forged_middle_third_is_named_by_its_time():
    values = 0.5 * noise(1, alike=0.3)
    values[40:80] += 3
    (one,) = stretches_of(2, TIMES, values, seed=0)
    assert one.track == 2
    assert one.start == pytest.approx(5, abs=0.5)
    assert one.stop == pytest.approx(10, abs=0.5)
    assert one.inside - one.outside == pytest.approx(3, abs=0.5)
    assert one.p <= 0.01


def test_two_stretches_are_both_found():
    values = 0.4 * noise(3, alike=0.2, count=320)
    values[48:96] += 3
    values[200:264] += 3
    found = stretches_of(0, np.arange(320) / 8, values, seed=0)
    assert [(round(one.start), round(one.stop)) for one in found] == [(6, 12), (25, 33)]


def test_noise_has_none():
    wrong = sum(bool(stretches_of(0, TIMES, noise(100 + seed), seed=seed)) for seed in range(30))
    assert wrong <= 3


def test_a_steady_score_has_none():
    assert stretches_of(0, TIMES, np.zeros(120), seed=0) == []


class TestEvidence:
    def test_only_the_face_with_a_stretch_is_named(self):
        forged = 0.5 * noise(1, alike=0.3)
        forged[40:80] += 3
        (found,) = stretch_evidence(material({0: 0.5 * noise(7), 1: forged}))
        assert found.evidence.odd
        assert found.evidence.finding.startswith("face 1 from ")
        assert "face 0" not in found.evidence.finding
        assert found.evidence.value == pytest.approx(3, abs=0.5)
        assert found.pictures[0].png.startswith(b"\x89PNG")
        assert found.evidence == stretch_evidence(material({0: 0.5 * noise(7), 1: forged}))[0].evidence

    def test_a_whole_face_without_a_stretch(self):
        (found,) = stretch_evidence(material({0: 0.5 * noise(7)}))
        assert found.evidence.odd is False
        assert found.evidence.finding == "none in 1 face"

    def test_too_short(self):
        (found,) = stretch_evidence(material({0: noise(1)[:20]}))
        assert found.evidence.odd is None
        assert "no face has 3 seconds" in found.evidence.finding

    def test_not_of_a_still(self):
        assert stretch_evidence(material({0: noise(1)}, still=True)) == []


def test_no_single_score_decides_and_neighbours_do_not_overlap():
    """A spike within a raised second: the stretch named keeps at least half of the bins' length."""
    logits = 0.3 * noise(5)
    logits[40:60] += 3.0
    logits[50] += 9.0
    (found,) = [one for one in stretches_of(0, TIMES, logits, seed=0) if one.stop - one.start > 1] or [None]
    assert found is not None
    assert found.inside < 6.0
    several = 0.3 * noise(6, alike=0.2, count=240)
    several[80:120] += 4.0
    several[124:164] -= 4.0
    places = [(one.start, one.stop) for one in stretches_of(0, np.arange(240) / 8, several, seed=0)]
    (raised,) = [place for place in places if abs(place[0] - 10) < 0.5]
    (lowered,) = [place for place in places if abs(place[1] - 20.5) < 0.5]
    assert raised[1] < lowered[0]
