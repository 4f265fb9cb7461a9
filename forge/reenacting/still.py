"""A photograph, or a generated face, as target: how long it is shown, and what is known of it.

It is shown at the frame times of the video that drives it, or 25 times a second for as long as a sound lasts. What its
record or its signature says of it goes into the record of the fake, and nothing calls a frame of it real.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

from forge.reenacting.config import ReenactConfig
from forge.reenacting.lipsync.drive import driving_sound
from forge.swapping.plan import SwapPlan
from shared.dataset.held import PHOTOGRAPH, TARGET_STILL
from shared.errors import MediaError, ProvenanceError, UsageError
from shared.provenance.read import read_provenance
from shared.types import ClipRecord, Timestamp
from shared.video import VideoReader
from shared.video.excerpt import ClipRange, Excerpt
from shared.video.held import HeldPicture
from shared.video.media import is_still_clip

DRIVE_FRAMES = "drive_frames"
"""Factor of a clip made of a still that is driven by these frames of the driver alone: ``250-300``, half-open."""

_RATE = Fraction(25)


@dataclass(frozen=True)
class StillTarget:
    """A still that is driven.

    Attributes:
        held: its picture and frame times; begins: the driver's time, in seconds, that drives the first frame.
        identity, rights: as its signature says; None where no record of ours is signed.
        facts: factors of the record: kind of still, its signed name and mark, the driver's frames, its size before it
            was reduced.
    """

    held: HeldPicture
    begins: float
    identity: str | None
    rights: str | None
    facts: Mapping[str, str]

    @property
    def is_generated(self) -> bool:
        """Whether it shows nobody, as far as is known."""
        return self.facts[TARGET_STILL] == "generate"


def fitted_to_target(config: ReenactConfig, target: Path) -> ReenactConfig:
    """``config`` for ``target``: a still has no sound that could be kept."""
    silent = is_still_clip(target) and config.sound == "target"
    return replace(config, sound="none") if silent else config


def still_target(
    target: Path, drive: Path, config: ReenactConfig, stretch: ClipRange | None, parent: ClipRecord | None
) -> StillTarget | None:
    """The still at ``target``, shown for as long as ``drive``, or its part ``stretch``; None for a video.

    ``parent`` is the record of the still, where a dataset lists it.

    Raises:
        UsageError: the drive is a picture, an offset or segments are given, or no frame lies in ``stretch``.
        MediaError: still or drive cannot be read.
    """
    if is_still_clip(drive):
        raise UsageError(f"{drive} is a picture, which performs nothing", hint="name a video, or speech for lipsync")
    if not is_still_clip(target):
        return None
    if config.offset_seconds or config.segments or config.target_neutral:
        raise UsageError(
            f"{target} is a picture: it has no time and no frames of its own",
            hint="leave out the offset and segments; --range names the part of the driver that is used",
        )
    times, rate, begins = _times(drive, config)
    stated = _stated(target, parent)
    facts = {TARGET_STILL: stated.kind}
    facts |= {name: said for name, said in (("target_clip", stated.name), ("target_mark", stated.mark)) if said}
    if stretch is not None:
        cut = Excerpt.among(times, stretch, drive)
        begins += times[cut.start].seconds - times[0].seconds
        times = times[cut.start : cut.stop]
        facts[DRIVE_FRAMES] = cut.text
    held = HeldPicture.of(target, tuple(Timestamp(at.pts - times[0].pts, at.time_base) for at in times), rate)
    if held.is_reduced:
        facts["target_reduced_from"] = f"{held.size[0]}x{held.size[1]}"
    return StillTarget(held, begins, stated.identity, stated.rights, facts)


def held_plan(found: SwapPlan, times: Sequence[Timestamp]) -> SwapPlan:
    """The faces ``found`` in the one picture, in every frame of the clip that shows it at ``times``."""
    return replace(found, times=tuple(times), faces=dict.fromkeys(range(len(times)), found.faces[0]))


def need_photograph(path: Path) -> None:
    """Refuses a picture as a photograph of a person that is signed as made by a model.

    Raises:
        UsageError: it is.
    """
    stated = _stated(path, None)
    if stated.kind != PHOTOGRAPH:
        raise UsageError(
            f"{path} is signed as made by a model ({stated.kind}), and is no photograph",
            hint="leave it out; faces of a generator are targets by the name of their [[generation]]",
        )


def need_identity(still: StillTarget, named: str | None, known: str | None) -> None:
    """Refuses to call a generated face a person.

    Raises:
        UsageError: ``named`` is neither ``known``, what its signature or record says, nor that with more behind it.
    """
    if still.is_generated and named and known and named != known and not named.startswith(f"{known}-"):
        raise UsageError(
            f"{still.held.path} is a generated face, recorded as {known!r}, and shows no {named}",
            hint="leave out --target-identity",
        )


def _times(drive: Path, config: ReenactConfig) -> tuple[list[Timestamp], Fraction | None, float]:
    """The times of the driver's frames, its frame rate, and the time of its first; of a sound 25 a second."""
    try:
        with VideoReader(drive) as reader:
            times = list(reader.times())
            return times, reader.info.frame_rate, times[0].seconds
    except MediaError:
        if config.family != "lipsync":
            raise
    sound, begins = driving_sound(drive)
    return [Timestamp(tick, 1 / _RATE) for tick in range(max(1, ceil(sound.seconds * _RATE)))], _RATE, begins


@dataclass(frozen=True)
class _Statement:
    """What a record or a signature says of a still; None for what it does not."""

    kind: str
    name: str | None = None
    identity: str | None = None
    rights: str | None = None
    mark: str | None = None


def _stated(target: Path, parent: ClipRecord | None) -> _Statement:
    """By its record, else by a valid signature of ours, else by any signature that says that a model made it."""
    if parent is not None:
        return _Statement(parent.kind if parent.label == "fake" else PHOTOGRAPH)
    try:
        provenance = read_provenance(target)
    except ProvenanceError:
        provenance = None
    if provenance is None:
        return _Statement(PHOTOGRAPH)
    record = (provenance.record or {}) if provenance.valid else {}
    if record.get("label") == "fake" and isinstance(record.get("kind"), str):
        known = (record.get(name) for name in ("kind", "id", "target_identity", "rights", "mark"))
        kind, *rest = (None if one is None else str(one)[:200] for one in known)
        return _Statement(str(kind), *rest)
    return _Statement("generate" if provenance.says_fake else PHOTOGRAPH)
