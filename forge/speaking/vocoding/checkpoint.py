"""The folder of a trained vocoder: ``vocoder.json``, ``model.safetensors``, ``README.md``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forge.speaking.vocoding.network import VocoderNetwork, VocoderSpec, count_parameters
from shared.types import check_name
from shared.voices.layout import check_rights
from shared.weights.folder import ModelLayout, filled, read_model, write_model

FACTS_NAME = "vocoder.json"
FOLDER_NAME = "vocoder"

_FORMAT = 1


@dataclass(frozen=True)
class VocoderFacts:
    """What is known of a vocoder.

    Attributes:
        spec: its size.
        voices: identities whose speech was learned from. rights: bases of its use.
        seconds: of speech that were learned from.
        steps: of the training.
        format: of this file.
    """

    spec: VocoderSpec
    voices: tuple[str, ...]
    rights: tuple[str, ...]
    seconds: float
    steps: int
    format: int = _FORMAT

    def __post_init__(self) -> None:
        if not (1 <= self.spec.width <= 1024 and 1 <= self.spec.blocks <= 32):
            raise ValueError("the size is out of range")
        for name in self.voices:
            check_name(name, "voice")
        for rights in self.rights:
            check_rights(rights)


_LAYOUT = ModelLayout("vocoder", VocoderFacts, FACTS_NAME, FOLDER_NAME, _FORMAT)


@dataclass(frozen=True, eq=False)
class VocoderModel:
    """A trained vocoder with its facts and the SHA-256 of its weights."""

    network: VocoderNetwork
    facts: VocoderFacts
    weights_sha256: str


def save_vocoder(folder: Path, network: VocoderNetwork, facts: VocoderFacts) -> Path:
    """Writes the folder, completely or not at all; an earlier one is replaced.

    Raises:
        UsageError: something else is there.
        StorageError: writing failed.
    """
    return write_model(folder, _LAYOUT, network.state_dict(), facts, card=_card_of(facts))


def load_vocoder(place: Path) -> VocoderModel:
    """The vocoder in a folder, or in the run there.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    stored = read_model(place, _LAYOUT)
    network = filled(stored, _LAYOUT, lambda: VocoderNetwork(stored.facts.spec))
    return VocoderModel(network, stored.facts, stored.weights_sha256)


def _card_of(facts: VocoderFacts) -> str:
    return "\n".join(
        [
            "# Vocoder",
            "",
            "Makes samples from mel spectrograms and pitch, whoever speaks. Every file it makes is labelled, marked",
            "and signed as synthetic speech. It is for making labelled sets.",
            "",
            f"{count_parameters(facts.spec):,} parameters, {facts.steps} steps, {facts.seconds:.0f} s of speech by "
            f"{len(facts.voices)} voices. Their rights: {', '.join(facts.rights)}.",
            "",
            f"Voices: {', '.join(facts.voices)}.",
            "",
        ]
    )
