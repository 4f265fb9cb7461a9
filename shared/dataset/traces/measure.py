"""Measures the traces of a dataset's manipulations: each fake against its own real clip."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shared.console import console
from shared.dataset.folder import DatasetFolder
from shared.dataset.masks import Originals
from shared.dataset.traces.features import LEAST_SPREAD, REGIONS, STATISTICS, face_statistics
from shared.errors import AssayError, ManifestError
from shared.sampling import evenly_spaced
from shared.types import ClipRecord
from shared.video import read_mask_frames
from shared.video.media import clip_reader

MOST_SHARE = 0.8
"""Share of the first principal direction above which one direction rules."""

MOST_COSINE = 0.8
"""Median cosine between manipulations above which one direction rules."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[], object]]]


@dataclass(frozen=True)
class ManipulationTrace:
    """How one manipulation moves the statistics of real faces.

    Attributes:
        name: of the manipulation.
        clips, faces: pairs of clips, and of faces in them, that were compared.
        shift: mean difference of fake and real for each of ``STATISTICS``, in standard deviations of real faces.
    """

    name: str
    clips: int
    faces: int
    shift: tuple[float, ...]

    @property
    def strength(self) -> dict[str, float]:
        """Root mean square of the shift, in standard deviations, by part: the regions, and the colour step."""
        values = np.array(self.shift)
        parts = {name: [one.startswith(f"{name},") for one in STATISTICS] for name in (*REGIONS, "step")}
        return {name: float(np.sqrt((values[chosen] ** 2).mean())) for name, chosen in parts.items()}


@dataclass(frozen=True)
class SetTraces:
    """The traces of a set.

    Attributes:
        dataset: its name.
        manipulations: by name.
        cosines: between the shifts of any two manipulations, in their order; 0 where one moves nothing.
        median_cosine: over pairs of manipulations; None for fewer than two.
        first_share: of the directions (shifts of unit length) explained by the first principal one; None for fewer
            than three.
        warnings: what a detector trained on this set would learn instead.
        left_out: reasons for which fakes were not compared, with their number.
    """

    dataset: str
    manipulations: tuple[ManipulationTrace, ...]
    cosines: tuple[tuple[float, ...], ...]
    median_cosine: float | None
    first_share: float | None
    warnings: tuple[str, ...]
    left_out: dict[str, int]


def measure_traces(
    path: str | Path, *, clips: int = 24, frames: int = 4, workers: int = 0, progress: Progress | None = None
) -> SetTraces:
    """The traces of the dataset at ``path``.

    Args:
        path: the dataset's folder.
        clips: fakes of each manipulation that are compared, evenly spaced in the manifest.
        frames: pictures of each.
        workers: threads that read clips; 0 for one per core.
        progress: shows how many clips are read.

    Raises:
        ManifestError: the dataset is damaged, or has no two fakes with masks and different real clips to compare with.
    """
    folder = DatasetFolder.open(path)
    pairs, left_out = _pairs(folder, clips)
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    reals: set[str] = set()
    with pool, (progress or partial(console.progress, unit="clip"))("comparing clips", len(pairs)) as tick:
        compared = pool.map(partial(_compared, folder, frames=frames), pairs)
        for (fake, real, _first), both in zip(pairs, compared, strict=True):
            if isinstance(both, str):
                left_out[both] += 1
            else:
                found[str(fake.id.manipulation)].append(both)
                reals.add(str(real.id))
            tick()
    if len(reals) < 2:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it holds no fake"
        raise ManifestError(
            f"{path} has no two fakes of different real clips that can be compared: {why}",
            hint="add the real clips in the rendition of the fakes; imported fakes have no masks",
        )
    return traces_of(folder.name, found, left_out=left_out)


def traces_of(
    dataset: str, found: Mapping[str, Sequence[np.ndarray]], *, left_out: Mapping[str, int] | None = None
) -> SetTraces:
    """The traces, from the statistics of every pair of clips: by manipulation, (F, 2, 18) each, fake before real."""
    names = sorted(found)
    faces = np.concatenate([pair[:, 1] for name in names for pair in found[name]])
    spread = np.maximum(faces.std(axis=0), LEAST_SPREAD)
    # Every clip counts alike, however many of its faces could be measured.
    shifts = np.array(
        [np.mean([(pair[:, 0] - pair[:, 1]).mean(axis=0) for pair in found[name]], axis=0) / spread for name in names]
    )
    manipulations = [
        ManipulationTrace(name, len(found[name]), sum(map(len, found[name])), tuple(shift.tolist()))
        for name, shift in zip(names, shifts, strict=True)
    ]
    cosines, median, share = compared_directions(shifts)
    return SetTraces(
        dataset,
        tuple(manipulations),
        tuple(tuple(row) for row in cosines.tolist()),
        median,
        share,
        tuple(_warnings(len(names), median, share)),
        dict(left_out or {}),
    )


def compared_directions(shifts: np.ndarray) -> tuple[np.ndarray, float | None, float | None]:
    """Cosines (M, M) between the rows of ``shifts`` (M, D), their median over pairs, and the first direction's share.

    The share is that of the largest singular value of the rows at unit length, squared, in the sum of all squares: one
    for rows in one line, 1 / M for rows at right angles.
    """
    lengths = np.linalg.norm(shifts, axis=1, keepdims=True)
    unit = np.divide(shifts, lengths, out=np.zeros_like(shifts), where=lengths > 1e-9)
    cosines = np.clip(unit @ unit.T, -1.0, 1.0)
    pairs = [float(cosines[one, other]) for one, other in combinations(range(len(shifts)), 2)]
    powers = np.linalg.svd(unit, compute_uv=False) ** 2
    share = float(powers[0] / powers.sum()) if len(shifts) >= 3 and powers.sum() > 0 else None
    return cosines, float(np.median(pairs)) if pairs else None, share


def _warnings(count: int, median: float | None, share: float | None) -> Iterator[str]:
    learns = "a detector can learn that alone, and fail on fakes of other tools"
    if share is not None and share > MOST_SHARE:
        yield f"one direction explains {share:.0%} of how {count} manipulations move real faces: {learns}"
    if median is not None and median > MOST_COSINE:
        yield f"the manipulations move real faces the same way (median cosine {median:.2f}): {learns}"


class _Pair(NamedTuple):
    """A fake, the real clip it was made of, and the frame of that which is the fake's frame 0."""

    fake: ClipRecord
    real: ClipRecord
    first: int


def _pairs(folder: DatasetFolder, most: int) -> tuple[list[_Pair], Counter[str]]:
    """Fakes with the real clips they are made of, and why others are left out."""
    records, left_out = folder.records(), Counter[str]()
    originals = Originals(records)
    by_name: dict[str, list[_Pair]] = defaultdict(list)
    for record in records:
        if record.label != "fake":
            continue
        found = originals.matched(record)
        if record.masks is None:
            left_out["without masks"] += 1
        elif found is None:
            left_out["without their real clip"] += 1
        else:
            by_name[str(record.id.manipulation)].append(_Pair(record, *found))
    chosen = [pairs[place] for pairs in by_name.values() for place in evenly_spaced(len(pairs), most)]
    return chosen, left_out


def _compared(folder: DatasetFolder, pair: _Pair, *, frames: int) -> np.ndarray | str:
    """(F, 2, 18) statistics of the fake and of the real clip, or why there are none."""
    fake, real, first = pair
    forged = [index for start, stop in fake.faked for index in range(start, stop)]
    wanted = [forged[place] for place in evenly_spaced(len(forged), frames)] if forged else []
    try:
        masks = _masks(folder.mask_paths(fake)["region"], wanted)
        pictures = [_pictures(folder.media_path(fake), wanted, 0), _pictures(folder.media_path(real), wanted, first)]
    except AssayError:
        return "that cannot be read"
    rows: list[np.ndarray] = []
    for index in wanted:
        if not (index in masks and all(index in seen for seen in pictures)):
            continue
        both = [
            face_statistics(seen[index], masks[index])
            for seen in pictures
            if seen[index].shape[:2] == masks[index].shape
        ]
        if len(both) == 2 and both[0] is not None and both[1] is not None:
            rows.append(np.stack([both[0], both[1]]))
    return np.stack(rows) if rows else "with faces too small to measure"


def _pictures(path: Path, wanted: Sequence[int], first: int) -> dict[int, np.ndarray]:
    """The pictures ``wanted``, counted from frame ``first`` of the file on."""
    with clip_reader(path) as reader:
        return {frame.index - first: frame.image for frame in reader.picked([first + index for index in wanted])}


def _masks(path: Path, wanted: Sequence[int]) -> dict[int, np.ndarray]:
    last = max(wanted, default=-1)
    return {
        index: mask for index, mask in zip(range(last + 1), read_mask_frames(path), strict=False) if index in wanted
    }
