"""The trained vocoder beside Griffin-Lim and WORLD, on readers that it did not learn from.

Each recording, at 16,000 samples a second and one level, is taken apart and put together again. What is left of its
spectra is told by the log-mel distance and the multi-resolution STFT distance (Yamamoto, Song and Kim, 2020), what is
left of its times by the lag of its envelope. Words are counted in sentences of an engine, whose text is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.schema import Measurement
from benchmarks.speech_sets import lag_ms
from benchmarks.voice import ENGINE, plain_words, recogniser, word_errors
from forge.speaking.contract import say
from forge.speaking.conversion.features import features_of, work_form
from forge.speaking.conversion.inversion import GRIFFIN_LIM, Inversion
from forge.speaking.sentences import sentence
from forge.speaking.vocoders import TRAINED, available_vocoders, vocoded
from forge.speaking.vocoding.checkpoint import VocoderModel
from forge.speaking.vocoding.losses import mel_loss, spectral_loss
from forge.speaking.vocoding.synthesis import inversion_of
from shared.audio.rates import resampled
from shared.audio.sound import WORK_RATE, Sound
from shared.console import console
from shared.errors import UsageError
from shared.voices.reader import Voiceset

_LEAST_SECONDS = 1.6

Twin = Callable[[Sound], Sound]
"""A recording in the work form to what a vocoder makes of it."""


def twins_of(model: VocoderModel, seed: int) -> dict[str, Twin]:
    """The ways that are compared: the spectrogram of voice models by each inversion, and the vocoders of twins."""

    def by_inversion(inversion: Inversion) -> Twin:
        def twin(sound: Sound) -> Sound:
            features = features_of(sound)
            return inversion.sound_of(features.mel, features.pitch, len(sound), seed=seed)

        return twin

    def by_name(name: str) -> Twin:
        return lambda sound: vocoded(sound, name, seed=seed)

    return {
        TRAINED: by_inversion(inversion_of(model)),
        "Griffin-Lim of voice models": by_inversion(GRIFFIN_LIM),
        **{f"{name} of twins": by_name(name) for name in available_vocoders()},
    }


def held_out_of(model: VocoderModel, voices: Sequence[Voiceset], *, most: int) -> list[Sound]:
    """Up to ``most`` utterances of each voice, in the work form.

    Raises:
        UsageError: a voice was learned from, or no utterance is long enough.
    """
    known = sorted({one.info.identity for one in voices} & set(model.facts.voices))
    if known:
        raise UsageError(f"the vocoder learned from {known[0]}", hint="name voicesets that were left out")
    found: list[Sound] = []
    for one in voices:
        kept = [number for number, each in enumerate(one.utterances) if each.seconds >= _LEAST_SECONDS][:most]
        found += [Sound(work_form(one.sound(number)), WORK_RATE) for number in kept]
    if not found:
        raise UsageError(f"no utterance has {_LEAST_SECONDS} s", hint="name longer recordings")
    return found


def measure(
    model: VocoderModel,
    voices: Sequence[Voiceset],
    packages: Path | None,
    *,
    utterances: int,
    sentences: int,
    seed: int,
) -> list[Measurement]:
    """All measurements; words are left out without the recogniser's package.

    Args:
        model: the vocoder.
        voices: that it did not learn from.
        packages: folder with pocketsphinx.
        utterances: of each voice, at most.
        sentences: of an engine, whose words are counted.
        seed: of everything random.
    """
    sounds, twins = held_out_of(model, voices, most=utterances), twins_of(model, seed)
    found = [each for name, twin in twins.items() for each in _spectra(name, twin, sounds)]
    return found + _words(twins, packages, sentences=sentences, seed=seed)


def _spectra(name: str, twin: Twin, sounds: Sequence[Sound]) -> list[Measurement]:
    """Distances, lag and time of the twins of recordings."""
    mels, spectra, lags, factors = [], [], [], []
    for sound in console.track(sounds, f"measuring {name}", len(sounds), unit="utterance"):
        begun = time.process_time()
        made = at_level_of(sound, twin(sound))
        factors.append((time.process_time() - begun) / sound.seconds)
        one, other = (torch.from_numpy(each.samples)[None] for each in (made, sound))
        mels.append(float(mel_loss(one, other)))
        spectra.append(float(spectral_loss(one, other)))
        lags.append(abs(lag_ms(sound, made)))
    note = f"{len(sounds)} utterances that were not learned from"
    return [
        Measurement.of(f"log-mel distance, {name}", "nats", mels, better="lower", note=note),
        Measurement.of(f"multi-resolution STFT distance, {name}", "", spectra, better="lower", note=note),
        Measurement.of(f"out of step by, {name}", "ms", lags, target=5.0, better="lower", note=note),
        Measurement.of(
            f"processor seconds for a second of speech, {name}", "s/s", factors, target=1.0, better="lower",
            note="analysis and synthesis, one core",
        ),
    ]  # fmt: skip


def at_level_of(sound: Sound, made: Sound) -> Sound:
    """``made`` with the mean power of ``sound``."""
    power, wanted = (float(np.mean(each.samples.astype(np.float64) ** 2)) for each in (made, sound))
    return made.with_samples(made.samples * np.sqrt(wanted / max(power, 1e-12)))


def _words(twins: dict[str, Twin], packages: Path | None, *, sentences: int, seed: int) -> list[Measurement]:
    """Word error of sentences of an engine, as it read them and after each vocoder."""
    hear = recogniser(packages)
    if hear is None or sentences < 1:
        return []
    rng = np.random.default_rng(seed)
    ways: dict[str, Twin] = {"the engine": lambda sound: sound, **twins}
    errors = dict.fromkeys(ways, 0)
    words = 0
    for _ in console.track(range(sentences), "hearing words", sentences, unit="sentence"):
        text = sentence(rng, words=10)
        spoken = resampled(say(text, engine=ENGINE, seed=seed).sound, WORK_RATE)
        recorded = Sound(work_form(spoken), WORK_RATE)
        wanted = plain_words(text)
        words += len(wanted)
        for name, twin in ways.items():
            errors[name] += word_errors(wanted, plain_words(hear(at_level_of(recorded, twin(recorded)))))
    note = f"{words} words of {sentences} sentences by {ENGINE}; pocketsphinx"
    return [
        Measurement.of(f"word error, {name}", "share", [count / words], better="lower", note=note)
        for name, count in errors.items()
    ]
