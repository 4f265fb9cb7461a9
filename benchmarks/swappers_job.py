"""One family of :mod:`benchmarks.swappers`, in its own process: ``python -m benchmarks.swappers_job JOB``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from benchmarks.held_out import excerpt
from benchmarks.schema import Measurement, peak_memory_mb
from benchmarks.swappers import DONE, Job
from forge.models.checkpoint import WEIGHTS_FILE, read_card
from forge.models.predictor import SwapPredictor
from forge.quality.features import load_features
from forge.quality.leakage import embedder_in_loss
from forge.quality.measure import Instruments, measure_swap, person_from
from forge.quality.result import UNITS, SwapQuality
from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.training.train import TrainResult, train_swapper
from shared.console import console
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import AssayError, RunError
from shared.faces.align import cut, frame_to_crop
from shared.faces.facesets.reader import Faceset
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.identity import make_embedder
from shared.sampling import evenly_spaced
from shared.storage import read_json, write_bytes
from shared.video import VideoReader
from shared.video.images import encode_png

TARGETS, SWAPPED = "targets.png", "swapped.png"
CELL_PX = 96

_SHOWN = 3
_MEDIANS = (
    "self_ssim",
    "self_ssim_face",
    "landmark_distance",
    "expression_error",
    "pose_error",
    "sharpness_ratio",
    "identity_to_source",
    "identity_to_target",
    "cosine_to_source",
    "mask_ssim",
    "ssim_outside",
    "seam_ratio",
    "color_step",
)
_SINGLES = ("nearer_to_source", "top1", "blink_correlation", "mouth_correlation", "flicker_ratio")
_LOWER = ("landmark_distance", "expression_error", "pose_error", "identity_to_source", "seam_ratio", "color_step")


def do(job: Job) -> list[Measurement]:
    """Trains the family, swaps the held-out frames both ways, and measures them; images go into the job's folder."""
    folder = Path(job.folder)
    trained = train_swapper([Path(path) for path in job.facesets], folder / "run", job.config)
    found = _training(job, trained)
    finder = make_finder(job.finder)
    people = [Faceset.open(Path(path)).info.identity for path in job.facesets]
    swaps = [_swap(job, trained, people, target, finder) for target in (0, 1)]
    _pictures(folder, [(clip, fake) for clip, fake, _alpha in swaps], finder)
    if job.measured:
        found += _quality(job, trained, people, swaps, finder)
    return found


def _training(job: Job, trained: TrainResult) -> list[Measurement]:
    card = read_card(trained.swapper)
    cuda = torch.cuda.is_available() and pick_device(job.config.device).kind == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else peak_memory_mb()
    size = (trained.swapper / WEIGHTS_FILE).stat().st_size / 1e6
    options = ", ".join(f"{name} {value}" for name, value in sorted(job.config.model_options.items()))
    note = f"width {job.config.width:g}" + (f", {options}" if options else "")
    rows: list[tuple[str, str, float, str, str]] = [
        ("output", "px", float(card.output_px), "higher", note),
        ("parameters", "millions", card.parameters / 1e6, "lower", note),
        ("model file", "MB", size, "lower", ""),
        ("steps", "steps", float(trained.steps), "higher", ""),
        ("training speed", "images/s", trained.faces_per_second, "higher", f"batch {job.config.batch}"),
        ("peak memory", "MB", peak, "lower", "CUDA, allocated" if cuda else "resident set of the process"),
    ]
    return [
        Measurement.of(f"{job.family}: {name}", unit, [value], better=better, note=note)
        for name, unit, value, better, note in rows
    ]


def _swap(
    job: Job, trained: TrainResult, people: Sequence[str], target: int, finder: FaceFinder
) -> tuple[Path, Path, Path | None]:
    """The target's held-out clip, the fake made of it, and the fake's alpha mask."""
    folder = Path(job.folder)
    clip = excerpt(Path(job.clips[target]), folder.parent / "held-out" / f"{people[target]}.mp4")
    record = swap_clip(
        clip,
        swapper=trained.swapper,
        source=people[1 - target],
        dataset=folder / "set",
        config=SwapConfig(device=job.config.device),
        target_identity=people[target],
        rights="measurement",
        finder=finder,
    )
    dataset = DatasetFolder.open(folder / "set")
    return clip, dataset.media_path(record), dataset.mask_paths(record).get("alpha")


def _quality(
    job: Job,
    trained: TrainResult,
    people: Sequence[str],
    swaps: Sequence[tuple[Path, Path, Path | None]],
    finder: FaceFinder,
) -> list[Measurement]:
    embedder = make_embedder()
    cast = {} if embedder is None else {who.name: who for who in (person_from(Path(p), embedder) for p in job.cast)}
    predictor = SwapPredictor.load(trained.swapper, pick_device(job.config.device, job.config.precision))
    results: list[SwapQuality] = []
    for target, (clip, fake, alpha) in enumerate(swaps):
        pair = (cast[people[1 - target]], cast[people[target]]) if cast else None
        instruments = Instruments(
            finder,
            embedder,
            pair,
            cast,
            embedder_in_loss=embedder_in_loss(trained.run, embedder.name) if embedder else None,
            predictor=predictor,
            target_identity=people[target],
            features=load_features(),
        )
        results.append(measure_swap(fake, clip, instruments, alpha=alpha))
    return _measurements(job.family, results)


def _measurements(family: str, results: Sequence[SwapQuality]) -> list[Measurement]:
    """One measurement per metric, with a value for each direction."""
    found = []
    for name in (*_MEDIANS, *_SINGLES):
        values = [getattr(result, name) for result in results]
        numbers = [value.median if name in _MEDIANS else value for value in values if value is not None]
        if numbers:
            better = "lower" if name in _LOWER or name.startswith("flicker") else "higher"
            note = "medians of the frames" if name in _MEDIANS else ""
            by_embedder = name in ("nearer_to_source", "top1") or name.startswith(("identity", "cosine"))
            if by_embedder and any(result.embedder_in_loss for result in results):
                note = "the embedder was in the loss: does not count"
            found.append(Measurement.of(f"{family}: {name}", UNITS[name], numbers, better=better, note=note))
    again = [result.frames_found / result.frames_with_face for result in results]
    return [*found, Measurement.of(f"{family}: frames_found", "share", again)]


def _pictures(folder: Path, pairs: Sequence[tuple[Path, Path]], finder: FaceFinder) -> None:
    """Writes a strip of the targets' heads and one of the swapped ones, three frames per direction."""
    targets, swapped = [], []
    for clip, fake in pairs:
        with VideoReader(clip) as ours, VideoReader(fake) as theirs:
            frames = list(zip(ours, theirs, strict=False))
        for place in evenly_spaced(len(frames), _SHOWN):
            one, other = frames[place]
            faces = finder.find([one.image])[0]
            matrix = frame_to_crop(faces[0].landmarks, px=CELL_PX, framing="head") if faces else None
            for strip, picture in ((targets, one.image), (swapped, other.image)):
                cell = np.zeros((CELL_PX, CELL_PX, 3), np.uint8) if matrix is None else cut(picture, matrix, CELL_PX)
                strip.append(cell)
    for name, cells in ((TARGETS, targets), (SWAPPED, swapped)):
        write_bytes(folder / name, encode_png(np.hstack(cells)))


def main(path: Path) -> int:
    """Runs the job at ``path`` and writes its measurements beside it; returns the exit code."""
    try:
        job = read_json(path, Job, error=RunError, hint="run the benchmark again")
        write_bytes(Path(job.folder) / DONE, msgspec.json.encode(do(job)))
    except AssayError as error:
        console.fail(str(error), error.hint)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
