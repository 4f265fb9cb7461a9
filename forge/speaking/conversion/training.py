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
from torch import Tensor, nn

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
from shared.config import configured
from shared.console import console
from shared.device import pick_device, seed_everything
from shared.errors import CheckpointError, TrainingDivergedError, UsageError
from shared.training.checkpoint import Checkpoint
from shared.training.loop import BaseLoop
from shared.training.processes import Processes
from shared.training.run import Run
from shared.training.state import pack_optimizer, state_under, unpack_optimizer
from shared.voices.reader import Voiceset

_SLOPES = 0.5
_LARGEST_NORM = 1.0
_LEAST_RATE = 0.05


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
        folder = save_voice_model(
            run / FOLDER_NAME, training.swapper, facts, card=card_of(facts, count_parameters(facts.spec))
        )
    load_voice_model(folder)
    return VoiceTrainResult(run, folder, training.step, time.monotonic() - began, facts)


class VoiceTraining(BaseLoop):
    """The loop: steps, checkpoints, previews; see the module."""

    def __init__(self, identities: Sequence[Voice], population: Sequence[Voice], config: VoiceConfig, run: Run) -> None:
        device = pick_device(config.device)
        super().__init__(
            Processes(), steps=config.steps, minutes=config.minutes, unit="step", on_cpu=device.kind == "cpu"
        )
        self._identities, self._population = list(identities), list(population)
        self._config, self._folder, self._device = config, run, device.torch_device
        seed_everything(config.seed)
        spec = VoiceSpec(config.width, config.code, config.rank, len(identities) + len(population), len(identities))
        self.swapper = VoiceSwapper(spec).to(self._device)
        self._optimizer = torch.optim.Adam(self.swapper.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self._batches = VoiceBatches(identities, population, frames=config.frames, seed=config.seed)
        self.step = 0
        self._losses: list[float] = []

    def facts(self) -> VoiceFacts:
        """What is known of the model now."""
        known = tuple(
            IdentityFacts(each.name, each.rights, each.pitch, round(each.frames * FRAMING.hop_seconds, 3))
            for each in self._identities
        )
        rights = tuple(sorted({each.rights for each in self._population}))
        return VoiceFacts(exported_spec(self.swapper.spec), known, self.step, len(self._population), rights)

    def run(self) -> None:
        """Trains to the end, from the newest checkpoint on if there is one.

        Raises:
            KeyboardInterrupt: a stop signal came; a checkpoint was saved first.
            TrainingDivergedError: the loss became infinite or not a number.
        """
        latest = self.newest(self._folder)
        if latest is not None:
            self._restore(latest)
        saved = self.step
        with self.running(self.step, 1) as (noted, advance):
            while self.fraction(self.step) < 1:
                loss = self._take_step(self.fraction(self.step))
                self.step += 1
                self._log(loss)
                advance(f"step {self.step}, loss {loss:.4f}")
                if self.step % self._config.save_every == 0 or noted:
                    self._save()
                    saved = self.step
                if self.agree(stopped=bool(noted)):
                    self.stop(self.step)
        if saved != self.step or latest is None:
            self._save()
        previews.write_previews(self._folder, self.swapper, self._identities, self.facts(), self.step)

    def _take_step(self, fraction: float) -> float:
        config = self._config
        everyone = fraction < config.population_share
        part = fraction / config.population_share if everyone else (fraction - config.population_share) / (
            1 - config.population_share
        )  # fmt: skip
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * self._rate(part)
        for each in self.swapper.shared_parameters():
            each.requires_grad_(everyone)
        stretch, voices, chance = self._batches.batch(self.step, config.batch, everyone=everyone)
        stretch, voices = self._moved(_other_tempo(stretch, config.tempo, chance)), voices.to(self._device)
        self.swapper.train()
        code = self.swapper.encode(warped(stretch.mel, config, chance))
        made = self.swapper.decode(code, stretch.pitch, stretch.energy, voices, own=not everyone)
        loss = loss_of(made, stretch.mel)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDivergedError(f"the loss became {value} at step {self.step}", hint="lower learning_rate")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.swapper.parameters(), _LARGEST_NORM)
        self._optimizer.step()
        return value

    def _rate(self, part: float) -> float:
        """Share of the learning rate: a rise over the first steps, and a half cosine from half of the stage on."""
        config = self._config
        warm = min(1.0, (self.step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
        late = max(0.0, 2 * part - 1)
        return warm * (_LEAST_RATE + (1 - _LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, late))))

    def _moved(self, stretch: Stretch) -> Stretch:
        return Stretch(*(each.to(self._device) for each in (stretch.mel, stretch.pitch, stretch.energy)))

    def _log(self, loss: float) -> None:
        self._losses.append(loss)
        if self.step % self._config.log_every == 0:
            mean = sum(self._losses) / len(self._losses)
            self._folder.log(self.step, loss=mean, seconds=self.seconds)
            self._losses.clear()

    def _save(self) -> None:
        tensors, meta = pack_optimizer(self._optimizer)
        model = {f"model.{name}": tensor for name, tensor in self.swapper.state_dict().items()}
        self._folder.save(
            self.step, {**model, **tensors}, {"optimizer": meta, "seconds": self.seconds, "losses": self._losses}
        )

    def _restore(self, found: Checkpoint) -> None:
        try:
            self.swapper.load_state_dict(state_under("model", found.tensors))
        except RuntimeError as error:
            raise CheckpointError("the checkpoint does not fit the model", hint="start a new run") from error
        unpack_optimizer(self._optimizer, found.tensors, found.meta.get("optimizer", {}))
        self.step = found.step
        self.earlier_seconds = float(found.meta.get("seconds", 0.0))
        self._losses = [float(each) for each in found.meta.get("losses", [])]
        self._folder.rewind(self.step)
        console.print(f"going on from step {self.step} of the run")


def _other_tempo(stretch: Stretch, largest: float, chance: torch.Generator) -> Stretch:
    """The batch at another tempo, of an even number of frames."""
    factor = math.exp((2 * float(torch.rand(1, generator=chance)) - 1) * math.log(largest))
    return retimed(stretch, 2 * round(stretch.mel.shape[1] * factor / 2))


def loss_of(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of two spectrograms (B, T, 80), and half that of their slopes over time."""
    slopes = ((made[:, 1:] - made[:, :-1]) - (wanted[:, 1:] - wanted[:, :-1])).abs().mean()
    return (made - wanted).abs().mean() + _SLOPES * slopes
