"""One training of a voice model: all voices first, then what each identity has of its own.

First stage: encoder, decoder and a vector for every voice learn to give back the clean utterance from a warped one.
Second stage: encoder and decoder stay as they are; each identity's vector and low-rank parts learn from its own speech.
A training that was stopped goes on to the same weights, on the CPU bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from forge.speaking.conversion import previews
from forge.speaking.conversion.augment import Stretch, retimed, warped
from forge.speaking.conversion.checkpoint import (
    FOLDER_NAME,
    IdentityFacts,
    VoiceFacts,
    card_of,
    exported_spec,
    load_voice_model,
    save_voice_model,
)
from forge.speaking.conversion.config import KIND, WHILE_RUNNING, VoiceConfig
from forge.speaking.conversion.data import Voice, VoiceBatches, read_voices
from forge.speaking.conversion.features import FRAMING
from forge.speaking.conversion.network import VoiceSpec, VoiceSwapper, count_parameters
from forge.speaking.training import SpeechTraining
from shared.config import configured
from shared.errors import UsageError
from shared.training.run import Run
from shared.voices.reader import Voiceset

_SLOPES = 0.5


@dataclass(frozen=True)
class VoiceTrainResult:
    """Result of a training: folders of the run and the model, steps, seconds of this call, and the model's facts."""

    run: Path
    model: Path
    steps: int
    seconds: float
    facts: VoiceFacts


def train_voices(
    identities: Sequence[Voiceset],
    run: Path,
    config: VoiceConfig | None = None,
    *,
    population: Sequence[Voiceset] = (),
    **settings: Any,
) -> VoiceTrainResult:
    """Trains in the folder ``run``, or goes on there, and exports ``run/voice-model``.

    Args:
        identities: voices that speech can be converted to, two or more.
        run: the folder.
        config: settings.
        population: further voices for encoder and decoder.
        settings: single settings, in place of those of ``config``.

    Raises:
        UsageError: fewer than two identities, a name twice, or one without voiced speech.
        VoicesetError, MediaError: a voiceset is damaged.
        RunError: the folder is in use, or holds another training.
        TrainingDivergedError: the loss became infinite or not a number.
        StorageError: writing failed.
    """
    began = time.monotonic()
    config = configured(VoiceConfig, config, settings)
    if len(identities) < 2:
        raise UsageError("a voice model has two identities or more", hint="name two voicesets")
    inputs = {
        f"{role}:{one.info.identity}": one.info.table_sha256
        for role, voices in (("identity", identities), ("population", population))
        for one in voices
    }
    with Run.open_or_create(
        run, config, seed=config.seed, inputs=inputs, kind=KIND, keep=config.keep, may_change=WHILE_RUNNING
    ) as opened:
        voices, more = read_voices(identities, population)
        training = VoiceTraining(voices, more, config, opened)
        training.run()
        facts = training.facts()
        previews.write_previews(opened, training.swapper, voices, facts, training.step)
        folder = save_voice_model(
            run / FOLDER_NAME, training.swapper, facts, card=card_of(facts, count_parameters(facts.spec))
        )
    load_voice_model(folder)
    return VoiceTrainResult(run, folder, training.step, time.monotonic() - began, facts)


class VoiceTraining(SpeechTraining):
    """The training of all voices, then of each identity's own parts; see the module."""

    def __init__(self, identities: Sequence[Voice], population: Sequence[Voice], config: VoiceConfig, run: Run) -> None:
        super().__init__(config, run)
        self._identities, self._population = list(identities), list(population)
        self._config = config
        spec = VoiceSpec(config.width, config.code, config.rank, len(identities) + len(population), len(identities))
        self.swapper = VoiceSwapper(spec).to(self.device)
        self.trains(self.swapper)
        self._batches = VoiceBatches(identities, population, frames=config.frames, seed=config.seed)

    def facts(self) -> VoiceFacts:
        """What is known of the model now."""
        known = tuple(
            IdentityFacts(each.name, each.rights, each.pitch, round(each.frames * FRAMING.hop_seconds, 3))
            for each in self._identities
        )
        rights = tuple(sorted({each.rights for each in self._population}))
        return VoiceFacts(exported_spec(self.swapper.spec), known, self.step, len(self._population), rights)

    @override
    def stage(self, fraction: float) -> float:
        share = self._config.population_share
        return fraction / share if fraction < share else (fraction - share) / (1 - share)

    @override
    def loss_at(self, fraction: float) -> Tensor:
        config = self._config
        everyone = fraction < config.population_share
        for each in self.swapper.shared_parameters():
            each.requires_grad_(everyone)
        stretch, voices, chance = self._batches.batch(self.step, config.batch, everyone=everyone)
        stretch, voices = self._moved(_other_tempo(stretch, config.tempo, chance)), voices.to(self.device)
        code = self.swapper.encode(warped(stretch.mel, config, chance))
        made = self.swapper.decode(code, stretch.pitch, stretch.energy, voices, own=not everyone)
        return loss_of(made, stretch.mel)

    def _moved(self, stretch: Stretch) -> Stretch:
        return Stretch(*(each.to(self.device) for each in (stretch.mel, stretch.pitch, stretch.energy)))


def _other_tempo(stretch: Stretch, largest: float, chance: torch.Generator) -> Stretch:
    """The batch at another tempo, of an even number of frames."""
    factor = math.exp((2 * float(torch.rand(1, generator=chance)) - 1) * math.log(largest))
    return retimed(stretch, 2 * round(stretch.mel.shape[1] * factor / 2))


def loss_of(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of two spectrograms (B, T, 80), and half that of their slopes over time."""
    slopes = ((made[:, 1:] - made[:, :-1]) - (wanted[:, 1:] - wanted[:, :-1])).abs().mean()
    return (made - wanted).abs().mean() + _SLOPES * slopes
