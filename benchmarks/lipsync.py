"""Makes the lip-sync model of the package from material that may be given away, and measures it on speakers left out.

A network learns first from speech of engines that tell the times of their phones, then from clips of GRID beside it.
Speech, landmarks and runs are kept in a folder, so that the same command goes on after a stop.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.motion import speakers
from forge.reenacting.config import ReenactConfig
from forge.reenacting.lipsync.checkpoint import (
    SHIPPED,
    LipsyncModel,
    Material,
    load_lipsync_model,
    save_lipsync_model,
)
from forge.reenacting.lipsync.config import LipsyncConfig
from forge.reenacting.lipsync.lessons import Lesson, Lessons, SpeakingClip, phone_lessons
from forge.reenacting.lipsync.training import train_lipsync
from forge.reenacting.lipsync.visemes import TimedPhone
from forge.reenacting.performance import Performance, performance_of
from forge.speaking.contract import say
from forge.speaking.sentences import sentence
from forge.swapping.plan import found_plan
from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.console import console
from shared.errors import AssayError, MediaError
from shared.faces.finders.finder import FaceFinder
from shared.storage import decode_json, replacing, sha256_file
from shared.video.excerpt import ClipRange, Excerpt, ExcerptReader

VOICES = (
    ("flite", "slt"), ("flite", "awb"), ("flite", "rms"), ("espeak", "en-us"), ("espeak", "en-us+f3"),
    ("espeak", "en-us+m3"), ("espeak", "en"), ("espeak", "en+f2"), ("espeak", "en-gb-scotland"),
    ("espeak", "en-gb-x-rp"), ("espeak", "en-029"),
)  # fmt: skip
"""Engines that tell the times of phones, with their voices."""

OTHERS = (
    "video_more/real3dportrait_May_5s.mp4",
    "video_more/videoretalking_face2.mp4",
    "video_more/videoretalking_face3.mp4",
)
"""Clips of further speakers, for measurement alone. How well their mouths and sounds are in step is not known."""

PORTRAITS = ("d9", "d3", "d18", "d13")
"""Portraits that are driven, for measurement alone."""

_MOST_FRAMES = 200
_RIGHTS = {"flite": "synthetic, BSD-like", "espeak": "synthetic, GPL-3.0-or-later program"}
_GRID_RIGHTS = "GRID corpus, CC-BY-4.0"
_FIELDS = ("frames", "seconds", "landmarks", "yaw", "pitch", "tracks")


@dataclass(frozen=True)
class Plan:
    """How much is made and trained: sentences of each voice, steps on phones alone, and steps with clips."""

    sentences: int = 12
    phone_steps: int = 800
    clip_steps: int = 150


@dataclass(frozen=True)
class Ingredients:
    """The material of a training: clips of speakers, lessons of phones, and where both are from."""

    clips: tuple[SpeakingClip, ...]
    phones: tuple[Lesson, ...]
    clip_materials: tuple[Material, ...]
    voices: tuple[Material, ...]


def gathered(media: Path, work: Path, plan: Plan, finder: FaceFinder) -> Ingredients:
    """The material, made in ``work`` where it is not there yet.

    Raises:
        UsageError: clips of GRID are missing.
        SpeechError: an engine is missing.
        AssayError: a clip cannot be read, or shows no face.
    """
    speech, voices = _speech(work / "speech", plan.sentences)
    paths = speakers(media / "video_grid")
    clips = [
        speaking_clip(path, work / "faces", finder)
        for path in console.track(paths, "finding faces", len(paths), unit="clip")
    ]
    materials = [
        Material(path.stem, _GRID_RIGHTS, sha256_file(path), round(clip.sound.seconds, 2))
        for path, clip in zip(paths, clips, strict=True)
    ]
    return Ingredients(tuple(clips), tuple(phone_lessons(speech)), tuple(materials), tuple(voices))


def _speech(folder: Path, sentences: int) -> tuple[list[tuple[Sound, list[TimedPhone]]], list[Material]]:
    """Sentences read by all voices, with the times of their phones; and a material a voice."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[tuple[Sound, list[TimedPhone]]] = []
    materials: list[Material] = []
    for number, (engine, voice) in enumerate(console.track(VOICES, "speaking", len(VOICES), unit="voice")):
        digest, seconds = hashlib.sha256(), 0.0
        for place in range(sentences):
            path = folder / f"{engine}-{voice}-{place}.npz"
            if not path.is_file():
                _say(path, engine, voice, np.random.default_rng([number, place]))
            sound, phones = _read_speech(path)
            digest.update(sound.samples.tobytes())
            seconds += sound.seconds
            found.append((sound, phones))
        materials.append(Material(f"{engine} {voice}", _RIGHTS[engine], digest.hexdigest(), round(seconds, 2)))
    return found, materials


def _say(path: Path, engine: str, voice: str, rng: np.random.Generator) -> None:
    speech = say(sentence(rng, words=int(rng.integers(5, 13))), engine=engine, voice=voice, seed=0)
    rate = speech.sound.rate
    phones = [(phone.symbol, phone.first / rate, phone.stop / rate) for phone in speech.phones]
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, samples=speech.sound.samples, rate=rate, phones=np.array(json.dumps(phones)))


def _read_speech(path: Path) -> tuple[Sound, list[TimedPhone]]:
    with np.load(path, allow_pickle=False) as stored:
        sound = Sound(stored["samples"], int(stored["rate"]))
        phones = decode_json(str(stored["phones"]), list[tuple[str, float, float]], path, error=MediaError)
        return sound, [TimedPhone(*phone) for phone in phones]


def speaking_clip(path: Path, folder: Path, finder: FaceFinder, *, frames: int | None = None) -> SpeakingClip:
    """The sound and the face of a clip, or of its first ``frames``; what was found is kept in ``folder``.

    Raises:
        MediaError, NoFaceError: it cannot be read, has no sound, or shows no face.
    """
    sound = read_sound(path, most_seconds=600)
    kept = folder / f"{path.stem}.npz"
    if not kept.is_file():
        performance = performance_in(path, finder, frames=frames)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as draft, draft.open("wb") as file:
            np.savez(file, **{name: getattr(performance, name) for name in _FIELDS})
    with np.load(kept, allow_pickle=False) as stored:
        performance = Performance(**{name: stored[name] for name in _FIELDS})
    first = round((float(performance.seconds[0]) - float(sound.start)) * sound.rate)
    last = round((float(performance.seconds[-1]) - float(sound.start) + 0.1) * sound.rate)
    return SpeakingClip(path.stem, sound if frames is None else sound.cut(first, last), performance)


def performance_in(path: Path, finder: FaceFinder, *, frames: int | None = None) -> Performance:
    """What the main person of a clip does in its first ``frames``.

    Raises:
        MediaError, NoFaceError: it cannot be read, or shows no face.
    """
    wanted = ClipRange(0, frames or 10**6, "the first frames")
    with ExcerptReader(path, Excerpt.of(path, wanted)) as reader:
        info = reader.info
        plan = found_plan(
            reader, ReenactConfig().finding, finder, declared=info.frames_declared, what=path.name, embedder=None
        )
    return performance_of(plan, width=info.width, height=info.height)


def others(media: Path, folder: Path, finder: FaceFinder) -> tuple[list[SpeakingClip], list[str]]:
    """The clips of :data:`OTHERS`, of each at most 200 frames; and remarks on those that cannot be used."""
    found: list[SpeakingClip] = []
    notes: list[str] = []
    for name in OTHERS:
        try:
            found.append(speaking_clip(media / name, folder, finder, frames=_MOST_FRAMES))
        except AssayError as error:
            notes.append(f"{name}: {error}")
    return found, notes


def config_of(steps: int, **more: float) -> LipsyncConfig:
    """The settings of every training here, for ``steps``."""
    return replace(LipsyncConfig(steps=steps, save_every=50, device="cpu"), **more)


def phones_model(given: Ingredients, work: Path, plan: Plan) -> LipsyncModel:
    """The model that has heard phones alone."""
    lessons = Lessons.of((), given.phones)
    return load_lipsync_model(train_lipsync(lessons, work / "phones", config_of(plan.phone_steps), given.voices))


def model_with(
    given: Ingredients, start: LipsyncModel, run: Path, plan: Plan, *, without: str | None = None
) -> LipsyncModel:
    """``start`` trained on with the clips of all speakers, or all but one."""
    chosen = [place for place, clip in enumerate(given.clips) if clip.name != without]
    lessons = Lessons.of([given.clips[place] for place in chosen], given.phones)
    materials = [*(given.clip_materials[place] for place in chosen), *given.voices]
    config = config_of(plan.clip_steps, learning_rate=1e-3)
    return load_lipsync_model(train_lipsync(lessons, run, config, materials, start=start))


def held_out(
    given: Ingredients, start: LipsyncModel, work: Path, plan: Plan
) -> Iterator[tuple[SpeakingClip, LipsyncModel]]:
    """Every speaker with the model that was trained without this speaker."""
    for clip in given.clips:
        yield clip, model_with(given, start, work / f"without-{clip.name}", plan, without=clip.name)


def ship(model: LipsyncModel, numbers: Mapping[str, float], folder: Path = SHIPPED) -> Path:
    """Writes the model into the package, with what was measured in its card."""
    return save_lipsync_model(folder, model.network, replace(model.facts, numbers=dict(numbers)))
