from __future__ import annotations

import math

import numpy as np
import pytest

from detect.calibration.conformal import (
    binomial_limits,
    coverage_beta,
    fewest_people,
    fit_conformal,
    left_out_sets,
    measured_conformal,
    person_quantile,
    person_share,
    share_of,
)
from detect.calibration.cross import FitSamples, Folds
from detect.calibration.prediction_sets import ClassLimit, Conformal, Miscoverage, set_words
from shared.results.calibration import Share

TENTH = Miscoverage(0.1, 0.1)
SHARE = 0.9
"""Share of the variance that is common to all clips of a person."""


def test_nine_people_at_a_tenth_take_the_largest_of_them():
    """By hand: k = ceil(10 x 0.9) = 9, the largest of nine; at a fifth k = 8, at a half k = 5."""
    values = np.array([3.0, 9.0, 1.0, 7.0, 5.0, 8.0, 2.0, 6.0, 4.0])
    people = np.arange(9)
    assert person_quantile(values, people, 0.1) == 9.0
    assert person_quantile(values, people, 0.2) == 8.0
    assert person_quantile(values, people, 0.5) == 5.0
    assert person_quantile(values[:8], people[:8], 0.1) == math.inf
    assert [fewest_people(share) for share in (0.1, 0.2, 0.05, 0.01, 0.3)] == [9, 4, 19, 99, 3]


def test_a_person_with_many_clips_has_the_mass_of_one():
    """Four people, a mass of 1/5 each, at 0.4: 3/5 are reached at the third person whatever the first one's clips."""
    values = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0])
    people = np.array([0, 0, 0, 0, 1, 2, 3])
    assert person_quantile(values, people, 0.4) == 3.0
    assert person_quantile(values, np.arange(7), 0.4) == 2.0  # clip by clip: the fifth of eight
    halves = np.array([1.0, 5.0, 2.0, 3.0])  # a person with half of the mass at 1 and half at 5
    assert person_quantile(halves, np.array([0, 0, 1, 2]), 0.375) == 3.0
    assert person_quantile(halves, np.array([0, 0, 1, 2]), 0.25) == 5.0


def test_the_coverage_of_one_calibration_is_beta():
    """For nine people at a tenth Beta(9, 1), whose distribution is x ** 9: the ends are roots of 0.025 and 0.975."""
    assert coverage_beta(9, 0.1) == pytest.approx((0.025 ** (1 / 9), 0.975 ** (1 / 9)))
    low, high = coverage_beta(100, 0.1)
    assert (low, high) == pytest.approx((0.836, 0.951), abs=0.001)


def test_limits_of_a_share_by_hand():
    assert binomial_limits(0, 26, 0.05) == pytest.approx((0.0, 1 - 0.05 ** (1 / 26)))
    assert binomial_limits(26, 26, 0.05) == pytest.approx((0.05 ** (1 / 26), 1.0))
    assert binomial_limits(1, 10, 0.025) == pytest.approx((0.0025, 0.4450), abs=0.0001)  # as in tables
    people = np.array([0, 0, 0, 1])
    assert person_share(np.array([True, True, True, False]), people) == pytest.approx(0.5)
    found = share_of(np.array([True, True, True, False]), people)
    assert (found.value, found.people) == (pytest.approx(0.5), 2)
    assert found.low < 0.5 < found.high
    with pytest.raises(ValueError, match="lies in its interval"):
        Share(0.5, 0.6, 0.7, 3)


def scores(count: int) -> FitSamples:
    """A real and a fake clip of each person at -k and k, k from 1."""
    places = np.arange(1.0, count + 1)
    labels = np.repeat([False, True], count)
    return FitSamples(labels, np.concatenate([-places, places]), np.tile(np.arange(count), 2))


def test_a_set_holds_each_class_that_the_score_is_not_unusual_for():
    apart = fit_conformal(scores(9), TENTH)
    assert apart is not None
    assert (apart.real.threshold, apart.fake.threshold) == (-1.0, 1.0)  # the real one most like a fake, and back
    assert [apart.prediction(logit) for logit in (-1.0, 0.0, 1.0)] == [("real",), (), ("fake",)]
    limit = ClassLimit(2.0, 0.05, 9, 0.6, 0.99)
    mixed = Conformal(limit, ClassLimit(-2.0, 0.1, 9, 0.6, 0.99))
    assert [mixed.prediction(logit) for logit in (-3.0, 0.0, 3.0)] == [("real",), ("real", "fake"), ("fake",)]
    shown = mixed.of_score(0.0)
    assert (shown.labels, shown.people_real) == (("real", "fake"), 9)
    assert (shown.miscoverage_real, shown.miscoverage_fake) == (0.05, 0.1)
    assert set_words(()).startswith("neither: the score is unlike both")
    with pytest.raises(ValueError, match="finite logit"):
        ClassLimit(math.inf, 0.1, 3, 0.0, 1.0)
    with pytest.raises(ValueError, match="miscoverage"):
        ClassLimit(0.0, 1.0, 3, 0.0, 1.0)
    with pytest.raises(ValueError, match="ascends from real to fake"):
        Miscoverage(0.2, 0.1)


def test_real_clips_have_a_stricter_promise_as_far_as_the_people_allow():
    """By hand: of 49 people at 1/50 the largest, at 1/10 the 45th, ceil(50 x 0.9); nine people allow a tenth."""
    fitted = fit_conformal(scores(49), Miscoverage(0.02, 0.1))
    assert fitted is not None
    assert (fitted.real.threshold, fitted.fake.threshold) == (-1.0, 5.0)
    assert (fitted.real.miscoverage, fitted.fake.miscoverage) == (0.02, 0.1)
    few = fit_conformal(scores(9), Miscoverage(0.02, 0.1))
    assert few is not None
    assert few.real.miscoverage == pytest.approx(0.1)
    some = fit_conformal(scores(24), Miscoverage(0.02, 0.1))
    assert some is not None
    assert some.real.miscoverage == pytest.approx(1 / 25)


def test_too_few_people_make_no_claim_and_say_so():
    few = scores(8)
    folds = Folds((np.ones(16, bool),), few.people, "one")
    assert fit_conformal(few, TENTH) is None
    found, note = measured_conformal(few, folds, TENTH)
    assert found is None
    assert note == (
        "No conformal claim: a miscoverage of 10 % takes at least 9 people of each class, and there are 8 with real "
        "and 8 with fake clips."
    )


def by_fives(samples: FitSamples) -> Folds:
    masks = tuple(samples.people % 5 == fold for fold in range(5))
    return Folds(masks, samples.people, "5 folds")


def test_coverage_is_measured_on_people_left_out():
    enough, barely = scores(40), scores(10)
    found, note = measured_conformal(enough, by_fives(enough), TENTH)
    assert note == ""
    assert found is not None
    sets = left_out_sets(enough, by_fives(enough), TENTH)
    assert sets is not None
    share = float(sets[0][~enough.labels].mean())
    assert found.real.measured is not None
    assert found.real.measured.value == pytest.approx(share)
    assert 0.8 < share < 1
    assert found.real.alone is not None
    assert found.real.alone.people == 40
    unmeasured, note = measured_conformal(barely, by_fives(barely), TENTH)
    assert unmeasured is not None
    assert unmeasured.real.measured is None
    assert "not measured" in note


def grouped(people: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Real clips whose people differ more than their own clips; every sixth person has sixty clips, others one."""
    counts = np.where(np.arange(people) % 6 == 0, 60, 1)
    names = np.repeat(np.arange(people), counts)
    shared = rng.normal(size=people) * SHARE**0.5
    return shared[names] + rng.normal(size=names.size) * (1 - SHARE) ** 0.5, names


def test_clip_by_clip_the_promise_fails_for_grouped_clips_and_over_people_it_holds():
    """The coverage of a new person's clip, which is standard normal, over 400 calibrations on 24 people."""
    rng = np.random.default_rng(20)
    covered: dict[str, list[float]] = {"people": [], "clips": []}
    for _ in range(400):
        values, names = grouped(24, rng)
        for way, units in (("people", names), ("clips", np.arange(names.size))):
            threshold = person_quantile(values, units, 0.1)
            covered[way].append(0.5 * math.erfc(-threshold / math.sqrt(2)))
    assert np.mean(covered["people"]) >= 0.9 - 0.005
    assert np.mean(covered["people"]) < 0.96
    assert np.mean(covered["clips"]) < 0.87


def test_a_single_calibration_covers_as_the_beta_distribution_says():
    """One clip a person, exactly; two clips a person, whose mean varies less, no more often outside."""
    rng = np.random.default_rng(5)
    low, high = coverage_beta(50, 0.1)
    for clips, most in ((1, 0.08), (2, 0.06)):
        names = np.repeat(np.arange(50), clips)
        outside = 0
        for _ in range(500):
            shared = rng.normal(size=50)[names] * 0.5**0.5
            threshold = person_quantile(shared + rng.normal(size=names.size) * 0.5**0.5, names, 0.1)
            coverage = 0.5 * math.erfc(-threshold / math.sqrt(2))
            outside += not low <= coverage <= high
        assert outside / 500 <= most
