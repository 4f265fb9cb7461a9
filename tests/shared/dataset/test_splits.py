"""Splits by person: worked by hand on small graphs, and held on random ones."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from shared.dataset.splits import (
    Leak,
    check_leaks,
    count_by,
    find_leaks,
    identity_groups,
    refuse,
    split_by_groups,
    split_by_identity,
)
from shared.errors import LeakError, UsageError
from shared.types import ClipId, ClipRecord, Split
from tests.factories import clip_record


def clip(
    target: str, source: str | None = None, name: str = "", split: Split | None = None, sha: int | None = None
) -> ClipRecord:
    """A record of ``target``'s video, with ``source``'s face when one is given."""
    made = "swap" if source else None
    name = name or (f"{target}+{source}" if source else target)
    record = clip_record(target, made, name=name, source=source or "", split=split)
    return record if sha is None else dataclasses.replace(record, sha256=hashlib.sha256(str(sha).encode()).hexdigest())


def _splits(records: Sequence[ClipRecord]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for record in records:
        for name in record.identities:
            found.setdefault(name, set()).add(str(record.split))
    return found


def test_people_linked_through_others_are_one_group():
    records = [clip("a"), clip("b", "a"), clip("b", "c"), clip("d", "e"), clip("f")]
    assert identity_groups(records) == [("a", "b", "c"), ("d", "e"), ("f",)]


def test_a_clip_and_its_parent_and_same_pictures_link_their_people():
    parent = clip("a")
    child = dataclasses.replace(clip("b", "c"), parent=parent.id)
    assert identity_groups([parent, child]) == [("a", "b", "c")]
    assert identity_groups([clip("a", sha=1), clip("b", sha=1), clip("c", sha=2)]) == [("a", "b"), ("c",)]
    signed = [dataclasses.replace(clip(who), content_sha256="a" * 64) for who in "ab"]
    assert identity_groups(signed) == [("a", "b")]


def test_four_pairs_go_two_one_one():
    pairs = ("ab", "cd", "ef", "gh")
    records = [record for one, two in pairs for record in (clip(one), clip(two), clip(one, two), clip(two, one))]
    done = split_by_identity(records, fractions=(0.5, 0.25, 0.25), seed=3)
    assert Counter(record.split for record in done) == {"train": 8, "val": 4, "test": 4}
    assert all(len(splits) == 1 for splits in _splits(done).values())
    assert [record.id for record in done] == [record.id for record in records]
    check_leaks(done)


def test_both_directions_and_all_renditions_stay_together():
    records = [
        clip("a", "b"),
        clip("b", "a"),
        clip("a", name="a-crf18"),
        clip("a", name="a-crf40"),
        clip("c"),
        clip("d"),
    ]
    done = split_by_identity(records, seed=0)
    assert len({record.split for record in done[:4]}) == 1


def test_each_split_that_is_asked_gets_somebody():
    records = [clip(who, name=f"{who}{index}") for who in "abc" for index in range(10)]
    for seed in range(5):
        done = split_by_identity(records, seed=seed)
        assert Counter(record.split for record in done) == {"train": 10, "val": 10, "test": 10}
    two = split_by_identity(records, fractions=(0.7, 0.0, 0.3), seed=1)
    assert {record.split for record in two} == {"train", "test"}


def test_fakes_are_spread_as_real_clips_are():
    pairs = [(f"p{index}a", f"p{index}b") for index in range(20)]
    records = [clip(one, two) for one, two in pairs] + [clip(f"s{index}") for index in range(40)]
    done = split_by_identity(records, fractions=(0.5, 0.25, 0.25), seed=11)
    counts = count_by(done)
    assert counts["train", "fake", "swap"] == 10
    assert counts["val", "fake", "swap"] == counts["test", "fake", "swap"] == 5
    assert counts["train", "real", "-"] == 20


def test_the_seed_decides_and_the_order_of_records_does_not():
    records = [clip(f"p{index}") for index in range(30)]
    one = {record.id: record.split for record in split_by_identity(records, seed=5)}
    turned = {record.id: record.split for record in split_by_identity(records[::-1], seed=5)}
    other = {record.id: record.split for record in split_by_identity(records, seed=6)}
    assert one == turned
    assert one != other


def test_random_graphs_never_leak(rng: np.random.Generator):
    for _ in range(20):
        people = [f"p{index}" for index in range(40)]
        pairs = rng.integers(0, 40, (25, 2))
        records = [clip(who) for who in people]
        records += [clip(people[one], people[two], name=f"x{i}") for i, (one, two) in enumerate(pairs) if one != two]
        done = split_by_identity(records, seed=int(rng.integers(1000)))
        check_leaks(done)
        assert {record.split for record in done} == {"train", "val", "test"}


def test_one_component_cannot_be_split():
    records = [clip("a", "b"), clip("b", "c"), clip("c", "d")]
    with pytest.raises(LeakError, match=r"4 identities hang together \(a, b, c, d\)") as caught:
        split_by_identity(records, seed=0)
    assert "within groups" in (caught.value.hint or "")
    assert {r.split for r in split_by_identity(records, fractions=(1.0, 0.0, 0.0), seed=0)} == {"train"}


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.0, 0.0, 0.0)])
def test_fractions_that_make_no_sense_are_refused(fractions: tuple[float, float, float]):
    with pytest.raises(UsageError, match="sum to 1"):
        split_by_identity([clip("a")], fractions=fractions, seed=0)


def test_an_empty_set_splits_into_nothing():
    assert split_by_identity([], seed=0) == []


def test_groups_given_by_hand():
    records = [clip("a", "b"), clip("a"), clip("c")]
    done = split_by_groups(records, {"train": ["a", "b"], "test": ["c"]})
    assert [record.split for record in done] == ["train", "train", "test"]
    with pytest.raises(LeakError, match=r"swap/a\+b joins a and b"):
        split_by_groups(records, {"train": ["a"], "test": ["b", "c"]})
    with pytest.raises(UsageError, match="identity c is in a clip but in no split"):
        split_by_groups(records, {"train": ["a", "b"]})
    with pytest.raises(UsageError, match="identity z is in no clip"):
        split_by_groups(records, {"train": ["a", "b"], "test": ["c", "z"]})
    with pytest.raises(UsageError, match="'a' is asked into train and test"):
        split_by_groups(records, {"train": ["a", "b"], "test": ["a", "c"]})


def test_leaks_are_named():
    shared_face = [clip("a", split="train"), clip("b", "a", split="test")]
    assert str(find_leaks(shared_face)[0]) == "identity a in train (set/real/a), test (set/swap/b+a)"
    with pytest.raises(LeakError, match="identity a in train"):
        check_leaks(shared_face)
    twins = [clip("a", split="train", sha=9), clip("b", split="val", sha=9)]
    assert [(leak.kind, leak.splits) for leak in find_leaks(twins)] == [("duplicate", ("train", "val"))]
    child = dataclasses.replace(clip("c", split="test"), parent=ClipId("set", None, "a"))
    assert [leak.kind for leak in find_leaks([clip("a", split="train"), child])] == ["parent"]


def test_clips_without_a_split_do_not_leak():
    waiting = [clip("a", split="train"), clip("b", "a")]
    assert find_leaks(waiting) == []
    placed = [waiting[0], dataclasses.replace(waiting[1], split="test")]
    assert [leak.kind for leak in find_leaks(placed)] == [
        "identity"
    ]  # it is the missing split that made the difference


def test_similar_pictures_are_described():
    leak = Leak("look-alike", "that look alike", ("train", "val"), (ClipId("set", None, "a"), ClipId("set", None, "b")))
    assert str(leak) == "pictures that look alike in train (set/real/a), val (set/real/b)"
    with pytest.raises(LeakError, match=r"pictures that look alike in train \(set/real/a\), .*, and 1 more"):
        refuse([leak, leak])
