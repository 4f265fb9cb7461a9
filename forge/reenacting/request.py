"""Everything about a re-enactment that is known before its first frame is read; what cannot work is refused here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from typing_extensions import override

from forge.models.checkpoint import SwapperCard, digest_of
from forge.reenacting.config import ReenactConfig
from forge.reenacting.lipsync.checkpoint import SHIPPED, load_lipsync_model
from forge.reenacting.lipsync.drive import cut_driving_sound
from forge.reenacting.lipsync.voice import Voice, stated_voice, voice_of
from forge.reenacting.networks.checkpoint import LoadedReenactor, load_reenactor
from forge.reenacting.networks.config import NetworkName
from forge.reenacting.networks.shipped import shipped_network
from forge.reenacting.still import DRIVE_FRAMES, StillTarget, need_identity, still_target
from forge.swapping.output import record_from, record_of
from forge.swapping.request import FakeRequest, card_knowing, excerpt_of, fake_id, listed_clip, unstated_rights
from shared import config as settings
from shared.audio.reading import has_sound
from shared.console import console
from shared.dataset.excerpts import excerpt_factor
from shared.dataset.names import safe_name, title_note
from shared.errors import CheckpointError, UsageError
from shared.storage import sha256_file
from shared.types import ClipRecord, VideoInfo
from shared.video import VideoReader, probe
from shared.video.excerpt import ClipRange
from shared.video.facts import SOUND, read_with_notes
from shared.video.held import HeldReader


@dataclass(frozen=True, kw_only=True)
class ReenactRequest(FakeRequest):
    """A re-enactment to make.

    Attributes:
        drive: the clip whose performance, or the file whose sound, drives the target; drive_sha256: of its bytes.
        driver_identity: who performs or speaks in it; drive_rights: the basis on which that may be used, if it is said.
        config: the settings.
        swapper: an exported swapper, or a run that holds one, for a family that needs it; card: what it says of itself.
        lipsync: where the model of ``lipsync`` is; lipsync_sha256: of its weights; None for other families.
        network: a trained network of re-enactment, or its run; network_sha256: of its file; None likewise.
        still: the target as a still; None for a video.
    """

    drive: Path
    drive_sha256: str
    driver_identity: str
    config: ReenactConfig
    swapper: Path | None = None
    card: SwapperCard | None = None
    drive_rights: str | None = None
    lipsync: Path | None = None
    lipsync_sha256: str | None = None
    network: Path | None = None
    network_sha256: str | None = None
    still: StillTarget | None = None

    @override
    def read(self) -> VideoReader | HeldReader:
        return super().read() if self.still is None else HeldReader(self.still.held)

    @property
    @override
    def mark_kind(self) -> str:
        return "reenact"

    @property
    @override
    def mark_facts(self) -> Mapping[str, str]:
        made_by = self.swapper_sha256 or self.lipsync_sha256 or self.network_sha256
        return self.mark_facts_with(self.config, made_by, drive=self.drive_sha256)

    @property
    def swapper_sha256(self) -> str | None:
        """Names the swapper's weights; None for a family without."""
        return None if self.card is None else digest_of(self.card)

    @property
    @override
    def audio_from(self) -> Path | None:
        return {"target": self.target, "driver": self.drive, "none": None}[self.config.sound]

    @contextmanager
    def driving_sound(self, begins: float, times: Sequence[float]) -> Iterator[Path]:
        """A file with the driver's sound for a clip with these frame times, there for the length of the block.

        The driver's first frame, or its sound without pictures, is at ``begins``. What is heard at the clip's first
        frame is the moment that drives it.

        Raises:
            UsageError: the sound has ended before.
            MediaError: it cannot be read or copied.
        """
        with tempfile.TemporaryDirectory(prefix="assay-sound-") as folder:
            moment = begins + self.config.offset_seconds
            yield cut_driving_sound(self.drive, Path(folder), moment=moment, times=times)


@dataclass(frozen=True)
class ReenactOverrides:
    """Values given by the user beside the settings; None for those of the records, and a ``stretch`` of all frames."""

    target_identity: str | None = None
    driver_identity: str | None = None
    rights: str | None = None
    name: str | None = None
    stretch: ClipRange | None = None
    drive_rights: str | None = None


def resolve_reenactment(
    target: Path,
    drive: Path,
    config: ReenactConfig,
    overrides: ReenactOverrides,
    *,
    rendition: str,
    info: VideoInfo,
    swapper: Path | None = None,
    dataset: Path | None = None,
) -> ReenactRequest:
    """The request to drive ``target`` by ``drive``, whose fake goes into ``dataset``.

    Raises:
        UsageError: a sound that is not there, a family without its swapper, a person whom the
            swapper does not know, a stretch without a frame.
        MediaError: a clip cannot be read.
        CheckpointError: the swapper cannot be read.
        ManifestError: a dataset is damaged.
    """
    _need_sound(drive, config)
    sha256, drive_sha256 = sha256_file(target), sha256_file(drive)
    parent = record_of(target) or (record_from(dataset, sha256) if dataset else None)
    still = still_target(target, drive, config, overrides.stretch, parent)
    known = parent.target_identity if parent else still and still.identity
    if still is not None:
        need_identity(still, overrides.target_identity, known)
    driver = record_of(drive) or (record_from(dataset, drive_sha256) if dataset else None)
    person = overrides.target_identity or known or _by_name(target, "--target-identity")
    other = overrides.driver_identity or (driver.target_identity if driver else None)
    drive_rights = overrides.drive_rights or (driver.rights if driver else None)
    lipsync = (swapper or SHIPPED) if config.family == "lipsync" else None
    if lipsync is not None:
        heard = Voice(None, None) if driver is None else voice_of(driver)
        if drive_sha256 == sha256 and not (driver and driver.factors.get("sound_from") == "driver"):
            heard = Voice(person, heard.rights or "as the target")
        voice = Voice(overrides.driver_identity or heard.identity, overrides.drive_rights or heard.rights)
        voice = stated_voice(drive, voice)
        other, drive_rights = voice.identity, voice.rights
    if other is None:
        other = person if drive_sha256 == sha256 else _by_name(drive, "--driver-identity")
    if config.family in get_args(NetworkName):
        swapper = swapper or shipped_network(config.family)
    network = _network(swapper, person, config)
    card = None if network else _card(swapper, person, config)
    excerpt = None if still else excerpt_of(target, overrides.stretch, segments=bool(config.segments))
    usual = f"{safe_name(target.stem, longest=100)}-by-{safe_name(drive.stem, longest=60)}"
    cut = excerpt.text if excerpt else still and still.facts.get(DRIVE_FRAMES)
    usual += f"@{cut}" if cut else ""
    read = still.facts if still else read_with_notes(target, info, audio=config.sound != "none")
    notes = title_note(target) | dict(read)
    rights = overrides.rights or (parent.rights if parent else still and still.rights) or unstated_rights(person)
    return ReenactRequest(
        target=target, target_sha256=sha256, clip=fake_id(dataset, config.family, overrides.name or usual),
        rendition=rendition, target_identity=person, driver_identity=other,
        rights=rights, parent=parent.id if parent else None,
        drive=drive, drive_sha256=drive_sha256, config=config, audio=config.sound != "none",
        notes=notes | (excerpt_factor(excerpt.start, excerpt.stop) if excerpt else {}), excerpt=excerpt,
        swapper=None if lipsync or network else swapper, card=card, drive_rights=drive_rights, lipsync=lipsync,
        lipsync_sha256=load_lipsync_model(lipsync).weights_sha256 if lipsync else None,
        network=swapper if network else None, network_sha256=network.sha256 if network else None, still=still,
    )  # fmt: skip


def _need_sound(drive: Path, config: ReenactConfig) -> None:
    if config.family == "lipsync" and not has_sound(drive):
        raise UsageError(f"{drive} has no sound that could drive a mouth", hint="name a recording of speech")
    if config.sound == "driver" and config.family != "lipsync" and not probe(drive).has_audio:
        raise UsageError(f"{drive} has no sound", hint="choose --sound target or none")


def _by_name(clip: Path, option: str) -> str:
    """A person whom no record names, called as the file is."""
    name = safe_name(clip.stem, longest=100)
    console.warn(f"nothing says who is in {clip}: recorded as {name!r}; say it with {option}")
    return name


def _card(swapper: Path | None, person: str, config: ReenactConfig) -> SwapperCard | None:
    """The card of the swapper that the family needs.

    Raises:
        UsageError: none is given, one is given in vain, or it does not know ``person``.
        CheckpointError: it cannot be read.
    """
    if config.family == "lipsync":
        return None
    if config.family == "reenact-affine":
        if swapper is not None:
            raise UsageError("reenact-affine takes no swapper", hint="leave out --run, or choose reenact-latent")
        return None
    if swapper is None:
        raise UsageError(f"{config.family} needs a swapper", hint="give --run: one that was trained on the target")
    return card_knowing(swapper, person)


def _network(run: Path | None, person: str, config: ReenactConfig) -> LoadedReenactor | None:
    """The network of a family that has one; warns if it has not seen ``person``.

    Raises:
        UsageError: none is given.
        CheckpointError: it cannot be read, or is of another family.
    """
    if config.family not in get_args(NetworkName):
        return None
    if run is None:
        raise UsageError(f"{config.family} needs a network", hint="give --run: one of assay forge train-reenactor")
    network = load_reenactor(run)
    if network.card.family != config.family:
        raise CheckpointError(f"{run} is of {network.card.family}, not {config.family}", hint="name it as --family")
    if not network.net.one_shot and not network.card.knows(person):
        console.warn(f"{run} was not trained on {person}: what it fills in is of other people")
    return network


def already_listed(dataset: Path, request: ReenactRequest) -> ClipRecord | None:
    """The record of the same request; None if its id is free.

    Raises:
        UsageError: the id is taken by a clip made otherwise.
    """
    record = listed_clip(dataset, request.clip)
    if record is None:
        return None
    made = (record.config, record.swapper, record.rendition, record.target_identity, record.source_identity,
            record.rights, *(record.factors.get(name) for name in _SAME))  # fmt: skip
    facts = {"target_sha256": request.target_sha256, "drive_sha256": request.drive_sha256} | dict(request.notes)
    facts |= {} if request.lipsync_sha256 is None else {"lipsync_sha256": request.lipsync_sha256}
    facts |= {} if request.network_sha256 is None else {"network_sha256": request.network_sha256}
    facts |= {} if request.drive_rights is None else {"drive_rights": request.drive_rights}
    asked = (settings.digest(request.config), request.swapper_sha256, request.rendition, request.target_identity,
             request.driver_identity, request.rights, *map(facts.get, _SAME))  # fmt: skip
    if made != asked:
        raise UsageError(
            f"{request.clip} is there already, made with other settings, people or rights", hint="choose another --name"
        )
    return record


_SAME = ("target_sha256", "drive_sha256", "target_frames", "lipsync_sha256", "network_sha256", "drive_rights",
         DRIVE_FRAMES, SOUND)  # fmt: skip
"""Factors by which two requests are the same."""
