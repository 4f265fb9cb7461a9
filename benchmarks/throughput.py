"""Frames per second of every stage alone and of the pipelines end to end, on one clip in one run.

Stages: decoding, finding (one full detection), following (detections now and then), aligning and writing a face, one
training step, decoding a face with a swapper, blending faces with themselves, scoring crops. Pipelines: extraction,
swapping (both passes, masks, encoding, signing), scoring a video.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.schema import Measurement, timed_rates
from detect.config.data import SelfBlendConfig
from detect.config.scoring import ScoreConfig
from detect.config.training import TrainConfig
from detect.data.selfblend import self_blend
from detect.models import build_detector
from detect.models.predictor import CropPredictor
from detect.scoring.video import Predictor, score_video
from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.models.predictor import SwapPredictor
from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.training.config import TrainConfig as SwapTrainConfig
from forge.training.data import load_banks
from forge.training.trainer import SwapTrainer
from shared.device import Device, pick_device, seed_everything
from shared.faces.align import align, mean_in_crop
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.faces.facesets.reader import Faceset, encode_crop
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.pose import head_pose, sharpness
from shared.faces.stream import FollowConfig, follow
from shared.types import AlignedFace, Face, Frame
from shared.video import VideoReader, probe

_FRAMES_FOR_DETECTION = 24
_TRAIN_STEPS = 6
_BLEND_FACES = 128
_BLENDED_A_SECOND = 60.0
_BATCH = 16
_PEOPLE = ("one", "other")


@dataclass(frozen=True, eq=False)
class _Bench:
    """Common state of all measurements."""

    clip: Path
    work: Path
    finder: FaceFinder
    device: Device
    device_name: str
    repeats: int
    frames: int

    def rate(self, name: str, work: Callable[[], int], unit: str = "frames/s", **facts: Any) -> Measurement:
        """Times ``work``, which returns the number of units."""
        return Measurement.of(name, unit, timed_rates(work, repeats=self.repeats), **facts)


def measure(clip: Path | None, *, device: str, repeats: int, finder: str) -> tuple[list[Measurement], dict[str, Any]]:
    """Every stage and pipeline on ``clip``, or on a filmed actor, and the settings."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        work = Path(folder)
        path = clip or _film(work)
        info = probe(path, count=True)
        place = pick_device(device)
        bench = _Bench(
            path, work, make_finder(finder, device=place.kind), place, device, repeats, info.frames_counted or 0
        )
        found = _faces(bench) + _forge(bench) + _detect(bench)
    settings = {
        "clip": "a procedural actor" if clip is None else clip.stem,
        "size": f"{info.width}x{info.height}",
        "frames": info.frames_counted,
        "codec": info.codec,
        "finder": bench.finder.name,
        "threads": torch.get_num_threads(),
    }
    return found, settings


def _film(work: Path) -> Path:
    from shared.actors import Actor, film

    return film(Actor.from_seed(3), work / "actor.mp4", seconds=6.0, px=512, seed=1)


def _faces(bench: _Bench) -> list[Measurement]:
    frames = _read(bench, _FRAMES_FOR_DETECTION)
    found_faces = bench.finder.find([frame.image for frame in frames])
    faces = [(frame, found[0]) for frame, found in zip(frames, found_faces, strict=True) if found]
    decode = bench.rate("decode alone", lambda: _count(VideoReader(bench.clip)))
    alone = [
        decode,
        bench.rate("find: a full detection on every frame", lambda: len(bench.finder.find([f.image for f in frames]))),
        bench.rate("find: following, as extraction and swapping do", lambda: _follow(bench)),
        bench.rate("align to 256 px", lambda: _align(faces)),
        bench.rate("cut out: align, pose, sharpness, PNG, in two threads", lambda: _cut_out(faces)),
    ]
    slowest = min(decode.median, alone[2].median, alone[4].median)
    pipeline = bench.rate("extract end to end", lambda: _extract(bench))
    share = [100 * value / slowest for value in pipeline.values]
    ratio = Measurement.of("extract: share of its slowest stage alone", "%", share, target=80.0)
    return [*alone, pipeline, ratio]


def _forge(bench: _Bench) -> list[Measurement]:
    seed_everything(0)
    swapper = build_swapper("lightweight", _PEOPLE)
    run = bench.work / "swapper"
    save_swapper(swapper, run)
    predictor = SwapPredictor(swapper, bench.device, batch=_BATCH)
    crops = _aligned(bench, predictor, 64)
    trainer = _trainer(bench)

    def train() -> int:
        for _ in range(_TRAIN_STEPS):
            trainer.train_step(0.3)
        return _TRAIN_STEPS * trainer.faces_per_step

    numbers = itertools.count()

    def swap() -> int:
        config = SwapConfig(device=bench.device_name)
        record = swap_clip(
            bench.clip, swapper=run, source="one", target_identity="other", rights="measurement",
            dataset=bench.work / f"set-{next(numbers)}", config=config, finder=bench.finder,
        )  # fmt: skip
        return record.frames

    return [
        bench.rate("train: lightweight at full width", train, "images/s"),
        bench.rate("swap: decoding faces with lightweight", lambda: len(predictor.swap(crops, "one")), "faces/s"),
        bench.rate("swap end to end: both passes, masks, encoding, signing", swap, target=10.0),
    ]


def _detect(bench: _Bench) -> list[Measurement]:
    seed_everything(0)
    model = build_detector(TrainConfig().model)
    predictor = CropPredictor(model, bench.device)
    px = predictor.spec.input_px
    crops = np.random.default_rng(0).integers(0, 256, (64, px, px, 3), dtype=np.uint8)

    def score() -> int:
        return score_video(bench.clip, Predictor(predictor, bench.finder)).facts.frames_read

    every = ScoreConfig().every
    blend = bench.rate(
        f"self-blend: pairs of {px} px, in two threads", lambda: _blend(px), "faces/s", target=_BLENDED_A_SECOND
    )
    return [
        blend,
        bench.rate(f"score: tf_efficientnet_lite0 at {px} px", lambda: len(predictor.logits(crops)), "crops/s"),
        bench.rate(f"score a video end to end, every {every}th frame scored", score, target=25.0),
    ]


def _blend(px: int) -> int:
    """Blended pairs from a textured face, each with its own generators, as in training batches."""
    faces = np.random.default_rng(0).integers(0, 256, (_BLEND_FACES, px // 8, px // 8, 3), dtype=np.uint8)
    crops = [cv2.resize(face, (px, px), interpolation=cv2.INTER_CUBIC) for face in faces]
    landmarks = mean_in_crop(px, "whole").astype(np.float32)

    def one(number: int) -> np.ndarray:
        return self_blend(crops[number], landmarks, np.random.default_rng(number), SelfBlendConfig()).fake

    with ThreadPoolExecutor(2) as pool:
        return len(list(pool.map(one, range(_BLEND_FACES))))


def _read(bench: _Bench, count: int) -> list[Frame]:
    with VideoReader(bench.clip) as reader:
        return list(reader.frames(stop=count))


def _count(reader: VideoReader) -> int:
    with reader:
        return sum(1 for _ in reader)


def _follow(bench: _Bench) -> int:
    following = FollowConfig.suited_to(bench.finder)
    with VideoReader(bench.clip) as reader, closing(follow(reader, bench.finder, following)) as found:
        return sum(1 for _ in found)


def _align(faces: list[tuple[Frame, Face]]) -> int:
    for frame, face in faces:
        align(frame.image, face, px=256, framing="whole", frame=frame.index)
    return len(faces)


def _cut_out(faces: list[tuple[Frame, Face]]) -> int:
    def one(pair: tuple[Frame, Face]) -> None:
        frame, face = pair
        crop = align(frame.image, face, px=256, framing="whole", frame=frame.index).crop
        head_pose(face.landmarks, width=frame.image.shape[1], height=frame.image.shape[0])
        sharpness(crop)
        encode_crop(crop)

    with ThreadPoolExecutor(2) as pool:
        return len(list(pool.map(one, faces * 4)))


def _extract(bench: _Bench) -> int:
    config = ExtractConfig(identity="one", rights="measurement")
    info = extract([bench.clip], bench.work / "faces", config, finder=bench.finder, force=True)
    return sum(clip.frames_read for clip in info.clips)


def _aligned(bench: _Bench, predictor: SwapPredictor, count: int) -> list[AlignedFace]:
    spec = predictor.spec
    frames = _read(bench, _FRAMES_FOR_DETECTION)
    faces = [
        align(frame.image, found[0], px=spec.input_px, framing=spec.framing, frame=frame.index)
        for frame, found in zip(frames, bench.finder.find([frame.image for frame in frames]), strict=True)
        if found
    ]
    return list(itertools.islice(itertools.cycle(faces), count))


def _trainer(bench: _Bench) -> SwapTrainer:
    """Both people are the same clip: speed does not depend on who they are."""
    seed_everything(0)
    config = replace(SwapTrainConfig(), width=1.0, batch=_BATCH, device=bench.device_name)
    swapper = build_swapper("lightweight", _PEOPLE, width=1.0)
    faceset = Faceset.open(bench.work / "faces")
    banks = load_banks(
        [faceset, faceset], swapper.spec, bench.device.torch_device, max_faces=config.max_faces, holdout=0.0
    )
    return SwapTrainer(swapper, banks.train, bench.device, config)
