from __future__ import annotations

import numpy as np
import pytest

from detect.calibration.fit import person_weights
from detect.calibration.likelihood import (
    cllr,
    cllr_min,
    fit_likelihood,
    pav_llrs,
    probability_metrics,
    ratio_metrics,
    verbal,
    weighted_ece,
)

LABELS = np.array([False, True])


def simulated(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, logits and lone people: normal logits at -1 and +1 of unit width, whose ln LR is twice the logit."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2 == 1
    return labels, rng.normal(np.where(labels, 1.0, -1.0), 1.0), np.arange(count)


def test_a_ratio_of_one_everywhere_costs_one_bit():
    assert cllr(np.array([False, True, True]), np.zeros(3)) == pytest.approx(1.0)


def test_two_points_by_hand():
    """LR 10 for the fake and 1/10 for the real clip: log2(1.1) each; turned round: log2(11)."""
    assert cllr(LABELS, np.array([-1.0, 1.0])) == pytest.approx(np.log2(1.1))
    assert cllr(LABELS, np.array([1.0, -1.0])) == pytest.approx(np.log2(11))
    assert cllr(LABELS, np.array([0.0, 1.0])) == pytest.approx((1 + np.log2(1.1)) / 2)
    assert cllr(np.array([True]), np.array([1.0])) is None


def test_classes_count_the_same_whatever_their_size():
    labels = np.array([False, True, True, True])
    assert cllr(labels, np.array([-1.0, 1.0, 1.0, 1.0])) == pytest.approx(np.log2(1.1))


def test_weights_count_people_and_not_clips():
    labels = np.array([False, True, True, True])
    people = np.array([0, 1, 1, 2])
    llrs = np.array([-1.0, -2.0, -2.0, 3.0])  # two clips of one person mislead
    by_person = (np.log2(1.1) + (np.log2(101) + np.log2(1.001)) / 2) / 2
    assert cllr(labels, llrs, person_weights(labels, people)) == pytest.approx(by_person)
    assert cllr(labels, llrs) > by_person


def test_pav_of_a_small_list():
    """Real, fake, real, fake: the violators in the middle are pooled to even odds."""
    labels = np.array([False, True, False, True])
    np.testing.assert_array_equal(pav_llrs(labels, np.array([1.0, 2.0, 3.0, 4.0])), [-np.inf, 0.0, 0.0, np.inf])
    assert cllr_min(labels, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.5)  # two of four cost a bit
    uneven = pav_llrs(np.array([True, False, False, True]), np.array([1.0, 2.0, 3.0, 4.0]))
    # one fake before two reals: (1/2) / (2/2) at equal classes
    np.testing.assert_allclose(uneven[:3], np.log10(0.5))


def test_the_parts_of_cllr():
    labels, logits, _ = simulated(4000)
    llrs = 2 * logits / np.log(10)
    assert ratio_metrics(labels, llrs)["cllr_cal"] == pytest.approx(0.0, abs=0.02)  # PAV fits itself to chance a little
    assert ratio_metrics(labels, llrs + 2)["cllr_cal"] > 0.3  # the same order, so all of it is calibration
    assert cllr_min(labels, llrs + 2) == pytest.approx(cllr_min(labels, llrs))
    found = ratio_metrics(labels, llrs)
    assert found["cllr"] == pytest.approx(found["cllr_min"] + found["cllr_cal"])
    assert found["cllr"] == cllr(labels, llrs)
    assert ratio_metrics(labels[labels], llrs[labels]) == {}
    assert cllr_min(labels[labels], llrs[labels]) is None


def test_the_measures_agree_with_the_toolkit():
    from lir.data.models import LLRData
    from lir.metrics import cllr as their_cllr
    from lir.metrics import cllr_min as their_cllr_min

    labels, logits, _ = simulated(150, seed=3)
    data = LLRData(features=logits, labels=labels.astype(int))
    assert cllr(labels, logits) == pytest.approx(their_cllr(data))
    assert cllr_min(labels, logits) == pytest.approx(their_cllr_min(data))


@pytest.mark.parametrize("method", ["logistic", "kde"])
def test_a_fit_finds_the_ratio_that_the_scores_were_made_with(method: str):
    labels, logits, people = simulated(1500)
    found = fit_likelihood(labels, logits, people, method, replicates=0)  # type: ignore[arg-type]
    asked = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(found.llr(asked), 2 * asked / np.log(10), atol=0.12)


def test_bounds_cap_perfectly_separated_scores():
    """One more, misleading, witness a class is supposed: a threshold t then costs (1 + t) / (n + 1), and saying
    nothing costs 1, so that n persons carry a ratio of n."""
    for persons in (9, 99):
        labels = np.arange(2 * persons) % 2 == 1
        logits = np.where(labels, 8.0, -8.0) + np.arange(2 * persons) * 1e-3
        found = fit_likelihood(labels, logits, np.arange(2 * persons), "logistic", replicates=0)
        assert found.upper_bound == pytest.approx(np.log10(persons), abs=0.011)
        assert found.lower_bound == pytest.approx(-np.log10(persons), abs=0.011)
        assert found.llr(np.array([99.0])) <= found.upper_bound
        assert found.llr(np.array([-99.0])) >= found.lower_bound


def test_ten_clips_of_a_person_are_one_witness():
    labels = np.arange(180) % 2 == 1
    logits = np.where(labels, 8.0, -8.0) + np.random.default_rng(0).normal(0, 0.1, 180)
    people = np.arange(180) // 20
    alone = fit_likelihood(labels, logits, np.arange(180), "logistic", replicates=0)
    together = fit_likelihood(labels, logits, people, "logistic", replicates=0)
    assert together.upper_bound == pytest.approx(np.log10(9), abs=0.011)
    assert alone.upper_bound == pytest.approx(np.log10(90), abs=0.011)


def test_useless_scores_say_nothing():
    rng = np.random.default_rng(2)
    labels = np.arange(400) % 2 == 1
    found = fit_likelihood(labels, rng.normal(size=400), np.arange(400), "logistic", replicates=0)
    assert np.abs(found.llr(np.linspace(-3, 3, 9))).max() < 0.25
    equal = fit_likelihood(labels, np.ones(400), np.arange(400), "kde", replicates=0)
    np.testing.assert_allclose(equal.llr(np.array([0.0, 1.0, 5.0])), 0.0, atol=1e-6)


def test_intervals_hold_the_ratio_and_narrow_with_more_people():
    few, many = (fit_likelihood(*simulated(count), "logistic", replicates=40) for count in (40, 500))
    at = np.array([0.7])
    for found in (few, many):
        low, high = found.interval(at)
        assert low <= found.llr(at) <= high
    width = [float(np.interp(at, f.logits, np.subtract(f.high, f.low))[0]) for f in (few, many)]  # not bounded
    assert width[1] < width[0] / 2


def test_fits_are_repeatable():
    data = simulated(40)
    assert fit_likelihood(*data, "kde", replicates=8) == fit_likelihood(*data, "kde", replicates=8)


@pytest.mark.parametrize(
    ("llr", "words"),
    [
        (0.0, "no support for either proposition"),
        (0.29, "no support for either proposition"),
        (0.31, "weak support for forged"),
        (1.0, "moderate support for forged"),
        (-2.5, "moderately strong support for not forged"),
        (3.2, "strong support for forged"),
        (-5.0, "very strong support for not forged"),
        (6.0, "extremely strong support for forged"),
    ],
)
def test_words(llr: float, words: str):
    assert verbal(llr) == words


def test_probability_metrics_by_hand():
    labels, probabilities = np.array([False, False, True]), np.array([0.2, 0.2, 0.6])
    found = probability_metrics(labels, probabilities, np.ones(3), 0.5, bins=1)
    assert found["brier"] == pytest.approx(0.5 * 0.04 + 0.5 * 0.16)
    assert found["log_loss"] == pytest.approx(-0.5 * np.log(0.8) - 0.5 * np.log(0.6))
    assert found["ece"] == pytest.approx(abs(0.5 * 0.2 + 0.5 * (0.6 - 1)))
    rare = probability_metrics(labels, probabilities, np.ones(3), 0.1, bins=1)
    assert rare["brier"] == pytest.approx(0.9 * 0.04 + 0.1 * 0.16)
    assert weighted_ece(labels, labels.astype(float), np.ones(3)) == 0.0
