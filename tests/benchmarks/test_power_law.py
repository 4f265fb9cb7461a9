from __future__ import annotations

import numpy as np
import pytest

from benchmarks.power_law import fit_power_law

NUMBERS = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0], 3)


def test_a_law_without_noise_is_found_and_keeps_its_forecast():
    """By hand: 0.4 x 16 ** -0.5 = 0.1."""
    law = fit_power_law(NUMBERS.tolist(), (0.4 * NUMBERS**-0.5).tolist())
    assert (law.factor, law.exponent) == (pytest.approx(0.4), pytest.approx(0.5))
    assert law.forecast == pytest.approx(0.1)
    assert law.measured == pytest.approx(0.1)
    assert law.falls
    assert law.at(np.array([4.0])) == pytest.approx([0.2])


def test_a_floor_breaks_the_forecast():
    """An error that falls to a floor of 0.2 is above what its first four numbers forecast."""
    noise = np.random.default_rng(0).normal(0, 0.01, NUMBERS.size)
    errors = np.maximum(0.45 * NUMBERS**-0.4, 0.2) * np.exp(noise)
    law = fit_power_law(NUMBERS.tolist(), errors.tolist())
    assert not law.kept
    assert law.measured > law.forecast_high


def test_the_interval_of_the_exponent_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = kept = 0
    for _ in range(400):
        law = fit_power_law(NUMBERS.tolist(), (0.4 * NUMBERS**-0.3 * np.exp(rng.normal(0, 0.1, NUMBERS.size))).tolist())
        held += law.exponent_low <= 0.3 <= law.exponent_high
        kept += law.kept
    assert held / 400 == pytest.approx(0.95, abs=0.03)
    assert kept / 400 == pytest.approx(0.95, abs=0.03)


def test_an_error_that_does_not_change_has_no_law():
    errors = 0.4 * np.exp(np.random.default_rng(3).normal(0, 0.1, NUMBERS.size))
    law = fit_power_law(NUMBERS.tolist(), errors.tolist())
    assert not law.falls


@pytest.mark.parametrize(
    ("numbers", "errors"),
    [([1, 2, 3], [0.1, 0.1, 0.1]), ([1, 2, 3, 0], [0.1] * 4), ([1, 2, 3, 4], [0.1, 0.1, 0.1, float("nan")])],
)
def test_too_few_numbers_and_values_without_a_logarithm_are_refused(numbers, errors):
    with pytest.raises(ValueError, match=r"four different numbers|numbers are above 0"):
        fit_power_law(numbers, errors)
