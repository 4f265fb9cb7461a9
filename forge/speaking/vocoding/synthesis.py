"""Sound by a trained vocoder: from a spectrogram and pitch of the voice model, and from a recording."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from forge.speaking.conversion.features import FRAMING, LEAST_FRAMES, features_of
from forge.speaking.conversion.inversion import GRIFFIN_LIM, Inversion, below_peak
from forge.speaking.vocoders import TRAINED
from forge.speaking.vocoding.checkpoint import VocoderModel, load_vocoder
from forge.speaking.vocoding.network import VocoderNetwork
from forge.speaking.vocoding.source import pulses
from shared.audio.rates import change_rate, resampled
from shared.audio.sound import WORK_RATE, Sound, limited

_BLOCK_FRAMES = 4_800
"""Frames that are made at once, a minute."""

_CONTEXT_FRAMES = 64
"""Frames on both sides of a block that are made with it and dropped: more than the network and its windows see."""


def inversion_of(model: VocoderModel) -> Inversion:
    """The vocoder in place of Griffin-Lim."""
    return Inversion(TRAINED, partial(sound_by, model.network), model.weights_sha256)


def inversion_in(run: Path | None) -> Inversion:
    """The vocoder in a run in place of Griffin-Lim, which is there without one.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    return GRIFFIN_LIM if run is None else inversion_of(load_vocoder(run))


def sound_by(network: VocoderNetwork, mel: np.ndarray, pitch: np.ndarray, samples: int, *, seed: int = 0) -> Sound:
    """A sound with the mel spectrogram (T, 80) and the pitch (T,), NaN where not voiced, of so many samples.

    Its level is that of the spectrogram, lowered where it would clip. The noise in it follows from the seed.
    """
    source = pulses(pitch, samples), np.random.default_rng(seed).standard_normal(samples, np.float32)
    tone = np.nan_to_num(pitch, nan=0.0)
    parts: list[np.ndarray] = []
    for first in range(0, len(mel), _BLOCK_FRAMES):
        stop = min(len(mel), first + _BLOCK_FRAMES)
        low, high = max(0, first - _CONTEXT_FRAMES), min(len(mel), stop + _CONTEXT_FRAMES)
        ends = slice(low * FRAMING.hop, samples if high == len(mel) else (high - 1) * FRAMING.hop)
        made = _block(network, mel[low:high], tone[low:high], source[0][ends], source[1][ends])
        kept = slice((first - low) * FRAMING.hop, None if stop == len(mel) else (stop - low) * FRAMING.hop)
        parts.append(made[kept])
    return below_peak(np.concatenate(parts))


@torch.inference_mode()
def _block(network: VocoderNetwork, *inputs: np.ndarray) -> np.ndarray:
    mel, pitch, tone, noise = (torch.from_numpy(np.ascontiguousarray(each))[None] for each in inputs)
    return network.eval()(mel, pitch, tone, noise)[0].numpy()


def twin_by(model: VocoderModel, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """(M,) samples, M about N: (N,) float64 samples at ``rate`` taken to a spectrogram and pitch, and back.

    Nothing above 8 kHz is left of it.
    """
    work = resampled(Sound(limited(samples), rate), WORK_RATE)
    short = max(0, LEAST_FRAMES * FRAMING.hop - len(work))
    padded = work.with_samples(np.pad(work.samples, (0, short)))
    features = features_of(padded)
    seed = int(rng.integers(1 << 30))
    made = sound_by(model.network, features.mel, features.pitch, len(padded), seed=seed)
    return change_rate(made.samples[: len(work)], WORK_RATE, rate).astype(np.float64)
