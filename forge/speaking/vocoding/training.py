"""One training of a vocoder on the utterances of voicesets.

It learns to give back an utterance from its mel spectrogram and pitch, as far as spectra tell; there is no
adversarial loss. A training that was stopped goes on to the same weights, on the CPU bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from forge.speaking.conversion.features import FRAMING
from forge.speaking.training import SpeechTraining
from forge.speaking.vocoding import previews
from forge.speaking.vocoding.checkpoint import FOLDER_NAME, VocoderFacts, load_vocoder, save_vocoder
from forge.speaking.vocoding.config import KIND, WHILE_RUNNING, VocoderConfig
from forge.speaking.vocoding.data import Spoken, SpokenBatch, SpokenBatches, batch_of, read_speech
from forge.speaking.vocoding.losses import mel_loss, spectral_loss
from forge.speaking.vocoding.network import VocoderNetwork, VocoderSpec
from shared.config import configured
from shared.device import pick_device
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable
from shared.training.run import Run
from shared.voices.reader import Voiceset

_MEASURED = 16
"""Held-out utterances whose loss is logged, at most."""


@dataclass(frozen=True)
class VocoderTrainResult:
    """Result of a training: folders of the run and the model, steps, seconds of this call, and the model's facts."""

    run: Path
    model: Path
    steps: int
    seconds: float
    facts: VocoderFacts


def train_vocoder(
    voices: Sequence[Voiceset], run: Path, config: VocoderConfig | None = None, **settings: Any
) -> VocoderTrainResult:
    """Trains in the folder ``run``, or goes on there, and exports ``run/vocoder``.

    Args:
        voices: whose utterances are learned from.
        run: the folder.
        config: settings.
        settings: single settings, in place of those of ``config``.

    Raises:
        UsageError: a name twice, fewer than two utterances, or no such device.
        VoicesetError, MediaError: a voiceset is damaged.
        ProvenanceError: what is made could not be signed.
        RunError: the folder is in use, or holds another training.
        TrainingDivergedError: the loss became infinite or not a number.
        StorageError: writing failed.
    """
    began = time.monotonic()
    config = configured(VocoderConfig, config, settings)
    _ = pick_device(config.device)
    need_signable(SigningIdentity.load_or_create(), None)
    inputs = {f"voice:{one.info.identity}": one.info.table_sha256 for one in voices}
    with Run.open_or_create(
        run, config, seed=config.seed, inputs=inputs, kind=KIND, keep=config.keep, may_change=WHILE_RUNNING
    ) as opened:
        learned, held_out = read_speech(voices)
        training = VocoderTraining(learned, held_out, config, opened)
        training.run()
        facts = VocoderFacts(
            training.network.spec,
            tuple(sorted(one.info.identity for one in voices)),
            tuple(sorted({one.info.rights for one in voices})),
            round(sum(len(each.features) for each in learned) * FRAMING.hop_seconds, 3),
            training.step,
        )
        folder = save_vocoder(run / FOLDER_NAME, training.network, facts)
        previews.write_previews(opened, load_vocoder(folder), held_out[0])
    return VocoderTrainResult(run, folder, training.step, time.monotonic() - began, facts)


class VocoderTraining(SpeechTraining):
    """The training of a vocoder; see the module."""

    def __init__(self, learned: Sequence[Spoken], held_out: Sequence[Spoken], config: VocoderConfig, run: Run) -> None:
        super().__init__(config, run)
        self._config = config
        self.network = VocoderNetwork(VocoderSpec(config.width, config.blocks)).to(self.device)
        self.trains(self.network)
        self._batches = SpokenBatches(learned, frames=config.frames, seed=config.seed)
        held = batch_of(held_out[:_MEASURED], config.frames, np.random.default_rng(config.seed))
        self._held_out = held.to(self.device)

    @override
    def loss_at(self, fraction: float) -> Tensor:
        return self._loss(self._batches.batch(self.step, self._config.batch).to(self.device))

    def _loss(self, batch: SpokenBatch) -> Tensor:
        made = self.network(batch.mel, batch.pitch, batch.pulses, batch.noise)
        return spectral_loss(made, batch.samples) + self._config.mel * mel_loss(made, batch.samples)

    @override
    def measured(self) -> dict[str, float]:
        """The loss of utterances that are not learned from."""
        self.network.eval()
        with torch.no_grad():
            return {"held_out_loss": float(self._loss(self._held_out))}
