"""A manifest of 100,000 clips: load, split, filter and verify its structure, timed, with peak memory.

The lines are synthetic and there are no media; each clip has labels for two frames. People are linked in groups of
four, so that splits are not trivial. Making the files is not timed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.schema import Measurement, peak_memory_mb
from shared.config import write_toml
from shared.dataset import verify_dataset
from shared.dataset.card import write_card
from shared.dataset.frame_table import FRAME_SCHEMA
from shared.dataset.layout import FRAMES, MANIFEST, SETTINGS, DatasetInfo, masks_for, media_for
from shared.dataset.manifest import read_manifest, write_manifest
from shared.dataset.seal import write_seal
from shared.dataset.splits import find_leaks, split_by_identity
from shared.errors import StorageError
from shared.provenance.identity import SigningIdentity
from shared.types import ClipId, ClipRecord

T = TypeVar("T")

NAME = "scale"
TARGET_SECONDS = 20.0
TARGET_MB = 2000.0

_FRAMES = 2
_CLIPS_A_GROUP = 16
_MANIPULATIONS = ("df", "sae", "iae")


def measure(clips: int) -> list[Measurement]:
    """Times of each step, their sum and peak memory, each with its target.

    Raises:
        StorageError: the set does not verify: the benchmark itself is wrong.
    """
    with TemporaryDirectory() as place:
        folder = Path(place) / NAME
        make_set(folder, clips)
        started_mb, started_cpu = peak_memory_mb(), time.process_time()
        times: dict[str, float] = {}
        records = _timed(times, "load", lambda: read_manifest(folder / MANIFEST))
        assigned = _timed(times, "split by people, leaks searched", lambda: _split(records))
        chosen = _timed(times, "filter by split, label and manipulation", lambda: _filter(assigned))
        problems = _timed(times, "verify structure (lines, labels, splits, seal)", lambda: _verify(folder))
        cpu_seconds = time.process_time() - started_cpu
        if problems or not chosen:
            raise StorageError(f"the made-up set has {len(problems)} problems", hint=str(problems[:1]))
    found = [Measurement.of(name, "s", [seconds], better="lower") for name, seconds in times.items()]
    found.append(Measurement.of("all steps", "s", [sum(times.values())], target=TARGET_SECONDS, better="lower"))
    # On a busy machine wall-clock time includes other processes.
    found.append(Measurement.of("all steps, processor time", "s", [cpu_seconds], target=TARGET_SECONDS, better="lower"))
    note = f"{started_mb:.0f} MB of it before the first step"
    found.append(Measurement.of("peak memory", "MB", [peak_memory_mb()], target=TARGET_MB, better="lower", note=note))
    return found


def make_set(folder: Path, clips: int) -> None:
    """Makes a sealed dataset of synthetic lines, split by people, without media."""
    folder.mkdir(parents=True)
    info = DatasetInfo(NAME)
    records = split_by_identity(list(_records(clips)), seed=0)
    write_toml(folder / SETTINGS, info)
    write_manifest(folder / MANIFEST, records)
    with pq.ParquetWriter(folder / FRAMES, FRAME_SCHEMA, compression="zstd") as writer:
        for first in range(0, len(records), 10_000):
            writer.write_table(_labels(records[first : first + 10_000]))
    write_card(folder, info, records)
    write_seal(folder, NAME, SigningIdentity.load_or_create(), drafts=folder)


def _timed(times: dict[str, float], name: str, work: Callable[[], T]) -> T:
    started = time.perf_counter()
    found = work()
    times[name] = time.perf_counter() - started
    return found


def _split(records: list[ClipRecord]) -> list[ClipRecord]:
    assigned = split_by_identity(records, seed=1)
    if find_leaks(assigned):
        raise StorageError("the splits leak", hint="a fault in shared.dataset.splits")
    return assigned


def _filter(records: list[ClipRecord]) -> list[ClipRecord]:
    return [record for record in records if record.split == "test" and record.id.manipulation in (None, "sae")]


def _verify(folder: Path) -> list[str]:
    """All problems but the missing media, of which each clip has its own."""
    return [str(problem) for problem in verify_dataset(folder, deep=False) if problem.kind != "file"]


def _records(count: int) -> Iterator[ClipRecord]:
    for number in range(count):
        group, place = divmod(number, _CLIPS_A_GROUP)
        target, source = f"p{group * 4 + place % 4}", f"p{group * 4 + (place + 1) % 4}"
        fake = place >= 4
        clip = ClipId(NAME, _MANIPULATIONS[place % 3] if fake else None, f"clip-{number}")
        yield ClipRecord(
            id=clip,
            kind="swap" if fake else "real",
            label="fake" if fake else "real",
            path=media_for(clip),
            sha256=_digest("file", number),
            content_sha256=_digest("content", number),
            target_identity=target,
            source_identity=source if fake else None,
            rights="synthetic",
            frames=_FRAMES,
            width=640,
            height=360,
            codec="h264",
            rendition=("c0", "c23", "c40")[number % 3],
            faked=((0, _FRAMES),) if fake else (),
            masks=masks_for(clip) if fake else None,
            factors={"blend": "alpha", "color": "mean-std", "finder": "made-up"},
        )


def _digest(what: str, number: int) -> str:
    return hashlib.sha256(f"{what} {number}".encode()).hexdigest()


def _labels(records: list[ClipRecord]) -> pa.Table:
    frame = np.tile(np.arange(_FRAMES), len(records))
    rows = len(frame)
    names = np.repeat(np.array([str(record.id) for record in records]), _FRAMES)
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(np.tile([10, 10, 90, 90], rows), pa.float32()), 4)
    columns = {
        "clip": pa.array(names),
        "frame": pa.array(frame, pa.int32()),
        "pts": pa.array(frame, pa.int64()),
        "seconds": pa.array(frame / 25),
        "label": pa.array(np.repeat(np.array([record.label for record in records]), _FRAMES)),
        "track": pa.array(np.zeros(rows), pa.int32()),
        "box": boxes,
        "face_px": pa.array(np.full(rows, 80), pa.float32()),
    }
    return pa.table({name: columns[name] for name in FRAME_SCHEMA.names}, schema=FRAME_SCHEMA)
