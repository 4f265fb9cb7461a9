from __future__ import annotations

import numpy as np
import pytest

from detect.metrics.spread import llr_spread, weighted_medians
from shared.bootstrap import BootstrapSettings


def test_percentiles_and_the_share_that_misleads():
    llrs = np.arange(-5, 16) / 10  # -0.5 ... 1.5, 21 values
    found = llr_spread(llrs, np.zeros(21, int))
    assert (found.low, found.median, found.high) == (-0.4, 0.5, 1.4)
    assert found.misleading == pytest.approx(5 / 21)
    assert found.num_fake == 21
    assert found.median_low is None  # one cluster gives no interval


def test_the_interval_of_the_median_is_over_clusters():
    """A replicate of two clusters is all of one, all of the other, or half and half, of which the lower counts."""
    llrs = np.repeat([0.0, 1.0], 50)
    found = llr_spread(llrs, np.repeat([0, 1], 50), BootstrapSettings(replicates=400))
    assert (found.median_low, found.median_high) == (0.0, 1.0)
    alone = llr_spread(llrs, np.arange(100), BootstrapSettings(replicates=400, confidence=0.5))
    assert alone.median_high - alone.median_low <= 1.0


def test_weighted_medians_by_hand():
    values, places = np.array([3.0, 1.0, 2.0]), np.array([0, 1, 1])
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0], [4.0, 1.0], [0.0, 0.0]])
    found = weighted_medians(values, places, weights)
    assert found[:4].tolist() == [2.0, 3.0, 1.0, 3.0]
    assert np.isnan(found[4])


def test_no_value_gives_no_spread_and_bad_ones_are_refused():
    assert llr_spread(np.array([]), np.array([])) is None
    with pytest.raises(ValueError, match="finite"):
        llr_spread(np.array([np.nan]), np.array([0]))
    with pytest.raises(ValueError, match="cluster"):
        llr_spread(np.array([1.0]), np.array([0, 1]))
