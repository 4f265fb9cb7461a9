"""Everything about a fake that is known before its first frame is read, and the models that make it.

Requests that cannot work are refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
from shared.dataset.names import safe_name, title_note
from shared.device import pick_device
from shared.errors import UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, VideoInfo
from shared.video.facts import SOUND, read_with_notes
from shared.video.images import pictures_in

UNSTATED = "unstated"


@dataclass(frozen=True)
class SwapRequest:
    """A fake to make: target, identities, swapper and settings.

    Attributes:
        target: the video or the folder of pictures that receives the face.
        target_sha256: of the video; of a folder, see :func:`target_digest`.
        clip: what the fake is called.
        rendition: what it is encoded as.
        source, target_identity: whose face is given to whom.
        parent: the target's own id, where a dataset lists it.
        swapper: an exported swapper, or a run that holds one; card: what it says of itself.
        audio: whether the sound of a video is kept.
        notes: what is changed or left out in reading the target, by the name of a factor.
    """

    target: Path
    target_sha256: str
    clip: ClipId
    rendition: str
    source: str
    target_identity: str
    rights: str
    parent: ClipId | None
    swapper: Path
    card: SwapperCard
    config: SwapConfig
    audio: bool = True
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def audio_from(self) -> Path | None:
        """The file whose sound is copied; None for none."""
        return self.target if self.audio else None

    @property
    def swapper_sha256(self) -> str:
        """Names the swapper's weights."""
        return digest_of(self.card)

    def open(self, finder: FaceFinder | None = None) -> tuple[OpenedSwap, FaceFinder]:
        """The swapper on the device that ``config`` names, and ``finder``, or the one that ``config`` names.

        Raises:
            UsageError: the swapper cannot follow the settings, or there is no such device or finder.
            CheckpointError: the swapper cannot be read.
        """
        config = self.config
        device = pick_device(config.device, config.precision)
        swapper = load_swapper(self.swapper, device.torch_device)
        predictor = SwapPredictor(swapper, device, batch=config.batch)
        swap = OpenedSwap.of(predictor, config, self.source, self.target_identity)
        if finder is None:
            finder = make_finder(config.finder, device=str(device.torch_device), min_face_px=config.min_face_px)
        return swap, finder


@dataclass(frozen=True)
class SwapOverrides:
    """Values given by the user beside the settings; None for those of the records."""

    target_identity: str | None = None
    rights: str | None = None
    name: str | None = None
    audio: bool = True


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
        UsageError: an unknown source, settings that the swapper cannot follow, a target whose identity is not known.
        MediaError: ``target`` is a folder without a picture.
        CheckpointError: the swapper cannot be read.
        ManifestError: a dataset is damaged.
    """
    card = checked_card(swapper, source, config)
    sha256 = target_digest(target)
    parent = record_of(target) or (record_from(dataset, sha256) if dataset else None)
    person = overrides.target_identity or (parent.target_identity if parent else the_other(card, source))
    need_target_decoder(card, person, config, swapper)
    clip = _clip_id(dataset, card.model, overrides.name or f"{safe_name(target.stem, longest=120)}+{source}")
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
        notes=title_note(target) | (read_with_notes(target, info, audio=overrides.audio) if info else {}),
    )


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
    card = read_card(swapper)
    if source not in card.identities:
        raise UsageError(
            f"{swapper} knows no identity {source!r}", hint=f"it knows {', '.join(sorted(card.identities))}"
        )
    if is_learned(config.mask.kind) and not card.has_mask:
        raise UsageError(f"{swapper} has no mask", hint="choose --mask hull or full")
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
    if stated is None:
        console.warn(f"the rights to use this video of {person} are recorded as {UNSTATED!r}; say them with --rights")
    return stated or UNSTATED


def already_listed(dataset: Path, request: SwapRequest) -> ClipRecord | None:
    """The record of the same request; None if its id is free.

    Raises:
        UsageError: the id is taken by a clip made with other settings.
    """
    if not is_dataset(dataset):
        return None
    folder = DatasetFolder.open(dataset)
    if not folder.has(request.clip):
        return None
    record = folder.record(request.clip)
    made = (record.config, record.swapper, record.source_identity, record.factors.get("target_sha256"))
    same = made == (settings.digest(request.config), request.swapper_sha256, request.source, request.target_sha256)
    # The file of an enlarging hook may have changed under the same name.
    same = same and record.factors.get("enlarge_sha256") == enlarge_digest(request.config.blend)
    same = same and record.factors.get("restorer_sha256") == restorer_digest(request.config.restore)
    same = same and (SOUND in record.factors) == (SOUND in request.notes)
    if not same or record.rendition != request.rendition:
        raise UsageError(f"{request.clip} is there already, made with other settings", hint="choose another --name")
    return record


def _clip_id(dataset: Path | None, manipulation: str, name: str) -> ClipId:
    owner = "frames" if dataset is None else dataset_name(dataset)
    try:
        return ClipId(owner, manipulation, re.sub(r"[^A-Za-z0-9._+=@-]", "_", name))
    except ValueError as error:
        raise UsageError(str(error), hint="give the fake a --name") from error
