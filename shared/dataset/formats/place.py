"""Copies one clip of a third-party dataset into a dataset, with unchanged bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

import shared
from shared.dataset.folder import DatasetFolder
from shared.dataset.formats.found import FoundClip, Issue, Packed, Video
from shared.dataset.formats.pictures import NOMINAL_RATE, mask_frames, write_mask, write_sequence
from shared.dataset.layout import MASKS, media_for
from shared.errors import AssayError, MediaError, StorageError
from shared.storage import replacing, sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel, Masks, Timestamp
from shared.video.media import clip_reader
from shared.video.unread import frames_note

IMPORTED = "imported"


@dataclass(frozen=True)
class Job:
    """One clip to copy: the dataset, the rights, whether to use a hard link."""

    dataset: Path
    id: ClipId
    found: FoundClip
    rights: str
    layout: str
    parent: ClipId | None = None
    link: bool = False


@dataclass(frozen=True)
class Placed:
    """The result of a job: a record with its labels, or none and the reason; ``linked`` if a hard link was made."""

    record: ClipRecord | None
    labels: tuple[FrameLabel, ...] = ()
    issues: tuple[Issue, ...] = ()
    linked: bool = False


def place_clip(job: Job) -> Placed:
    """Copies a clip's files into the dataset's folder and describes them; of an unreadable clip nothing is left.

    Raises:
        StorageError: writing failed.
    """
    folder = DatasetFolder.open(job.dataset)
    suffix = job.found.media.path.suffix.lower() if isinstance(job.found.media, Video) else ".mkv"
    relative = media_for(job.id, suffix)
    try:
        with folder.stage_media(relative) as draft:
            return _described(job, folder, relative, draft)
    except StorageError:
        raise
    except AssayError as error:
        return Placed(None, issues=(Issue("damaged", job.found.where, f"{error}; left out"),))


def link_or_copy(source: Path, target: Path, *, link: bool) -> bool:
    """Makes ``target`` a hard link to ``source`` if ``link`` and possible, else a copy; returns whether it is a link.

    Raises:
        StorageError: writing failed.
    """
    linked = False
    with replacing(target) as draft:
        if link:
            try:
                os.link(source.resolve(), draft)
                linked = True
            except OSError:
                # Another disk, or a file system without links: copied instead.
                linked = False
        if not linked:
            shutil.copyfile(source, draft)
    return linked


def _described(job: Job, folder: DatasetFolder, relative: str, path: Path) -> Placed:
    """Writes the clip to the draft ``path`` and its mask into ``folder``; returns their description."""
    found, issues = job.found, []
    linked = _write_media(job, path)
    with clip_reader(path) as reader:
        info, times = reader.info, list(reader.times())
    if info.frames_declared is not None and info.frames_declared != len(times):
        message = f"declares {info.frames_declared} frames, {len(times)} can be decoded; listed with those"
        issues.append(Issue("damaged", found.where, message))
    digest = sha256_file(path)
    masks, faked = _masks(job, folder, (info.height, info.width), len(times), issues)
    record = ClipRecord(
        id=job.id,
        kind=found.kind,
        label=found.label,
        path=relative,
        sha256=digest,
        target_identity=found.target,
        rights=job.rights,
        frames=len(times),
        width=info.width,
        height=info.height,
        codec=info.codec,
        rendition=found.rendition,
        split=found.split,
        source_identity=found.source,
        faked=faked,
        masks=masks,
        parent=job.parent,
        content_sha256=digest,
        tool_version=shared.__version__,
        factors=_factors(job, digest, masks) | frames_note(info.frames_declared, len(times)),
    )
    return Placed(record, tuple(_labels(job.id, times, faked)), tuple(issues), linked)


def _write_media(job: Job, path: Path) -> bool:
    media = job.found.media
    if not isinstance(media, Video):
        write_sequence(media, path)
        return False
    linked = link_or_copy(media.path, path, link=job.link)
    sidecar = media.path.with_suffix(".c2pa")
    if sidecar.is_file():
        link_or_copy(sidecar, path.with_suffix(".c2pa"), link=job.link)
    return linked


def _factors(job: Job, digest: str, masks: Masks | None) -> dict[str, str]:
    """Factors of the clip: its origin, and properties known by name only."""
    factors = dict(job.found.factors)
    if masks is None:
        factors.pop("mask_shape", None)
    factors |= {
        IMPORTED: job.layout,
        "source_path": job.found.where,
        "frame_labels": "mask" if masks else "clip",
    }
    if isinstance(job.found.media, Video):
        factors["original_sha256"] = digest
    else:
        factors |= {"sequence": "pictures", "rate": f"nominal-{NOMINAL_RATE}"}
    if isinstance(job.found.media, Packed):
        factors["archive_sha256"] = sha256_file(job.found.media.archive)
    return factors


def _masks(
    job: Job, folder: DatasetFolder, size: tuple[int, int], frames: int, issues: list[Issue]
) -> tuple[Masks | None, tuple[tuple[int, int], ...]]:
    """The mask of a fake, one file for all three names, and the forged frames; all frames without a mask."""
    whole = ((0, frames),) if job.found.label == "fake" else ()
    if job.found.mask is None or not whole:
        return None, whole
    relative = f"{MASKS}/{job.id.manipulation}/{job.id.name}.mask.mkv"
    marked: list[bool] = []
    try:
        with folder.stage_media(relative) as path:
            write_mask(_checked(mask_frames(job.found.mask), size, marked), path)
            if len(marked) != frames:
                raise MediaError(f"the mask has {len(marked)} frames, the clip {frames}")
            if not any(marked):
                raise MediaError("the mask marks nothing on any frame")
    except StorageError:
        raise
    except AssayError as error:
        issues.append(Issue("damaged", job.found.where, f"{error}; listed without a mask"))
        return None, whole
    return Masks(relative, relative, relative), ranges_of(marked)


def _checked(frames: Iterable[np.ndarray], size: tuple[int, int], marked: list[bool]) -> Iterator[np.ndarray]:
    for frame in frames:
        if frame.shape != size:
            raise MediaError(f"the mask is {frame.shape[1]}x{frame.shape[0]}, the clip {size[1]}x{size[0]}")
        marked.append(bool(frame.any()))
        yield frame


def ranges_of(marked: Sequence[bool]) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of the marked frames: [0, 1, 1, 0, 1] gives (1, 3) and (4, 5)."""
    ranges: list[tuple[int, int]] = []
    start = 0
    for is_marked, run in groupby(marked):
        stop = start + len(list(run))
        if is_marked:
            ranges.append((start, stop))
        start = stop
    return tuple(ranges)


def _labels(clip: ClipId, times: Sequence[Timestamp], faked: Sequence[tuple[int, int]]) -> list[FrameLabel]:
    forged = {index for start, stop in faked for index in range(start, stop)}
    return [
        FrameLabel(clip, index, moment.pts, moment.seconds, "fake" if index in forged else "real")
        for index, moment in enumerate(times)
    ]
