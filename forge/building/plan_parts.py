"""Parts of a plan: its steps and clips, their keys, the cost of an encode, names that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import shared
from forge.building.pieces import Model
from forge.building.spec import ManipulationConfig
from forge.building.tasks import ClipTask, StillTask
from forge.speaking.building.build import PlannedSpeechSet
from shared.config import digest, need, to_mapping
from shared.errors import UsageError
from shared.types import ClipId, Split
from shared.video.renditions import Rendition

_CODEC_WEIGHT = {"libx265": 4.0, "libvpx-vp9": 5.0, "libsvtav1": 3.0, "mjpeg": 0.3, "ffv1": 0.7}


_VERSION = 1
SELF = "-self"
"""Suffix of the name of a manipulation for a person's own face: self-swaps, self-drives, autoencoded stills."""


@dataclass(frozen=True)
class BuildStep:
    """A task of a build.

    Attributes:
        kind: shot, faceset, train, master, drive, clips, generate, face, portraits or stills.
        task: its arguments.
        after: keys of the steps it depends on.
        out: the folder of its result; None for clips and stills, which are checked one by one.
        units: amount of work in the unit of its kind (see :mod:`forge.building.estimate`).
        size_bytes: approximate output size.
    """

    key: str
    kind: str
    task: object
    after: tuple[str, ...]
    out: Path | None
    units: float
    size_bytes: float


@dataclass(frozen=True)
class PlannedClip:
    """A clip of the set: its record and the step that makes it."""

    task: ClipTask | StillTask
    split: Split
    step: str


@dataclass(frozen=True)
class BuildPlan:
    """All steps and clips of a set, in order of execution and listing, and its set of speech, if it has one.

    ``unchecked`` are sentences on what could not be compared (:mod:`forge.building.networks`).
    """

    steps: tuple[BuildStep, ...]
    clips: tuple[PlannedClip, ...]
    models: tuple[Model, ...]
    speech: PlannedSpeechSet | None = None
    unchecked: tuple[str, ...] = ()

    @property
    def recordings(self) -> int:
        """Recordings in its set of speech."""
        return 0 if self.speech is None else self.speech.recordings

    def steps_of(self, kind: str) -> list[BuildStep]:
        """The steps of one kind."""
        return [step for step in self.steps if step.kind == kind]


def build_key(mark: bool, *parts: object) -> str:
    """The key of a step or a clip that depends on ``parts``."""
    # A set without marks keeps the keys that it had before there were any.
    marked = {"mark": True} if mark else {}
    return digest(marked | {"version": _VERSION, "assay": shared.__version__, "parts": [plain(one) for one in parts]})


def encode_units(rendition: Rendition | None, megapixels: float) -> float:
    """The cost of an encode, in megapixels of x264 at its medium preset (weights measured on two cores)."""
    if rendition is None:
        return 0.1 * megapixels
    return sum(_CODEC_WEIGHT.get(step.encoding.codec, 1.0) * megapixels for step in (*rendition.through, rendition))


def plain(part: object) -> object:
    """``part`` as values that JSON knows, for a key."""
    if part is None or isinstance(part, str | int | float):
        return "" if part is None else part
    if isinstance(part, list | tuple):
        return [plain(one) for one in part]
    return to_mapping(part)


def refuse_duplicate_names(clips: Sequence[ClipId]) -> None:
    """Refuses two clips of one name.

    Raises:
        UsageError: there are two.
    """
    seen: set[str] = set()
    for clip in clips:
        # Paths are compared without case, for case-insensitive file systems.
        text = str(clip).lower()
        if text in seen:
            raise UsageError(f"two clips would be called {clip}", hint="give identities names that differ")
        seen.add(text)


def chosen_exports(
    manipulation: ManipulationConfig, exports: dict[int, tuple[str, str, str | None]]
) -> dict[int, tuple[str, str, str | None]]:
    """The exports of a swapper that a manipulation uses."""
    wanted = manipulation.steps
    found = {step: one for step, one in exports.items() if not wanted or step in wanted}
    need(bool(found), f"{manipulation.name}: no export after steps {wanted}", f"one of {list(exports)}")
    return found
