"""The material of a training: sentences that an engine reads, and what the voice model's encoder hears in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forge.speaking.contract import checked_text, engine_named, say
from forge.speaking.conversion.augment import Stretch, retimed
from forge.speaking.conversion.features import PitchRange, VoiceFeatures, features_of, pitch_range
from forge.speaking.conversion.network import VoiceSwapper
from forge.speaking.reading.config import TextConfig
from forge.speaking.reading.timing import TimedPhones, inventory_of, laid_out, symbols_of
from forge.speaking.reading.words import lesson
from shared.console import console
from shared.errors import SpeechError, UsageError

_MOST_FRAMES = 1_600
_WORD = "one"


@dataclass(frozen=True)
class FrontEnd:
    """An engine that tells the phones of a text and their times.

    Attributes:
        engine: its name. version: of the program or package.
        voices: that were learned from. ranges: of their pitch.
    """

    engine: str
    version: str
    voices: tuple[str, ...]
    ranges: tuple[PitchRange, ...]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One sentence that was read.

    Attributes:
        voice: number of the engine's voice. phones: with times.
        features: of the sound; an even number of frames.
        code: (T / 2, C), the voice model's own of it.
    """

    voice: int
    phones: TimedPhones
    features: VoiceFeatures
    code: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, eq=False)
class Material:
    """Lessons, the engine that read them, and the symbols of its phones."""

    front_end: FrontEnd
    inventory: tuple[str, ...]
    lessons: tuple[Lesson, ...]


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Lessons side by side, see the convention of ``network``; pitch is 0 where ``voiced`` is False."""

    symbols: Tensor
    places: Tensor
    position: Tensor
    voice: Tensor
    inside: Tensor
    code: Tensor
    pitch: Tensor
    voiced: Tensor
    energy: Tensor

    def to(self, device: torch.device) -> TextBatch:
        """The batch on a device."""
        return TextBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def told_voices(config: TextConfig) -> tuple[str, tuple[str, ...]]:
    """The engine's version, and the voices that are learned from.

    Raises:
        UsageError: no such voice. UnknownNameError: no such engine.
        SpeechError: the engine is missing, or does not tell the times of phones.
    """
    engine = engine_named(config.engine)
    tried = [
        (name, say(_WORD, engine=config.engine, voice=name)) for name in config.voices or engine.voices() or (None,)
    ]
    told = tuple(str(name) for name, speech in tried if speech.phones)
    if not told or (config.voices and told != tuple(config.voices)):
        named = ", ".join(name for name in config.voices if name not in told) or config.engine
        raise SpeechError(
            f"{named} does not tell the times of phones", hint="espeak does, and flite with its voices slt, awb and rms"
        )
    return tried[0][1].info.version, told


def made_material(config: TextConfig, version: str, voices: tuple[str, ...], swapper: VoiceSwapper) -> Material:
    """The sentences of a training, read, at a tempo of their own each; they follow from the seed.

    Raises:
        UsageError: almost nothing of what a voice read is voiced.
        SpeechError: the engine failed.
    """
    heard: list[tuple[int, TimedPhones, VoiceFeatures]] = []
    for number in console.track(range(config.sentences), "reading sentences", config.sentences, unit="sentence"):
        rng = np.random.default_rng((config.seed, number))
        voice = number % len(voices)
        speech = say(checked_text(lesson(rng)), engine=config.engine, voice=voices[voice], seed=config.seed)
        factor = math.exp(float(rng.uniform(-1, 1)) * math.log(config.tempo))
        found = at_tempo(features_of(speech.sound), factor)
        if len(found) <= _MOST_FRAMES:
            heard.append((voice, TimedPhones.of(speech).slower(factor), found))
    ranges = [pitch_range([each.pitch for voice, _, each in heard if voice == number]) for number in range(len(voices))]
    if not heard or any(each is None for each in ranges):
        raise UsageError(f"what {config.engine} read is not voiced", hint="try other voices, or more sentences")
    front_end = FrontEnd(config.engine, version, voices, tuple(each for each in ranges if each is not None))
    lessons = tuple(Lesson(voice, phones, each, code_of(each, swapper)) for voice, phones, each in heard)
    return Material(front_end, inventory_of([each.phones for each in lessons]), lessons)


def at_tempo(features: VoiceFeatures, factor: float) -> VoiceFeatures:
    """The features with ``factor`` times as many frames, an even number of them."""
    frames = max(2, 2 * round(len(features) * factor / 2))
    pitch = np.nan_to_num(features.pitch, nan=0.0)
    stretch = Stretch(*(torch.from_numpy(each)[None] for each in (features.mel, pitch, features.energy)))
    made = retimed(stretch, frames)
    tone = made.pitch[0].numpy()
    return VoiceFeatures(
        made.mel[0].numpy(), np.where(tone > 0, tone, np.nan).astype(np.float32), made.energy[0].numpy()
    )


@torch.inference_mode()
def code_of(features: VoiceFeatures, swapper: VoiceSwapper) -> np.ndarray:
    """(T / 2, C): what the voice model's encoder gives of an even number of frames."""
    return swapper.eval().encode(torch.from_numpy(features.mel)[None])[0].numpy()


def batch_of(lessons: Sequence[Lesson], material: Material) -> TextBatch:
    """Some lessons side by side, padded to the longest."""
    count, phones = max(len(each.code) for each in lessons), max(len(each.phones) for each in lessons)
    rows = [_row(each, material, count, phones) for each in lessons]
    return TextBatch(*(torch.from_numpy(np.stack(each)) for each in zip(*rows, strict=True)))


def _row(one: Lesson, material: Material, count: int, phones: int) -> list[Any]:
    places, position = laid_out(one.phones, len(one.code))
    more = count - len(one.code)
    span = material.front_end.ranges[one.voice]
    voiced = np.isfinite(one.features.pitch)
    pitch = np.where(voiced, (np.nan_to_num(one.features.pitch) - span.mean) / span.deviation, 0.0)
    return [
        np.pad(symbols_of(one.phones, material.inventory), (0, phones - len(one.phones))),
        np.pad(places, (0, more)),
        np.pad(position, ((0, more), (0, 0))),
        np.int64(one.voice),
        np.arange(count) < len(one.code),
        np.pad(one.code, ((0, more), (0, 0))),
        np.pad(pitch.astype(np.float32), (0, 2 * more)),
        np.pad(voiced, (0, 2 * more)),
        np.pad(one.features.energy, (0, 2 * more)),
    ]
