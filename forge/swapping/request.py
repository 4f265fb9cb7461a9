"""Everything about a fake that is known before its first frame is read, and the models that make it.

Requests that cannot work are refused here.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from forge.models.checkpoint import SwapperCard, digest_of, load_swapper, read_card
from forge.models.predictor import SwapPredictor
from forge.swapping.config import SwapConfig
from forge.swapping.output import dataset_name, is_dataset, record_from, record_of
from forge.swapping.region import is_learned, needs_target_mask
from forge.swapping.render import OpenedSwap
from forge.swapping.restore import restorer_digest
from forge.swapping.super_resolution import enlarge_digest
from shared import config as settings
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.excerpts import TARGET_FRAMES, excerpt_factor
from shared.dataset.names import safe_name, title_note
from shared.device import pick_device
from shared.errors import UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.finders.shifted import shifted
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, VideoInfo
from shared.video import VideoReader
from shared.video.excerpt import ClipRange, Excerpt, ExcerptReader, excerpt_sound
from shared.video.facts import SOUND, read_with_notes
from shared.video.held import HeldReader
from shared.video.images import pictures_in

UNSTATED = "unstated"


@dataclass(frozen=True, kw_only=True)
class FakeRequest(ABC):
    """A fake to make, whatever its kind: its target, and what it is called.

    Attributes:
        target: the video or the folder of pictures that is changed.
        target_sha256: of the video; of a folder, see :func:`target_digest`.
        clip: what the fake is called.
        rendition: what it is encoded as.
        target_identity: who is in it; rights: the basis on which it may be used.
        parent: the target's own id, where a dataset lists it.
        audio: whether the sound of a video is kept.
        notes: what is changed or left out in reading the target, by the name of a factor.
        excerpt: the frames of a video that are changed and written; None for all.
    """

    target: Path
    target_sha256: str
    clip: ClipId
    rendition: str
    target_identity: str
    rights: str
    parent: ClipId | None
    audio: bool = True
    notes: Mapping[str, str] = field(default_factory=dict)
    excerpt: Excerpt | None = None

    @property
    def audio_from(self) -> Path | None:
        """The file whose sound is copied, all or in part; None for none."""
        return self.target if self.audio else None

    def read(self) -> VideoReader | HeldReader:
        """A reader of the frames of the target that are to be written.

        Raises:
            MediaError: the target cannot be read.
        """
        return self.video()

    def video(self) -> VideoReader:
        """A reader of the frames of a target that is a video.

        Raises:
            MediaError: the video cannot be read.
        """
        return VideoReader(self.target) if self.excerpt is None else ExcerptReader(self.target, self.excerpt)

    def sound(self) -> AbstractContextManager[Path | None]:
        """A file with the sound of these frames, there for the length of the block; None for none.

        Raises:
            MediaError: the sound cannot be copied.
        """
        if self.excerpt is None or self.audio_from is None:
            return nullcontext(self.audio_from)
        return excerpt_sound(self.target, self.excerpt)

    @property
    @abstractmethod
    def mark_kind(self) -> str:
        """The kind that a mark names."""

    @property
    @abstractmethod
    def mark_facts(self) -> Mapping[str, str]:
        """What a mark's number is made from."""

    def mark_facts_with(self, config: object, swapper: str | None, **more: str) -> dict[str, str]:
        """Those of every kind: clip, target, settings and the swapper, if there is one, and ``more``."""
        known = {"clip": str(self.clip), "target": self.target_sha256, "config": settings.digest(config)}
        return known | {"swapper": swapper or ""} | more


@dataclass(frozen=True, kw_only=True)
class SwapRequest(FakeRequest):
    """A swap to make: target, identities, swapper and settings.

    Attributes:
        source: whose face is given to ``target_identity``.
        swapper: an exported swapper, or a run that holds one; card: what it says of itself.
    """

    source: str
    swapper: Path
    card: SwapperCard
    config: SwapConfig

    @property
    @override
    def mark_kind(self) -> str:
        return "swap"

    @property
    @override
    def mark_facts(self) -> Mapping[str, str]:
        return self.mark_facts_with(self.config, self.swapper_sha256)

    @property
    def swapper_sha256(self) -> str:
        """Names the swapper's weights."""
        return digest_of(self.card)


@dataclass
class SwapModels:
    """The models of a swap; those not given are loaded once, for all targets of one swapper and one config.

    Attributes:
        finder: finds the faces.
        embedder: recognises people.
        predictor: the swapper, on its device.
    """

    finder: FaceFinder | None = None
    embedder: IdentityEmbedder | None = None
    predictor: SwapPredictor | None = None

    def open(self, request: SwapRequest) -> tuple[OpenedSwap, FaceFinder, IdentityEmbedder | None]:
        """The models for one request; without weights of an embedder, each track counts as a person.

        Raises:
            UsageError: the swapper cannot follow the settings, or there is no such device or finder.
            CheckpointError: the swapper cannot be read.
        """
        config = request.config
        if self.predictor is None:
            device = pick_device(config.device, config.precision)
            swapper = load_swapper(request.swapper, device.torch_device)
            self.predictor = SwapPredictor(swapper, device, batch=config.batch)
        swap = OpenedSwap.of(self.predictor, config, request.source, request.target_identity)
        if self.finder is None:
            device = str(self.predictor.device.torch_device)
            self.finder = make_finder(config.finder, device=device, min_face_px=config.min_face_px)
        self.embedder = self.embedder or make_embedder()
        return swap, shifted(self.finder, request.excerpt.start if request.excerpt else 0), self.embedder


@dataclass(frozen=True)
class SwapOverrides:
    """Values given by the user beside the settings; None for those of the records, and a ``stretch`` of all frames."""

    target_identity: str | None = None
    rights: str | None = None
    name: str | None = None
    audio: bool = True
    stretch: ClipRange | None = None


def resolve_request(
    target: Path,
    swapper: Path,
    source: str,
    config: SwapConfig,
    overrides: SwapOverrides,
    *,
    rendition: str,
    dataset: Path | None = None,
    info: VideoInfo | None = None,
) -> SwapRequest:
    """The request for one target, whose fake goes into ``dataset``, or into a folder of pictures for None.

    ``info`` is what a video says of itself; what is lost in reading it is warned of and noted.

    Raises:
        UsageError: an unknown source, settings that the swapper cannot follow, a target whose identity is not known,
            a stretch without a frame, or one beside segments.
        MediaError: ``target`` is a folder without a picture.
        CheckpointError: the swapper cannot be read.
        ManifestError: a dataset is damaged.
    """
    card = checked_card(swapper, source, config)
    sha256 = target_digest(target)
    parent = record_of(target) or (record_from(dataset, sha256) if dataset else None)
    person = overrides.target_identity or (parent.target_identity if parent else the_other(card, source))
    need_target_decoder(card, person, config, swapper)
    # A restorer without weights is refused before the faces are looked for.
    _ = restorer_digest(config.restore), enlarge_digest(config.blend)
    excerpt = excerpt_of(target, overrides.stretch, segments=bool(config.segments)) if info else None
    usual = f"{safe_name(target.stem, longest=120)}+{source}" + (f"@{excerpt.text}" if excerpt else "")
    clip = fake_id(dataset, card.model, overrides.name or usual)
    notes = title_note(target) | (read_with_notes(target, info, audio=overrides.audio) if info else {})
    return SwapRequest(
        target=target,
        target_sha256=sha256,
        clip=clip,
        rendition=rendition,
        source=source,
        target_identity=person,
        rights=overrides.rights or (parent.rights if parent else rights_of(person, card)),
        parent=parent.id if parent else None,
        swapper=swapper,
        card=card,
        config=config,
        audio=overrides.audio,
        notes=notes | (excerpt_factor(excerpt.start, excerpt.stop) if excerpt else {}),
        excerpt=excerpt,
    )


def excerpt_of(target: Path, stretch: ClipRange | None, *, segments: bool) -> Excerpt | None:
    """The frames of ``target`` in ``stretch``; None for all.

    Raises:
        UsageError: there is none, or ``segments`` choose frames too.
    """
    if stretch is None:
        return None
    if segments:
        raise UsageError("a range and segments both choose frames", hint="leave out --range, or the segments")
    return Excerpt.of(target, stretch)


def target_digest(target: Path) -> str:
    """SHA-256 of a video; of a folder, the digest (:func:`shared.config.digest`) of name to SHA-256 of its pictures.

    Raises:
        MediaError: the folder holds no picture.
    """
    if target.is_dir():
        return settings.digest({path.name: sha256_file(path) for path in pictures_in(target)})
    return sha256_file(target)


def checked_card(swapper: Path, source: str, config: SwapConfig) -> SwapperCard:
    """The swapper's card, checked to know ``source`` and to support ``config``.

    Raises:
        UsageError: it does not, or cannot.
        CheckpointError: it cannot be read.
    """
    card = card_knowing(swapper, source)
    if is_learned(config.mask.kind) and not card.has_mask:
        raise UsageError(f"{swapper} has no mask", hint="choose --mask hull or full")
    return card


def card_knowing(swapper: Path, identity: str) -> SwapperCard:
    """The swapper's card, checked to know ``identity``.

    Raises:
        UsageError: it does not.
        CheckpointError: it cannot be read.
    """
    card = read_card(swapper)
    if identity not in card.identities:
        raise UsageError(
            f"{swapper} knows no identity {identity!r}", hint=f"it knows {', '.join(sorted(card.identities))}"
        )
    return card


def need_target_decoder(card: SwapperCard, person: str, config: SwapConfig, swapper: Path) -> None:
    """Refuses settings for which the swapper has to know the target person, when it does not.

    Raises:
        UsageError: it does not.
    """
    wanted = needs_target_mask(config.mask.kind) or config.morph != 1
    if wanted and person not in card.identities:
        raise UsageError(
            f"{swapper} does not know {person}, as a target mask and a morph need",
            hint=f"choose --mask hull; it knows {', '.join(sorted(card.identities))}",
        )


def the_other(card: SwapperCard, source: str) -> str:
    """The identity that is not ``source``.

    Raises:
        UsageError: there are several.
    """
    others = [identity for identity in card.identities if identity != source]
    if len(others) != 1:
        raise UsageError(
            "it is not known whose video the target is", hint="say it with --identity, or take a clip of a dataset"
        )
    return others[0]


def rights_of(person: str, card: SwapperCard) -> str:
    """The basis on which the faceset of ``person`` may be used; "unstated", with a warning, where none is known."""
    stated = next((one.rights for one in card.facesets if one.identity == person), None)
    return unstated_rights(person) if stated is None else stated or UNSTATED


def unstated_rights(person: str) -> str:
    """The rights of a video where none are known, with a warning."""
    console.warn(f"the rights to use this video of {person} are recorded as {UNSTATED!r}; say them with --rights")
    return UNSTATED


def listed_clip(dataset: Path, clip: ClipId) -> ClipRecord | None:
    """The record of a clip in a dataset; None where there is no such dataset, or the id is free in it.

    A clip that was listed and not yet sealed when its run was interrupted is sealed.

    Raises:
        ManifestError, ProvenanceError, StorageError: the dataset is damaged, or has to be sealed and cannot be.
    """
    if not is_dataset(dataset):
        return None
    folder = DatasetFolder.open(dataset)
    if not folder.has(clip):
        return None
    folder.seal_interrupted()
    return folder.record(clip)


def already_listed(dataset: Path, request: SwapRequest) -> ClipRecord | None:
    """The record of the same request; None if its id is free.

    Raises:
        UsageError: the id is taken by a clip made with other settings.
    """
    record = listed_clip(dataset, request.clip)
    if record is None:
        return None
    made = (record.config, record.swapper, record.source_identity, record.factors.get("target_sha256"))
    same = made == (settings.digest(request.config), request.swapper_sha256, request.source, request.target_sha256)
    same = same and (record.target_identity, record.rights) == (request.target_identity, request.rights)
    # The file of an enlarging hook may have changed under the same name.
    same = same and record.factors.get("enlarge_sha256") == enlarge_digest(request.config.blend)
    same = same and record.factors.get("restorer_sha256") == restorer_digest(request.config.restore)
    same = same and (SOUND in record.factors) == (SOUND in request.notes)
    same = same and record.factors.get(TARGET_FRAMES) == request.notes.get(TARGET_FRAMES)
    if not same or record.rendition != request.rendition:
        raise UsageError(
            f"{request.clip} is there already, made with other settings, people or rights", hint="choose another --name"
        )
    return record


def fake_id(dataset: Path | None, manipulation: str, name: str) -> ClipId:
    """What a fake is called in ``dataset``, or in a folder of pictures for None; ``name`` is made safe.

    Raises:
        UsageError: the dataset's name cannot be one, or the name is empty.
    """
    owner = "frames" if dataset is None else dataset_name(dataset)
    try:
        return ClipId(owner, manipulation, re.sub(r"[^A-Za-z0-9._+=@-]", "_", name))
    except ValueError as error:
        raise UsageError(str(error), hint="give the fake a --name") from error
