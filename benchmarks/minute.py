"""One minute of 1080p video: seconds of scoring it with a detector, and time and memory of ``assay inspect`` on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.schema import Measurement
from detect.cases.log import LOG_NAME, read_log
from detect.scoring.video import Predictor
from shared.actors import Actor, perform
from shared.errors import RunError
from shared.types import Timestamp
from shared.video import Encoding, VideoWriter

_RATE = Fraction(25)
_WIDTH, _HEIGHT = 1920, 1080
_ACTOR_PX, _ACTOR_FRAMES = 360, 25
_MOST_MB = 3_000


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


@dataclass(frozen=True)
class Inspected:
    """What one run of ``assay inspect`` took.

    Attributes:
        wall_seconds: from start to end of the command.
        cpu_seconds: of its processes together.
        peak_mb: resident memory of the process that took most of it: scoring, or decoding.
        steps: seconds by the clock of each step of the case's log.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    steps: dict[str, float]


def inspect_once(clip: Path, detector: str | Path, out: Path, *, device: str) -> Inspected:
    """Runs ``assay inspect`` on ``clip`` as a command, into the new case folder ``out``.

    Raises:
        RunError: the command failed.
    """
    command = [sys.executable, "-m", "shared.commands.assay", "--quiet", "inspect", str(clip), "--detector",
               str(detector), "--device", device, "--out", str(out)]  # fmt: skip
    began = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    wall = time.perf_counter() - began
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RunError(f"assay inspect {clip.name} ended with {running.returncode}", hint="run it alone to see why")
    lines, _ = read_log((out / LOG_NAME).read_bytes())
    steps: dict[str, float] = {}
    for line in lines:
        length = datetime.fromisoformat(line.ended) - datetime.fromisoformat(line.began)
        steps[line.step] = steps.get(line.step, 0.0) + length.total_seconds()
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return Inspected(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6, steps)


def measure_inspection(runs: Sequence[Inspected], *, length: float) -> list[Measurement]:
    """Time and memory of inspections of a clip that is ``length`` seconds long, and the clock of their steps."""
    note = "two cores have six times the clip's length"
    found = [
        Measurement.of("inspection, wall clock", "s", [run.wall_seconds for run in runs], better="lower",
                       target=3 * length),
        Measurement.of("inspection, processor time of all processes", "s", [run.cpu_seconds for run in runs],
                       better="lower", target=6 * length, note=note),
        Measurement.of("inspection, peak memory of one process", "MB", [run.peak_mb for run in runs], better="lower",
                       target=_MOST_MB),
    ]  # fmt: skip
    named = dict.fromkeys(name for run in runs for name in run.steps)
    found += [
        Measurement.of(f"step: {name}", "s", [run.steps.get(name, 0.0) for run in runs], better="lower")
        for name in named
    ]
    return found
