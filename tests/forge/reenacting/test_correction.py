"""A drive is corrected by what a finder sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from forge.reenacting.config import ReenactConfig
from forge.reenacting.correction import can_correct, corrected
from forge.reenacting.transfer import POINTS, DrivenFrame, plan_drive
from shared.errors import ConfigError
from shared.faces.boxes import box_around
from shared.faces.finders.finder import make_finder
from shared.types import Face, Frame, Timestamp
from tests.factories import write_landmarks
from tests.forge.reenacting.conftest import performance, talking

LIPS = list(POINTS["mouth"])
CONFIG = ReenactConfig(fade_seconds=0)


class Dull:
    """A finder that sees ``share`` of how far the lips were moved, whatever the picture."""

    name = "dull"
    device = "cpu"

    def __init__(self, share: float) -> None:
        self.share = share
        self.shown: DrivenFrame | None = None

    def make(self, image: np.ndarray, driven: DrivenFrame) -> np.ndarray:
        self.shown = driven
        return image

    def seen(self, driven: DrivenFrame) -> np.ndarray:
        return (driven.source + self.share * (driven.aim - driven.source)).astype(np.float32)

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [[] for _ in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        assert self.shown is not None
        points = self.seen(self.shown)
        return [Face(box_around(points), points, 1.0) for _ in boxes]

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


def _frames() -> Iterator[Frame]:
    picture = np.zeros((160, 160, 3), np.uint8)
    return (Frame(index, Timestamp(index, Fraction(1, 25)), picture) for index in range(12))


def _plan():
    still = performance(size=70.0, left=40.0)
    still.landmarks[:] = still.landmarks[0]
    return plan_drive(still, performance(), range(12), CONFIG)


def _off(finder: Dull, plan) -> float:
    return float(np.mean([np.abs(finder.seen(one) - one.drive)[LIPS].mean() for one in plan.frames.values()]))


def test_what_the_finder_misses_is_added_to_the_aim():
    finder, plan = Dull(0.8), _plan()
    better, left = corrected(plan, _frames, finder.make, finder, CONFIG)
    assert len(left) == CONFIG.corrections
    assert left == sorted(left, reverse=True)
    assert _off(finder, better) < 0.6 * _off(finder, plan)
    for index, one in better.frames.items():
        np.testing.assert_array_equal(one.drive, plan.frames[index].drive)  # what is to be reached stays
        others = np.delete(np.arange(68), LIPS)
        np.testing.assert_allclose(one.aim[others], one.drive[others], atol=1e-9)
        shift = np.abs(one.aim - one.drive).max() * one.placement.units_per_px
        assert shift <= 0.03 + 1e-6


def test_a_correction_that_does_not_help_is_taken_back():
    finder, plan = Dull(-1.0), _plan()  # the more is moved, the less is seen
    kept, left = corrected(plan, _frames, finder.make, finder, CONFIG)
    assert len(left) == 1
    assert kept is plan


def test_without_rounds_or_pictures_nothing_is_corrected(tmp_path):
    finder, plan = Dull(0.5), _plan()
    assert corrected(plan, _frames, finder.make, finder, replace(CONFIG, corrections=0)) == (plan, [])
    assert corrected(plan, _frames, lambda _image, _driven: None, finder, CONFIG) == (plan, [])
    write_landmarks(tmp_path / "ann.landmarks.parquet", {0: talking(0)})
    assert not can_correct(make_finder(f"sidecar:{tmp_path / 'ann.landmarks.parquet'}"))
    assert not can_correct(None)
    assert can_correct(finder)
    with pytest.raises(ConfigError, match="corrections"):
        ReenactConfig(corrections=9)
