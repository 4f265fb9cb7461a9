"""The folder of a trained voice model: ``voice.json``, ``model.safetensors``, ``README.md``.

The vectors of voices that were only learned beside the identities are not in it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from forge.speaking.conversion.features import PitchRange
from forge.speaking.conversion.network import VoiceSpec, VoiceSwapper
from shared.errors import UnknownNameError
from shared.registry import near_matches
from shared.types import check_name
from shared.voices.layout import check_rights
from shared.weights.folder import ModelLayout, filled, read_model, write_model

FACTS_NAME = "voice.json"
FOLDER_NAME = "voice-model"

_FORMAT = 1


@dataclass(frozen=True)
class IdentityFacts:
    """An identity: name, basis of use, range of its pitch, and seconds of its speech that were learned from."""

    name: str
    rights: str
    pitch: PitchRange
    seconds: float

    def __post_init__(self) -> None:
        check_name(self.name, "identity")
        check_rights(self.rights)


@dataclass(frozen=True)
class VoiceFacts:
    """What is known of a voice model.

    Attributes:
        spec: its size; ``voices`` and ``identities`` are the number of identities.
        identities: in the order of their numbers.
        steps: of the training.
        population: further voices that encoder and decoder were trained on; population_rights: bases of their use.
        format: of this file.
    """

    spec: VoiceSpec
    identities: tuple[IdentityFacts, ...]
    steps: int
    population: int
    population_rights: tuple[str, ...] = ()
    format: int = _FORMAT

    def __post_init__(self) -> None:
        spec = self.spec
        if spec.voices != len(self.identities) or spec.identities != len(self.identities) or not self.identities:
            raise ValueError("the numbers of voices and identities differ")
        if not (1 <= spec.width <= 1024 and 1 <= spec.code <= 512 and 1 <= spec.rank <= spec.width):
            raise ValueError("the size is out of range")
        if spec.identities > 10_000:
            raise ValueError("more than 10,000 identities")


_LAYOUT = ModelLayout("voice model", VoiceFacts, FACTS_NAME, FOLDER_NAME, _FORMAT)


@dataclass(frozen=True, eq=False)
class VoiceModel:
    """A trained model with its facts and the SHA-256 of its weights."""

    swapper: VoiceSwapper
    facts: VoiceFacts
    weights_sha256: str

    def number_of(self, identity: str) -> int:
        """The number of an identity.

        Raises:
            UnknownNameError: it was not trained.
        """
        names = [each.name for each in self.facts.identities]
        if identity not in names:
            raise UnknownNameError(f"the voice model has no identity {identity!r}", hint=near_matches(identity, names))
        return names.index(identity)


def save_voice_model(folder: Path, swapper: VoiceSwapper, facts: VoiceFacts, *, card: str) -> Path:
    """Writes the folder, completely or not at all; an earlier one is replaced.

    Raises:
        UsageError: something else is there.
        StorageError: writing failed.
    """
    tensors = swapper.state_dict()
    tensors["voices.weight"] = tensors["voices.weight"][: len(facts.identities)].clone()
    return write_model(folder, _LAYOUT, tensors, facts, card=card)


def load_voice_model(place: Path) -> VoiceModel:
    """The voice model in a folder, or in the run there.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    stored = read_model(place, _LAYOUT)
    swapper = filled(stored, _LAYOUT, lambda: VoiceSwapper(stored.facts.spec))
    return VoiceModel(swapper, stored.facts, stored.weights_sha256)


def card_of(facts: VoiceFacts, parameters: tuple[int, int]) -> str:
    """The card of a model: what it is, whose voices it has, and what it is for."""
    population_rights = f" Their rights: {', '.join(facts.population_rights)}." if facts.population_rights else ""
    rows = [f"| {each.name} | {each.rights} | {each.seconds:.0f} |" for each in facts.identities]
    return "\n".join(
        [
            "# Voice model",
            "",
            "Converts speech to the voices below. Every file it makes is labelled, marked and signed as synthetic",
            "speech. It is for making labelled sets, with the consent of those whose voices they are.",
            "",
            f"{parameters[0]:,} parameters of encoder and decoder, {parameters[1]:,} of each identity; {facts.steps}",
            f"steps; {facts.population} further voices were learned from, which it cannot speak in.{population_rights}",
            "",
            "| identity | rights | seconds learned from |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def exported_spec(spec: VoiceSpec) -> VoiceSpec:
    """The size of a model in its folder, with the voices of its identities alone."""
    return dataclasses.replace(spec, voices=spec.identities)
