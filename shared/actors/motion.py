"""Motion of actors: speech-like jaw motion, blinks, glances, smiles and head sway."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from shared.actors.body import Pose
from shared.actors.expression import Expression


@dataclass(frozen=True, slots=True)
class Liveliness:
    """Amount of motion: degrees of the head's turn, nod and tilt, and shares of each expression's range."""

    yaw: float = 13.0
    pitch: float = 6.0
    roll: float = 4.5
    speech: float = 1.0
    smile: float = 0.8
    brow: float = 0.9
    gaze: float = 11.0


@dataclass(frozen=True, eq=False)
class Track:
    """The motion of a performance, by frame; all fields of equal length.

    Convention: speech (T,) in [0, 1] is how far the jaw is open, which sound follows.
    """

    expressions: list[Expression]
    poses: list[Pose]
    speech: np.ndarray


def perform_track(
    frames: int, frame_rate: Fraction, rng: np.random.Generator, liveliness: Liveliness | None = None
) -> Track:
    """The motion of a performance of ``frames`` frames."""
    lively = liveliness or Liveliness()
    seconds = np.arange(frames) / float(frame_rate)
    jaw, pucker = _speech(seconds, rng)
    smile = np.clip(_wander(seconds, rng, 0.22) * 0.75 + 0.15, 0.0, 1.0) * lively.smile
    smile = smile * (1 - 0.45 * jaw)
    bare = np.clip(0.5 * smile + 0.35 * np.clip(-pucker, 0, 1) * (jaw > 0.05), 0.0, 1.0)
    blink = _blinks(seconds, rng)
    gaze_x, gaze_y = _glances(seconds, rng, lively.gaze)
    brow = np.clip(_wander(seconds, rng, 0.35) * 0.5 + 0.2 * jaw, -0.6, 1.0) * lively.brow
    frown = np.clip(_wander(seconds, rng, 0.2) - 0.8, 0.0, 0.8)
    yaw, pitch, roll = (_sway(seconds, rng) * reach for reach in (lively.yaw, lively.pitch, lively.roll))
    pitch = pitch - 1.2 * jaw
    right, up, nearer = (_sway(seconds, rng) * reach for reach in (7.0, 4.0, 16.0))
    speech = np.clip(jaw * lively.speech, 0.0, 1.0)
    # Eyes stay roughly on the viewer while the head turns.
    gaze_x, gaze_y = gaze_x - 0.55 * yaw, gaze_y - 0.5 * pitch
    # Lids follow the eyeball down.
    droop = np.clip(-gaze_y, 0.0, 20.0) * 0.018
    lids = np.clip(np.maximum(blink, droop), 0.0, 1.0)
    expressions = [
        Expression(
            jaw=float(speech[k]), smile=float(smile[k]), pucker=float(pucker[k]), bare=float(bare[k]),
            blink=(float(lids[k]), float(lids[k])), brow=float(brow[k]), frown=float(frown[k]),
            gaze=(float(gaze_x[k]), float(gaze_y[k])),
        )
        for k in range(frames)
    ]  # fmt: skip
    poses = [
        Pose(float(yaw[k]), float(pitch[k]), float(roll[k]), float(right[k]), float(up[k]), float(nearer[k]))
        for k in range(frames)
    ]
    return Track(expressions, poses, speech)


def _wander(seconds: np.ndarray, rng: np.random.Generator, hertz: float) -> np.ndarray:
    """(T,) a smooth random curve of deviation about 1 that varies at ``hertz``."""
    out = np.zeros_like(seconds)
    for harmonic in (0.5, 1.0, 1.7):
        out += np.sin(2 * np.pi * (hertz * harmonic * rng.uniform(0.8, 1.25) * seconds + rng.random())) / harmonic**0.5
    return out / 1.35


def _sway(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T,) within about [-1, 1], slow with a little tremor."""
    slow = _wander(seconds, rng, 0.28)
    quick = _wander(seconds, rng, 0.9)
    return np.clip(0.62 * slow + 0.16 * quick, -1.2, 1.2)


def _speech(seconds: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(T,), (T,): jaw and rounding of syllables in phrases with pauses."""
    jaw, pucker = np.zeros_like(seconds), np.zeros_like(seconds)
    at = rng.uniform(-0.3, 0.2)
    end = float(seconds[-1]) if len(seconds) else 0.0
    while at < end:
        phrase = at + rng.uniform(1.0, 2.4)
        while at < phrase:
            length = rng.uniform(0.17, 0.34)
            height = rng.choice([rng.uniform(0.15, 0.4), rng.uniform(0.45, 0.95)])
            wave = np.clip((seconds - at) / length, 0.0, 1.0)
            hump = np.sin(np.pi * wave) ** 1.4
            jaw = np.maximum(jaw, height * hump)
            pucker += rng.uniform(-0.8, 1.0) * hump
            at += length * rng.uniform(0.82, 1.0)
        at += rng.uniform(0.3, 0.8)
    return jaw, np.clip(pucker, -1.0, 1.0)


def _blinks(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T,) 0 to 1: a blink within the first 1.3 seconds, then one every few."""
    shut = np.zeros_like(seconds)
    at = rng.uniform(0.4, 1.3)
    end = float(seconds[-1]) if len(seconds) else 0.0
    while at < end + 0.3:
        down, up = 0.075, 0.15
        closing = 1 - (at - seconds) / down
        opening = 1 - (seconds - at - 0.03) / up
        shut = np.maximum(shut, np.clip(np.minimum(closing, opening), 0.0, 1.0))
        at += rng.gamma(5.0, 0.55)
    return shut


def _glances(seconds: np.ndarray, rng: np.random.Generator, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """(T,), (T,): degrees right and up; the eyes jump, then hold."""
    right, up = np.zeros_like(seconds), np.zeros_like(seconds)
    at, x, y = 0.0, 0.0, 0.0
    end = float(seconds[-1]) if len(seconds) else 0.0
    while at <= end:
        hold = rng.uniform(0.5, 1.6)
        home = rng.random() < 0.5
        new_x = 0.0 if home else rng.uniform(-reach, reach)
        new_y = 0.0 if home else rng.uniform(-0.6 * reach, 0.5 * reach)
        move = np.clip((seconds - at) / 0.06, 0.0, 1.0)
        inside = seconds >= at
        right = np.where(inside, x + (new_x - x) * move, right)
        up = np.where(inside, y + (new_y - y) * move, up)
        at, x, y = at + hold, new_x, new_y
    return right, up
