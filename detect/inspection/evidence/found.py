"""Values that the methods of evidence share: what they look at, and what they find."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.faces.finders.finder import FaceFinder
from shared.results.scores import Evidence, EvidencePicture, FrameScore
from shared.types import VideoInfo
from shared.video.child import Child, NoChild

Details = dict[str, str | int | float | bool | None]
SAYS_FAKE = "says that a model had a hand in it"
"""Detail of evidence from what a file carries, a signature or a mark: what it says of the file itself."""


@dataclass(frozen=True)
class EvidenceConfig:
    """How much of a file the methods of evidence look at, in counts, so that equal input gives equal bytes."""

    faces: int = 60
    """Faces of each track that are measured, at most, spread evenly over its scored faces."""
    tracks: int = 8
    """Tracks that are measured, at most, the longest first."""
    landmark_frames: int = 250
    """Successive frames in which eyes and mouth are followed, at most; 0 leaves these methods out."""
    rounds: int = 400
    """Rounds of the permutation tests."""


@dataclass(frozen=True)
class Material:
    """What the methods may look at.

    Attributes:
        path: the file; it is decoded by ``source`` only.
        source: the process that decodes.
        still: whether it is a single picture.
        info: what container and streams state.
        scores: of all faces that were scored, with their landmarks.
        finder: the face finder, for methods that follow a face over successive frames.
        seed: of the permutation tests.
        stopped: why the decoder ended before the end of the file; None if it did not.
    """

    path: Path
    source: Child | NoChild
    still: bool
    info: VideoInfo
    scores: tuple[FrameScore, ...]
    finder: FaceFinder | None = None
    config: EvidenceConfig = field(default_factory=EvidenceConfig)
    seed: int = 0
    stopped: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture of a finding, as PNG bytes, and its description; ``name`` is unique among those of one file."""

    name: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Found:
    """A finding with its pictures."""

    evidence: Evidence
    pictures: tuple[Picture, ...] = ()


def found(evidence: Evidence, *pictures: Picture) -> Found:
    """``evidence`` with its pictures, which it names by their files in the case folder."""
    named = tuple(EvidencePicture(f"evidence/{one.name}.png", one.alt) for one in pictures)
    return Found(dataclasses.replace(evidence, pictures=named), pictures)


def rounded(value: float | None, digits: int = 3) -> float | None:
    """A value for a report, so that the last bits of a sum do not show."""
    return None if value is None else round(float(value), digits)


def tracks_of(scores: Sequence[FrameScore], most: int) -> dict[int, list[FrameScore]]:
    """Scores by track, in order of time: at most ``most`` tracks, those with the most scores."""
    tracks: dict[int, list[FrameScore]] = {}
    for score in sorted(scores, key=lambda each: each.frame):
        tracks.setdefault(score.track, []).append(score)
    longest = sorted(tracks, key=lambda track: (-len(tracks[track]), track))[:most]
    return {track: tracks[track] for track in sorted(longest)}
