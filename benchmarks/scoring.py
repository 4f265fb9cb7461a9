"""Clips per second of scoring end to end, against each of its stages alone, on the same clips.

There are two pipelines: a dataset's clips (``assay score``, ``assay detect evaluate``; faces cached as crops), and one
video after another (``assay inspect``; no cache). Stages: decoding, detection and cropping of faces, the network. A
pipeline with parallel stages is as fast as its slowest stage, as long as there are cores for all; on a single core it
can only be as fast as its stages one after another, so there that is the bound, and seconds are processor time of this
process: the machine may have other work.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.roofline import matrix_rate
from benchmarks.schema import Measurement, timed_rates
from detect.config.scoring import EvaluateConfig, FaceConfig, ScoreConfig
from detect.data.crops import faces_folder
from detect.models import Detector, build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.models.predictor import CropPredictor
from detect.scoring.dataset import score_dataset
from detect.scoring.samples import score_clips
from detect.scoring.video import Predictor, score_video
from shared.dataset import DatasetFolder
from shared.dataset.real import add_real_clip
from shared.device import Device, pick_device, seed_everything
from shared.engine.local import available_cores
from shared.errors import UsageError
from shared.faces.align import align
from shared.faces.facesets.reader import encode_crop
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.pose import head_pose, sharpness
from shared.faces.stream import FollowConfig, follow
from shared.sampling import evenly_spaced
from shared.types import Frame
from shared.video import VideoReader

TARGET = 80.0


@dataclass(frozen=True)
class ScoringConfig:
    """Settings of the benchmark.

    Attributes:
        backbone: any timm model, or ``mesonet`` and the like: what ``assay detect train --model`` takes.
        px: side of its crops; default the model's own.
        compile: torch.compile the network.
        batch: batch size where the network is measured alone.
        frames: of each clip, in the dataset pipeline.
    """

    backbone: str = "tf_efficientnet_lite0"
    px: int | None = None
    compile: bool = False
    device: str = "auto"
    precision: str = "auto"
    finder: str = "auto"
    batch: int = 32
    frames: int = EvaluateConfig.frames_per_clip
    repeats: int = 3


@dataclass(frozen=True, eq=False)
class _Bench:
    """Common state of all measurements."""

    config: ScoringConfig
    set: DatasetFolder
    detector: Path
    predictor: CropPredictor
    finder: FaceFinder
    clips: tuple[Path, ...]

    def clips_per_second(self, name: str, work: Callable[[], object], **facts: Any) -> Measurement:
        """Times ``work``, which processes all clips once."""

        def counted() -> int:
            work()
            return len(self.clips)

        return Measurement.of(name, "clips/s", rates(counted, self.config.repeats), **facts)


@dataclass(eq=False)
class _Material:
    """Inputs of one pipeline: frames by clip, and crops by clip."""

    frames: list[list[Frame]] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)

    @property
    def faces(self) -> int:
        """Number of faces over all clips."""
        return sum(len(crops) for crops in self.crops)


def measure(clips: Sequence[Path], config: ScoringConfig) -> tuple[list[Measurement], dict[str, Any], tuple[str, ...]]:
    """Stages, both pipelines end to end and the network alone; the settings, and notes.

    Raises:
        UsageError: no clips.
        MediaError: a clip cannot be read.
    """
    if not clips:
        raise UsageError("no clips to measure on", hint="name some with --clip")
    device = pick_device(config.device, "bfloat16" if config.precision == "bf16" else config.precision)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        bench = _prepare(clips, config, device, Path(folder))
        dataset, faces_of_dataset = _dataset_way(bench)
        video, faces_of_videos = _video_way(bench)
        found = [*dataset, *video, *network_alone(bench.predictor, config)]
    cores = available_cores()
    settings = {
        "clips": len(clips), "faces_of_dataset": faces_of_dataset, "faces_of_videos": faces_of_videos, "cores": cores,
        "threads": torch.get_num_threads(), "backbone": config.backbone, "px": bench.predictor.spec.input_px,
        "precision": str(device.autocast_dtype or torch.float32).removeprefix("torch."), "compile": config.compile,
        "finder": bench.finder.name, "batch": config.batch, "frames_per_clip": config.frames,
    }  # fmt: skip
    return found, settings, _notes(cores, device)


def rates(work: Callable[[], int], repeats: int, *, warm_up: int = 1) -> list[float]:
    """Units per second: of wall-clock time, or, on a single core, of processor time."""
    clock = time.process_time if available_cores() == 1 else time.perf_counter
    return timed_rates(work, repeats=repeats, warm_up=warm_up, clock=clock)


def film_clips(work: Path, count: int = 3) -> list[Path]:
    """Clips of procedural actors, if there are no others."""
    from shared.actors import Actor, film

    return [film(Actor.from_seed(seed), work / f"actor-{seed}.mp4", seconds=3.0, px=384, seed=seed)
            for seed in range(count)]  # fmt: skip


def network_alone(predictor: CropPredictor, config: ScoringConfig) -> list[Measurement]:
    """Images/s of the network on tensors that lie ready, on uint8 crops in memory, and its share of the roofline.

    The roofline is the measured rate of a matrix product in the same precision.
    """
    device, px = predictor.device, predictor.spec.input_px
    crops = np.random.default_rng(0).integers(0, 256, (config.batch, px, px, 3), dtype=np.uint8)
    ready = predictor.prepare(crops)
    rounds = 20 if device.kind == "cuda" else 1

    @torch.inference_mode()
    def resident() -> int:
        for _ in range(rounds):
            with device.autocast():
                predictor.model(ready)
        _wait(device)
        return rounds * len(ready)

    def from_memory() -> int:
        for _ in range(rounds):
            predictor.logits(crops, batch=config.batch)
        return rounds * len(crops)

    warm_up = 3
    name = f"network alone, batch {config.batch}"
    alone = Measurement.of(name, "images/s", rates(resident, config.repeats, warm_up=warm_up))
    loaded = Measurement.of(
        "network with upload and normalising, as scoring does", "images/s",
        rates(from_memory, config.repeats, warm_up=warm_up),
        note=f"{predictor.at_once(config.batch)} at once",
    )  # fmt: skip
    flops = flops_per_image(config)
    dtype = device.autocast_dtype or torch.float32
    rate = matrix_rate(device, dtype, side=8192 if device.kind == "cuda" else 1024)
    share = Measurement.of(
        "network alone: share of the measured matrix rate", "%", [100 * value * flops / rate for value in alone.values],
        note=f"{flops / 1e9:.2f} GFLOP an image; {rate / 1e12:.3g} TFLOP/s {str(dtype).removeprefix('torch.')}",
    )  # fmt: skip
    return [alone, loaded, share]


def flops_per_image(config: ScoringConfig) -> float:
    """Floating-point operations of the network's products and convolutions for one crop."""
    model = _build(config)
    px = model.spec.input_px
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 3, px, px))
    return float(counter.get_total_flops())


def _build(config: ScoringConfig) -> Detector:
    """The network without trained weights: speed does not depend on them."""
    seed_everything(0)
    return build_detector(config.backbone, input_px=config.px).eval()


def _prepare(clips: Sequence[Path], config: ScoringConfig, device: Device, work: Path) -> _Bench:
    dataset = DatasetFolder.init(work / "set", "clips")
    for number, clip in enumerate(clips):
        add_real_clip(dataset, clip, identity=f"p{number}", rights="measurement", name=f"c{number:03d}")
    model = _build(config)
    faces = FaceConfig(finder=config.finder)
    finder = make_finder(config.finder, device=str(device.torch_device))
    facts = DetectorFacts(model.spec, faces=faces, finder=finder.describe())
    folder = save_detector(model, work / "detector", facts, card="# For measurements only\n")
    predictor = CropPredictor.load(folder, device)
    if config.compile:
        predictor.model = torch.compile(predictor.model)  # type: ignore[assignment]
    paths = tuple(dataset.media_path(record) for record in dataset.records())
    return _Bench(config, dataset, folder, predictor, finder, paths)


def _dataset_way(bench: _Bench) -> tuple[list[Measurement], int]:
    """The dataset pipeline: found, cached, scored; and scored again from the cache."""
    config, records = bench.config, bench.set.records()
    settings = EvaluateConfig(
        split="all", frames_per_clip=config.frames, device=config.device, precision=_precision(bench)
    )
    wanted = [set(evenly_spaced(record.frames, config.frames)) for record in records]

    def decode() -> list[list[Frame]]:
        found = []
        for path, chosen in zip(bench.clips, wanted, strict=True):
            with VideoReader(path) as reader:
                found.append([frame for frame in reader.frames(stop=max(chosen) + 1) if frame.index in chosen])
        return found

    def end_to_end() -> None:
        shutil.rmtree(faces_folder(bench.set.path), ignore_errors=True)
        _score(bench, settings)

    material = _Material(decode())
    material.crops = _cut(bench, material.frames, kept=False)
    alone = [
        bench.clips_per_second("dataset: decode alone", decode),
        bench.clips_per_second("dataset: find and cut out alone", lambda: _cut(bench, material.frames, kept=True)),
        bench.clips_per_second("dataset: network alone", lambda: _network(bench, material)),
    ]
    whole = bench.clips_per_second("dataset: end to end", end_to_end)
    again = bench.clips_per_second("dataset: scored again from kept faces", lambda: _score(bench, settings))
    return [*alone, *against(whole, alone, material.faces / len(bench.clips), "dataset"), again], material.faces


def _score(bench: _Bench, settings: EvaluateConfig) -> None:
    """Scores like ``assay score``; a compiled network is passed in instead of being compiled for every run."""
    if not bench.config.compile:
        score_dataset(bench.detector, bench.set, bench.set.records(), settings)
        return
    from detect.scoring.dataset import faces_of

    clips, _ = faces_of(bench.set, bench.set.records(), bench.predictor, settings)
    score_clips(clips, bench.predictor, bench.predictor.facts.aggregate, batch=settings.batch)


def _precision(bench: _Bench) -> Any:
    """The precision as in the settings."""
    return "float32" if bench.predictor.device.autocast_dtype is None else "bfloat16"


def _video_way(bench: _Bench) -> tuple[list[Measurement], int]:
    """The video pipeline: one video after another, every n-th frame, no cache."""
    settings = ScoreConfig()

    def decode() -> list[list[Frame]]:
        found = []
        for path in bench.clips:
            with VideoReader(path) as reader:
                found.append(list(reader.frames(step=settings.every)))
        return found

    def end_to_end() -> None:
        for path in bench.clips:
            score_video(path, Predictor(bench.predictor, bench.finder), settings)

    material = _Material(decode())
    material.crops = _cut(bench, material.frames, kept=False)
    alone = [
        bench.clips_per_second("videos: decode alone", decode),
        bench.clips_per_second("videos: find and align alone", lambda: _cut(bench, material.frames, kept=False)),
        bench.clips_per_second("videos: network alone", lambda: _network(bench, material)),
    ]
    whole = bench.clips_per_second("videos: end to end", end_to_end)
    return [*alone, *against(whole, alone, material.faces / len(bench.clips), "videos")], material.faces


def against(whole: Measurement, alone: Sequence[Measurement], faces_each: float, way: str) -> list[Measurement]:
    """The end-to-end rate in clips and faces, and as shares of the slowest stage and of all stages in sequence."""
    slowest = min(alone, key=lambda one: one.median)
    in_a_row = 1 / sum(1 / one.median for one in alone)
    one_core = available_cores() == 1
    return [
        whole,
        Measurement.of(f"{way}: end to end, faces", "faces/s", [value * faces_each for value in whole.values]),
        Measurement.of(
            f"{way}: share of its slowest stage alone", "%", [100 * value / slowest.median for value in whole.values],
            target=None if one_core else TARGET, note=slowest.name.partition(": ")[2],
        ),
        Measurement.of(
            f"{way}: share of its stages one after another", "%", [100 * value / in_a_row for value in whole.values],
            target=TARGET if one_core else None, note="the bound of a single core",
        ),
    ]  # fmt: skip


def _cut(bench: _Bench, clips: Sequence[Sequence[Frame]], *, kept: bool) -> list[np.ndarray]:
    """(N, S, S, 3) crops of each clip; ``kept`` also computes what the cache needs: pose, sharpness, PNG."""
    spec = bench.predictor.spec
    found = []
    for frames in clips:
        crops = []
        for frame, faces in follow(iter(frames), bench.finder, FollowConfig(detect_every=1)):
            for face in faces:
                crop = align(frame.image, face, px=spec.input_px, framing=spec.framing, frame=frame.index).crop
                crops.append(crop)
                if kept:
                    head_pose(face.landmarks, width=frame.image.shape[1], height=frame.image.shape[0])
                    sharpness(crop)
                    encode_crop(crop)
        found.append(np.stack(crops) if crops else np.empty((0, spec.input_px, spec.input_px, 3), np.uint8))
    return found


def _network(bench: _Bench, material: _Material) -> None:
    for crops in material.crops:
        bench.predictor.logits(crops, batch=EvaluateConfig.batch)


def _notes(cores: int, device: Device) -> tuple[str, ...]:
    seconds = "seconds of processor time" if cores == 1 else "seconds on the wall"
    notes = [f"Measured on {cores} {'core' if cores == 1 else 'cores'} of this machine, in {seconds}."]
    if cores == 1:
        notes.append(
            "One core runs one stage at a time: the slowest stage alone is out of reach by arithmetic, and what counts "
            "is the share of the stages one after another. On two cores the target is on the slowest stage."
        )
    if device.kind == "cpu":
        notes.append("The case for a GPU: --device cuda --backbone efficientnet_b4 --px 380 --compile --batch 256.")
    return tuple(notes)


def _wait(device: Device) -> None:
    if device.kind == "cuda":
        torch.cuda.synchronize(device.torch_device)
