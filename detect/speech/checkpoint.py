"""The folder of a trained detector of speech: ``speech.json``, ``model.safetensors``, ``README.md``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from detect.calibration.maps import LikelihoodMap
from detect.speech.contract import SpeechDetector
from detect.speech.domain import SpeechDomain
from detect.speech.kinds import SPEECH_DETECTORS
from shared.errors import CheckpointError, StorageError, UnknownNameError
from shared.results.scores import Evaluation
from shared.storage import need_replaceable, read_json, replacing_folder, sha256_file

FACTS_NAME = "speech.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
FOLDER_NAME = "detector"

_FORMAT = 1
_MOST_BYTES = 1 << 30
_HINT = "name the folder of a trained detector of speech, or its run"


@dataclass(frozen=True)
class SpeechFacts:
    """What is known of a trained detector of speech.

    Attributes:
        kind: registered name of the model.
        threshold: logit of a whole sound from which it is called fake; ``threshold_from`` says where it was chosen.
        step_threshold: logit of a step from which it belongs to a fake segment.
        likelihood: map of a whole sound's logit to a log10 likelihood ratio; None if too few speakers were left.
        population: the recordings of the map.
        quality: AUC, EER, Cllr and others on the validation split, with intervals over speakers.
        domain: what was validated; None if nothing was.
        engines: that made the fakes that were learned from.
        trained_on: name and digest of the set, counts of its recordings and speakers, in words.
        format: of this file.
    """

    kind: str
    threshold: float = 0.0
    threshold_from: str = "nothing: the score 0.5"
    step_threshold: float = 0.0
    likelihood: LikelihoodMap | None = None
    population: str = ""
    quality: tuple[Evaluation, ...] = ()
    domain: SpeechDomain | None = None
    engines: tuple[str, ...] = ()
    trained_on: dict[str, str] = field(default_factory=dict)
    format: int = _FORMAT


@dataclass(frozen=True, eq=False)
class SpeechModel:
    """A detector of speech with its facts, its name and the SHA-256 of its weights."""

    name: str
    detector: SpeechDetector
    facts: SpeechFacts
    weights_sha256: str


def save_speech(folder: Path, detector: SpeechDetector, facts: SpeechFacts, *, card: str) -> Path:
    """Writes a detector's folder, completely or not at all; an earlier one is replaced.

    Raises:
        UsageError: something else is there.
        StorageError: writing failed.
    """
    need_replaceable(folder, "detector of speech", marks=(FACTS_NAME, WEIGHTS_NAME))
    with replacing_folder(folder) as draft:
        tensors = {name: tensor.contiguous() for name, tensor in detector.tensors().items()}
        try:
            save_file(tensors, draft / WEIGHTS_NAME, metadata={"format": "pt"})
        except SafetensorError as error:  # the library wraps errors of the operating system
            raise StorageError(f"cannot write {folder}: {error}", hint="check the disk's space") from error
        (draft / FACTS_NAME).write_text(json.dumps(msgspec.to_builtins(facts), indent=2) + "\n", encoding="utf-8")
        (draft / CARD_NAME).write_text(card, encoding="utf-8")
    return folder


def is_speech_detector(place: Path) -> bool:
    """Whether there is a detector of speech in this folder, or in the run there."""
    return any((each / FACTS_NAME).is_file() for each in (place, place / FOLDER_NAME))


def load_speech(place: str | Path) -> SpeechModel:
    """The detector in a folder, or in the run there.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    folder = Path(place)
    folder = folder if (folder / FACTS_NAME).is_file() else folder / FOLDER_NAME
    facts = read_json(folder / FACTS_NAME, SpeechFacts, 4 << 20, error=CheckpointError, hint=_HINT)
    if facts.format != _FORMAT:
        raise CheckpointError(f"{folder} is of format {facts.format}, not {_FORMAT}", hint="train it again")
    path = folder / WEIGHTS_NAME
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{path} is larger than 1 GiB", hint=_HINT)
        tensors = load_file(path)
        detector = SPEECH_DETECTORS.create(facts.kind, tensors=tensors)
    except UnknownNameError as error:
        raise CheckpointError(
            f"{folder} is of an unknown kind: {error}", hint="use a newer version of Assay"
        ) from error
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}", hint="train it again, or copy it again") from error
    named = folder.resolve()
    name = named.parent.name if named.name == FOLDER_NAME else named.name
    return SpeechModel(name, detector, facts, sha256_file(path))
