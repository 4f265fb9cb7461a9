"""Two people, both directions: train on the first four fifths of each clip, swap, measure on the last fifth.

The same public steps as on the command line: extract, train, swap, measure. The identity embedding is not in any
loss.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.schema import Measurement
from forge.models.predictor import SwapPredictor
from forge.quality.measure import Instruments, holdout, measure_swap, person_from
from forge.quality.result import SwapQuality
from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.training.config import TrainConfig
from forge.training.train import train_swapper
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import UsageError
from shared.faces.facesets.extract import ExtractConfig, extract
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.identity import make_embedder
from shared.video import frame_times

HOLDOUT = 0.2

_SPREADS: tuple[tuple[str, str, float | None, str], ...] = (
    ("self_ssim", "SSIM", 0.85, "higher"),
    ("self_ssim_face", "SSIM", None, "higher"),
    ("sharpness_ratio", "x", 0.6, "higher"),
    ("landmark_distance", "of eye distance", 0.035, "lower"),
    ("pose_error", "degrees", 3.0, "lower"),
    ("identity_to_source", "distance", None, "lower"),
    ("identity_to_target", "distance", None, "higher"),
    ("seam_ratio", "x", None, "lower"),
    ("flicker", "grey levels", None, "lower"),
    ("flicker_target", "grey levels", None, "lower"),
)


def measure(
    clips: Sequence[Path], *, config: TrainConfig, work: Path, swap: SwapConfig | None = None
) -> tuple[list[Measurement], dict[str, Any]]:
    """Measurements of both directions of the pair, and their settings.

    Facesets, run and dataset stay in ``work``; an existing training is resumed or reused.

    Raises:
        UsageError: not two clips.
    """
    if len(clips) != 2 or clips[0].stem == clips[1].stem:
        raise UsageError("give two clips of two people", hint="python -m benchmarks swap-quality ann.mp4 bob.mp4")
    config = replace(config, holdout=HOLDOUT)
    swap = swap or SwapConfig(device=config.device)
    finder = make_finder(swap.finder)
    names = [clip.stem for clip in clips]
    facesets = [_faceset(clip, work, finder) for clip in clips]
    trained = train_swapper(facesets, work / "run", config)
    found = [
        Measurement.of("training", "minutes", [trained.seconds / 60], better="lower"),
        Measurement.of("training steps", "steps", [float(trained.steps)]),
    ]
    predictor = SwapPredictor.load(trained.swapper, pick_device(config.device, config.precision))
    for target, source in ((0, 1), (1, 0)):
        started = time.perf_counter()
        fake = _swap(clips[target], names[source], names[target], work, swap, finder)
        seconds = time.perf_counter() - started
        instruments = _instruments(predictor, finder, facesets[source], facesets[target], names[target])
        times = frame_times(clips[target])
        quality = measure_swap(
            fake.media, clips[target], instruments, frames=holdout(len(times), HOLDOUT), alpha=fake.alpha
        )
        label = f"person {source + 1} on person {target + 1}"
        found.append(Measurement.of(f"{label}: swapping, with signing", "frames/s", [len(times) / seconds]))
        found += _as_measurements(label, quality)
    settings = {
        "model": config.model,
        "start": config.start_from or "base where it fits",
        "width": config.width,
        "output_px": predictor.spec.output_px,
        "minutes": config.minutes,
        "batch": config.batch,
        "learning_rate": config.learning_rate,
        "sharpen": swap.blend.sharpen,
        "held_out": "the last fifth of each clip",
    }
    return found, settings


class _Fake:
    def __init__(self, dataset: DatasetFolder, record: Any) -> None:
        self.media = dataset.media_path(record)
        self.alpha = dataset.mask_paths(record)["alpha"]


def _faceset(clip: Path, work: Path, finder: FaceFinder) -> Path:
    out = work / "faces" / clip.stem
    if not (out / "faceset.toml").exists():
        extract([clip], out, ExtractConfig(identity=clip.stem, rights="measurement"), finder=finder)
    return out


def _swap(clip: Path, source: str, target: str, work: Path, config: SwapConfig, finder: FaceFinder) -> _Fake:
    record = swap_clip(
        clip,
        swapper=work / "run",
        source=source,
        dataset=work / "set",
        config=config,
        target_identity=target,
        rights="measurement",
        finder=finder,
    )
    return _Fake(DatasetFolder.open(work / "set"), record)


def _instruments(
    predictor: SwapPredictor, finder: FaceFinder, source: Path, target: Path, target_identity: str
) -> Instruments:
    embedder = make_embedder()
    people = None if embedder is None else (person_from(source, embedder), person_from(target, embedder))
    return Instruments(
        finder=finder, embedder=embedder, people=people, predictor=predictor, target_identity=target_identity
    )


def _as_measurements(label: str, quality: SwapQuality) -> list[Measurement]:
    found = [
        Measurement.of(f"{label}: frames found again", "share", [quality.frames_found / quality.frames_with_face]),
        Measurement.of(f"{label}: frame count, times and sound equal", "yes", [_equal(quality)], target=1.0),
    ]
    if quality.nearer_to_source is not None:
        found.append(Measurement.of(f"{label}: nearer to the source", "share", [quality.nearer_to_source], target=1.0))
    for name, target in (("mouth_correlation", 0.8), ("mouth_swing_ratio", 0.7)):
        value = getattr(quality, name)
        if value is not None:
            found.append(Measurement.of(f"{label}: {name.replace('_', ' ')}", "", [value], target=target))
    for name, unit, target, better in _SPREADS:
        spread = getattr(quality, name)
        if spread is not None:
            found.append(
                Measurement(
                    f"{label}: {name.replace('_', ' ')}",
                    unit,
                    (spread.median,),
                    spread.median,
                    spread.low,
                    spread.high,
                    better,
                    target,
                    f"median and quartiles of {spread.n} frames",
                )
            )
    if quality.flicker_ratio is not None:
        found.append(
            Measurement.of(f"{label}: flicker over the target's", "x", [quality.flicker_ratio], better="lower")
        )
    return found


def _equal(quality: SwapQuality) -> float:
    return float(quality.same_frames and quality.same_times and quality.same_sound)
