"""What the network learns from: sounds, with the parameters of the mouth at every step.

Two kinds of lesson: a clip of a speaker, whose mouth is found in its frames; and speech of an engine that tells the
times of its phones, from which the mouth follows by a table. Both count in units of their own spread, because people
open their mouths unequally far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forge.reenacting.lipsync.config import LipsyncConfig
from forge.reenacting.lipsync.features import STEPS, features_of, spectrum_of
from forge.reenacting.lipsync.mouth import BASIS_SHAPE, PARAMETERS, fitted_basis, parameters_of
from forge.reenacting.lipsync.visemes import TimedPhone, mouth_track
from forge.reenacting.performance import Performance
from forge.reenacting.shape import mouth_width
from shared.audio.sound import Sound
from shared.errors import UsageError

_LEAST_SPREAD = 1e-4


@dataclass(frozen=True, eq=False)
class Lesson:
    """A sound and the mouth that goes with it, a row a step of 20 ms.

    Convention:
        spectrum: (T, 40), see :mod:`forge.reenacting.lipsync.features`
        mouth: (T, 3) in units of the lesson's spread; known: (T,) bool, where it is
    """

    spectrum: np.ndarray
    mouth: np.ndarray
    known: np.ndarray


@dataclass(frozen=True, eq=False)
class SpeakingClip:
    """A clip of a speaker: the sound and the face in its frames, both at the file's times."""

    name: str
    sound: Sound
    performance: Performance

    @property
    def motion(self) -> np.ndarray:
        """(N, 68, 2): how far the face is from itself at rest."""
        shapes = self.performance.steady_shapes
        return shapes - shapes[self.performance.neutral()]

    def lesson(self) -> Lesson:
        """The clip as a lesson.

        Raises:
            UsageError: the mouth does not move.
        """
        parameters = parameters_of(self.motion)
        spread = parameters.std(axis=0)
        if not spread.min() > _LEAST_SPREAD:
            raise UsageError(f"the mouth in {self.name} does not move", hint="name clips of people who speak")
        spectrum, seconds = spectrum_of(self.sound), self.performance.seconds
        times = float(self.sound.start) + np.arange(len(spectrum)) / STEPS
        tracks = [np.interp(times, seconds, one) for one in (parameters / spread).T]
        return Lesson(spectrum, np.stack(tracks, axis=1), (times >= seconds[0]) & (times <= seconds[-1]))


def phone_lessons(speech: Sequence[tuple[Sound, Sequence[TimedPhone]]]) -> list[Lesson]:
    """Lessons from speech with the times of its phones, all in units of their common spread."""
    spectra = [spectrum_of(sound) for sound, _ in speech]
    tracks = [mouth_track(phones, steps=len(one), rate=STEPS) for one, (_, phones) in zip(spectra, speech, strict=True)]
    spread = np.maximum(np.concatenate(tracks).std(axis=0), _LEAST_SPREAD) if tracks else np.ones(3)
    return [Lesson(one, track / spread, np.ones(len(one), bool)) for one, track in zip(spectra, tracks, strict=True)]


@dataclass(frozen=True, eq=False)
class Lessons:
    """All that one training learns from.

    Convention:
        spread: (3,) median over clips, in face units; basis: (3, 41); mouth_width: median at rest, in face units
    """

    clips: tuple[Lesson, ...]
    phones: tuple[Lesson, ...]
    spread: np.ndarray
    basis: np.ndarray
    mouth_width: float

    @classmethod
    def of(cls, clips: Sequence[SpeakingClip], phones: Sequence[Lesson]) -> Lessons:
        """From clips and lessons of phones. Without clips the network learns when a mouth opens, but no shape of lips.

        Raises:
            UsageError: there is neither, or a clip in which the mouth does not move.
        """
        if not clips and phones:
            return cls((), tuple(phones), np.ones(len(PARAMETERS)), np.zeros(BASIS_SHAPE), 1.0)
        if not clips:
            raise UsageError("a lip-sync model learns from clips or phones", hint="name one or more")
        motions = [clip.motion for clip in clips]
        spreads = np.array([parameters_of(motion).std(axis=0) for motion in motions])
        shapes = [clip.performance.steady_shapes[clip.performance.neutral()] for clip in clips]
        return cls(
            tuple(clip.lesson() for clip in clips), tuple(phones), np.median(spreads, axis=0),
            fitted_basis(np.concatenate(motions)), float(np.median([mouth_width(shape) for shape in shapes])),
        )  # fmt: skip

    def batch(self, config: LipsyncConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(B, S, 40) features, (B, S, 3) parameters and (B, S) where these are known, each changed at random."""
        clips = (config.clips_share if self.phones else 1.0) if self.clips else 0.0
        rows = []
        for _ in range(config.batch):
            group = self.clips if rng.random() < clips else self.phones
            rows.append(changed(group[int(rng.integers(len(group)))], config, rng))
        features, mouth, known = (np.stack(part).astype(np.float32) for part in zip(*rows, strict=True))
        return torch.from_numpy(features), torch.from_numpy(mouth), torch.from_numpy(known)


def changed(
    lesson: Lesson, config: LipsyncConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A stretch of ``lesson`` in another voice, tempo and noise: (S, 40) features, (S, 3) mouth, (S,) known.

    Another vocal tract stretches the bands (Jaitly and Hinton, "Vocal tract length perturbation", 2013). A lesson that
    is shorter than the stretch is followed by steps that are not known.
    """
    tract, tempo = (factor ** rng.uniform(-1, 1) for factor in (config.tract, config.tempo))
    bands = lesson.spectrum.shape[1]
    spectrum = _at(lesson.spectrum.T, np.minimum(np.arange(bands) * tract, bands - 1)).T
    floor = np.quantile(spectrum, 0.05)
    spectrum = np.logaddexp(spectrum, floor + rng.uniform(-2, config.noise) + 0.3 * rng.standard_normal(spectrum.shape))
    moments = np.arange(int(len(spectrum) / tempo)) * tempo
    features = features_of(_at(spectrum, moments))
    mouth, known = _at(lesson.mouth, moments), lesson.known[np.minimum(moments.round().astype(int), len(spectrum) - 1)]
    room = len(features) - config.stretch
    start = int(rng.integers(room + 1)) if room > 0 else 0
    rows = slice(start, start + config.stretch)
    short = max(0, -room)
    return (
        np.pad(features[rows], ((0, short), (0, 0)), mode="edge"), np.pad(mouth[rows], ((0, short), (0, 0))),
        np.pad(known[rows], (0, short)),
    )  # fmt: skip


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(M, ...): rows of ``values`` (N, ...) at fractional ``places``, which lie in 0 to N - 1."""
    low = np.minimum(places.astype(int), len(values) - 1)
    share = (places - low).reshape(-1, *(1,) * (values.ndim - 1))
    return (1 - share) * values[low] + share * values[np.minimum(low + 1, len(values) - 1)]
