from __future__ import annotations

import pytest

from detect.data.protocols import (
    by_protocol,
    fold_commands,
    folds_by,
    leave_out,
    only,
    parse_only,
    sample_evenly,
    seen_in_training,
    select_records,
    unchecked,
    without,
)
from detect.models.training_record import TrainingRecord, training_document
from shared.errors import LeakError, ManifestError, UsageError
from shared.types import ClipRecord, Split
from tests.factories import clip_record

SPLIT: dict[str, Split] = {"ann": "train", "bob": "train", "cid": "val", "dan": "val", "eve": "test", "fay": "test"}
PARTNER = {"ann": "bob", "bob": "ann", "cid": "dan", "dan": "cid", "eve": "fay", "fay": "eve"}


def record(person: str, made: str | None = None, rendition: str = "c23", **more: object) -> ClipRecord:
    return clip_record(
        person,
        made,
        name=f"{person}-{rendition}",
        source=PARTNER[person],
        rendition=rendition,
        split=SPLIT[person],
        factors={} if made is None else {"paste.method": "alpha" if made == "dfl" else "poisson"},
        **more,
    )


EVERYTHING = [
    record(person, made, rendition)
    for person in SPLIT
    for made in (None, "dfl", "fomm")
    for rendition in ("c23", "c40")
]


def learned_from(records: list[ClipRecord]) -> TrainingRecord:
    document = training_document(records)
    return TrainingRecord(**{name: frozenset(marks) for name, marks in document.items()})


def test_leaving_out_touches_nothing_else():
    left = without(EVERYTHING, manipulations=("dfl",))
    assert {r.id.manipulation for r in left} == {None, "fomm"}
    assert len(left) == 24
    assert {r.rendition for r in without(EVERYTHING, renditions=("c4*",))} == {"c23"}
    without_ann = without(EVERYTHING, identities=("ann",))
    assert not any("ann" in r.identities for r in without_ann)  # nor the clips that wear her face
    assert any(r.target_identity == "bob" and r.label == "real" for r in without_ann)
    assert without(EVERYTHING) == EVERYTHING


def test_only_keeps_the_real_clips():
    kept = only(EVERYTHING, {"manipulation": ("dfl",), "rendition": ("c40",)})
    assert {(r.id.manipulation, r.rendition) for r in kept} == {(None, "c40"), ("dfl", "c40")}
    assert {r.id.manipulation for r in only(EVERYTHING, {"paste.method": ("poisson",)})} == {None, "fomm"}
    assert {r.target_identity for r in only(EVERYTHING, {"identity": ("eve",)})} == {"eve", "fay"}
    alone = [r for r in EVERYTHING if r.label == "real"]
    assert {r.target_identity for r in only(alone, {"identity": ("eve",)})} == {"eve"}
    assert {r.target_identity for r in only(EVERYTHING, {"group": ("eve",)})} == {"eve", "fay"}


def test_what_fits_nothing_is_refused_with_a_near_name():
    with pytest.raises(UsageError, match="manipulation 'dlf'") as error:
        without(EVERYTHING, manipulations=("dlf",))
    assert "dfl" in error.value.hint
    with pytest.raises(UsageError, match="clips have no"):
        only(EVERYTHING, {"manipulations": ("dfl",)})
    with pytest.raises(UsageError, match="no person"):
        only(EVERYTHING, {"group": ("zoe",)})
    with pytest.raises(UsageError, match="KEY=NAME"):
        parse_only(["manipulation"])
    assert parse_only(["manipulation=a, b", "manipulation=c"]) == {"manipulation": ("a", "b", "c")}


def test_each_manipulation_is_left_out_once():
    folds = {fold.name: fold for fold in folds_by(EVERYTHING, "manipulation")}
    assert set(folds) == {"dfl", "fomm"}
    dfl = folds["dfl"]
    assert {r.id.manipulation for r in dfl.train} == {None, "fomm"}
    assert {r.id.manipulation for r in dfl.test} == {None, "dfl"}
    assert {r.split for r in dfl.train} == {"train", "val"}
    assert {r.split for r in dfl.test} == {"test"}
    with pytest.raises(ManifestError, match="needs two manipulations"):
        folds_by(folds["dfl"].train, "manipulation")


def test_each_group_of_people_is_left_out_once():
    folds = folds_by(EVERYTHING, "group")
    assert [fold.name for fold in folds] == ["ann", "cid", "eve"]
    for fold in folds:
        seen = {person for r in fold.train for person in r.identities}
        assert not seen & {person for r in fold.test for person in r.identities}
        assert len(fold.train) + len(fold.test) == len(EVERYTHING)


def test_each_rendition_is_left_out_once():
    folds = {fold.name: fold for fold in folds_by(EVERYTHING, "rendition")}
    assert {r.rendition for r in folds["c40"].train} == {"c23"}
    assert {(r.rendition, r.label) for r in folds["c40"].test} == {("c40", "real"), ("c40", "fake")}


def test_a_baseline_without_a_training_record_may_be_tested_across_sets_with_a_note():
    """Published weights have no list of what they learned from; on a set of one's own they are cross-set."""
    assert select_records(EVERYTHING, "cross-set", TrainingRecord()) == list(EVERYTHING)
    assert "stated by the user" in unchecked("cross-set", TrainingRecord())[0]
    assert unchecked("in-set", TrainingRecord()) == ()
    learned = learned_from([r for r in EVERYTHING if r.split == "train"])
    assert unchecked("cross-set", learned) == ()


def test_a_protocol_asks_only_what_is_new_to_the_detector():
    fold = folds_by(EVERYTHING, "manipulation")[0]
    learned = learned_from(list(fold.train))
    test = [r for r in EVERYTHING if r.split == "test"]
    assert {r.id.manipulation for r in select_records(test, "leave-manipulation-out", learned)} == {None, "dfl"}
    assert select_records(test, "in-set", learned) == test
    assert select_records(EVERYTHING, "leave-identity-out", learned) == test
    with pytest.raises(ManifestError, match="no fake here is new"):
        select_records(test, "cross-rendition", learned)
    with pytest.raises(LeakError, match="names of people"):
        select_records(EVERYTHING, "cross-set", learned)
    assert select_records(test, "cross-set", learned) == test
    with pytest.raises(UsageError, match="no record of its training data"):
        select_records(test, "leave-manipulation-out", TrainingRecord())
    assert seen_in_training(test, learned) == ()
    assert "learned from 4 of these 12" not in " ".join(seen_in_training(EVERYTHING, learned))
    assert any("learned from 16 of these 36 clips" in note for note in seen_in_training(EVERYTHING, learned))


def test_a_sample_is_spread_and_does_not_depend_on_order():
    chosen = sample_evenly(EVERYTHING, 12, seed=3)
    assert [r.label for r in chosen].count("real") == 6
    assert {r.target_identity for r in chosen if r.label == "real"} == set(SPLIT)
    fakes = [r for r in chosen if r.label == "fake"]
    assert {r.target_identity for r in fakes} == set(SPLIT)
    assert [r.id.manipulation for r in fakes].count("dfl") == 3
    assert {r.id for r in sample_evenly(EVERYTHING[::-1], 12, seed=3)} == {r.id for r in chosen}
    assert {r.id for r in sample_evenly(EVERYTHING, 12, seed=4)} != {r.id for r in chosen}
    assert sample_evenly(EVERYTHING, 99, seed=0) == EVERYTHING
    few_real = [r for r in EVERYTHING if r.label == "fake"] + [record("ann")]
    assert [r.label for r in sample_evenly(few_real, 10, seed=0)].count("real") == 1
    assert len(sample_evenly(few_real, 10, seed=0)) == 10


def test_training_leaves_out_by_the_same_names():
    assert leave_out(EVERYTHING, ()) == EVERYTHING
    assert {r.id.manipulation for r in leave_out(EVERYTHING, ["manipulation=dfl"])} == {None, "fomm"}
    with pytest.raises(UsageError, match="cannot be left out by 'codec'"):
        leave_out(EVERYTHING, ["codec=h264"])
    with pytest.raises(UsageError, match="manipulation 'dlf'"):
        leave_out(EVERYTHING, ["manipulation=dlf"])


def test_a_group_is_left_out_with_everybody_linked_to_it():
    """Leaving out one person alone would still learn from the partner whose face that person wears."""
    alone = leave_out(EVERYTHING, ["identity=ann"])
    assert any(r.target_identity == "bob" for r in alone)
    left = leave_out(EVERYTHING, ["group=ann"])
    assert {person for r in left for person in r.identities} == {"cid", "dan", "eve", "fay"}
    assert {p for r in leave_out(EVERYTHING, ["group=ann,eve"]) for p in r.identities} == {"cid", "dan"}
    with pytest.raises(UsageError, match="no person here is named 'zoe'"):
        leave_out(EVERYTHING, ["group=zoe"])
    learned = learned_from([r for r in left if r.split != "test"])
    asked_of = select_records(EVERYTHING, "leave-identity-out", learned)
    assert {p for r in only(asked_of, {"group": ("ann",)}) for p in r.identities} == {"ann", "bob"}


def test_a_whole_split_is_divided_by_protocol():
    train = [r for r in EVERYTHING if r.split != "test" and r.id.manipulation != "dfl" and r.rendition == "c23"]
    test = [r for r in EVERYTHING if r.split == "test"]
    parts = {name: [test[n] for n in places] for name, places in by_protocol(test, learned_from(train)).items()}
    assert list(parts) == ["in-set", "leave-manipulation-out", "leave-identity-out", "cross-rendition"]
    assert {(r.id.manipulation, r.rendition) for r in parts["in-set"]} == {(None, "c23"), ("fomm", "c23")}
    assert {r.id.manipulation for r in parts["leave-manipulation-out"]} == {None, "dfl"}
    assert len(parts["leave-identity-out"]) == len(test)
    assert {r.rendition for r in parts["cross-rendition"]} == {"c40"}
    known = by_protocol(train, learned_from(train))
    assert known == {}  # nothing that it learned from is new in any way
    assert by_protocol(test, TrainingRecord()) == {}


def test_every_turn_of_a_leave_one_out_has_its_two_commands():
    commands = {fold.name: fold_commands(fold, "group", "my set") for fold in folds_by(EVERYTHING, "group")}
    assert commands["ann"] == (
        "assay detect train 'my set' --run runs/without-ann --leave-out group=ann",
        "assay detect evaluate runs/without-ann 'my set' --protocol leave-identity-out --split all --only group=ann",
    )
    assert "--leave-out" not in commands["eve"][0]  # of the test split: nothing of it is learned from anyway
    train, evaluate = fold_commands(folds_by(EVERYTHING, "rendition")[1], "rendition", "set")
    assert train.endswith("--leave-out rendition=c40")
    assert evaluate.endswith("--protocol cross-rendition --only rendition=c40")
    assert [fold.name for fold in folds_by(EVERYTHING, "manipulation")] == ["dfl", "fomm"]
