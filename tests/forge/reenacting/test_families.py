"""Whose open mouth gives the inside of driven ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from forge.reenacting.config import ReenactConfig
from forge.reenacting.families import open_mouth
from forge.reenacting.performance import Performance
from shared.types import Frame, Timestamp
from tests.forge.reenacting.conftest import performance

SIDE = 96


def _still() -> Performance:
    found = performance()
    found.landmarks[:] = found.landmarks[0]
    return found


def _grey(level: int) -> Callable[[], Iterator[Frame]]:
    def read() -> Iterator[Frame]:
        picture = np.full((SIDE, SIDE, 3), level, np.uint8)
        return (Frame(index, Timestamp(index, Fraction(1, 25)), picture) for index in range(24))

    return read


def _stage(target: Performance, driver: Performance) -> SimpleNamespace:
    return SimpleNamespace(
        config=ReenactConfig(), target=target, driver=driver, read_target=_grey(90), read_driver=_grey(60), facts={}
    )


def test_the_targets_own_open_mouth_comes_first():
    stage = _stage(performance(), performance())
    found = open_mouth(stage)  # type: ignore[arg-type]
    assert found is not None
    assert found.image.mean() == 90
    assert stage.facts["mouth_inside"] == f"the frame's own and frame {found.frame} of the target"


def test_where_it_never_opens_the_drivers_is_taken_in_the_targets_colours():
    stage = _stage(_still(), performance())
    found = open_mouth(stage)  # type: ignore[arg-type]
    assert found is not None
    assert round(float(found.image.mean())) == 90
    assert "of the driver: the target never opens its mouth" in stage.facts["mouth_inside"]


def test_where_neither_opens_it_is_dark():
    stage = _stage(_still(), _still())
    assert open_mouth(stage) is None  # type: ignore[arg-type]
    assert "neither" in stage.facts["mouth_inside"]
