"""What provenance says, as values: actions, ingredients, signer; and which facts of a record are signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.types import ClipRecord

RECORD_LABEL = "assay.clip"

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
CAPTURE = f"{_IPTC}digitalCapture"
PROCEDURAL = f"{_IPTC}algorithmicMedia"
COMPOSITE_WITH_MODEL = f"{_IPTC}compositeWithTrainedAlgorithmicMedia"
MADE_BY_MODEL = f"{_IPTC}trainedAlgorithmicMedia"
FAKE_SOURCES = frozenset({COMPOSITE_WITH_MODEL, MADE_BY_MODEL, f"{_IPTC}compositeSynthetic"})


@dataclass(frozen=True)
class Action:
    """One thing done to a clip, by C2PA's name for it ("c2pa.edited", "c2pa.transcoded", ...)."""

    name: str
    description: str = ""
    digital_source_type: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ingredient:
    """A file the clip was made from, as the manifest names it."""

    title: str
    media_type: str
    relationship: str
    sha256: str | None = None


@dataclass(frozen=True)
class Signer:
    """Who signed, as their certificate says.

    ``trusted`` is whether the chain ends at a root that the reader was given: by default the local identity's.
    """

    name: str
    organization: str
    serial: str
    algorithm: str
    trusted: bool


@dataclass(frozen=True)
class Provenance:
    """What a manifest says, and whether it can be believed.

    Attributes:
        valid: signature, statements and media fit together. Says nothing of who signed: see ``signer.trusted``.
        problems: why it is not valid, in plain words; or faults of the ingredients' own manifests.
        record: the facts Assay signed into the clip (:func:`record_facts`), None in others' manifests.
        embedded: whether the manifest lies in the file, or beside it.
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

    @property
    def digital_source_types(self) -> tuple[str, ...]:
        """The source types its actions name, in order, without repeats."""
        named = (action.digital_source_type for action in self.actions)
        return tuple(dict.fromkeys(term for term in named if term))

    @property
    def says_fake(self) -> bool:
        """Whether it says that a trained model had a hand in the pictures."""
        return any(term in FAKE_SOURCES for term in self.digital_source_types)


def source_type_of(record: ClipRecord) -> str:
    """The IPTC source type that is true of ``record``.

    A real control whose rights read "synthetic" was drawn by a program (a procedural actor), so no camera saw it.
    """
    if record.kind == "real":
        return PROCEDURAL if record.rights == "synthetic" else CAPTURE
    return MADE_BY_MODEL if record.kind in ("generate", "speech") else COMPOSITE_WITH_MODEL


def record_facts(record: ClipRecord) -> dict[str, str | int | None]:
    """What of ``record`` is signed into its clip: all that is known before the signed file exists and may not change.

    Path, hash of the signed file and split are held by the dataset's own seal.
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
