"""Finds people who may be one person under two names: similar faces in real clips of different splits.

Siblings, and sometimes strangers, can be as near as two clips of one person, so a distance is a question to somebody
who knows the people, and not a leak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from shared.dataset.audit.faces import NOBODY, FaceBoxes, spaced
from shared.errors import AssayError
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder
from shared.storage import inside
from shared.types import ClipId, ClipRecord
from shared.video.media import clip_reader

_CLIPS_A_PERSON = 3
_FRAMES_A_CLIP = 3

# At the network's threshold one pair of different people in a hundred is accepted, which would be asked about in every
# set of a few dozen people. Averaged over frames, clips of one person are well below this share of it.
STRICT = 0.75


@dataclass(frozen=True)
class LikePair:
    """Two clips of different splits, the people they are labelled with, and the distance of their mean embeddings."""

    first: str
    second: str
    people: tuple[str, str]
    splits: tuple[str, str]
    distance: float


@dataclass(frozen=True)
class IdentityFindings:
    """Result of the comparison of faces.

    Attributes:
        clips: number of real clips compared, of ``people`` people.
        limit: maximum distance of ``alike``.
        alike: pairs of clips of different splits and people, of each two people the nearest, nearest first.
        nearest: the nearest pair of different splits, alike or not.
        same: median distance of two clips of one person; None if nobody has two.
        note: why it was not measured; else empty.
    """

    clips: int = 0
    people: int = 0
    limit: float = 0.0
    alike: tuple[LikePair, ...] = ()
    nearest: LikePair | None = None
    same: float | None = None
    note: str = ""


def find_same_people(
    folder: Path,
    records: Sequence[ClipRecord],
    faces: Mapping[ClipId, FaceBoxes],
    finder: FaceFinder,
    embedder: IdentityEmbedder,
) -> IdentityFindings:
    """Compares up to three real clips of each person and split with those of all other splits."""
    chosen = _chosen(records, faces)
    vectors: list[np.ndarray] = []
    kept: list[ClipRecord] = []
    for record in chosen:
        vector = _mean_embedding(folder, record, faces[record.id], finder, embedder)
        if vector is not None:
            vectors.append(vector)
            kept.append(record)
    people = len({record.target_identity for record in kept})
    if len({record.split for record in kept}) < 2:
        note = "the clips with a face lie in one split, or have none"
        return IdentityFindings(len(kept), people, note=note)
    pairs, same = [], []
    for one, two in combinations(range(len(kept)), 2):
        distance = float(np.linalg.norm(vectors[one] - vectors[two]))
        if kept[one].split != kept[two].split:
            pairs.append(_pair(kept[one], kept[two], distance))
        elif kept[one].target_identity == kept[two].target_identity:
            same.append(distance)
    pairs.sort(key=lambda pair: pair.distance)
    limit = STRICT * embedder.threshold
    alike: dict[tuple[str, ...], LikePair] = {}
    for pair in pairs:
        # Of one name in two splits the manifest itself says that it leaks.
        if pair.distance < limit and pair.people[0] != pair.people[1]:
            alike.setdefault(tuple(sorted(pair.people)), pair)
    near = tuple(alike.values())
    return IdentityFindings(len(kept), people, limit, near, pairs[0], float(np.median(same)) if same else None)


def _chosen(records: Sequence[ClipRecord], faces: Mapping[ClipId, FaceBoxes]) -> list[ClipRecord]:
    """Real clips with labelled faces, at most three per person and split; renditions of one clip count once."""
    counts: dict[tuple[str, str], int] = {}
    seen: set[tuple[str, str]] = set()
    chosen: list[ClipRecord] = []
    for record in records:
        labelled = faces.get(record.id, NOBODY)
        footage = (record.target_identity, record.factors.get("original_sha256") or str(record.id.name.split("@")[0]))
        key = (record.target_identity, record.split or "")
        if record.label != "real" or record.split is None or not labelled.frames.size:
            continue
        if footage in seen or counts.get(key, 0) >= _CLIPS_A_PERSON:
            continue
        seen.add(footage)
        counts[key] = counts.get(key, 0) + 1
        chosen.append(record)
    return chosen


def _mean_embedding(
    folder: Path, record: ClipRecord, faces: FaceBoxes, finder: FaceFinder, embedder: IdentityEmbedder
) -> np.ndarray | None:
    found: list[np.ndarray] = []
    try:
        with clip_reader(inside(folder, record.path)) as reader:
            for frame in spaced(reader, (0, record.frames), _FRAMES_A_CLIP):
                _, box = faces.near(frame.index)
                if box is not None:
                    found.extend(embedder.embed(frame.image, finder.refine(frame.image, [box])))
    except AssayError:
        return None
    return np.mean(found, axis=0) if found else None


def _pair(one: ClipRecord, two: ClipRecord, distance: float) -> LikePair:
    people = (one.target_identity, two.target_identity)
    return LikePair(str(one.id), str(two.id), people, (one.split or "-", two.split or "-"), round(distance, 4))
