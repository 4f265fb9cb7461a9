"""The training record of a detector: hashes of its training clips and people, to recognise them in evaluations.

Hashes, so that a detector can be shared without the names of these people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from detect.models.checkpoint import detector_folder
from shared.errors import CheckpointError
from shared.storage import read_json
from shared.types import ClipRecord

LEARNED_NAME = "learned.json"

_MARK_DIGITS = 16
_MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class TrainingRecord:
    """Marks of clips (:func:`clip_mark`) and people (:func:`person_mark`); what else was learned, by name.

    Attributes:
        families, pastes: of the fakes; None in older lists.
    """

    clips: frozenset[str] = field(default_factory=frozenset)
    people: frozenset[str] = field(default_factory=frozenset)
    manipulations: frozenset[str] = field(default_factory=frozenset)
    renditions: frozenset[str] = field(default_factory=frozenset)
    families: frozenset[str] | None = None
    pastes: frozenset[str] | None = None


def clip_mark(record: ClipRecord) -> str:
    """A short hash of a clip's file."""
    return record.sha256[:_MARK_DIGITS]


def person_mark(identity: str) -> str:
    """A short hash of a person's name in a dataset."""
    return hashlib.sha256(f"identity {identity}".encode()).hexdigest()[:_MARK_DIGITS]


def training_document(records: Iterable[ClipRecord]) -> dict[str, list[str]]:
    """The document that :func:`read_training_record` reads, for the clips of the splits used in training."""
    listed = list(records)
    people = {person for record in listed for person in record.identities}
    return {
        "clips": sorted({clip_mark(record) for record in listed}),
        "people": sorted(person_mark(person) for person in people),
        "manipulations": sorted({record.id.manipulation for record in listed if record.id.manipulation}),
        "renditions": sorted({record.rendition for record in listed}),
        "families": sorted({record.architecture for record in listed if record.architecture}),
        "pastes": sorted({paste for record in listed if (paste := record.factors.get("paste"))}),
    }


def read_training_record(path: Path) -> TrainingRecord:
    """The training record in a run or detector folder; empty if there is none.

    Raises:
        CheckpointError: no detector there, or the list is damaged.
    """
    file = detector_folder(path) / LEARNED_NAME
    if not file.is_file():
        return TrainingRecord()
    return read_json(file, TrainingRecord, _MAX_BYTES, error=CheckpointError, hint="export the detector again")
