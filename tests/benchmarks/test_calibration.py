from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration import CalibrationPlan, Simulation, measure, simulate
from detect.scoring.samples import clip_samples


def test_scores_are_drawn_as_said_and_people_share_a_shift():
    how = Simulation(half_distance=1.0, person_share=0.5, stretch=3.0, offset=5.0)
    samples = clip_samples(simulate(2000, 0, how))
    real, fake = (samples.logits[samples.labels == truth] for truth in (False, True))
    assert real.mean() == pytest.approx(2.0, abs=0.2)
    assert fake.mean() == pytest.approx(8.0, abs=0.2)
    assert real.std() == pytest.approx(3.0, abs=0.15)
    pairs = real.reshape(-1, 2)
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.5, abs=0.06)


def test_every_number_of_people_is_measured_three_ways(monkeypatch):
    monkeypatch.setattr("benchmarks.calibration.FRESH_PEOPLE", 200)
    found = {each.name: each for each in measure(CalibrationPlan(people=(12,), repeats=2))}
    assert len(found) == 7
    assert all(len(each.values) == 2 for each in found.values())
    assert 0 < found["cllr, 12 people, on 3000 new people"].median < 1
    assert 0 < found["upper bound, 12 people"].median < np.log10(12)
