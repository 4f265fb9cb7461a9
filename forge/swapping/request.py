"""All that is known of a fake before its first frame is read; what cannot work is refused here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from forge.models.checkpoint import SwapperCard, digest_of, read_card
from forge.models.contract import SwapSpec
from forge.swapping.config import SwapConfig
from forge.swapping.output import dataset_name, is_dataset, record_from, record_of
from forge.swapping.region import is_learned, needs_target_mask
from forge.swapping.super_resolution import enlarge_digest
from shared import config as settings
from shared.console import console
from shared.dataset import DatasetFolder
from shared.errors import UsageError
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, VideoInfo
from shared.video import Encoding, container_for, probe
from shared.video.facts import SOUND, read_with_notes

UNSTATED = "unstated"


@dataclass(frozen=True)
class SwapRequest:
    """What is to be made of what, by whom, and how.

    Attributes:
        suffix: of the file that is made: the encoding's own container where it carries the target's sound.
        audio: whether the target's sound is kept.
        notes: what is changed or left out in reading the target, for the record.
    """

    target: Path
    target_sha256: str
    info: VideoInfo
    clip: ClipId
    source: str
    target_identity: str
    rights: str
    parent: ClipId | None
    card: SwapperCard
    config: SwapConfig
    encoding: Encoding
    suffix: str
    audio: bool
    notes: dict[str, str]

    @property
    def audio_from(self) -> Path | None:
        """The file whose sound is copied; None for none."""
        return self.target if self.audio else None

    @property
    def swapper_sha256(self) -> str:
        """Names the swapper's weights."""
        return digest_of(self.card)

    @property
    def config_digest(self) -> str:
        """Names the settings."""
        return settings.digest(self.config)

    @property
    def target_in_model(self) -> str | None:
        """The target's identity where the swapper knows it."""
        return self.target_identity if self.target_identity in self.card.identities else None


@dataclass(frozen=True)
class SwapOverrides:
    """What the user may say of a fake beside its settings; None for what the records say."""

    target_identity: str | None = None
    rights: str | None = None
    name: str | None = None
    encoding: Encoding | None = None
    audio: bool = True


def resolve_request(
    target: Path, swapper: Path, source: str, dataset: Path, config: SwapConfig, wish: SwapOverrides
) -> SwapRequest:
    """The order for one clip.

    Raises:
        UsageError: an unknown source, settings that the swapper cannot follow, a target whose identity is not known.
        MediaError: the target cannot be read, or no container holds its sound with this codec.
        CheckpointError: the swapper cannot be read.
        ManifestError: a dataset is damaged.
    """
    info = probe(target)
    card = checked_card(swapper, source, config)
    sha256 = sha256_file(target)
    parent = record_of(target) or record_from(dataset, sha256)
    person = wish.target_identity or (parent.target_identity if parent else the_other(card, source))
    need_target_decoder(card, person, config, swapper)
    encoding = wish.encoding or config.output.encoding
    clip = _clip_id(dataset, card.model, wish.name or f"{target.stem}+{source}")
    notes = read_with_notes(target, info, audio=wish.audio)
    return SwapRequest(
        target=target,
        target_sha256=sha256,
        info=info,
        clip=clip,
        source=source,
        target_identity=person,
        rights=wish.rights or (parent.rights if parent else rights_of(person, card)),
        parent=parent.id if parent else None,
        card=card,
        config=config,
        encoding=encoding,
        suffix=container_for(target, encoding.container, encoding.containers) if wish.audio else encoding.container,
        audio=wish.audio,
        notes=notes,
    )


def checked_card(swapper: Path, source: str, config: SwapConfig) -> SwapperCard:
    """What the swapper says of itself, when it knows ``source`` and can follow ``config``.

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
        raise UsageError(f"{swapper} learned no mask", hint="choose --mask hull or full")
    return card


def need_morph(spec: SwapSpec, config: SwapConfig) -> None:
    """Refuses a morph that the swapper cannot draw.

    Raises:
        UsageError: it cannot.
    """
    if config.morph != 1 and not spec.can_morph:
        raise UsageError(f"{spec.name} cannot morph", hint="leave morph at 1, or train a family that can: amp")


def need_target_decoder(card: SwapperCard, person: str, config: SwapConfig, swapper: Path) -> None:
    """Refuses settings for which the swapper has to know the target person, when it does not.

    Raises:
        UsageError: it does not.
    """
    wanted = needs_target_mask(config.mask.kind) or config.morph != 1
    if wanted and person not in card.identities:
        raise UsageError(
            f"{swapper} cannot draw {person}, which a target mask and a morph need",
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
    stated = next((taught.rights for taught in card.facesets if taught.identity == person), None)
    if stated is None:
        console.warn(f"the rights to use this video of {person} are recorded as {UNSTATED!r}; say them with --rights")
    return stated or UNSTATED


def already_listed(dataset: Path, order: SwapRequest) -> ClipRecord | None:
    """The record of the same order; None when its id is free.

    Raises:
        UsageError: the id is taken by a clip made otherwise.
    """
    if not is_dataset(dataset):
        return None
    folder = DatasetFolder.open(dataset)
    if not folder.has(order.clip):
        return None
    record = folder.record(order.clip)
    made = (record.config, record.swapper, record.source_identity, record.factors.get("target_sha256"))
    same = made == (order.config_digest, order.swapper_sha256, order.source, order.target_sha256)
    # The file of an enlarging hook may have changed under the same name.
    same = same and record.factors.get("enlarge_sha256") == enlarge_digest(order.config.blend)
    same = same and (SOUND in record.factors) == (not order.audio)
    if not same or record.rendition != order.encoding.name:
        raise UsageError(f"{order.clip} is there already, made otherwise", hint="choose another --name")
    return record


def _clip_id(dataset: Path, manipulation: str, name: str) -> ClipId:
    try:
        return ClipId(dataset_name(dataset), manipulation, re.sub(r"[^A-Za-z0-9._+=@-]", "_", name))
    except ValueError as error:
        raise UsageError(str(error), hint="give the clip a --name") from error
