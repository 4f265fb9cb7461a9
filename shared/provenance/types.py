"""Values of provenance: actions, ingredients, signer; and the signed facts of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.types import ClipRecord

RECORD_LABEL = "assay.clip"
BINDING_LABEL = "c2pa.soft-binding"
NO_MARK = "none"
"""What a record says of content that was left without a mark."""

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
CAPTURE = f"{_IPTC}digitalCapture"
PROCEDURAL = f"{_IPTC}algorithmicMedia"
COMPOSITE_WITH_MODEL = f"{_IPTC}compositeWithTrainedAlgorithmicMedia"
MADE_BY_MODEL = f"{_IPTC}trainedAlgorithmicMedia"
FAKE_SOURCES = frozenset({COMPOSITE_WITH_MODEL, MADE_BY_MODEL, f"{_IPTC}compositeSynthetic"})


@dataclass(frozen=True)
class Action:
    """An action on a clip, by C2PA's name ("c2pa.edited", "c2pa.transcoded", ...)."""

    name: str
    description: str = ""
    digital_source_type: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SoftBinding:
    """A mark in the content that leads back to its manifest: algorithm, and payload in hex digits."""

    algorithm: str
    value: str

    @property
    def text(self) -> str:
        """As a record says it: ``assay.tile.1:1100abcd``."""
        return f"{self.algorithm}:{self.value}"


def mark_text(bindings: Sequence[SoftBinding]) -> str:
    """What a record says of the marks in its content: each of them, or ``none``."""
    return ", ".join(binding.text for binding in bindings) or NO_MARK


@dataclass(frozen=True)
class Ingredient:
    """A file that the clip was made from, as named in the manifest."""

    title: str
    media_type: str
    relationship: str
    sha256: str | None = None


@dataclass(frozen=True)
class Signer:
    """The signer, as named in the certificate.

    ``trusted``: whether the chain ends at one of the reader's anchors, by default the local identity's root.
    """

    name: str
    organization: str
    serial: str
    algorithm: str
    trusted: bool


@dataclass(frozen=True)
class Provenance:
    """The contents of a manifest, and whether it is valid.

    Attributes:
        valid: signature, statements and media match. The signer may be unknown: see ``signer.trusted``.
        problems: reasons why it is not valid; also faults of the ingredients' manifests.
        record: the facts signed by Assay (:func:`record_facts`); None in other manifests.
        embedded: whether the manifest is in the file or in a sidecar.
        bindings: marks in the content that it names.
    """

    valid: bool
    signer: Signer | None
    title: str
    generator: str
    actions: tuple[Action, ...]
    ingredients: tuple[Ingredient, ...]
    problems: tuple[str, ...]
    record: Mapping[str, Any] | None = None
    embedded: bool = True
    bindings: tuple[SoftBinding, ...] = ()

    @property
    def digital_source_types(self) -> tuple[str, ...]:
        """The source types its actions name, in order, without repeats."""
        named = (action.digital_source_type for action in self.actions)
        return tuple(dict.fromkeys(term for term in named if term))

    @property
    def says_fake(self) -> bool:
        """Whether it states that the pictures contain output of a trained model."""
        return any(term in FAKE_SOURCES for term in self.digital_source_types)


def source_type_of(record: ClipRecord) -> str:
    """The IPTC source type of ``record``.

    A real clip with the rights "synthetic" was rendered by a program (a procedural actor), not captured by a camera.
    """
    if record.kind == "real":
        return PROCEDURAL if record.rights == "synthetic" else CAPTURE
    return MADE_BY_MODEL if record.kind in ("generate", "speech") else COMPOSITE_WITH_MODEL


def record_facts(record: ClipRecord) -> dict[str, str | int | None]:
    """The facts of ``record`` that are signed into its clip: those known before signing that may not change.

    Path, hash of the signed file and split are covered by the dataset's seal.
    """
    masks = record.masks.sha256 if record.masks else None
    return {
        "id": str(record.id),
        "kind": record.kind,
        "label": record.label,
        "manipulation": record.id.manipulation,
        "target_identity": record.target_identity,
        "source_identity": record.source_identity,
        "rights": record.rights,
        "frames": record.frames,
        "faked": ",".join(f"{start}-{stop}" for start, stop in record.faked),
        "masks_sha256": ",".join(masks) if masks else None,
        "rendition": record.rendition,
        "swapper": record.swapper,
        "architecture": record.architecture,
        "config": record.config,
        "seed": record.seed,
        "parent": str(record.parent) if record.parent else None,
        "tool_version": record.tool_version,
    }
