from __future__ import annotations

from benchmarks.augmentation import measure


def test_every_change_is_timed_alone_and_all_together():
    found = measure(px=64, crops=3, repeats=2)
    assert len(found) == 9
    assert all(value > 0 for each in found for value in each.values)
    assert {each.unit for each in found} == {"ms"}
    assert sum("inner face" in each.name for each in found) == 5
