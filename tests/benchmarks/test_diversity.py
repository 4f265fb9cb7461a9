from __future__ import annotations

import numpy as np
import pytest

from benchmarks.diversity import (
    LEFT_OUT,
    OUTSIDE,
    DiversityPlan,
    Kind,
    OutsideFaces,
    Point,
    as_measurements,
    laws_of,
    measure,
    picture,
    some_people,
)
from detect.data.real_faces import FaceStack, RealFaces
from detect.models.regions import REGION_PX
from shared.errors import ConfigError, UsageError
from shared.faces.align import mean_in_crop

FILES = np.array([0, 0, 1, 2, 3, 3])
LABELS = np.array([True, False, True, False])


def stack(people: int, seed: int) -> FaceStack:
    """Two noisy "faces" of each of ``people``, with a smooth twin each."""
    rng = np.random.default_rng(seed)
    crops = rng.integers(60, 200, (2 * people, REGION_PX, REGION_PX, 3)).astype(np.uint8)
    points = np.repeat(mean_in_crop(REGION_PX, "whole")[None], 2 * people, 0).astype(np.float32)
    twins = tuple((np.full_like(crop, 128),) for crop in crops)
    return FaceStack(f"people {seed}", crops, points, np.repeat(np.arange(people), 2).astype(np.int32), twins)


@pytest.fixture(scope="module")
def points() -> list[Point]:
    plan = DiversityPlan(
        pastes=("box", "hull-mean", "ellipse", "dfl-overlay"), kinds=(1, 2, 4, 6), people=(2, 3, 4, 5), pairs=16,
        test_pairs=16, seeds=(0,),
    )  # fmt: skip
    rng = np.random.default_rng(9)
    outside = OutsideFaces(rng.normal(size=(6, 154)).astype(np.float32), FILES, LABELS)
    return measure([stack(3, 0), stack(3, 1)], [stack(4, 2)], plan, outside)


def test_every_number_of_both_axes_is_trained_and_scored(points):
    assert [(point.axis, point.number) for point in points] == [
        *(("kinds", number) for number in (1, 2, 4, 6)),
        *(("people", number) for number in (2, 3, 4, 5)),
    ]
    assert all(0 <= point.left_out <= 1 and point.outside is not None for point in points)
    # Noise is easily told from what is laid over it, whatever the paste.
    assert np.mean([point.left_out for point in points]) < 0.3


def test_equal_seeds_give_equal_errors(points):
    again = measure(
        [stack(3, 0), stack(3, 1)],
        [stack(4, 2)],
        DiversityPlan(
            pastes=("box", "hull-mean", "ellipse", "dfl-overlay"), kinds=(1, 2, 4, 6), people=(2, 3, 4, 5), pairs=16,
            test_pairs=16, seeds=(0,),
        ),
    )  # fmt: skip
    assert [point.left_out for point in again] == [point.left_out for point in points]
    assert all(point.outside is None for point in again)


def test_laws_and_forecasts_are_in_the_table():
    points = [
        Point(axis, number, seed, 0.4 * number**-0.5, 0.5)
        for axis in ("kinds", "people")
        for number in (1, 2, 4, 8)
        for seed in range(3)
    ]
    laws = laws_of(points)  # type: ignore[arg-type]
    assert laws["kinds", LEFT_OUT].exponent == pytest.approx(0.5)
    assert laws["people", OUTSIDE].exponent == pytest.approx(0.0, abs=1e-9)
    found = {each.name: each for each in as_measurements(points)}  # type: ignore[arg-type]
    assert found["kinds left out: error after 4 kinds"].median == pytest.approx(0.2)
    assert found["kinds left out, by people: exponent"].median == pytest.approx(0.5)
    assert "measured 0.141: kept" in found["kinds left out, by kinds: forecast"].note
    assert picture(points).startswith(b"\x89PNG")  # type: ignore[arg-type]


def test_people_are_drawn_whole_and_keep_their_twins():
    chosen = some_people([stack(3, 0), stack(3, 1)], 4, np.random.default_rng(0))
    assert sum(np.unique(each.groups).size for each in chosen) == 4
    assert sum(len(each.crops) for each in chosen) == 8
    assert all(len(each.twins) == len(each.crops) for each in chosen)


def test_a_kind_makes_its_own_copies_alone():
    faces = RealFaces([stack(3, 0)])
    pair = Kind("box", "twin").pairs(faces).sample(np.random.default_rng(0))
    inside = pair.fake.mask is not None and pair.fake.crop[REGION_PX // 2, REGION_PX // 2]
    assert np.ptp(np.asarray(inside).astype(int)) <= 60  # the grey twin, at most changed in look


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UsageError, match="6 people to learn from, and 256 are asked for"):
        measure([stack(6, 0)], [stack(2, 1)], DiversityPlan())
    with pytest.raises(ConfigError, match="two are left out"):
        DiversityPlan(pastes=("box", "ellipse"))
    with pytest.raises(ConfigError, match="at most 15 kinds"):
        DiversityPlan(kinds=(1, 2, 3, 16))
