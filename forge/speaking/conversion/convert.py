"""A recording in the voice of an identity: the same words and times, the pitch in its range."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch

from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.conversion.features import LEAST_FRAMES, VoiceFeatures, features_of, moved_pitch, pitch_range
from forge.speaking.conversion.inversion import GRIFFIN_LIM, Inversion
from shared.audio.loudness import SPEECH_DB, active_level, levelled
from shared.audio.rates import resampled
from shared.audio.sound import WORK_RATE, Sound

_BLOCK_FRAMES = 4_800
"""Frames that are converted at once, a minute; statistics over time are those of the block."""


def converted(
    sound: Sound, model: VoiceModel, identity: str, *, inversion: Inversion = GRIFFIN_LIM, seed: int = 0
) -> Sound:
    """The sound in another voice, at 16,000 samples a second; as long, as loud, in step with it.

    Args:
        sound: of speech.
        model: with the voice.
        identity: whose it is.
        inversion: from spectrograms to sound.
        seed: of what is random in it.

    Raises:
        UnknownNameError: the model has no such identity.
        SpeechError: shorter than a fifth of a second.
    """
    number = model.number_of(identity)
    work = resampled(sound, WORK_RATE)
    features = features_of(work)
    mel, pitch = converted_features(features, model, number)
    made = inversion.sound_of(mel, pitch, len(work), seed=seed)
    level = active_level(work.samples, WORK_RATE)
    return replace(made, samples=levelled(made.samples, WORK_RATE, level if level is not None else SPEECH_DB),
                   start=sound.start)  # fmt: skip


def converted_features(features: VoiceFeatures, model: VoiceModel, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Mel (T, 80) and pitch (T,), NaN where not voiced, of an utterance in the voice of an identity's number."""
    target = model.facts.identities[number].pitch
    pitch = moved_pitch(features.pitch, pitch_range([features.pitch]), target)
    count = len(features)
    blocks = max(1, round(count / _BLOCK_FRAMES))
    edges = [round(count * place / blocks) for place in range(blocks + 1)]
    made = [
        decoded(model, number, features.mel[first:stop], pitch[first:stop], features.energy[first:stop])
        for first, stop in itertools.pairwise(edges)
    ]
    return np.concatenate(made), pitch


@torch.inference_mode()
def decoded(model: VoiceModel, number: int, mel: np.ndarray, pitch: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """(T, 80): one block through encoder and decoder; its last frame is repeated to an even number of frames."""
    count = len(mel)
    more = max(LEAST_FRAMES, count + count % 2) - count
    parts = [np.pad(mel, ((0, more), (0, 0)), mode="edge"), np.pad(np.nan_to_num(pitch, nan=0.0), (0, more)),
             np.pad(energy, (0, more), mode="edge")]  # fmt: skip
    spectrum, tone, loud = (torch.from_numpy(np.ascontiguousarray(each))[None] for each in parts)
    swapper = model.swapper.eval()
    made = swapper.decode(swapper.encode(spectrum), tone, loud, torch.tensor([number]))
    return made[0, :count].numpy()
