"""The folder of a trained text encoder: ``text.json``, ``model.safetensors``, ``README.md``.

It belongs to one voice model, whose weights it names, and lies in the run of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forge.speaking.conversion.checkpoint import FACTS_NAME as VOICE_FACTS
from forge.speaking.conversion.checkpoint import FOLDER_NAME as VOICE_FOLDER
from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.reading.config import FOLDER_IN_RUN
from forge.speaking.reading.material import FrontEnd
from forge.speaking.reading.network import TextEncoder, TextSpec, count_parameters
from shared.errors import CheckpointError
from shared.weights.folder import ModelLayout, filled, read_model, write_model

FACTS_NAME = "text.json"
FOLDER_NAME = "text-encoder"

_FORMAT = 1
_MOST_SYMBOLS = 2_000


@dataclass(frozen=True)
class TextFacts:
    """What is known of a text encoder.

    Attributes:
        spec: its size.
        inventory: symbols of phones, in order of their numbers from 1 on.
        front_end: the engine whose phones these are.
        voice_model: SHA-256 of the weights of the voice model whose code it gives.
        sentences, steps: of the training.
        format: of this file.
    """

    spec: TextSpec
    inventory: tuple[str, ...]
    front_end: FrontEnd
    voice_model: str
    sentences: int
    steps: int
    format: int = _FORMAT

    def __post_init__(self) -> None:
        spec = self.spec
        if spec.symbols != len(self.inventory) or not 1 <= spec.symbols <= _MOST_SYMBOLS:
            raise ValueError("the number of symbols differs, or is out of range")
        if not spec.voices == len(self.front_end.voices) == len(self.front_end.ranges) or not 1 <= spec.voices <= 1_000:
            raise ValueError("the numbers of voices differ, or are out of range")
        if not (1 <= spec.width <= 1024 and 1 <= spec.code <= 512):
            raise ValueError("the size is out of range")


_LAYOUT = ModelLayout("text encoder", TextFacts, FACTS_NAME, FOLDER_NAME, _FORMAT)


@dataclass(frozen=True, eq=False)
class TextModel:
    """A trained text encoder with its facts and the SHA-256 of its weights."""

    encoder: TextEncoder
    facts: TextFacts
    weights_sha256: str


def save_text_model(folder: Path, encoder: TextEncoder, facts: TextFacts) -> Path:
    """Writes the folder, completely or not at all; an earlier one is replaced.

    Raises:
        UsageError: something else is there.
        StorageError: writing failed.
    """
    return write_model(folder, _LAYOUT, encoder.state_dict(), facts, card=_card_of(facts))


def text_folder(place: Path) -> Path:
    """The folder of the text encoder's run, in the run of a voice model; ``place`` is that, or the model within it.

    Not in the model: its next export would replace it.
    """
    exported = place.resolve().name == VOICE_FOLDER and (place / VOICE_FACTS).is_file()
    return (place.resolve().parent if exported else place) / FOLDER_IN_RUN


def load_text_model(place: Path, voice: VoiceModel) -> TextModel:
    """The text encoder in the run of a voice model.

    Raises:
        CheckpointError: there is none, it is damaged, or of other weights of the voice model.
    """
    if not _LAYOUT.folder(text_folder(place)).is_dir():
        raise CheckpointError(f"{place} has no text encoder", hint=f"train it: assay forge train-text {place}")
    stored = read_model(text_folder(place), _LAYOUT)
    if stored.facts.voice_model != voice.weights_sha256 or stored.facts.spec.code != voice.facts.spec.code:
        raise CheckpointError(
            f"{stored.folder} belongs to other weights of the voice model", hint="remove it and train it again"
        )
    encoder = filled(stored, _LAYOUT, lambda: TextEncoder(stored.facts.spec))
    return TextModel(encoder, stored.facts, stored.weights_sha256)


def _card_of(facts: TextFacts) -> str:
    front = facts.front_end
    return "\n".join(
        [
            "# Text encoder",
            "",
            "Reads a text in the voices of the voice model beside it. Every file it makes is labelled, marked and",
            "signed as synthetic speech. It has heard no person: its sentences were read by an engine.",
            "",
            f"{count_parameters(facts.spec):,} parameters, {facts.steps} steps, {facts.sentences} sentences read by "
            f"{front.engine} ({', '.join(front.voices)}), whose phones and times it takes.",
            "",
        ]
    )
