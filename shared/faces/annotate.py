"""Landmarks that a person sets, in the table beside a clip that the finder ``sidecar`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import UsageError
from shared.faces.finders.sidecar import read_sidecar, sidecar_of
from shared.storage import folder_lock, replacing
from shared.types import MAX_FRAMES, NUM_LANDMARKS
from shared.video.container import need_file

MOST_BETWEEN = 5_000
"""Frames that are filled between two, at most."""
_FARTHEST_PX = 1e5
_SCHEMA = pa.schema([("frame", pa.int64()), ("landmarks", pa.list_(pa.float32(), 2 * NUM_LANDMARKS))])


def parse_points(text: str) -> np.ndarray:
    """(68, 2) float32 landmarks in frame pixels from ``"x,y x,y ..."``.

    Raises:
        UsageError: they are not 68 pairs of numbers, or far outside of any picture.
    """
    try:
        points = np.array([[float(value) for value in pair.split(",")] for pair in text.split()], dtype=np.float32)
    except ValueError as error:
        raise UsageError(f"landmarks are {NUM_LANDMARKS} pairs x,y: {error}", hint="'10.5,20 11,20 ...'") from error
    if points.shape != (NUM_LANDMARKS, 2) or not np.isfinite(points).all() or np.abs(points).max() > _FARTHEST_PX:
        raise UsageError(f"landmarks are {NUM_LANDMARKS} pairs x,y of finite pixels", hint="'10.5,20 11,20 ...'")
    return points


def read_landmarks(clip: Path) -> dict[int, list[np.ndarray]]:
    """The faces beside ``clip`` by frame, (68, 2) float32 each; empty where there is no table.

    Raises:
        FinderError: the table is damaged.
    """
    path = sidecar_of(clip)
    if not path.is_file():
        return {}
    points, rows = read_sidecar(path)
    return {frame: [points[row] for row in found] for frame, found in rows.items()}


def set_landmarks(clip: Path, frame: int, points: np.ndarray | None, *, since: int | None = None) -> list[int]:
    """Makes ``points`` the one face of a frame, in place of those that were there; the frames that were set.

    Args:
        clip: the video; the table lies beside it.
        frame: its index.
        points: (68, 2) landmarks in frame pixels; None: the frame has no face.
        since: an earlier or later frame with one face: the frames between are filled by linear interpolation.

    Raises:
        UsageError: a frame is out of range, or ``since`` has not one face, or is too far away.
        MediaError: there is no such file.
        FinderError: the table is damaged.
        StorageError: writing failed.
    """
    need_file(clip)
    if not 0 <= frame < MAX_FRAMES:
        raise UsageError(f"there is no frame {frame}", hint="frames are counted from 0")
    path = sidecar_of(clip)
    with folder_lock(path.with_name(f".{path.name}.lock")):
        faces = read_landmarks(clip)
        changed: dict[int, list[np.ndarray]] = {frame: [] if points is None else [np.asarray(points, np.float32)]}
        if since is not None:
            changed |= _between(faces, since, frame, points)
        _write(path, faces | changed)
    return sorted(changed)


def _between(
    faces: Mapping[int, list[np.ndarray]], since: int, frame: int, points: np.ndarray | None
) -> dict[int, list[np.ndarray]]:
    start = faces.get(since, [])
    if points is None or len(start) != 1 or since == frame or abs(frame - since) > MOST_BETWEEN:
        raise UsageError(
            f"frame {since} is no start to fill the frames up to {frame}",
            hint=f"it needs one face, at most {MOST_BETWEEN} frames away",
        )
    step = 1 if frame > since else -1
    shares = {index: (index - since) / (frame - since) for index in range(since + step, frame, step)}
    return {index: [((1 - share) * start[0] + share * points).astype(np.float32)] for index, share in shares.items()}


def _write(path: Path, faces: Mapping[int, list[np.ndarray]]) -> None:
    rows = [(frame, face) for frame, found in sorted(faces.items()) for face in found]
    if not rows:
        path.unlink(missing_ok=True)
        return
    frames, points = zip(*rows, strict=True)
    columns = {"frame": list(frames), "landmarks": [np.ravel(one).tolist() for one in points]}
    with replacing(path) as draft:
        pq.write_table(pa.table(columns, schema=_SCHEMA), draft, compression="zstd")
