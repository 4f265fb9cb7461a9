"""Train, val and test splits by person: nobody is source or target in two splits.

Two people are linked if they appear in one clip, as source or as target; so are the people of a clip and of its parent,
and of two clips with the same pictures. Each connected component of this graph is in one split, and so are both
directions of a pair and all renditions of a clip. A set in which everybody was swapped with everybody is one component
and cannot be split: swap within groups of people instead.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.bootstrap import ClusterBy
from shared.errors import LeakError, UsageError
from shared.types import SPLITS, ClipId, ClipRecord, Label, Split

FRACTIONS = (0.7, 0.15, 0.15)
_SHOWN = 8
_FEW_CLUSTERS = 10
_DRAWN: dict[ClusterBy, str] = {"group": "groups of people", "target": "filmed people", "clip": "clips"}


@dataclass(frozen=True)
class Leak:
    """A person, clip or file in two splits.

    Attributes:
        kind: "identity", "parent" (a clip and the one it was made from), "duplicate" (the same file) or "look-alike"
            (the same pictures in another file).
        subject: the person, the parent, the digest, or a description of similar pictures.
        splits: the splits, in the order train, val, test.
        clips: one clip in each of these splits.
    """

    kind: str
    subject: str
    splits: tuple[Split, ...]
    clips: tuple[ClipId, ...]

    def __str__(self) -> str:
        places = ", ".join(f"{split} ({clip})" for split, clip in zip(self.splits, self.clips, strict=True))
        what = {"identity": "identity", "parent": "clip and its parent:"}.get(self.kind, "pictures")
        return f"{what} {self.subject} in {places}"


def identity_groups(records: Iterable[ClipRecord]) -> list[tuple[str, ...]]:
    """The connected components of the identity graph: names sorted in a group, groups sorted by their first name."""
    by_id: dict[ClipId, str] = {}
    by_content: dict[str, str] = {}
    links: list[Sequence[str]] = []
    listed = list(records)
    for record in listed:
        first = by_id[record.id] = record.target_identity
        alike = (by_content.setdefault(digest, first) for digest in _contents(record))
        links.append((*record.identities, *alike))
    links += [(record.target_identity, by_id[record.parent]) for record in listed if record.parent in by_id]
    return joined(links)


def split_by_identity(
    records: Sequence[ClipRecord], *, fractions: tuple[float, float, float] = FRACTIONS, seed: int
) -> list[ClipRecord]:
    """``records`` in order, with splits as near to ``fractions`` of train, val and test as the groups allow.

    Groups are placed from large to small, in random order for equal sizes, each where it brings the numbers of real and
    fake clips nearest to the fractions. A split with a fraction above zero gets at least one group. The result depends
    on the set of records and the seed, not on the order.

    Raises:
        UsageError: fractions that are negative or do not sum to one.
        LeakError: fewer groups than splits; names the largest group.
    """
    _check_fractions(fractions)
    if not records:
        return []
    groups = identity_groups(records)
    group_of = {name: index for index, group in enumerate(groups) for name in group}
    sizes = np.zeros((len(groups), 2))
    for record in records:
        sizes[group_of[record.target_identity], _column(record.label)] += 1
    split_of = place_groups(groups, sizes, fractions=fractions, seed=seed)
    return [dataclasses.replace(record, split=split_of[record.target_identity]) for record in records]


def place_groups(
    groups: Sequence[tuple[str, ...]],
    sizes: np.ndarray,
    *,
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int,
) -> dict[str, Split]:
    """The split of each person in ``groups``, if the groups are known before there are clips.

    ``sizes`` is (G, 2), the numbers of real and fake clips of each group; see :func:`split_by_identity`.

    Raises:
        UsageError: fractions that are negative or do not sum to one.
        LeakError: fewer groups than splits.
    """
    _check_fractions(fractions)
    wanted = [index for index, fraction in enumerate(fractions) if fraction > 0]
    if len(groups) < len(wanted):
        raise _cannot_split(groups, len(wanted))
    split_of = _place(sizes, np.asarray(fractions), wanted, np.random.default_rng(seed))
    return {name: SPLITS[split_of[index]] for index, group in enumerate(groups) for name in group}


def joined(links: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """The connected components of the names in ``links``, sorted."""
    from scipy.cluster.hierarchy import DisjointSet  # takes longer to import than all else here

    found = DisjointSet()
    for first, *others in links:
        found.add(first)
        for other in others:
            found.add(other)
            found.merge(first, other)
    return sorted(tuple(sorted(names)) for names in found.subsets())


def split_by_groups(records: Sequence[ClipRecord], groups: Mapping[Split, Sequence[str]]) -> list[ClipRecord]:
    """``records`` in order, with the splits that ``groups`` (identities by split) gives to their people.

    Raises:
        UsageError: an identity is named twice or is in no clip, or a person of a clip is not named.
        LeakError: a clip joins people of two splits.
    """
    split_of: dict[str, Split] = {}
    for split, names in groups.items():
        for name in names:
            if split_of.setdefault(name, split) != split:
                raise UsageError(f"identity {name!r} is asked into {split_of[name]} and {split}", hint="name it once")
    people = {name for record in records for name in record.identities}
    _need_same_people(people, set(split_of))
    done: list[ClipRecord] = []
    for record in records:
        splits = {split_of[name] for name in record.identities}
        if len(splits) > 1:
            raise LeakError(
                f"{record.id} joins {' and '.join(record.identities)}, who were asked into different splits",
                hint="put both into one split, or make no clip of them",
            )
        done.append(dataclasses.replace(record, split=splits.pop()))
    check_leaks(done)
    return done


def find_leaks(records: Iterable[ClipRecord]) -> list[Leak]:
    """All leaks between splits. Clips without a split are left out."""
    people: _Places = defaultdict(dict)
    contents: _Places = defaultdict(dict)
    placed = {record.id: record for record in records if record.split is not None}
    leaks: list[Leak] = []
    for record in placed.values():
        split = _split(record)
        for name in record.identities:
            people[name].setdefault(split, record.id)
        for digest in _contents(record):
            contents[digest].setdefault(split, record.id)
        parent = placed.get(record.parent) if record.parent else None
        if parent is not None and parent.split != split:
            leaks.append(Leak("parent", str(parent.id), (split, _split(parent)), (record.id, parent.id)))
    return [*_in_two("identity", people), *leaks, *_in_two("duplicate", contents)]


def check_leaks(records: Iterable[ClipRecord]) -> None:
    """Refuses records with an identity, a clip and its parent, or a duplicate in two splits.

    Raises:
        LeakError: names the first leak and the number of others.
    """
    refuse(find_leaks(records))


def refuse(leaks: Sequence[Leak]) -> None:
    """Raises if there are ``leaks``.

    Raises:
        LeakError: names the first and the number of others.
    """
    if leaks:
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        raise LeakError(f"the splits leak: {leaks[0]}{more}", hint="assign them anew: assay dataset split PATH")


def count_by(records: Iterable[ClipRecord]) -> Counter[tuple[str, str, str]]:
    """Number of clips for each (split, label, manipulation); "-" for a clip without a split or a manipulation."""
    return Counter((record.split or "-", record.label, record.id.manipulation or "-") for record in records)


_Places = defaultdict[str, dict[Split, ClipId]]


def _place(sizes: np.ndarray, fractions: np.ndarray, wanted: Sequence[int], rng: np.random.Generator) -> dict[int, int]:
    """The index of the split by index of the group.

    ``sizes`` is (G, 2): real and fake clips of each group. Minimises, greedily, the sum over splits and labels of the
    squared difference from the wanted number, relative to the total of the label.
    """
    totals = np.maximum(sizes.sum(axis=0), 1)
    missing = fractions[:, None] * np.ones(2) * (sizes.sum(axis=0) > 0)
    shuffled = rng.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled].sum(axis=1), kind="stable")]
    empty = set(wanted)
    placed: dict[int, int] = {}
    for done, group in enumerate(order):
        share = sizes[group] / totals
        must_fill = len(order) - done <= len(empty)
        choices = sorted(empty) if must_fill else wanted
        costs = [float(((missing[split] - share) ** 2).sum() - (missing[split] ** 2).sum()) for split in choices]
        split = choices[int(np.argmin(costs))]
        missing[split] -= share
        empty.discard(split)
        placed[int(group)] = split
    return placed


def _check_fractions(fractions: Sequence[float]) -> None:
    if len(fractions) != len(SPLITS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        asked = ", ".join(f"{fraction:g}" for fraction in fractions)
        raise UsageError(
            f"the fractions of train, val and test must be three, not negative, and sum to 1, got {asked}",
            hint="for example 0.7, 0.15 and 0.15",
        )


def _cannot_split(groups: Sequence[tuple[str, ...]], wanted: int) -> LeakError:
    largest = max(groups, key=len)
    names = ", ".join(largest[:_SHOWN]) + (", ..." if len(largest) > _SHOWN else "")
    return LeakError(
        f"{wanted} splits need {wanted} groups of people that share no clip and no pictures, and there are "
        f"{len(groups)}: {len(largest)} identities hang together ({names})",
        hint="swap only within groups of identities, add clips of other people, or ask for fewer splits",
    )


def _need_same_people(seen: set[str], named: set[str]) -> None:
    for missing, message in ((seen - named, "is in a clip but in no split"), (named - seen, "is in no clip")):
        if missing:
            names = ", ".join(sorted(missing)[:_SHOWN])
            raise UsageError(f"identity {names} {message}", hint="name everybody of the set exactly once")


def _in_two(kind: str, places: _Places) -> list[Leak]:
    leaks: list[Leak] = []
    for subject, where in sorted(places.items()):
        if len(where) > 1:
            splits = tuple(sorted(where, key=SPLITS.index))
            leaks.append(Leak(kind, subject, splits, tuple(where[split] for split in splits)))
    return leaks


def _contents(record: ClipRecord) -> set[str]:
    return {record.sha256, record.content_sha256 or record.sha256}


def _split(record: ClipRecord) -> Split:
    if record.split is None:
        raise ValueError(f"{record.id} has no split")
    return record.split


def _column(label: Label) -> int:
    return 1 if label == "fake" else 0


def clip_clusters(records: Sequence[ClipRecord], by: ClusterBy = "group") -> dict[ClipId, int]:
    """The cluster, numbered from 0, of each clip; see :class:`BootstrapSettings`."""
    if by == "clip":
        return {record.id: number for number, record in enumerate(records)}
    if by == "target":
        people = sorted({record.target_identity for record in records})
        numbers = {person: number for number, person in enumerate(people)}
        return {record.id: numbers[record.target_identity] for record in records}
    numbers = {person: number for number, group in enumerate(identity_groups(records)) for person in group}
    return {record.id: numbers[record.target_identity] for record in records}


@dataclass(frozen=True)
class Clustering:
    """The clusters of clips that a bootstrap resamples.

    Attributes:
        by: kind of cluster; finer than wanted if that gave fewer than two clusters in a class.
        numbers: the cluster of each clip.
        note: remark for readers if there are few clusters; else empty.
    """

    by: ClusterBy
    numbers: dict[ClipId, int]
    note: str

    def of(self, records: Iterable[ClipRecord]) -> np.ndarray:
        """(N,) int64: the cluster of each record."""
        return np.array([self.numbers[record.id] for record in records], np.int64)

    @property
    def count(self) -> str:
        """Number and kind of the clusters: "8 clusters by target"."""
        return f"{len(set(self.numbers.values()))} clusters by {self.by}"


def clustering(records: Sequence[ClipRecord], wanted: ClusterBy = "group") -> Clustering:
    """The clusters by ``wanted``, or by the next finer kind with two in each class: group, target, clip."""
    both = {record.label for record in records}
    kinds: list[ClusterBy] = ["group", "target", "clip"]
    for by in kinds[kinds.index(wanted) :]:
        numbers = clip_clusters(records, by)
        fewest = min((len({numbers[r.id] for r in records if r.label == label}) for label in both), default=0)
        if fewest >= 2:
            break
    else:
        by, numbers, fewest = wanted, clip_clusters(records, wanted), 0
    if fewest == 0:
        note = "A class has a single clip, so no interval can be given." if records else ""
    elif by != wanted:
        note = (
            f"A class has fewer than two clusters by {wanted}, so the intervals are over {_DRAWN[by]}, which are not "
            "independent of one another: they are likely too narrow."
        )
    else:
        few = f"A class has only {fewest} clusters by {by}: the intervals are rough, and likely too narrow."
        note = few if fewest < _FEW_CLUSTERS else ""
    return Clustering(by, numbers, note)
