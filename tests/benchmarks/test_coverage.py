from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration import Simulation
from benchmarks.coverage import CoveragePlan, coverage, measure, sampled
from detect.calibration.conformal import fit_conformal
from detect.calibration.prediction_sets import Miscoverage


def test_scores_are_drawn_as_said():
    how = Simulation(half_distance=1.0, person_share=0.5, stretch=3.0, offset=5.0)
    found = sampled(4000, np.random.default_rng(0), how)
    real, fake = (found.logits[found.labels == truth] for truth in (False, True))
    assert (real.mean(), fake.mean()) == pytest.approx((2.0, 8.0), abs=0.15)
    assert np.corrcoef(real.reshape(-1, 2).T)[0, 1] == pytest.approx(0.5, abs=0.05)
    uneven = sampled(3, np.random.default_rng(0), how, np.array([1, 4, 2]))
    assert np.bincount(uneven.people).tolist() == [2, 8, 4]


def test_the_coverage_of_a_calibration_is_that_of_both_classes():
    how = Simulation()
    fitted = fit_conformal(sampled(300, np.random.default_rng(1), how), Miscoverage(0.1, 0.1))
    assert fitted is not None
    assert coverage(fitted, sampled(2000, np.random.default_rng(2), how)) == pytest.approx((0.9, 0.9), abs=0.05)


def test_a_hundred_people_keep_the_promise_and_a_new_kind_does_not(monkeypatch):
    monkeypatch.setattr("benchmarks.coverage.FRESH_PEOPLE", 1000)
    found = {each.name: each.median for each in measure(CoveragePlan(people=(100,), repeats=40))}
    for label, promised in (("real clips", 0.98), ("fakes", 0.9)):
        assert found[f"coverage of new people's {label}, 100 people"] == pytest.approx(promised, abs=0.02)
        assert found[f"coverage of {label} measured on people left out, 100 people"] == pytest.approx(
            promised, abs=0.02
        )
    assert found["coverage of fakes of a kind not calibrated on, 100 people"] < 0.8
    assert found["coverage of new people's fakes, uneven clips, counted by people"] >= 0.89
    assert found["coverage of new people's fakes, uneven clips, counted by clips"] < 0.88
