from __future__ import annotations

import numpy as np

from benchmarks.traces import as_measurements
from shared.dataset.traces.features import STATISTICS
from shared.dataset.traces.measure import traces_of


def test_limits_are_targets_and_every_part_of_every_manipulation_is_listed():
    real = np.random.default_rng(0).normal(size=(4, len(STATISTICS)))
    found = {name: [np.stack([real + step, real], axis=1)] for step, name in enumerate("abc", start=1)}
    measured = {one.name: one for one in as_measurements(traces_of("set", found))}
    assert len(measured) == 3 * 4 + 2
    assert measured["median cosine between manipulations"].met is False
    assert measured["share of the first direction"].met is False
    assert measured["c: face"].median > measured["a: face"].median
