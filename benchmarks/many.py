"""One swapper of many people: identity retrieval of swapped faces in every direction.

For every ordered pair of the cast the source's face is put into held-out frames of the target, with the same public
pipeline that users call, detected, embedded, and compared with the mean embedding of every person in the cast. The
embedding (dlib's) is checked not to be in the swapper's loss. A face that is not detected counts as missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.held_out import excerpt, pair_up
from benchmarks.schema import Measurement
from forge.quality.leakage import embedder_in_loss
from forge.quality.measure import Instruments, measure_swap, person_from
from forge.quality.result import UNITS, SwapQuality
from forge.quality.summary import summarise
from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from shared.bootstrap import BootstrapSettings, mean_interval
from shared.dataset import DatasetFolder
from shared.errors import FinderError, UsageError
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.plots import figure, png
from shared.video import VideoReader

TARGET = 0.90
"""Target of top-1 retrieval over all directions, when trained on a GPU."""

_ALSO = ("cosine_to_source", "cosine_to_target", "pose_error", "expression_error", "ssim_outside", "color_step")


@dataclass(frozen=True, eq=False)
class Matrix:
    """Shares of frames, rows the targets and columns the sources, in the order of ``people``; the diagonal is NaN."""

    people: tuple[str, ...]
    top1: np.ndarray
    nearer: np.ndarray
    frames: np.ndarray


def measure(
    run: Path,
    facesets: Sequence[Path],
    clips: Sequence[Path],
    *,
    frames: int,
    work: Path,
    device: str = "auto",
    finder: str = "auto",
    tick: Callable[[int], object] = lambda _amount: None,
) -> tuple[list[Measurement], dict[str, Any], Matrix]:
    """All directions between the people of ``facesets``; the measurements, the settings, and the shares as a matrix.

    ``frames`` held-out frames of each clip are swapped, evenly spaced. Swapped clips stay in ``work`` and are reused.

    Raises:
        UsageError: fewer than two people, clips and facesets that do not belong together, or an identity embedder that
            was in the swapper's loss.
        FinderError: no identity embedder is available.
    """
    paired = pair_up(facesets, clips)
    if len(paired) < 2:
        raise UsageError("directions need two people or more", hint="name a faceset and a clip for each")
    embedder = make_embedder()
    if embedder is None:
        raise FinderError("no identity embedder is available", hint="pip install 'assay[dlib]'")
    if embedder_in_loss(run, embedder.name):
        raise UsageError(f"{embedder.name} was in the loss of {run}", hint="use another embedder")
    people = tuple(paired)
    cast = {name: person_from(faceset, embedder) for name, (faceset, _clip) in paired.items()}
    held = {
        name: excerpt(clip, work / "held-out" / f"{name}.mp4", frames=frames) for name, (_f, clip) in paired.items()
    }
    searching = make_finder(finder)
    results: dict[tuple[str, str], SwapQuality] = {}
    for target in people:
        for source in people:
            if source == target:
                continue
            pair = (cast[source], cast[target])
            instruments = Instruments(searching, embedder, pair, cast, embedder_in_loss=False)
            fake, alpha = _swapped(held[target], run, source, target, work, device, searching)
            results[target, source] = measure_swap(fake, held[target], instruments, alpha=alpha)
            tick(1)
    matrix = _matrix(people, results)
    found = [*_overall(matrix), *_quality(people, results), _ceiling(people, held, cast, embedder, searching)]
    found += _directions(matrix)
    settings = {
        "people": len(people),
        "directions": len(results),
        "frames a direction": frames,
        "held out": "the last fifth of each clip",
        "identity embedder": f"{embedder.name}, not in the swapper's loss",
        "compared with": "the mean embedding of each person's faceset",
    }
    return found, settings, matrix


def _swapped(
    clip: Path, run: Path, source: str, target: str, work: Path, device: str, finder: FaceFinder
) -> tuple[Path, Path | None]:
    dataset = work / "set"
    record = swap_clip(
        clip,
        swapper=run,
        source=source,
        dataset=dataset,
        config=SwapConfig(device=device),
        target_identity=target,
        rights="measurement",
        finder=finder,
    )
    folder = DatasetFolder.open(dataset)
    return folder.media_path(record), folder.mask_paths(record).get("alpha")


def _matrix(people: tuple[str, ...], results: dict[tuple[str, str], SwapQuality]) -> Matrix:
    shape = (len(people), len(people))
    top1, nearer, frames = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, int)
    for (target, source), result in results.items():
        place = people.index(target), people.index(source)
        found = result.frames_found / result.frames_with_face
        top1[place], nearer[place] = (result.top1 or 0.0) * found, (result.nearer_to_source or 0.0) * found
        frames[place] = result.frames_with_face
    return Matrix(people, top1, nearer, frames)


def _overall(matrix: Matrix) -> list[Measurement]:
    off = ~np.eye(len(matrix.people), dtype=bool)
    targets = np.broadcast_to(np.arange(len(matrix.people))[:, None], off.shape)[off]
    counts = matrix.frames[off]
    found = []
    for name, shares, aim in (
        ("top-1 retrieval among the cast", matrix.top1[off], TARGET),
        ("nearer to the source than to the target", matrix.nearer[off], None),
    ):
        value = float((shares * counts).sum() / counts.sum())
        low, high = mean_interval(shares * counts, counts, targets, BootstrapSettings()) or (value, value)
        note = f"{counts.sum()} frames, {len(counts)} directions; low to high: 95 % interval over target clips"
        found.append(Measurement(f"{name}, all directions", "share", (value,), value, low, high, target=aim, note=note))
    return found


def _quality(people: tuple[str, ...], results: dict[tuple[str, str], SwapQuality]) -> list[Measurement]:
    clusters = [people.index(target) for target, _source in results]
    found = []
    for one in summarise(list(results.values()), clusters):
        if one.metric in (*_ALSO, "frames_found"):
            low, high = (one.value, one.value) if one.low is None or one.high is None else (one.low, one.high)
            better = "lower" if one.metric.endswith(("error", "step", "target")) else "higher"
            note = f"mean of {one.num_fake} frames; low to high: 95 % interval over target clips"
            name = one.metric.replace("_", " ")
            found.append(
                Measurement(name, UNITS.get(one.metric, "share"), (one.value,), one.value, low, high, better, note=note)
            )
    return found


def _ceiling(
    people: tuple[str, ...],
    held: dict[str, Path],
    cast: dict[str, Any],
    embedder: IdentityEmbedder,
    finder: FaceFinder,
) -> Measurement:
    """Top-1 retrieval of the people's own held-out frames: the upper limit for swappers."""
    shares = []
    for name in people:
        hits = []
        with VideoReader(held[name]) as reader:
            for frame in reader:
                faces = finder.find([frame.image])[0]
                if faces:
                    largest = max(faces, key=lambda face: face.width_px)
                    vector = embedder.embed(frame.image, [largest])[0]
                    away = {who: float(np.linalg.norm(vector - person.embedding)) for who, person in cast.items()}
                    hits.append(min(away, key=away.__getitem__) == name)
        shares.append(float(np.mean(hits)) if hits else 0.0)
    return Measurement.of("the people's own held-out frames: top-1", "share", shares, note="a value a person")


def _directions(matrix: Matrix) -> list[Measurement]:
    found = []
    for row, target in enumerate(matrix.people):
        for column, source in enumerate(matrix.people):
            if row != column:
                name = f"{source} on {target}"
                found.append(Measurement.of(f"{name}: top-1", "share", [float(matrix.top1[row, column])]))
    return found


def plot_matrix(matrix: Matrix) -> bytes:
    """A PNG of the matrix of top-1 shares."""
    count = len(matrix.people)
    with figure(1.6 + 0.62 * count, 1.2 + 0.62 * count, dpi=110, style={}) as plot:
        axes = plot.add_subplot()
        axes.imshow(matrix.top1, vmin=0, vmax=1, cmap="viridis")
        axes.set_xticks(range(count), matrix.people, rotation=45, ha="right")
        axes.set_yticks(range(count), matrix.people)
        axes.set_xlabel("source: whose face")
        axes.set_ylabel("target: whose video")
        axes.set_title("swapped faces known as their source, % of held-out frames", fontsize=9)
        for (row, column), share in np.ndenumerate(matrix.top1):
            if np.isfinite(share):
                ink = "black" if share > 0.6 else "white"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=9)
        return png(plot)
