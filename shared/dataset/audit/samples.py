"""Features of each clip: of the file, and of regions of a few frames. Computed once, then cached."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from shared.config import digest
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.faces import NOBODY, FaceBoxes, looked_at, spaced
from shared.dataset.audit.facts import Facts, FileFacts, read_facts
from shared.dataset.audit.hashes import THUMB_PX, thumbnail
from shared.dataset.audit.regions import (
    COLOUR_DIM,
    TEXTURE_DIM,
    RegionFeatures,
    background_region,
    border_region,
    face_region,
)
from shared.dataset.audit.still_facts import read_still_facts
from shared.errors import AssayError, StorageError
from shared.marking.read import MarkReader
from shared.storage import decode_json, inside, replacing
from shared.types import ClipId, ClipRecord
from shared.video.media import clip_reader, is_still_clip

REGIONS: dict[str, int] = {
    "background": TEXTURE_DIM + COLOUR_DIM,
    "border": TEXTURE_DIM + COLOUR_DIM,
    "colour": COLOUR_DIM,
    "face": TEXTURE_DIM + COLOUR_DIM,
}
"""Name of each region and the number of its features."""

_VERSION = 4


@dataclass(frozen=True, eq=False)
class ClipSample:
    """The features of one clip.

    Convention:
        rows: region name to (F, D) float32, one row per frame; frames with too small a region have none
        thumbs: (F, 32, 32) uint8
    """

    facts: FileFacts
    rows: Mapping[str, np.ndarray]
    thumbs: np.ndarray


def read_samples(
    folder: Path,
    records: Sequence[ClipRecord],
    faces: Mapping[ClipId, FaceBoxes],
    config: AuditConfig,
    *,
    cache: Path,
    tick: Callable[[], object] | None = None,
) -> tuple[dict[ClipId, ClipSample], dict[ClipId, str]]:
    """The samples of all readable clips, and the reason for each of the others.

    Raises:
        StorageError: the cache cannot be written.
    """
    ranges = looked_at(records)

    def read(record: ClipRecord) -> ClipSample | str:
        boxes = faces.get(record.id, NOBODY)
        try:
            return _cached(folder, record, ranges[record.id], boxes, config.frames, cache)
        except (AssayError, FileNotFoundError) as error:
            return str(error)
        finally:
            if tick is not None:
                tick()

    with ThreadPoolExecutor(config.workers or os.cpu_count() or 1) as pool:
        found = dict(zip((record.id for record in records), pool.map(read, records), strict=True))
    samples = {clip: sample for clip, sample in found.items() if isinstance(sample, ClipSample)}
    return samples, {clip: reason for clip, reason in found.items() if isinstance(reason, str)}


def _cached(
    folder: Path, record: ClipRecord, part: tuple[int, int], faces: FaceBoxes, frames: int, cache: Path
) -> ClipSample:
    path = inside(folder, record.path)
    settings = {"version": _VERSION, "part": list(part), "frames": frames, "sha256": record.sha256}
    settings |= {"bytes": path.stat().st_size, "faces": faces.boxes.round(2).tolist(), "at": faces.frames.tolist()}
    place = cache / f"{digest(settings)[:40]}.npz"
    if place.is_file():
        stored = _load(place)
        if stored is not None:
            return stored
    sample = read_sample(path, part, faces, frames)
    _store(place, sample)
    return sample


def read_sample(path: Path, part: tuple[int, int], faces: FaceBoxes, frames: int) -> ClipSample:
    """Features of the file and of ``frames`` frames, evenly spaced within ``part``.

    Raises:
        MediaError: the file cannot be read.
    """
    rows: dict[str, list[np.ndarray]] = {name: [] for name in REGIONS}
    thumbs: list[np.ndarray] = []
    marks = MarkReader()
    with clip_reader(path) as reader:
        for frame in spaced(reader, part, frames):
            thumbs.append(thumbnail(frame.image))
            marks.add(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY))
            for name, row in _describe(frame.image, *faces.near(frame.index)).items():
                rows[name].append(row)
    stacked = {
        name: np.stack(listed) if listed else np.zeros((0, REGIONS[name]), np.float32) for name, listed in rows.items()
    }
    pictures = np.stack(thumbs) if thumbs else np.zeros((0, THUMB_PX, THUMB_PX), np.uint8)
    facts = read_still_facts(path) if is_still_clip(path) else read_facts(path)
    return ClipSample(replace(facts, mark=_mark_facts(marks)), stacked, pictures)


def _mark_facts(marks: MarkReader) -> Facts:
    """Whether a mark is read, and of which kind. Its payload is not: it may differ in every clip."""
    reading = marks.read()
    return {"read": float(reading.found), "kind": reading.payload.kind if reading.payload else "none"}


def _describe(image: np.ndarray, boxes: np.ndarray, face: np.ndarray | None) -> dict[str, np.ndarray]:
    shape = (image.shape[0], image.shape[1])
    features = RegionFeatures(image)
    regions = {"border": border_region(shape, boxes)}
    # Without a labelled face the background is unknown.
    if face is not None:
        regions["background"] = background_region(shape, boxes)
        regions["face"] = face_region(shape, face)
    found: dict[str, np.ndarray] = {}
    for name, region in regions.items():
        parts = (features.texture(region), features.colour(region))
        if parts[0] is not None and parts[1] is not None:
            found[name] = np.concatenate([parts[0], parts[1]])
    colour = features.colour(np.ones(shape, dtype=bool))
    return found if colour is None else found | {"colour": colour}


def _store(path: Path, sample: ClipSample) -> None:
    facts = dataclasses.asdict(sample.facts)
    with replacing(path) as draft:
        arrays: dict[str, Any] = {**sample.rows, "facts": np.array(json.dumps(facts)), "thumbs": sample.thumbs}
        np.savez_compressed(draft, **arrays)


def _load(path: Path) -> ClipSample | None:
    """A cached sample; None if the file is invalid."""
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = FileFacts(**decode_json(str(file["facts"]), dict, path, error=StorageError))
            rows = {name: file[name] for name in REGIONS}
            return ClipSample(facts, rows, file["thumbs"])
    except (OSError, StorageError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
