from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.first_run import make_plan
from shared.errors import UsageError


def clips(*names):
    return [Path(f"{name}.mp4") for name in names]


def test_no_person_is_in_two_splits_and_pairs_stay_together():
    plan = make_plan(clips(*"abcdefghij"))
    assert plan.pairs == (("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"), ("i", "j"))
    assert all(plan.split_of[one] == plan.split_of[other] for one, other in plan.pairs)
    assert sorted("".join(group.partition("=")[2].replace(",", "") for group in plan.groups)) == sorted("abcdefghij")
    assert {group.partition("=")[0] for group in plan.groups} == {"train", "val", "test"}


def test_clips_of_one_person_are_one_person():
    plan = make_plan(clips("a", "b", "c", "d", "e", "f", "a_2"), same={"a_2": "a"})
    assert len(plan.clips["a"]) == 2
    assert len(plan.pairs) == 3


def test_people_that_cannot_be_paired_are_refused():
    with pytest.raises(UsageError):
        make_plan(clips("a", "b", "c", "d", "e", "f", "g"))
