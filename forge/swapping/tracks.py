"""The faces of a clip and the identity embeddings of their tracks, found in one pass.

A tracker follows position and appearance, so one track may pass from one person to another at a cut, and one person
may have several tracks. Here tracks are divided where identity changes, and each gets its mean identity embedding;
:mod:`forge.swapping.plan` then groups tracks by person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from shared.faces.identity import IdentityEmbedder
from shared.faces.stream import SceneChange, appearance, likeness
from shared.types import Face, Frame, Timestamp

SAME_LOOK = 0.8
"""Correlation of :func:`shared.faces.stream.appearance` from which two faces of neighbouring frames are one person's.

Measured on eight clips: neighbouring frames of one person 0.87 and more, aligned faces of two people 0.75 and less.
"""

STRICT = 2 / 3
"""Share of an embedder's threshold below which two tracks of a video are one person.

The threshold itself is for photographs taken at different times. Measured with dlib's (0.6) on 30 clips: parts of one
track differ by up to 0.38, the nearest two people by 0.43.
"""

_CHANGE = 5 / 6
_SAMPLED = (0, 4, 12)
_SAMPLE_EVERY = 25
_BATCH = 32
_SHORT = 6


@dataclass(frozen=True, eq=False)
class FoundFaces:
    """All faces of a clip.

    Attributes:
        times: of every frame, by frame index.
        faces: by frame index, each with its track; frames without one are absent.
        embeddings: (D,) mean identity embedding by track; without an embedder none.
        parts_of: the tracker's own number of every track that was divided.
        cuts: indices of the frames that begin a new scene.
        embedder: name of the embedder; "" for none. same_distance: its threshold.
        single: whether the frames are single pictures, not those of a video.
    """

    times: Mapping[int, Timestamp]
    faces: Mapping[int, tuple[Face, ...]]
    embeddings: Mapping[int, np.ndarray] = field(default_factory=dict)
    parts_of: Mapping[int, int] = field(default_factory=dict)
    cuts: tuple[int, ...] = ()
    embedder: str = ""
    same_distance: float = 0.6
    single: bool = False


@dataclass
class _Part:
    """Part of a track without a visible change, from frame ``start`` on."""

    track: int
    start: int
    after_cut: bool
    frames: int = 0
    samples: list[tuple[int, np.ndarray]] = field(default_factory=list)

    @property
    def mean(self) -> np.ndarray | None:
        return np.mean([vector for _frame, vector in self.samples], axis=0) if self.samples else None


def collect_faces(
    followed: Iterable[tuple[Frame, list[Face]]],
    embedder: IdentityEmbedder | None = None,
    *,
    single: bool = False,
    tick: Callable[[int], object] = lambda _amount: None,
) -> FoundFaces:
    """The faces of frames that come with their tracked faces (:func:`shared.faces.stream.follow`).

    Without an embedder tracks stay as the tracker made them. ``single`` says that the frames are single pictures.
    """
    times: dict[int, Timestamp] = {}
    found: dict[int, tuple[Face, ...]] = {}
    divider = _Divider(embedder, single=single) if embedder is not None else None
    change = SceneChange()
    cuts: list[int] = []
    for frame, faces in followed:
        times[frame.index] = frame.time
        if change(frame.image) or (single and times):
            cuts.append(frame.index)
        if faces:
            found[frame.index] = tuple(faces)
        if divider is not None:
            divider.add(frame, faces, cut=frame.index in cuts[-1:])
        tick(1)
    all_found = FoundFaces(times, found, cuts=tuple(cuts), single=single)
    return all_found if divider is None else divider.finish(all_found)


class _Divider:
    """Divides tracks where their identity changes, and collects the embeddings of the parts."""

    def __init__(self, embedder: IdentityEmbedder, *, single: bool) -> None:
        self._embedder, self._single = embedder, single
        self._parts: dict[int, list[_Part]] = defaultdict(list)
        self._looks: dict[int, np.ndarray] = {}
        self._last_cut = -1
        self._seen: dict[int, int] = {}
        self._waiting: list[tuple[_Part, int, np.ndarray]] = []

    def add(self, frame: Frame, faces: Iterable[Face], *, cut: bool) -> None:
        """The faces of the next frame; ``cut`` says whether it begins a new scene."""
        self._last_cut = frame.index if cut else self._last_cut
        sampled: list[tuple[_Part, Face]] = []
        for face in faces:
            part = self._part_of(frame, face)
            if part.frames in _SAMPLED or part.frames % _SAMPLE_EVERY == 0:
                sampled.append((part, face))
            part.frames += 1
        chips = self._embedder.chips(frame.image, [face for _part, face in sampled])
        self._waiting += [(part, frame.index, chip) for (part, _face), chip in zip(sampled, chips, strict=True)]
        if len(self._waiting) >= _BATCH:
            self._embed()

    def _part_of(self, frame: Frame, face: Face) -> _Part:
        track = face.track or 0
        look = appearance(frame.image, face.landmarks)
        before, self._looks[track] = self._looks.get(track), look
        after_cut = self._last_cut > self._seen.get(track, frame.index)
        self._seen[track] = frame.index
        parts = self._parts[track]
        if before is None or after_cut or likeness(before, look) < SAME_LOOK:
            parts.append(_Part(track, frame.index, after_cut))
        return parts[-1]

    def _embed(self) -> None:
        if self._waiting:
            vectors = self._embedder.embed_chips(np.stack([chip for _part, _frame, chip in self._waiting]))
            for (part, frame, _chip), vector in zip(self._waiting, vectors, strict=True):
                part.samples.append((frame, vector.astype(np.float64)))
        self._waiting = []

    def finish(self, found: FoundFaces) -> FoundFaces:
        """``found`` with divided tracks and their embeddings."""
        self._embed()
        threshold = self._embedder.threshold
        starts: dict[int, list[tuple[int, int]]] = {}
        embeddings: dict[int, np.ndarray] = {}
        parts_of: dict[int, int] = {}
        number = max(self._parts, default=-1)
        for track, parts in sorted(self._parts.items()):
            whole = parts if self._single else [piece for part in parts for piece in _unmixed(part, threshold)]
            starts[track] = []
            for place, part in enumerate(_joined(whole, threshold)):
                number += place > 0
                name = number if place else track
                starts[track].append((part.start, name))
                parts_of |= {name: track} if place else {}
                mean = part.mean
                if mean is not None:
                    embeddings[name] = mean
        faces = {
            index: tuple(replace(face, track=_named(starts[face.track or 0], index)) for face in here)
            for index, here in found.faces.items()
        }
        return replace(
            found,
            faces=faces,
            embeddings=embeddings,
            parts_of=parts_of,
            embedder=self._embedder.name,
            same_distance=threshold,
        )


def _named(starts: list[tuple[int, int]], frame: int) -> int:
    return next(name for start, name in reversed(starts) if start <= frame)


def _unmixed(part: _Part, threshold: float) -> list[_Part]:
    """The part, divided where its samples change from one person to another, as in a slow dissolve.

    The frames between the two samples may show either, so they become a part without an embedding.
    """
    vectors = [vector for _frame, vector in part.samples]
    distances = [
        float(np.linalg.norm(np.mean(vectors[:place], axis=0) - np.mean(vectors[place:], axis=0)))
        for place in range(1, len(vectors))
    ]
    if not distances or max(distances) < _CHANGE * threshold:
        return [part]
    place = int(np.argmax(distances)) + 1
    last, first = part.samples[place - 1][0], part.samples[place][0]
    end = part.start + part.frames
    before = _Part(part.track, part.start, part.after_cut, last + 1 - part.start, part.samples[:place])
    after = _Part(part.track, first, True, max(1, end - first), part.samples[place:])
    between = [_Part(part.track, last + 1, True, first - last - 1)] if first > last + 1 else []
    return [*_unmixed(before, threshold), *between, *_unmixed(after, threshold)]


def _joined(parts: list[_Part], threshold: float) -> list[_Part]:
    """The parts of one track, those joined that follow each other and show one person."""
    whole: list[_Part] = []
    for part in parts:
        if whole and _same(whole[-1], part, threshold):
            last = whole[-1]
            whole[-1] = replace(last, frames=last.frames + part.frames, samples=[*last.samples, *part.samples])
        else:
            whole.append(part)
    return whole


def _same(one: _Part, other: _Part, threshold: float) -> bool:
    here, there = one.mean, other.mean
    if here is None or there is None:
        return False
    # In few frames an embedding is less certain, and without a cut nobody else takes a place for so short.
    short = min(one.frames, other.frames) < _SHORT and not other.after_cut
    return float(np.linalg.norm(here - there)) < threshold * (1.0 if short else STRICT)
