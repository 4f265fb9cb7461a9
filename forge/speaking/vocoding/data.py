"""The speech of a training in memory, and batches of stretches of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forge.speaking.conversion.features import FRAMING, VoiceFeatures, features_of, work_form
from forge.speaking.vocoding.source import pulses
from shared.console import console
from shared.errors import SpeechError, UsageError
from shared.voices.reader import Voiceset

_HELD_OUT = 20
"""Every so many utterances one is not learned from: the loss of these is logged beside the other."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """One utterance: its samples (N,) in the work form, and its features."""

    samples: np.ndarray
    features: VoiceFeatures


@dataclass(frozen=True, eq=False)
class SpokenBatch:
    """Stretches side by side, see the convention of ``network``; ``samples`` (B, N) are wanted."""

    mel: Tensor
    pitch: Tensor
    pulses: Tensor
    noise: Tensor
    samples: Tensor

    def to(self, device: torch.device) -> SpokenBatch:
        """The batch on a device."""
        return SpokenBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def read_speech(voices: Sequence[Voiceset]) -> tuple[list[Spoken], list[Spoken]]:
    """The utterances that are learned from, and those held out, in order of the voices' names.

    Utterances shorter than a fifth of a second are left out.

    Raises:
        UsageError: a name twice, or fewer than two utterances.
        VoicesetError, MediaError: a sound is missing, was changed, or cannot be read.
    """
    names = [one.info.identity for one in voices]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two voicesets are called {twice[0]}", hint="give every person a name of their own")
    found: list[Spoken] = []
    with console.progress("reading voices", sum(len(one.utterances) for one in voices), unit="utterance") as tick:
        for one in sorted(voices, key=lambda each: each.info.identity):
            for number in range(len(one.utterances)):
                sound = one.sound(number)
                try:
                    found.append(Spoken(work_form(sound), features_of(sound)))
                except SpeechError:  # too short
                    continue
                finally:
                    tick()
    if len(found) < 2:
        raise UsageError("a vocoder learns from two utterances or more", hint="name more voicesets")
    return [each for place, each in enumerate(found) if place % _HELD_OUT], found[::_HELD_OUT]


class SpokenBatches:
    """Batches of a training. A batch follows from the seed and the step alone."""

    def __init__(self, speech: Sequence[Spoken], *, frames: int, seed: int) -> None:
        self._speech, self._frames, self._seed = list(speech), frames, seed
        lengths = np.array([len(each.features) for each in speech], np.float64)
        self._shares = lengths / lengths.sum()

    def batch(self, step: int, size: int) -> SpokenBatch:
        """Stretches of utterances, each chosen by its length."""
        rng = np.random.default_rng((self._seed, step))
        chosen = rng.choice(len(self._speech), size, p=self._shares)
        return batch_of([self._speech[int(each)] for each in chosen], self._frames, rng)


def batch_of(speech: Sequence[Spoken], frames: int, rng: np.random.Generator) -> SpokenBatch:
    """A stretch of so many frames from each utterance; short ones are followed by silence."""
    rows = [_row(each, frames, rng) for each in speech]
    return SpokenBatch(*(torch.from_numpy(np.stack(each)) for each in zip(*rows, strict=True)))


def _row(one: Spoken, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    features, count = one.features, (frames - 1) * FRAMING.hop
    first = int(rng.integers(0, max(1, len(features) - frames + 1)))
    short = max(0, first + frames - len(features))
    part = slice(first, first + frames)
    mel = np.pad(features.mel[part], ((0, short), (0, 0)), mode="edge")
    pitch = np.pad(features.pitch[part], (0, short), constant_values=np.nan)
    wanted = one.samples[first * FRAMING.hop :][:count]
    return (
        mel,
        np.nan_to_num(pitch, nan=0.0),
        pulses(pitch, count, start=float(rng.uniform(0, 2 * np.pi))),
        rng.standard_normal(count, np.float32),
        np.pad(wanted, (0, count - len(wanted))),
    )
