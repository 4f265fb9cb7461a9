"""Assay's swapping, training and extraction beside plain loops (:mod:`benchmarks.peer_loops`), in one run.

Each pair is timed alternately, and each repeat gives one ratio, of work per CPU second (all threads of the process) and
of work per second of the wall clock. Only training is warmed up: the first repeat of the other races includes what a
process imports and loads once.
"""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.peer_loops import PlainTraining, detect_by_loop, extract_by_loop, swap_by_loop
from benchmarks.roofline import Case, trainer_for
from benchmarks.schema import Measurement
from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.swapping.clip import swap_clip
from forge.swapping.config import OutputConfig, SwapConfig
from shared.actors import Actor, film
from shared.device import pick_device, seed_everything
from shared.errors import UsageError, WeightsError
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.faces.finders.finder import make_finder
from shared.types import Frame
from shared.video import VideoReader, VideoWriter, probe

TARGET = 3.0
SIZES = ((512, 480), (720, 1280))
NETWORKS = ("original", "lightweight")

_PEOPLE = ("one", "other")
_FILMED_PX = 256
_BATCH = 16
_VIDEOS = (".mp4", ".mov", ".mkv", ".webm")


@dataclass
class _Race:
    """Two ways of the same work, timed alternately."""

    name: str
    unit: str
    found: dict[str, list[float]] = field(default_factory=dict)

    def run(self, ours: Callable[[], int], peer: Callable[[], int], repeats: int) -> None:
        for _ in range(repeats):
            rates = [_rates(work) for work in (ours, peer)]
            for clock, own, other in zip(("CPU second", "second"), *rates, strict=True):
                self.found.setdefault(f"{self.unit}/{clock}: Assay", []).append(own)
                self.found.setdefault(f"{self.unit}/{clock}: peer", []).append(other)
                self.found.setdefault(f"ratio per {clock}", []).append(own / other)

    def measurements(self) -> Iterator[Measurement]:
        for what, values in self.found.items():
            target = TARGET if what == "ratio per CPU second" else None
            unit = "x" if what.startswith("ratio") else what.partition(":")[0]
            yield Measurement.of(f"{self.name}, {what}", unit, values, target=target)


def _rates(work: Callable[[], int]) -> tuple[float, float]:
    """Units of ``work`` per CPU second and per second."""
    cpu, wall = _cpu_seconds(), time.perf_counter()
    units = work()
    return units / (_cpu_seconds() - cpu), units / (time.perf_counter() - wall)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(
    work: Path,
    *,
    clips: Path | None,
    seconds: float,
    steps: int,
    networks: Sequence[str],
    repeats: int,
    preset: str = "medium",
) -> tuple[list[Measurement], dict[str, Any], tuple[str, ...]]:
    """All races, their settings, and notes on what could not be run.

    ``clips`` is a folder of videos used instead of filmed actors. Files are made in ``work``. ``preset`` is x264's in
    Assay's swaps; the loops use the usual one.

    Raises:
        UsageError: ``clips`` holds no video.
    """
    paths = _videos(clips) if clips is not None else [film_clip(work, size, seconds) for size in SIZES]
    races, notes = [_training(steps, repeats)], list[str]()
    for number, path in enumerate(paths):
        info = probe(path)
        label = f"{info.width}x{info.height}" + (f" clip {number + 1}" if clips is not None else "")
        races += [_swapping(path, name, label, work, repeats, preset) for name in networks]
        races.append(_extraction(path, label, work, "dlib", repeats))
        try:
            races.append(_extraction(path, label, work, "blazeface", repeats))
        except WeightsError as error:
            notes.append(f"face-alignment's detector was not run on {label}: {error}")
    settings = {
        "clips": "procedural actors" if clips is None else f"{len(paths)} real clips",
        "seconds": seconds,
        "training_steps": steps,
        "networks": list(networks),
        "preset": preset,
        "threads": torch.get_num_threads(),
    }
    return [one for race in races for one in race.measurements()], settings, tuple(dict.fromkeys(notes))


def film_clip(work: Path, size: tuple[int, int], seconds: float) -> Path:
    """A clip of an actor with ``size`` (width, height): filmed at 256 px, enlarged to the width, cut or reflected."""
    width, height = size
    raw = film(Actor.from_seed(width), work / f"raw-{width}.mp4", seconds=seconds, px=_FILMED_PX, seed=1, audio=False)
    path = work / f"actor-{width}x{height}.mp4"
    with VideoReader(raw) as reader:
        info = reader.info
        clock = {"time_base": info.time_base, "frame_rate": info.frame_rate}
        with VideoWriter(path, width=width, height=height, **clock) as writer:
            for frame in reader:
                writer.write(_fitted(frame, width, height), frame.time)
    return path


def _fitted(frame: Frame, width: int, height: int) -> Any:
    image = cv2.resize(frame.image, (width, width), interpolation=cv2.INTER_CUBIC)
    spare = height - width
    if spare <= 0:
        return image[-spare // 2 : -spare // 2 + height]
    return cv2.copyMakeBorder(image, spare // 2, spare - spare // 2, 0, 0, cv2.BORDER_REFLECT)


def _videos(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _VIDEOS) if folder.is_dir() else []
    if not found:
        raise UsageError(f"{folder} holds no video", hint=f"give a folder with {', '.join(_VIDEOS)} files")
    return found


def _swapping(clip: Path, network: str, label: str, work: Path, repeats: int, preset: str) -> _Race:
    seed_everything(0)
    run, numbers = work / network, itertools.count()
    save_swapper(build_swapper(network, _PEOPLE), run)
    finder, config = make_finder("dlib"), SwapConfig(device="cpu", output=OutputConfig(preset=preset))

    def ours() -> int:
        return swap_clip(
            clip, swapper=run, source="one", target_identity="other", rights="measurement", name=f"{clip.stem}",
            dataset=work / f"set-{network}-{clip.stem}-{next(numbers)}", config=config, finder=finder,
        ).frames  # fmt: skip

    race = _Race(f"swap {label}, {network}", "frames")
    race.run(ours, lambda: swap_by_loop(clip, run, "one", work / f"loop-{network}-{clip.stem}.mp4"), repeats)
    return race


def _extraction(clip: Path, label: str, work: Path, finder_name: str, repeats: int) -> _Race:
    finder = make_finder(finder_name)
    config = ExtractConfig(identity="one", rights="measurement")

    def ours() -> int:
        info = extract([clip], work / f"faces-{finder_name}", config, finder=finder, force=True)
        return sum(one.frames_read for one in info.clips)

    if finder_name == "dlib":
        race = _Race(f"extract {label}, dlib", "frames")
        race.run(ours, lambda: extract_by_loop(clip, work / "plain"), repeats)
    else:
        # The peer only detects; landmarks, crops and files are ours alone.
        race = _Race(f"extract {label}, BlazeFace, against face-alignment's detection alone", "frames")
        race.run(ours, lambda: detect_by_loop(clip), repeats)
    return race


def _training(steps: int, repeats: int) -> _Race:
    seed_everything(0)
    ours, plain = trainer_for(Case("original", _BATCH), pick_device("cpu")), PlainTraining(_PEOPLE, _BATCH)
    ours.train_step(0.3)
    plain.step()

    def train() -> int:
        for _ in range(steps):
            ours.train_step(0.3)
        return steps * ours.faces_per_step

    race = _Race(f"train original, 64 px, {_BATCH} + {_BATCH}, against float32 in plain torch", "images")
    race.run(train, lambda: sum(plain.step() for _ in range(steps)), repeats)
    return race
