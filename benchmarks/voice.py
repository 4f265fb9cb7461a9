"""A voice model on utterances it did not learn from: whose voice it gives, pitch, words and speed.

Speaker similarity is that of Resemblyzer (generalised end-to-end loss: Wan et al., ICASSP 2018), whose network took no
part in any loss. Words are those of pocketsphinx, of sentences that an engine read, whose text is known: the readers'
recordings have none.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.resemblyzer import SpeakerEncoder
from benchmarks.schema import Measurement
from forge.speaking.contract import say
from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.conversion.convert import converted
from forge.speaking.conversion.data import held_out_of
from forge.speaking.conversion.features import FRAMING, features_of
from forge.speaking.conversion.inversion import sound_of
from forge.speaking.sentences import sentence
from shared.audio.features import log_f0
from shared.audio.rates import resampled
from shared.audio.sound import WORK_RATE, Sound
from shared.console import console
from shared.errors import UsageError
from shared.voices.reader import Voiceset

_LEAST_SECONDS = 1.6

ENGINE = "hibari"
"""Reads the sentences whose words are counted."""

_AIMS = {"nearer": 0.9, "pitch": 0.7, "speed": 1.0, "words": 0.2}


@dataclass(frozen=True, eq=False)
class Source:
    """An utterance that was not learned from, and whose it is."""

    speaker: str
    sound: Sound


def sources_of(model: VoiceModel, voices: Sequence[Voiceset]) -> list[Source]:
    """The held-out utterances of the model's identities.

    Raises:
        UsageError: the voicesets of the model's identities are not among ``voices``, or hold none out.
    """
    by_name = {one.info.identity: one for one in voices}
    found = []
    for identity in model.facts.identities:
        one = by_name.get(identity.name)
        if one is None:
            raise UsageError(f"no voiceset of {identity.name} is named", hint="name those the model was trained on")
        count = len(one.utterances)
        sounds = [one.sound(number) for number in range(count - held_out_of(count), count)]
        found += [Source(identity.name, each) for each in sounds if each.seconds >= _LEAST_SECONDS]
    if not found:
        raise UsageError("no identity has an utterance that was not learned from", hint="eight utterances are needed")
    return found


def learned_of(model: VoiceModel, voices: Sequence[Voiceset], *, most: int) -> dict[str, list[Sound]]:
    """For each identity, up to ``most`` of the utterances that were learned from."""
    found = {}
    for one in voices:
        if one.info.identity in {each.name for each in model.facts.identities}:
            count = len(one.utterances)
            kept = [number for number in range(count - held_out_of(count))
                    if one.utterances[number].seconds >= _LEAST_SECONDS]  # fmt: skip
            found[one.info.identity] = [one.sound(number) for number in kept[:most]]
    return found


def measure(
    model: VoiceModel, voices: Sequence[Voiceset], packages: Path | None, *, targets: int, sentences: int, seed: int
) -> list[Measurement]:
    """All measurements; what needs a package that is not in ``packages`` or installed is left out.

    Each held-out utterance is converted to its own reader, the control, and to ``targets`` others in turn.
    """
    sources = sources_of(model, voices)
    names = [each.name for each in model.facts.identities]
    made: list[tuple[Source, str, Sound]] = []
    factors: list[float] = []
    pairs = [(source, name) for number, source in enumerate(sources)
             for name in targets_of(source.speaker, names, number, targets)]  # fmt: skip
    for source, name in console.track(pairs, "converting", len(pairs), unit="utterance"):
        begun = time.process_time()
        sound = converted(source.sound, model, name, seed=seed)
        factors.append((time.process_time() - begun) / source.sound.seconds)
        made.append((source, name, sound))
    found = [
        Measurement.of(
            "processor seconds for a second of speech", "s/s", factors, target=_AIMS["speed"], better="lower"
        ),
        *_pitch(made),
        *_words(model, packages, sentences=sentences, seed=seed),
    ]
    encoder = SpeakerEncoder.found(packages)
    return found if encoder is None else found + _nearness(model, made, voices, encoder)


def targets_of(speaker: str, names: Sequence[str], number: int, targets: int) -> list[str]:
    """The speaker, and ``targets`` of the other names, in turn by the number of the utterance."""
    others = [each for each in names if each != speaker]
    return [speaker, *(others[(number * targets + place) % len(others)] for place in range(min(targets, len(others))))]


def _pitch(made: Sequence[tuple[Source, str, Sound]]) -> list[Measurement]:
    """Correlation of the logarithm of the fundamental frequency over frames that are voiced in both."""
    values = {True: [], False: []}  # type: dict[bool, list[float]]
    for source, name, sound in made:
        value = pitch_correlation(resampled(source.sound, WORK_RATE).samples, sound.samples)
        if value is not None:
            values[source.speaker == name].append(value)
    return [
        Measurement.of(f"log-F0 correlation with the source, {what}", "", values[same], target=target)
        for same, what, target in ((False, "converted", _AIMS["pitch"]), (True, "to the same voice (control)", None))
        if values[same]
    ]


def pitch_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Correlation of log-F0 over the frames voiced in both (N,) sounds; None with fewer than 20 such frames."""
    one, two = log_f0(first, FRAMING), log_f0(second, FRAMING)
    count = min(len(one), len(two))
    both = np.isfinite(one[:count]) & np.isfinite(two[:count])
    if both.sum() < 20:
        return None
    return float(np.corrcoef(one[:count][both], two[:count][both])[0, 1])


def _nearness(
    model: VoiceModel,
    made: Sequence[tuple[Source, str, Sound]],
    voices: Sequence[Voiceset],
    encoder: SpeakerEncoder,
) -> list[Measurement]:
    """Similarity to target and source, against the mean embedding of what was learned from each identity."""
    names = [each.name for each in model.facts.identities]
    means = mean_embeddings(model, voices, encoder)
    own = {id(source): encoder.embedded(source.sound) for source, _, _ in made}
    nearer, first, to_target, to_source, control = [], [], [], [], []
    for source, name, sound in console.track(made, "comparing voices", len(made), unit="utterance"):
        embedded = encoder.embedded(sound)
        target, origin = float(embedded @ means[name]), float(embedded @ means[source.speaker])
        if source.speaker == name:
            control.append(target)
            continue
        to_target.append(target)
        to_source.append(origin)
        nearer.append(float(target > origin))
        first.append(float(max(names, key=lambda each: float(embedded @ means[each])) == name))
    real = [float(own[id(source)] @ means[source.speaker]) for source in {id(s): s for s, _, _ in made}.values()]
    other = [float(own[id(source)] @ means[name]) for source, name, _ in made if name != source.speaker]
    share = Measurement.of(
        "nearer to the target than to the source", "share", [float(np.mean(nearer))], target=_AIMS["nearer"],
        note=f"{len(nearer)} conversions of {len(real)} held-out utterances; Resemblyzer",
    )  # fmt: skip
    return [
        share,
        Measurement.of(f"nearest of {len(names)} identities is the target", "share", [float(np.mean(first))]),
        Measurement.of("similarity of a conversion to its target", "cosine", to_target),
        Measurement.of("similarity of a conversion to its source", "cosine", to_source, better="lower"),
        Measurement.of("similarity of a conversion to the same voice (control)", "cosine", control),
        Measurement.of("similarity of a recording to its own reader", "cosine", real),
        Measurement.of("similarity of a recording to another reader", "cosine", other, better="lower"),
    ]


def mean_embeddings(model: VoiceModel, voices: Sequence[Voiceset], encoder: SpeakerEncoder) -> dict[str, np.ndarray]:
    """For each identity the mean embedding (256,), of length 1, of up to eight utterances that were learned from."""
    learned = learned_of(model, voices, most=8)
    return {
        each.name: unit(np.mean([encoder.embedded(sound) for sound in learned[each.name]], axis=0))
        for each in model.facts.identities
    }


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector with length 1."""
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _words(model: VoiceModel, packages: Path | None, *, sentences: int, seed: int) -> list[Measurement]:
    """Word error of sentences of an engine: as it read them, through the mel spectrogram alone, and converted."""
    hear = recogniser(packages)
    if hear is None or sentences < 1:
        return []
    rng = np.random.default_rng(seed)
    errors: dict[str, list[int]] = {"the engine": [], "Griffin-Lim alone": [], "converted": []}
    words = 0
    names = itertools.cycle(each.name for each in model.facts.identities)
    for _ in console.track(range(sentences), "hearing words", sentences, unit="sentence"):
        text = sentence(rng, words=10)
        spoken = resampled(say(text, engine=ENGINE, seed=seed).sound, WORK_RATE)
        features = features_of(spoken)
        kinds = {
            "the engine": spoken,
            "Griffin-Lim alone": sound_of(features.mel, features.pitch, len(spoken)),
            "converted": converted(spoken, model, next(names), seed=seed),
        }
        wanted = plain_words(text)
        words += len(wanted)
        for kind, sound in kinds.items():
            errors[kind].append(word_errors(wanted, plain_words(hear(sound))))
    rates = {kind: sum(found) / words for kind, found in errors.items()}
    target = rates["the engine"] + _AIMS["words"]
    return [
        Measurement.of(
            f"word error, {kind}", "share", [rate], target=target if kind == "converted" else None, better="lower",
            note=f"{words} words of {sentences} sentences by {ENGINE}; pocketsphinx",
        )
        for kind, rate in rates.items()
    ]  # fmt: skip


def recogniser(packages: Path | None) -> Callable[[Sound], str] | None:
    """Sound to words by pocketsphinx with the model in its package; None where the package is not at hand."""
    with_packages(packages)
    try:
        from pocketsphinx import Decoder  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    decoder: Any = Decoder(samprate=WORK_RATE, loglevel="FATAL")

    def heard(sound: Sound) -> str:
        decoder.start_utt()
        decoder.process_raw((sound.samples * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return "" if found is None else str(found.hypstr)

    return heard


def with_packages(packages: Path | None) -> None:
    """Lets Python find packages in a folder that ``pip install --target`` made, behind those installed."""
    if packages is not None and str(packages) not in sys.path:
        sys.path.append(str(packages))


def plain_words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    kept = "".join(each if each.isalnum() or each == "'" else " " for each in text.lower())
    return kept.split()


def word_errors(wanted: Sequence[str], heard: Sequence[str]) -> int:
    """Least number of words put in, left out or replaced (Levenshtein distance)."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(wanted, 1):
        before, row[0] = row[0], place
        for other, said in enumerate(heard, 1):
            before, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, before + (word != said))
    return row[-1]
