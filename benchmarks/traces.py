"""The traces of a dataset (``assay dataset traces``) as measurements."""

from __future__ import annotations

from benchmarks.schema import Measurement
from shared.dataset.traces.measure import MOST_COSINE, MOST_SHARE, SetTraces


def as_measurements(traces: SetTraces) -> list[Measurement]:
    """How far each manipulation moves each part, and whether one direction rules; the limits are targets."""
    found = [
        Measurement.of(f"{one.name}: {part}", "standard deviations", [value], better="lower")
        for one in traces.manipulations
        for part, value in one.strength.items()
    ]
    for name, value, limit in (
        ("median cosine between manipulations", traces.median_cosine, MOST_COSINE),
        ("share of the first direction", traces.first_share, MOST_SHARE),
    ):
        if value is not None:
            found.append(Measurement.of(name, "of 1", [value], target=limit, better="lower"))
    return found
