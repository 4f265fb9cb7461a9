"""Engines, twins and sets of speech: speed, whether times are kept, and what the chain takes away."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.schema import Measurement
from forge.speaking.building.build import group_sounds
from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.contract import engine_states, say
from forge.speaking.sentences import sentence
from forge.speaking.vocoders import available_vocoders, vocoded
from shared.audio.sound import Sound
from shared.speechsets.audit import audit_numbers, probe_numbers
from shared.voices.extract import extract_voice
from shared.voices.layout import ExtractSettings
from shared.voices.reader import Voiceset, read_voiceset


def engine_speed(texts: int, *, seed: int) -> list[Measurement]:
    """Seconds of work for a second of speech, by engine; the first text, which loads the engine, is not counted."""
    rng = np.random.default_rng(seed)
    lines = [sentence(rng, words=14) for _ in range(texts + 1)]
    found = []
    for state in engine_states():
        if state.missing:
            continue
        factors = []
        for number, line in enumerate(lines):
            begun = time.perf_counter()
            speech = say(line, engine=state.name, seed=seed)
            spent = time.perf_counter() - begun
            if number:
                factors.append(spent / speech.sound.seconds)
        found.append(Measurement.of(f"real-time factor of {state.name}", "s/s", factors, target=1.0, better="lower"))
    return found


def voices_of(folder: Path, scratch: Path, *, most: int) -> list[Voiceset]:
    """A voiceset of each reader in a folder with a folder a reader."""
    found = []
    for path in sorted(each for each in folder.iterdir() if each.is_dir())[:most]:
        extract_voice([path], scratch / path.name, ExtractSettings(path.name, "CC-BY-4.0"))
        found.append(read_voiceset(scratch / path.name))
    return found


def twin_steps(voices: Sequence[Voiceset], *, seed: int) -> list[Measurement]:
    """How far, in ms, the envelope of each twin is from that of its recording; one utterance a voice."""
    found = []
    for name in available_vocoders():
        lags = []
        for voice in voices:
            sound = voice.sound(0)
            lags.append(abs(lag_ms(sound, vocoded(sound, name, seed=seed))))
        found.append(Measurement.of(f"twin by {name}, out of step by", "ms", lags, target=5.0, better="lower"))
    return found


def lag_ms(sound: Sound, twin: Sound) -> float:
    """By how many ms the envelope of a twin is later than that of its recording."""
    width = sound.rate // 100
    window = np.ones(width) / width
    first, second = (np.convolve(np.abs(each.samples), window, "same") for each in (sound, twin))
    most = sound.rate // 20
    inner = first[most:-most]
    match = [
        np.corrcoef(inner, second[most + lag : len(second) - most + lag])[0, 1] for lag in range(-most, most + 1, 4)
    ]
    return 1000 * (int(np.argmax(match)) * 4 - most) / sound.rate


def shortcuts(voices: Sequence[Voiceset], spec: SpeechSetSpec) -> list[Measurement]:
    """The area of each probe of the audit: of recordings and fakes as they are made, and after the chain."""
    before: list[dict[str, list[float]]] = []
    after: list[dict[str, list[float]]] = []
    made: list[str | None] = []
    speakers: list[str] = []
    for speaker, manipulation, raw, chained in group_sounds(voices, spec):
        before.append(probe_numbers(raw))
        after.append(probe_numbers(chained))
        made.append(manipulation)
        speakers.append(speaker)
    found = []
    for what, numbers in (("as made", before), ("after the chain", after)):
        for probe in audit_numbers(numbers, made, speakers, seed=spec.seed):
            if probe.area is None:
                continue
            values = [value for value in (probe.low, probe.area, probe.high) if value is not None]
            parts = ", ".join(f"{name} {area:.2f}" for name, area in probe.by_manipulation.items())
            target = 0.55 if what == "after the chain" else None
            found.append(
                Measurement.of(
                    f"{probe.name} alone, {what}", "AUC", values, target=target, better="lower",
                    note=f"low, area and high of the interval over {len(set(speakers))} speakers; {parts}",
                )
            )  # fmt: skip
    return found


def measurements(readers: Path | None, *, texts: int, per_speaker: int, most: int, seed: int) -> list[Measurement]:
    """All of them; without recordings only the speed of engines."""
    found = engine_speed(texts, seed=seed)
    if readers is None:
        return found
    with tempfile.TemporaryDirectory() as scratch:
        voices = voices_of(readers, Path(scratch), most=most)
        found += twin_steps(voices, seed=seed)
        engines = tuple(state.name for state in engine_states() if not state.missing and state.name != "piper")
        spec = SpeechSetSpec(
            "measured", engines=engines, vocoders=tuple(available_vocoders()), per_speaker=per_speaker, seed=seed
        )
        found += shortcuts(voices, spec)
    return found
