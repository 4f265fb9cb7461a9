"""The folder of a trained detector of speech: ``speech.json``, ``model.safetensors``, ``README.md``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from detect.calibration.maps import LikelihoodMap
from detect.speech.contract import NetworkOptions, SpeechDetector
from detect.speech.domain import SpeechDomain
from detect.speech.kinds import SPEECH_DETECTORS
from detect.speech.shipped import FACTS_NAME, resolved_speech
from shared.errors import CheckpointError, UnknownNameError
from shared.results.scores import Evaluation
from shared.weights.folder import WEIGHTS_NAME, ModelLayout, damaged, read_model, write_model

FOLDER_NAME = "detector"

_FORMAT = 1


@dataclass(frozen=True)
class SpeechFacts:
    """What is known of a trained detector of speech.

    Attributes:
        kind: registered name of the model.
        threshold: logit of a whole sound from which it is called fake; ``threshold_from`` says where it was chosen.
        step_threshold: logit of a step from which it belongs to a fake segment, where F1 of segments is measured.
        segment_threshold: logit from which a segment of a sound stands out: 5 % of the real recordings of the
            validation split have such a segment. None in detectors of earlier versions, where it is ``step_threshold``.
        likelihood: map of a whole sound's logit to a log10 likelihood ratio; None if too few speakers were left.
        population: the recordings of the map.
        quality: AUC, EER, Cllr and others on the validation split, with intervals over speakers.
        domain: what was validated; None if nothing was.
        engines: that made the fakes that were learned from.
        trained_on: name and digest of the set, counts of its recordings and speakers, in words.
        options: of the network; none had a choice in detectors of earlier versions.
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
    segment_threshold: float | None = None
    options: NetworkOptions = field(default_factory=NetworkOptions)
    format: int = _FORMAT

    @property
    def stands_out(self) -> float:
        """The logit from which a segment stands out."""
        return self.step_threshold if self.segment_threshold is None else self.segment_threshold


_LAYOUT = ModelLayout("detector of speech", SpeechFacts, FACTS_NAME, FOLDER_NAME, _FORMAT)


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
    return write_model(folder, _LAYOUT, detector.tensors(), facts, card=card)


def is_speech_detector(place: Path) -> bool:
    """Whether there is a detector of speech in this folder, or in the run there."""
    return (_LAYOUT.folder(place) / FACTS_NAME).is_file()


def load_speech(place: str | Path) -> SpeechModel:
    """The detector in a folder, or in the run there; by the name ``assay`` the one in the package.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    stored = read_model(resolved_speech(place), _LAYOUT)
    try:
        detector = SPEECH_DETECTORS.create(stored.facts.kind, tensors=stored.tensors, options=stored.facts.options)
    except UnknownNameError as error:
        raise CheckpointError(
            f"{stored.folder} is of an unknown kind: {error}", hint="use a newer version of Assay"
        ) from error
    except ValueError as error:
        raise damaged(stored.folder / WEIGHTS_NAME, error) from error
    named = stored.folder.resolve()
    name = named.parent.name if named.name == FOLDER_NAME else named.name
    return SpeechModel(name, detector, stored.facts, stored.weights_sha256)
