"""One training of a text encoder, in the folder of the voice model whose code it learns.

The voice model stays as it is. The text encoder learns its code, pitch, voicing and energy of an engine's sentences,
and what the decoder makes of that code in the voice of an identity. A training that was stopped goes on to the same
weights, on the CPU bit for bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from forge.speaking.conversion.checkpoint import VoiceModel, load_voice_model
from forge.speaking.reading import previews
from forge.speaking.reading.checkpoint import (
    FOLDER_NAME,
    TextFacts,
    load_text_model,
    save_text_model,
    text_folder,
)
from forge.speaking.reading.config import KIND, WHILE_RUNNING, TextConfig
from forge.speaking.reading.material import Lesson, Material, TextBatch, batch_of, made_material, told_voices
from forge.speaking.reading.network import TextEncoder, TextSpec
from forge.speaking.training import SpeechTraining
from shared.config import configured
from shared.device import pick_device
from shared.errors import UsageError
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable
from shared.training.run import Run

_SLOPES = 0.5
_PITCH_WEIGHT, _VOICED_WEIGHT, _ENERGY_WEIGHT = 0.2, 0.2, 1.0
_DECODED = 48
"""Vectors of the code that are decoded in a step: 1.2 s."""

_HELD_OUT = 20
"""Every so many sentences one is not learned from: the loss of these is logged beside the other."""


@dataclass(frozen=True)
class TextTrainResult:
    """Result of a training: folders of the run and the model, steps, seconds of this call, and the model's facts."""

    run: Path
    model: Path
    steps: int
    seconds: float
    facts: TextFacts


def train_text(run: Path, config: TextConfig | None = None, **settings: Any) -> TextTrainResult:
    """Trains in the run of a voice model, in its folder ``text``, or goes on there; exports ``text/text-encoder``.

    Args:
        run: of a voice model.
        config: settings.
        settings: single settings, in place of those of ``config``.

    Raises:
        CheckpointError: there is no voice model, or it is damaged.
        UsageError: no such voice of the engine, fewer sentences than voices, or no such device.
        UnknownNameError: no such engine.
        SpeechError: the engine is missing, failed, or does not tell the times of phones.
        ProvenanceError: what is made could not be signed.
        RunError: the folder is in use, or holds another training.
        TrainingDivergedError: the loss became infinite or not a number.
        StorageError: writing failed.
    """
    began = time.monotonic()
    config = configured(TextConfig, config, settings)
    _ = pick_device(config.device)
    need_signable(SigningIdentity.load_or_create(), None)
    voice = load_voice_model(run)
    version, voices = told_voices(config)
    if config.sentences < len(voices):
        raise UsageError(f"{config.sentences} sentences for {len(voices)} voices", hint="a sentence a voice, or more")
    inputs = {"voice model": voice.weights_sha256, "engine": f"{config.engine} {version}: {', '.join(voices)}"}
    place = text_folder(run)
    with Run.open_or_create(
        place, config, seed=config.seed, inputs=inputs, kind=KIND, keep=config.keep, may_change=WHILE_RUNNING
    ) as opened:
        material = made_material(config, version, voices, voice.swapper)
        training = TextTraining(voice, material, config, opened)
        training.run()
        facts = training.facts()
        folder = save_text_model(place / FOLDER_NAME, training.encoder, facts)
        made = load_text_model(run, voice)
        previews.write_previews(opened, voice, made, training.held_out[0])
    return TextTrainResult(place, folder, training.step, time.monotonic() - began, facts)


class TextTraining(SpeechTraining):
    """The training of a text encoder beside a voice model that stays as it is; see the module."""

    def __init__(self, voice: VoiceModel, material: Material, config: TextConfig, run: Run) -> None:
        super().__init__(config, run)
        self._voice, self._material, self._config = voice, material, config
        self._swapper = voice.swapper.to(self.device).requires_grad_(False)
        front = material.front_end
        spec = TextSpec(config.width, voice.facts.spec.code, len(material.inventory), len(front.voices))
        self.encoder = TextEncoder(spec, config.dropout).to(self.device)
        self.trains(self.encoder)
        self.held_out: list[Lesson] = list(material.lessons[::_HELD_OUT])
        self._lessons = [each for place, each in enumerate(material.lessons) if place % _HELD_OUT]

    def facts(self) -> TextFacts:
        """What is known of the model now."""
        material = self._material
        return TextFacts(
            self.encoder.spec, material.inventory, material.front_end, self._voice.weights_sha256,
            len(material.lessons), self.step,
        )  # fmt: skip

    @override
    def run(self) -> None:
        super().run()
        self._swapper.to("cpu")

    @override
    def loss_at(self, fraction: float) -> Tensor:
        rng = np.random.default_rng((self._config.seed, self.step))
        chosen = rng.choice(len(self._lessons), min(self._config.batch, len(self._lessons)), replace=False)
        batch = batch_of([self._lessons[int(each)] for each in chosen], self._material).to(self.device)
        numbers = rng.integers(0, len(self._voice.facts.identities), len(chosen))
        torch.manual_seed(int(rng.integers(1 << 62)))  # of the dropout, so that a training goes on as it would have
        first = int(rng.integers(0, max(1, int(batch.inside.sum(1).min()) - _DECODED + 1)))
        return self._loss(batch, torch.from_numpy(numbers).to(self.device), first)

    def _loss(self, batch: TextBatch, numbers: Tensor, first: int) -> Tensor:
        made = self.encoder(batch.symbols, batch.places, batch.position, batch.voice, batch.inside)
        frames = batch.inside.repeat_interleave(2, 1)
        loss = movement_loss(made.code, batch.code, batch.inside)
        loss = loss + _ENERGY_WEIGHT * _mean_of((made.energy - batch.energy).abs(), frames)
        loss = loss + _PITCH_WEIGHT * _mean_of((made.pitch - batch.pitch).abs().clamp(max=3), batch.voiced & frames)
        wanted = batch.voiced.to(made.voiced.dtype)
        unsure = functional.binary_cross_entropy_with_logits(made.voiced, wanted, reduction="none")
        loss = loss + _VOICED_WEIGHT * _mean_of(unsure, frames)
        if self._config.decoded > 0:
            loss = loss + self._config.decoded * self._decoded_loss(made.code, batch, numbers, first)
        return loss

    def _decoded_loss(self, code: Tensor, batch: TextBatch, numbers: Tensor, first: int) -> Tensor:
        """The difference after the decoder, in the voices of identities, of a stretch from a vector of the code on."""
        part, frames = slice(first, first + _DECODED), slice(2 * first, 2 * (first + _DECODED))
        tone, energy = moved_tone(batch, self._voice, numbers)[:, frames], batch.energy[:, frames]
        with torch.no_grad():
            wanted = self._swapper.decode(batch.code[:, part], tone, energy, numbers)
        made = self._swapper.decode(code[:, part], tone, energy, numbers)
        return movement_loss(made, wanted, batch.inside.repeat_interleave(2, 1)[:, frames])

    @override
    def measured(self) -> dict[str, float]:
        """The loss of the sentences that are not learned from, each in the voice of the first identity."""
        self.encoder.eval()
        with torch.no_grad():
            first = torch.zeros(1, dtype=torch.long, device=self.device)
            batches = [batch_of([each], self._material).to(self.device) for each in self.held_out]
            losses = [float(self._loss(each, first, 0)) for each in batches]
        return {"held_out_loss": sum(losses) / len(losses)}


def moved_tone(batch: TextBatch, voice: VoiceModel, numbers: Tensor) -> Tensor:
    """(B, T): the pitch of the sentences in the range of identities (B,), 0 where a frame is not voiced."""
    spans = [voice.facts.identities[int(each)].pitch for each in numbers]
    mean, deviation = (torch.tensor(each, device=batch.pitch.device)[:, None] for each in (
        [span.mean for span in spans], [span.deviation for span in spans]))  # fmt: skip
    return torch.where(batch.voiced, batch.pitch * deviation + mean, 0.0)


def movement_loss(made: Tensor, wanted: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute difference of (B, T, D) over the frames inside (B, T), and half that of their slopes over time."""
    slopes = ((made[:, 1:] - made[:, :-1]) - (wanted[:, 1:] - wanted[:, :-1])).abs().mean(2)
    return _mean_of((made - wanted).abs().mean(2), inside) + _SLOPES * _mean_of(slopes, inside[:, 1:])


def _mean_of(values: Tensor, inside: Tensor) -> Tensor:
    """Mean of (B, T) over the frames inside."""
    kept = inside.to(values.dtype)
    return (values * kept).sum() / kept.sum().clamp(min=1)
