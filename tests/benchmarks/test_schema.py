from __future__ import annotations

import pytest

from benchmarks.schema import RESULTS, Measurement, load_result, new_result, timed_rates
from shared.errors import ManifestError, UsageError


def test_a_measurement_holds_median_and_quartiles():
    found = Measurement.of("decode", "frames/s", [1.0, 2.0, 3.0, 4.0, 100.0], target=3.0)
    assert (found.median, found.low, found.high) == (3.0, 2.0, 4.0)
    assert found.met is True


def test_lower_can_be_better():
    assert Measurement.of("error", "px", [2.0], target=1.0, better="lower").met is False


def test_without_target_nothing_is_met():
    assert Measurement.of("error", "px", [2.0]).met is None


def test_a_result_survives_its_file(tmp_path):
    result = new_result("throughput", "python -m benchmarks throughput", [Measurement.of("a", "b", [1.5])])
    assert load_result(result.save(tmp_path / "r.json")) == result


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"benchmark": 3}')
    with pytest.raises(ManifestError, match=r"r\.json"):
        load_result(path)


def test_rates_need_a_repeat():
    with pytest.raises(UsageError):
        timed_rates(lambda: 1, repeats=0)


def test_warm_up_is_not_counted():
    calls = []
    rates = timed_rates(lambda: calls.append(1) or 5, repeats=3, warm_up=2)
    assert len(rates) == 3
    assert len(calls) == 5


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_every_committed_result_fits_the_schema(path):
    result = load_result(path)
    assert result.measurements
    assert result.command.startswith(("python -m benchmarks", "assay"))
