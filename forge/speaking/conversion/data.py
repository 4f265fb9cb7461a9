"""The voices of a training in memory, and batches of stretches of their speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forge.speaking.conversion.augment import Stretch
from forge.speaking.conversion.features import PitchRange, VoiceFeatures, features_of, pitch_range
from shared.console import console
from shared.errors import SpeechError, UsageError
from shared.voices.reader import Voiceset

_HELD_OUT = 2
_ENOUGH = 8


@dataclass(frozen=True, eq=False)
class Voice:
    """One voice: its name, the basis of its use, its utterances, those held out, and its range of pitch."""

    name: str
    rights: str
    utterances: tuple[VoiceFeatures, ...]
    held_out: tuple[VoiceFeatures, ...]
    pitch: PitchRange

    @property
    def frames(self) -> int:
        """Frames that are learned from."""
        return sum(len(each) for each in self.utterances)


def read_voices(identities: Sequence[Voiceset], population: Sequence[Voiceset]) -> tuple[list[Voice], list[Voice]]:
    """The features of the identities, and of further voices, in order of their names.

    Utterances shorter than a fifth of a second, and further voices without pitch, are left out.

    Raises:
        UsageError: a name twice, or an identity without voiced speech.
        VoicesetError, MediaError: a sound is missing, was changed, or cannot be read.
    """
    names = [one.info.identity for one in (*identities, *population)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two voicesets are called {twice[0]}", hint="give every person a name of their own")
    total = sum(len(one.utterances) for one in (*identities, *population))
    with console.progress("reading voices", total, unit="utterance") as tick:
        found = [[_voice(one, tick, held_out=not number) for one in sets]
                 for number, sets in enumerate((identities, population))]  # fmt: skip
    for one, voice in zip(identities, found[0], strict=True):
        if voice is None:
            raise UsageError(f"{one.path} holds no voiced speech", hint="name voicesets of people who speak")
    kept, more = ([each for each in voices if each is not None] for voices in found)
    return sorted(kept, key=lambda each: each.name), sorted(more, key=lambda each: each.name)


def _voice(one: Voiceset, tick: Any, *, held_out: bool) -> Voice | None:
    utterances = []
    for number in range(len(one.utterances)):
        try:
            utterances.append(features_of(one.sound(number)))
        except SpeechError:  # too short
            continue
        finally:
            tick()
    pitch = pitch_range([each.pitch for each in utterances])
    if pitch is None:
        return None
    kept = len(utterances) - (held_out_of(len(utterances)) if held_out else 0)
    info = one.info
    return Voice(info.identity, info.rights, tuple(utterances[:kept]), tuple(utterances[kept:]), pitch)


def held_out_of(utterances: int) -> int:
    """How many utterances of an identity, its last, are not learned from: two where there are eight or more."""
    return _HELD_OUT if utterances >= _ENOUGH else 0


class VoiceBatches:
    """Batches of a training. A batch follows from the seed and the step alone.

    Voice numbers are places in identities and population one after the other.
    """

    def __init__(self, identities: Sequence[Voice], population: Sequence[Voice], *, frames: int, seed: int) -> None:
        self._voices = [*identities, *population]
        self._identities = len(identities)
        self._frames, self._seed = frames, seed
        weights = np.sqrt([voice.frames for voice in self._voices])
        self._shares = weights / weights.sum()

    def batch(self, step: int, size: int, *, everyone: bool) -> tuple[Stretch, Tensor, torch.Generator]:
        """Stretches, the numbers (B,) of their voices, and the chance of the step for what else is random.

        Args:
            step: number of the step.
            size: stretches.
            everyone: of all voices, each by the square root of its length; otherwise of identities, evenly.
        """
        rng = np.random.default_rng((self._seed, step))
        if everyone:
            voices = rng.choice(len(self._voices), size, p=self._shares)
        else:
            voices = rng.integers(0, self._identities, size)
        parts = [self._part(self._voices[int(voice)], rng) for voice in voices]
        mel, pitch, energy = (torch.from_numpy(np.stack(each)) for each in zip(*parts, strict=True))
        chance = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        return Stretch(mel, pitch, energy), torch.from_numpy(voices.astype(np.int64)), chance

    def _part(self, voice: Voice, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lengths = np.array([len(each) for each in voice.utterances], np.float64)
        one = voice.utterances[int(rng.choice(len(lengths), p=lengths / lengths.sum()))]
        spare = len(one) - self._frames
        first = int(rng.integers(0, spare + 1)) if spare > 0 else 0
        return part_of(one, first, self._frames)


def part_of(features: VoiceFeatures, first: int, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mel (frames, 80), pitch and energy (frames,) from a frame on; short utterances are repeated from their start.

    Pitch is 0 where a frame is not voiced.
    """
    index = (first + np.arange(frames)) % len(features)
    return features.mel[index], np.nan_to_num(features.pitch[index], nan=0.0), features.energy[index]
