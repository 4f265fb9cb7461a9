"""Texts read by the identities of a voice model: whose voice, which words, when each phone sounds, and how fast.

Thirty sentences that were written for this and are in no training. Whose voice is asked of Resemblyzer, words of
pocketsphinx, as in ``voice``. When a phone sounds in a reading is found by laying the engine's own speech, whose times
are exact, beside it: both as cepstra without their means, by dynamic time warping (Sakoe and Chiba, 1978, symmetric
form). Two controls test that measure: the engine's sound converted, which is in step by construction, and
a reading that is late by a known time.
"""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import dct

from benchmarks.resemblyzer import SpeakerEncoder
from benchmarks.schema import Measurement
from benchmarks.voice import mean_embeddings, pitch_correlation, plain_words, recogniser, unit, word_errors
from forge.speaking.contract import Speech, say
from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.conversion.convert import converted
from forge.speaking.reading.checkpoint import TextModel
from forge.speaking.reading.read import ReadText, read_text
from shared.audio.features import Framing, log_mel
from shared.audio.rates import resampled
from shared.audio.sound import WORK_RATE, Sound
from shared.console import console
from shared.voices.reader import Voiceset

SENTENCES = (
    "The ferry leaves the northern dock at a quarter to seven.",
    "Please fold these napkins before the visitors arrive.",
    "Her grandfather planted both of those walnut trees.",
    "We measured the depth of the reservoir twice.",
    "A thick layer of frost covered the windscreen.",
    "They argued about the price of the second hand piano.",
    "The mayor thanked every volunteer by name.",
    "Turn left at the bakery and follow the tram line.",
    "This recipe calls for a pinch of nutmeg.",
    "The old lighthouse has been empty for thirty years.",
    "My umbrella broke during the thunderstorm yesterday.",
    "Would you rather travel by bus or by bicycle?",
    "The orchestra rehearsed the final movement again.",
    "Someone left a muddy footprint on the carpet.",
    "The chemist mixed the powder with distilled water.",
    "Few tourists ever climb beyond the waterfall.",
    "He whistled a cheerful tune while sweeping the yard.",
    "Our train was delayed because of fallen branches.",
    "The jury reached its decision shortly after lunch.",
    "She keeps her spare buttons inside a biscuit tin.",
    "The puppy chewed through the telephone cable.",
    "Both teams shook hands at the end of the match.",
    "How many candles should we put on the cake?",
    "The museum will show ancient pottery until April.",
    "Smoke drifted slowly above the valley at dusk.",
    "An experienced plumber replaced the rusty valve.",
    "The children built a fortress out of cardboard.",
    "Nobody noticed that the clock had stopped.",
    "Fresh snow makes the village look peaceful.",
    "The author signed her latest novel for the crowd.",
)
"""Sentences of the measurement. They must stay out of every training."""

_AIMS = {"nearer": 0.9, "words": 0.2, "times": 40.0, "speed": 1.0}
_FRAMING = Framing(rate=WORK_RATE, window=512, hop=80)
_BANDS, _CEPSTRA = 40, 13
_REACH = 60
_LATE_SECONDS = 0.08


@dataclass(frozen=True, eq=False)
class Reading:
    """A sentence in the voice of an identity, beside the engine's own speech of it."""

    text: str
    identity: str
    made: ReadText
    engine: Speech


def measure(
    model: VoiceModel,
    encoder: TextModel,
    voices: Sequence[Voiceset],
    packages: Path | None,
    *,
    sentences: int,
    targets: int,
    heard: int,
    seed: int,
) -> list[Measurement]:
    """All measurements; what needs a package that is not in ``packages`` or installed is left out.

    Args:
        model: of a run.
        encoder: the text encoder in it.
        voices: voicesets of the identities.
        packages: folder with resemblyzer and pocketsphinx.
        sentences: of :data:`SENTENCES`, the first so many.
        targets: identities that read each sentence, in turn.
        heard: readings of each sentence whose words are counted.
        seed: of everything random.
    """
    speakers = SpeakerEncoder.found(packages)
    known = {} if speakers is None else mean_embeddings(model, voices, speakers)  # before the work: it may refuse
    front = encoder.facts.front_end
    names = [each.name for each in model.facts.identities]
    readings: list[Reading] = []
    factors: list[float] = []
    for number, text in console.track(list(enumerate(SENTENCES[:sentences])), "reading", sentences, unit="sentence"):
        engine = say(text, engine=front.engine, voice=front.voices[0], seed=seed)
        for place in range(min(targets, len(names))):
            name = names[(number * targets + place) % len(names)]
            begun = _processor_seconds()
            made = read_text(text, model, encoder, name, seed=seed)
            factors.append((_processor_seconds() - begun) / made.sound.seconds)
            readings.append(Reading(text, name, made, engine))
    speed = Measurement.of(
        "processor seconds for a second of speech, with the engine",
        "s/s",
        factors,
        target=_AIMS["speed"],
        better="lower",
    )
    found = [speed, *times_of(readings, model, seed), *_pitch(readings)]
    hear = recogniser(packages)
    if hear is not None and heard > 0:
        found += _words(readings, model, hear, heard, seed)
    return found if speakers is None else found + _nearness(readings, known, speakers)


def _processor_seconds() -> float:
    """Of this process and of the programs that it waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def _firsts(readings: Sequence[Reading], most: int) -> list[Reading]:
    """Up to ``most`` readings of each sentence."""
    return [each for _, group in itertools.groupby(readings, lambda one: one.text) for each in list(group)[:most]]


def _nearness(readings: Sequence[Reading], means: dict[str, np.ndarray], encoder: SpeakerEncoder) -> list[Measurement]:
    """Similarity of readings to identities and to the engine's voice."""
    own = [encoder.embedded(each.engine.sound) for each in _firsts(readings, 1)]
    engine = unit(np.mean(own, axis=0))
    to_target, to_engine, nearest, nearer = [], [], [], []
    for each in console.track(readings, "comparing voices", len(readings), unit="reading"):
        embedded = encoder.embedded(each.made.sound)
        scores = {name: float(embedded @ mean) for name, mean in means.items()}
        target, origin = scores[each.identity], float(embedded @ engine)
        to_target.append(target)
        to_engine.append(origin)
        nearer.append(float(target > origin))
        nearest.append(float(target >= max(*scores.values(), origin)))
    note = f"{len(readings)} readings; Resemblyzer"
    return [
        Measurement.of(
            f"nearest of {len(means)} identities and the engine's voice is the target", "share",
            [float(np.mean(nearest))], target=_AIMS["nearer"], note=note,
        ),
        Measurement.of("nearer to the target than to the engine's voice", "share", [float(np.mean(nearer))], note=note),
        Measurement.of("similarity of a reading to its target", "cosine", to_target),
        Measurement.of("similarity of a reading to the engine's voice", "cosine", to_engine, better="lower"),
    ]  # fmt: skip


def _words(
    readings: Sequence[Reading], model: VoiceModel, hear: Callable[[Sound], str], heard: int, seed: int
) -> list[Measurement]:
    """Word error of the engine, of its sound converted, and of the readings."""
    chosen = {
        "the engine": [(each.text, resampled(each.engine.sound, WORK_RATE)) for each in _firsts(readings, 1)],
        "the engine's sound converted (control)": [
            (each.text, converted(each.engine.sound, model, each.identity, seed=seed)) for each in _firsts(readings, 1)
        ],
        "read": [(each.text, each.made.sound) for each in _firsts(readings, heard)],
    }
    rates, notes = {}, {}
    total = sum(len(each) for each in chosen.values())
    with console.progress("hearing words", total, unit="sentence") as tick:
        for kind, said in chosen.items():
            errors = 0
            for text, sound in said:
                errors += word_errors(plain_words(text), plain_words(hear(sound)))
                tick()
            words = sum(len(plain_words(text)) for text, _ in said)
            rates[kind], notes[kind] = errors / words, f"{words} words of {len(said)} readings; pocketsphinx"
    aim = rates["the engine"] + _AIMS["words"]
    return [
        Measurement.of(
            f"word error, {kind}", "share", [rate], target=aim if kind == "read" else None, better="lower",
            note=notes[kind],
        )
        for kind, rate in rates.items()
    ]  # fmt: skip


def times_of(readings: Sequence[Reading], model: VoiceModel, seed: int) -> list[Measurement]:
    """How far the starts of phones in a reading are from the engine's, and the two controls of that measure."""
    kinds: dict[str, list[float]] = {"read": [], "converted": [], "late": []}
    for each in console.track(_firsts(readings, 1), "timing phones", len(_firsts(readings, 1)), unit="reading"):
        engine = resampled(each.engine.sound, WORK_RATE).samples
        starts = np.array([phone.first / each.engine.sound.rate for phone in each.engine.phones[1:]])
        late = np.pad(each.made.sound.samples, (round(_LATE_SECONDS * WORK_RATE), 0))
        sounds = {
            "read": each.made.sound.samples,
            "converted": converted(each.engine.sound, model, each.identity, seed=seed).samples,
            "late": late,
        }
        for kind, samples in sounds.items():
            kinds[kind] += list(1000 * np.abs(found_times(engine, samples, starts) - starts))
    reach = f"at most {1000 * _REACH * _FRAMING.hop_seconds:.0f} ms"
    note = f"{len(kinds['read'])} starts of phones; dynamic time warping, {reach}"
    names = {
        "read": "phone times against the engine's, median",
        "converted": "the same of the engine's sound converted (control), median",
        "late": f"the same of a reading {1000 * _LATE_SECONDS:.0f} ms late (control), median",
    }
    found = [
        Measurement.of(
            name, "ms", [float(np.median(kinds[kind]))], target=_AIMS["times"] if kind == "read" else None,
            better="lower", note=note,
        )
        for kind, name in names.items()
    ]  # fmt: skip
    far = float(np.quantile(kinds["read"], 0.9))
    return [*found, Measurement.of("phone times against the engine's, nine in ten within", "ms", [far], better="lower")]


def found_times(first: np.ndarray, second: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Where (K,) times in the first (N,) samples are in the second (M,), in seconds."""
    path = warping_path(cepstra(first), cepstra(second), reach=_REACH)
    sums = np.bincount(path[:, 0], weights=path[:, 1])
    places = sums / np.maximum(np.bincount(path[:, 0]), 1)
    return np.interp(times / _FRAMING.hop_seconds, np.arange(len(places)), places) * _FRAMING.hop_seconds


def cepstra(samples: np.ndarray) -> np.ndarray:
    """(T, 13), 200 frames a second: cepstral coefficients of mean 0 and deviation 1, with little of who speaks."""
    mel = np.maximum(log_mel(samples.astype(np.float32), _FRAMING, filters=_BANDS), -18.0)
    found = np.asarray(dct(mel, type=2, axis=1, norm="ortho"))[:, :_CEPSTRA]
    return (found - found.mean(0)) / np.maximum(found.std(0), 1e-6)


def warping_path(first: np.ndarray, second: np.ndarray, *, reach: int) -> np.ndarray:
    """(L, 2) pairs of rows of (T, D) and (U, D) with the least sum of distances, from the first pair to the last.

    A step on both sides counts twice, so that no direction is cheaper. Pairs are at most ``reach`` rows apart, after
    the difference of the two lengths.
    """
    count, other = len(first), len(second)
    span = reach + abs(count - other)
    distance = np.sqrt(np.maximum(
        (first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T, 0.0))  # fmt: skip
    cost = np.full((count + 1, other + 1), np.inf)
    cost[0, 0] = -distance[0, 0]  # the first pair counts once
    for row in range(1, count + 1):
        low, high = max(1, row - span), min(other, row + span)
        before, here, near = cost[row - 1], cost[row], distance[row - 1]
        for column in range(low, high + 1):
            step = near[column - 1]
            here[column] = min(before[column - 1] + 2 * step, before[column] + step, here[column - 1] + step)
    row, column, path = count, other, []
    while row > 0 and column > 0:
        path.append((row - 1, column - 1))
        step = distance[row - 1, column - 1]
        ways = (cost[row - 1, column - 1] + 2 * step, cost[row - 1, column] + step, cost[row, column - 1] + step)
        way = int(np.argmin(ways))
        row, column = row - (way != 2), column - (way != 1)
    return np.array(path[::-1])


def _pitch(readings: Sequence[Reading]) -> list[Measurement]:
    """Correlation of the melody with the engine's."""
    values = [
        pitch_correlation(resampled(each.engine.sound, WORK_RATE).samples, each.made.sound.samples) for each in readings
    ]
    known = [each for each in values if each is not None]
    return [Measurement.of("log-F0 correlation with the engine's", "", known)] if known else []
