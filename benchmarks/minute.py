"""Seconds of scoring one minute of 1080p video with a detector, as ``assay inspect`` scores it."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.schema import Measurement
from detect.scoring.video import Predictor
from shared.actors import Actor, perform
from shared.types import Timestamp
from shared.video import Encoding, VideoWriter

_RATE = Fraction(25)
_WIDTH, _HEIGHT = 1920, 1080
_ACTOR_PX, _ACTOR_FRAMES = 360, 25


def film_minute(out: Path, *, seconds: float = 60.0, seed: int = 0) -> Path:
    """A 1080p clip of a procedural actor who fills a third of the frame's width, in front of noise; returns ``out``.

    The actor's second of motion is shown forwards and backwards, at places that move through the frame.
    """
    rng = np.random.default_rng(seed)
    shots = perform(Actor.from_seed(seed), frames=_ACTOR_FRAMES, px=_ACTOR_PX, frame_rate=_RATE, seed=seed)
    pictures = [cv2.resize(shot.image, (_HEIGHT * 2 // 3, _HEIGHT * 2 // 3)) for shot in shots]
    side = pictures[0].shape[0]
    wall = cv2.resize(rng.integers(60, 160, (27, 48, 3), np.uint8), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
    frames = round(seconds * _RATE)
    encoding = Encoding(crf=23, preset="veryfast")
    with VideoWriter(
        out, width=_WIDTH, height=_HEIGHT, time_base=1 / _RATE, frame_rate=_RATE, encoding=encoding
    ) as writer:
        for index, picture in enumerate(islice(cycle([*pictures, *pictures[::-1]]), frames)):
            image = wall.copy()
            left = round((_WIDTH - side) * (0.5 + 0.3 * np.sin(index / 50)))
            image[_HEIGHT - side :, left : left + side] = picture
            writer.write(image, Timestamp(index, 1 / _RATE))
    return out


def measure(clip: Path, detector: str | Path, *, device: str, repeats: int, length: float) -> list[Measurement]:
    """Wall-clock and processor seconds of scoring ``clip``, which is ``length`` seconds long.

    Raises:
        CheckpointError: no such detector.
        MediaError: the clip cannot be read.
    """
    predictor = Predictor.load(detector, device)
    walls, processors, scored = [], [], 0
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        scored = predictor.score(clip).clip.frames_scored
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    note = f"{scored} frames scored"
    return [
        Measurement.of("one-minute 1080p clip, wall clock", "s", walls, better="lower", target=length, note=note),
        Measurement.of("processor time, all threads", "s", processors, better="lower", target=2 * length,
                       note="two cores have twice the clip's length"),
    ]  # fmt: skip
