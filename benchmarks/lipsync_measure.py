"""What a lip-sync model hears against what a mouth did, and whether driven clips are in step with their sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.mouth_sound import mouth_in
from benchmarks.schema import Measurement
from detect.inspection.evidence.mouth_sound import MouthTrack, Sync, synchrony
from detect.inspection.evidence.sound import sound_facts
from forge.reenacting.clip import reenact_clip
from forge.reenacting.config import ReenactConfig
from forge.reenacting.drive_table import read_drive
from forge.reenacting.lipsync.checkpoint import LipsyncModel
from forge.reenacting.lipsync.drive import heard_parameters as heard
from forge.reenacting.lipsync.features import STEPS, loudness_of, spectrum_of
from forge.reenacting.lipsync.lessons import SpeakingClip
from forge.reenacting.lipsync.mouth import PARAMETERS, parameters_of
from forge.speaking.contract import say
from forge.speaking.sentences import sentence
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.console import console
from shared.dataset.layout import DRIVE_TABLE
from shared.errors import AssayError
from shared.faces.finders.finder import FaceFinder
from shared.types import ClipRecord
from shared.video import frame_times

SHIFTS = (-0.32, -0.16, 0.16, 0.32)
_SMOOTH_SECONDS = 0.06
_UNHEARD = (("hibari", "heart"), ("piper", "joe"))
"""Engines with voices that no model here was trained on."""
_WORDS = 14
_SHUT = 0.012
"""Face units of opening below which lips are shut, and no inside of the mouth is shown."""


def smoothed_energy(sound: Sound) -> np.ndarray:
    """(T, 3): the loudness, smoothed, in place of every parameter: what a mouth does that opens as a voice is loud."""
    level = gaussian_filter1d(loudness_of(spectrum_of(sound)), _SMOOTH_SECONDS * STEPS)
    return np.repeat(level[:, None], len(PARAMETERS), axis=1)


def correlations(clip: SpeakingClip, found: np.ndarray, *, late: float = 0.0) -> np.ndarray:
    """(3,): correlation of each of the parameters that were ``found`` (T, 3) with the mouth's own, over the frames.

    ``late`` moves the sound by so many seconds first.
    """
    own, seconds = parameters_of(clip.motion), clip.performance.seconds
    times = float(clip.sound.start) + late + np.arange(len(found)) / STEPS
    at = np.stack([np.interp(seconds, times, one) for one in found.T], axis=1)
    return np.array([np.corrcoef(at[:, n], own[:, n])[0, 1] for n in range(own.shape[1])])


def best(clip: SpeakingClip, found: np.ndarray) -> np.ndarray:
    """(3,): as :func:`correlations`, at the lag within 0.2 s at which that of the opening is highest."""
    rows = [correlations(clip, found, late=late) for late in np.arange(-10, 11) / STEPS]
    return rows[int(np.argmax([row[0] for row in rows]))]


def heard_measurements(
    cases: Sequence[tuple[SpeakingClip, LipsyncModel]], phones: LipsyncModel, group: str
) -> list[Measurement]:
    """Correlations over ``cases``, each a clip with a model that does not know its speaker, beside the baselines."""
    sounds = [clip.sound for clip, _ in cases]
    tables = {
        "model": [correlations(clip, heard(clip.sound, model)) for clip, model in cases],
        "model of phones alone": [correlations(clip, heard(clip.sound, phones)) for clip, _ in cases],
        "smoothed energy": [correlations(clip, smoothed_energy(clip.sound)) for clip, _ in cases],
        "model, at its best lag within 0.2 s": [best(clip, heard(clip.sound, model)) for clip, model in cases],
        "smoothed energy, at its best lag within 0.2 s": [best(clip, smoothed_energy(clip.sound)) for clip, _ in cases],
        "model, sound moved by 0.16 or 0.32 s": [
            np.mean([correlations(clip, heard(clip.sound, model), late=late) for late in SHIFTS], axis=0)
            for clip, model in cases
        ],
        "model, sound of the next clip": [
            correlations(clip, heard(sounds[(place + 1) % len(sounds)], model))
            for place, (clip, model) in enumerate(cases)
        ],
    }
    made = [
        Measurement.of(f"{group}: {parameter}, {name}", "correlation", [float(row[n]) for row in rows])
        for n, parameter in enumerate(PARAMETERS)
        for name, rows in tables.items()
    ]
    spreads = [_spread(clip, model) for clip, model in cases]
    made.append(Measurement.of(f"{group}: spread of the opening, model over mouth", "ratio", spreads))
    for name, shares in (("shut", _shut_share(cases, shut=True)), ("open", _shut_share(cases, shut=False))):
        if shares:
            made.append(Measurement.of(f"{group}: {name} lips that the model has as shut", "share", shares))
    return made


def _shut_share(cases: Sequence[tuple[SpeakingClip, LipsyncModel]], *, shut: bool) -> list[float]:
    """Of each clip, among its frames with shut or with open lips, the share that the model has as shut."""
    shares = []
    for clip, model in cases:
        own = parameters_of(clip.motion)[:, 0]
        found = heard(clip.sound, model)[:, 0]
        times = float(clip.sound.start) + np.arange(len(found)) / STEPS
        at = np.interp(clip.performance.seconds, times, found)
        chosen = own < _SHUT if shut else own >= 2 * _SHUT
        shares += [float((at[chosen] < _SHUT).mean())] if chosen.any() else []
    return shares


def _spread(clip: SpeakingClip, model: LipsyncModel) -> float:
    """Standard deviation of the opening that is heard, in face units, over that of the mouth."""
    return float(heard(clip.sound, model)[:, 0].std() / parameters_of(clip.motion)[:, 0].std())


def drives(folder: Path) -> list[Path]:
    """Sounds of voices that were not learned from, two of each engine; what is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (engine, voice) in enumerate(_UNHEARD):
        for place in range(2):
            path = folder / f"{engine}-{voice}-{place}.wav"
            if not path.is_file():
                text = sentence(np.random.default_rng([7, number, place]), words=_WORDS)
                write_sound(path, say(text, engine=engine, voice=voice, seed=0).sound)
            found.append(path)
    return found


def targets(media: Path, names: Iterable[str], folder: Path, *, actors: int, frames: int) -> list[Path]:
    """Clips of real portraits, and of actors who are filmed for it."""
    folder.mkdir(parents=True, exist_ok=True)
    filmed = [
        film(actor, folder / f"{actor.name}.mp4", seconds=frames / 25, px=288, seed=50 + number, audio=False)
        for number, actor in enumerate(cast(actors, 23))
    ]
    return [*(media / "video_portrait" / f"lp_{name}.mp4" for name in names), *filmed]


@dataclass(frozen=True)
class Driven:
    """A driven clip: its relation to its sound and to the sound of another, and that of the target to its sound."""

    name: str
    own: Sync
    wrong: Sync
    before: Sync


def driven(
    clips: Sequence[Path], sounds: Sequence[Path], model: Path, work: Path, finder: FaceFinder, *, frames: int,
    corrections: int,
) -> tuple[list[Driven], list[str]]:  # fmt: skip
    """Every target driven by one of the sounds, in ``work``; and remarks on those that could not be."""
    found: list[Driven] = []
    notes: list[str] = []
    config = ReenactConfig(family="lipsync", sound="driver", corrections=corrections, finder="dlib", device="cpu")
    facts = [sound_facts(path) for path in sounds]
    for place, path in enumerate(console.track(clips, "driving", len(clips), unit="clip")):
        number = place % len(sounds)
        try:
            record = reenact_clip(
                path, drive=sounds[number], dataset=work, config=config, swapper=model, stretch=f"0-{frames}",
                target_identity=path.stem, driver_identity=sounds[number].stem, rights="for measurement",
                drive_rights="synthetic", finder=finder,
            )  # fmt: skip
        except AssayError as error:
            notes.append(f"{path.stem}: {error}")
            continue
        after, before = mouth_in(work / record.path, finder), _mouth_before(work, record)
        if after is None:
            notes.append(f"{path.stem}: the face is found in too few frames")
            continue
        other = facts[(number + 2) % len(sounds)]
        syncs = synchrony(after, facts[number]), synchrony(after, other), synchrony(before, facts[number])
        one, two, three = syncs
        if one is None or two is None or three is None:
            notes.append(f"{path.stem}: mouth and sound share too little time")
            continue
        found.append(Driven(f"{path.stem} by {sounds[number].stem}", one, two, three))
    return found, notes


def _mouth_before(dataset: Path, record: ClipRecord) -> MouthTrack:
    """The mouth that the target had in the driven frames."""
    rows = read_drive(dataset / record.factors[DRIVE_TABLE])
    times = frame_times(dataset / record.path)
    order = sorted(rows)
    seconds = np.array([times[frame].seconds for frame in order])
    return MouthTrack.of(0, seconds, np.stack([rows[frame][1] for frame in order]))


def driven_measurements(rows: Sequence[Driven]) -> list[Measurement]:
    """Strength, lag and margin of driven mouths with their sound, beside a wrong sound and the mouth before."""
    made: list[Measurement] = []
    for name, chosen in (
        ("driven mouth, its sound", [row.own for row in rows]),
        ("driven mouth, another sound", [row.wrong for row in rows]),
        ("mouth before, the driving sound", [row.before for row in rows]),
    ):
        made += [
            Measurement.of(f"{name}: strength", "correlation", [sync.strength for sync in chosen]),
            Measurement.of(f"{name}: lag", "s", [sync.lag for sync in chosen], better="lower"),
            Measurement.of(f"{name}: margin", "correlation", [sync.margin for sync in chosen]),
            Measurement.of(f"{name}: p", "share", [sync.p for sync in chosen], better="lower"),
        ]
    return made
