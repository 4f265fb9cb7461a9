"""Evaluation protocols: which clips to test on, and which must not have been in training.

* in-set: the test split of the set that it was trained on; other people, the same manipulations.
* cross-set: a set with no overlap with its training set.
* leave-one-manipulation-out: fakes of manipulations that were left out of its training.
* leave-one-identity-group-out: people who were left out of its training, with everyone linked to them.
* cross-rendition: compressions that were left out of its training.

All of these select records and change none: training excludes with :func:`without` what a test selects with
:func:`only`. A detector's folder lists its training data (``detect.models.training_record``), used by
:func:`select_records` to select the clips of a protocol and refuse invalid ones.
"""

from __future__ import annotations

import glob
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import get_args

import numpy as np

from detect.config.scoring import Protocol
from detect.models.training_record import TrainingRecord, clip_mark, person_mark
from shared.dataset.splits import identity_groups
from shared.errors import LeakError, ManifestError, UsageError
from shared.registry import near_matches
from shared.types import ClipRecord

PROTOCOLS: tuple[str, ...] = get_args(Protocol)
PROTOCOL_WORDS: Mapping[str, str] = {
    "in-set": "Manipulations and compressions that it learned from, on people and clips that it did not.",
    "cross-set": "A set of which it knows neither a clip nor a person.",
    "leave-manipulation-out": "Fakes of manipulations that were left out of its training, against all real clips.",
    "leave-identity-out": "Groups of linked people who were left out of its training.",
    "cross-rendition": "Compressions that were left out of its training.",
}
"""Description of what is new to the detector in each protocol."""


@dataclass(frozen=True)
class Fold:
    """One fold of a leave-one-out protocol.

    Attributes:
        name: what is left out.
        train: records for training and for choosing the checkpoint; their splits are train and val.
        test: records to be tested on, of the test split if there is one.
    """

    name: str
    train: tuple[ClipRecord, ...]
    test: tuple[ClipRecord, ...]


def without(
    records: Iterable[ClipRecord],
    *,
    manipulations: Sequence[str] = (),
    renditions: Sequence[str] = (),
    identities: Sequence[str] = (),
) -> list[ClipRecord]:
    """``records`` without fakes of these manipulations, clips of these renditions, and clips that show these people.

    Names may be patterns (``dfl-*``). Real clips have no manipulation and stay.

    Raises:
        UsageError: a name matches nothing.
    """
    listed = list(records)
    for key, patterns in (("manipulation", manipulations), ("rendition", renditions), ("identity", identities)):
        for pattern in patterns:
            _need_fit(listed, key, pattern)
    return [
        record
        for record in listed
        if not _fits(_KEYS["manipulation"](record), manipulations)
        and not _fits(_KEYS["rendition"](record), renditions)
        and not _fits(_KEYS["identity"](record), identities)
    ]


def only(records: Iterable[ClipRecord], wanted: Mapping[str, Sequence[str]]) -> list[ClipRecord]:
    """The ``records`` that match at least one pattern of each key in ``wanted``.

    Keys: manipulation, rendition, identity, group, codec, architecture, kind, or the name of a factor. Keys that
    only fakes have (manipulation, architecture, a factor that no real clip has) restrict only the fakes; all real clips
    stay. "group" takes everyone who is linked to the people it names.

    Raises:
        UsageError: a key or a pattern matches nothing.
    """
    kept = list(records)
    for key, patterns in wanted.items():
        if key == "group":
            patterns = _linked(kept, patterns)
        read = reader(kept, "identity" if key == "group" else key)
        for pattern in patterns:
            _need_fit(kept, key, pattern, read)
        spared = not any(read(record) for record in kept if record.label == "real")
        kept = [r for r in kept if (spared and r.label == "real") or _fits(read(r), patterns)]
    return kept


def parse_only(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["manipulation=a,b", "rendition=c40"]`` as what :func:`only` takes.

    Raises:
        UsageError: a text is not ``KEY=NAME``.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, sign, values = text.partition("=")
        names = tuple(value.strip() for value in values.split(",") if value.strip())
        if not sign or not key.strip() or not names:
            raise UsageError(
                f"{text!r} is not KEY=NAME", hint="for example --only manipulation=dfl-udt,dfl-amp --only rendition=c40"
            )
        found[key.strip()] = (*found.get(key.strip(), ()), *names)
    return found


def leave_out(records: Iterable[ClipRecord], texts: Sequence[str]) -> list[ClipRecord]:
    """``records`` without what ``texts``, each "KEY=NAME", name: a manipulation, rendition, identity or group.

    "identity" leaves out the clips with a person as source or target; "group" also those of everyone linked to that
    person, including the people swapped with this one in other clips.

    Raises:
        UsageError: another key, or a name that matches nothing.
    """
    named, listed = parse_only(texts), list(records)
    for key in set(named) - {"manipulation", "rendition", "identity", "group"}:
        raise UsageError(f"clips cannot be left out by {key!r}", hint="manipulation, rendition, identity or group")
    linked = [person for name in named.get("group", ()) for person in _linked(listed, (name,))]
    return without(
        listed,
        manipulations=named.get("manipulation", ()),
        renditions=named.get("rendition", ()),
        identities=(*named.get("identity", ()), *linked),
    )


def folds_by(records: Sequence[ClipRecord], by: str) -> list[Fold]:
    """The folds of one leave-one-out: ``by`` "manipulation", "group" or "rendition".

    One per manipulation is tested on its fakes and all real clips of the test split and trained on the other fakes; one
    per rendition is tested on it and trained on all others; one per group of linked people, named by its first, is
    tested on all their clips, whatever their split.

    Raises:
        ManifestError: there are fewer than two to leave out.
    """
    if by != "group":
        return _leave_each_out(records, by)
    groups = identity_groups(records)
    _need_two(groups, "groups of people")
    folds = []
    for people in groups:
        test = tuple(record for record in records if set(record.identities) & set(people))
        train = tuple(record for record in records if not set(record.identities) & set(people))
        folds.append(Fold(people[0], train, test))
    return folds


def fold_commands(fold: Fold, by: str, dataset: str) -> tuple[str, str]:
    """The two command lines of one fold: train without it, evaluate on it."""
    run = f"runs/without-{fold.name}"
    whole = by == "group"  # a group's clips are all in one split
    left = any(record.split != "test" for record in fold.test) or not whole
    train = ["assay", "detect", "train", dataset, "--run", run]
    evaluate = ["assay", "detect", "evaluate", run, dataset, "--protocol", _PROTOCOL_OF[by]]
    train += ["--leave-out", f"{by}={fold.name}"] if left else []
    evaluate += ["--split", "all"] if whole else []
    return shlex.join(train), shlex.join([*evaluate, "--only", f"{by}={fold.name}"])


def select_records(records: Sequence[ClipRecord], protocol: Protocol, training: TrainingRecord) -> list[ClipRecord]:
    """The ``records`` of ``protocol``, given the detector's training record.

    Raises:
        LeakError: cross-set, and the detector was trained on clips or people of these records.
        UsageError: the protocol is one that leaves something out, and the detector's folder has no training record.
            (cross-set is then the user's word, see :func:`unchecked`.)
        ManifestError: no fake is new to the detector under this protocol.
    """
    if protocol == "in-set":
        return list(records)
    if not training.clips and protocol != "cross-set":
        raise UsageError(f"the detector has no record of its training data, so {protocol} cannot be checked",
                         hint="--protocol cross-set for other people's weights; else in-set and --only")  # fmt: skip
    if protocol == "cross-set":
        notes = seen_in_training(records, training)
        if notes:
            raise LeakError(" ".join(notes), hint="choose another set, or --protocol leave-identity-out")
        return list(records)
    kept = [record for record in records if _is_new(record, protocol, training)]
    if not any(record.label == "fake" for record in kept):
        raise ManifestError(f"no fake here is new to the detector by {protocol}",
                            hint="leave something out when training: --leave-out")  # fmt: skip
    return kept


def by_protocol(records: Sequence[ClipRecord], training: TrainingRecord) -> dict[Protocol, tuple[int, ...]]:
    """Indices of the ``records`` of each protocol, for protocols with at least one fake.

    So one evaluation of a whole test split can report each protocol. "cross-set" is a property of the set and not
    among them; the result is empty for a detector without a training record.
    """
    if not training.clips:
        return {}
    found: dict[Protocol, tuple[int, ...]] = {}
    left: tuple[Protocol, ...] = ("leave-manipulation-out", "leave-identity-out", "cross-rendition")
    for protocol in left:
        found[protocol] = tuple(n for n, record in enumerate(records) if _is_new(record, protocol, training))
    found["in-set"] = tuple(n for n, record in enumerate(records) if _is_usual(record, training))
    ordered: tuple[Protocol, ...] = ("in-set", *left)
    return {p: found[p] for p in ordered if any(records[n].label == "fake" for n in found[p])}


def unchecked(protocol: Protocol, training: TrainingRecord) -> tuple[str, ...]:
    """A note if ``protocol`` is cross-set and the detector, such as a third-party baseline, has no training record."""
    if protocol != "cross-set" or training.clips:
        return ()
    return (
        "The detector has no record of its training data: that it knows no clip and no person here is stated by the "
        "user and not checked.",
    )


def seen_in_training(records: Sequence[ClipRecord], training: TrainingRecord) -> tuple[str, ...]:
    """Notes on clips and people that the detector was trained on; empty when there are none."""
    clips = sum(clip_mark(record) in training.clips for record in records)
    people = {person for record in records for person in record.identities}
    known = sum(person_mark(person) in training.people for person in people)
    notes = []
    if clips:
        notes.append(f"The detector learned from {clips} of these {len(records)} clips: this is no test.")
    if known:
        notes.append(f"{known} of the {len(people)} people here have the names of people it learned from.")
    return tuple(notes)


def sample_evenly(records: Sequence[ClipRecord], count: int, seed: int) -> list[ClipRecord]:
    """At most ``count`` of ``records``, in their order: as many fakes as real clips, spread over people and kinds.

    Within a class the clips alternate over manipulations, renditions and filmed people. The result depends only on the
    set of records, not their order, and the seed.
    """
    if count >= len(records):
        return list(records)
    ordered = sorted(records, key=lambda record: str(record.id))
    rng = np.random.default_rng(seed)
    shuffled = [ordered[place] for place in rng.permutation(len(ordered))]
    classes = [_in_turns([r for r in shuffled if r.label == label], count) for label in ("real", "fake")]
    sizes = _shares([len(part) for part in classes], count)
    chosen = {record.id for part, size in zip(classes, sizes, strict=True) for record in part[:size]}
    return [record for record in records if record.id in chosen]


def reader(records: Sequence[ClipRecord], key: str) -> Callable[[ClipRecord], tuple[str, ...]]:
    """A function that returns a record's values of ``key``, an empty tuple if none.

    Raises:
        UsageError: no record has such a key.
    """
    if key in _KEYS:
        return _KEYS[key]
    known = {*_KEYS, "group", *(name for record in records for name in record.factors)}
    if key not in known:
        raise UsageError(f"clips have no {key!r}", hint=near_matches(key, sorted(known)))
    return lambda record: (record.factors[key],) if key in record.factors else ()


def _some(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


_PROTOCOL_OF: Mapping[str, Protocol] = {
    "manipulation": "leave-manipulation-out",
    "group": "leave-identity-out",
    "rendition": "cross-rendition",
}
_KEYS: Mapping[str, Callable[[ClipRecord], tuple[str, ...]]] = {
    "manipulation": lambda record: _some(record.id.manipulation),
    "rendition": lambda record: (record.rendition,),
    "identity": lambda record: record.identities,
    "codec": lambda record: (record.codec,),
    "architecture": lambda record: _some(record.architecture),
    "kind": lambda record: (record.kind,) if record.label == "fake" else (),
}


def _fits(values: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(value, pattern) for value in values for pattern in patterns)


def _need_fit(
    records: Sequence[ClipRecord],
    key: str,
    pattern: str,
    read: Callable[[ClipRecord], tuple[str, ...]] | None = None,
) -> None:
    names = {value for record in records for value in (read or _KEYS[key])(record)}
    if not any(fnmatchcase(name, pattern) for name in names):
        raise UsageError(f"no clip here has the {key} {pattern!r}", hint=near_matches(pattern, sorted(names)))


def _linked(records: Sequence[ClipRecord], names: Sequence[str]) -> tuple[str, ...]:
    """Everyone linked to the people that match ``names``, as exact patterns."""
    groups = [group for group in identity_groups(records) if any(_fits((person,), names) for person in group)]
    if not groups:
        people = sorted({person for record in records for person in record.identities})
        raise UsageError(f"no person here is named {names[0]!r}", hint=near_matches(names[0], people))
    return tuple(glob.escape(person) for group in groups for person in group)


def _leave_each_out(records: Sequence[ClipRecord], key: str) -> list[Fold]:
    names = sorted({value for record in records for value in _KEYS[key](record)})
    _need_two(names, f"{key}s")
    held = [record for record in records if record.split in ("test", None)]
    folds = []
    for name in names:
        rest = without(records, **{f"{key}s": (name,)})
        train = tuple(record for record in rest if record.split != "test")
        folds.append(Fold(name, train, tuple(only(held, {key: (name,)}))))
    return folds


def _need_two(found: Sequence[object], what: str) -> None:
    if len(found) < 2:
        raise ManifestError(f"leaving one out needs two {what}, there are {len(found)}", hint="add clips of another")


def _is_new(record: ClipRecord, protocol: Protocol, training: TrainingRecord) -> bool:
    if protocol == "leave-manipulation-out":
        return record.label == "real" or record.id.manipulation not in training.manipulations
    if protocol == "leave-identity-out":
        return not any(person_mark(person) in training.people for person in record.identities)
    return record.rendition not in training.renditions


def _is_usual(record: ClipRecord, training: TrainingRecord) -> bool:
    """Whether clip and people are new, but manipulation and rendition are not."""
    made = record.id.manipulation
    new = clip_mark(record) not in training.clips and _is_new(record, "leave-identity-out", training)
    return new and record.rendition in training.renditions and (made is None or made in training.manipulations)


def _in_turns(records: Sequence[ClipRecord], count: int) -> list[ClipRecord]:
    """``count`` of ``records``, the first k of which are spread over manipulations, people and renditions for every k.

    Each next one is of the kind chosen least so far.
    """
    taken: dict[tuple[str, str], int] = {}
    left = list(records)
    done: list[ClipRecord] = []
    while left and len(done) < count:
        record = min(left, key=lambda r: tuple(taken.get(mark, 0) for mark in _marks(r)))
        left.remove(record)
        done.append(record)
        for mark in _marks(record):
            taken[mark] = taken.get(mark, 0) + 1
    return done


def _marks(record: ClipRecord) -> tuple[tuple[str, str], ...]:
    made = record.id.manipulation or ""
    return ("manipulation", made), ("person", record.target_identity), ("rendition", record.rendition)


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """Counts for two classes: half each, with the shortfall of one given to the other."""
    half = count // 2
    first = min(sizes[0], max(half, count - sizes[1]))
    return [first, min(sizes[1], count - first)]
