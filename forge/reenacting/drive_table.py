"""The drive of a fake as a table: for every driven frame, which moment of the driver moved it, and to which landmarks.

A row a driven frame, as Parquet: ``frame`` (int32, of the fake), ``driver_frame`` (float64, of the driver's clip,
fractional between two frames), ``weight`` (float32, share of the motion), ``tilt_degrees`` (float32), ``landmarks`` and
``drive_landmarks`` (136 float32 each, x and y alternating, frame pixels: where they were, and where they are to be).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forge.reenacting.transfer import DrivePlan
from shared.dataset.layout import DRIVE, DRIVE_TABLE
from shared.errors import ManifestError, storage_errors
from shared.storage import sha256_file
from shared.types import ClipId

SUFFIX = ".drive.parquet"
_POINTS = 136


def drive_table_for(clip: ClipId, name: str = "") -> str:
    """Path, inside the dataset, of the drive of ``clip``, or of several clips that are called ``name`` together."""
    return f"{DRIVE}/{clip.manipulation}/{name or clip.name}{SUFFIX}"


def drive_factors(relative: str, path: Path) -> dict[str, str]:
    """How a record names the table at ``path``, which is to lie at ``relative`` in the dataset."""
    return {DRIVE_TABLE: relative, f"{DRIVE_TABLE}_sha256": sha256_file(path)}


def write_drive(path: Path, plan: DrivePlan) -> None:
    """Writes the drive of ``plan``.

    Raises:
        StorageError: writing failed.
    """
    rows = [plan.frames[index] for index in sorted(plan.frames)]
    table = pa.table(
        {
            "frame": pa.array([row.frame for row in rows], pa.int32()),
            "driver_frame": pa.array([float(row.driver) for row in rows], pa.float64()),
            "weight": pa.array([row.weight for row in rows], pa.float32()),
            "tilt_degrees": pa.array([row.tilt_degrees for row in rows], pa.float32()),
            "landmarks": _points([row.source for row in rows]),
            "drive_landmarks": _points([row.drive for row in rows]),
        }
    )
    with storage_errors(path):
        pq.write_table(table, path, compression="zstd")


def write_resized(path: Path, full: Path, scale: tuple[float, float]) -> None:
    """Writes the table at ``full`` for a clip whose width and height are ``scale`` times as large.

    Raises:
        StorageError: reading or writing failed.
    """
    with storage_errors(path):
        table = pq.read_table(full)
        for name in ("landmarks", "drive_landmarks"):
            points = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, _POINTS // 2, 2)
            # A pixel's centre is at a whole number, so its corner is what stays at 0 (shared.faces.align.resized).
            scaled = ((points + 0.5) * np.array(scale) - 0.5).astype(np.float32)
            table = table.set_column(table.schema.get_field_index(name), name, _points(list(scaled)))
        pq.write_table(table, path, compression="zstd")


def read_drive(path: Path) -> dict[int, tuple[float, np.ndarray, np.ndarray]]:
    """By frame of the fake: the moment of the driver, and (68, 2) landmarks as they were and as they are to be.

    Raises:
        ManifestError: the file is missing or damaged.
    """
    try:
        table = pq.read_table(path, columns=["frame", "driver_frame", "landmarks", "drive_landmarks"])
        before, after = (
            np.array(table[name].to_pylist(), np.float64).reshape(-1, _POINTS // 2, 2)
            for name in ("landmarks", "drive_landmarks")
        )
        moments = zip(table["frame"].to_pylist(), table["driver_frame"].to_pylist(), strict=True)
        return {frame: (at, before[row], after[row]) for row, (frame, at) in enumerate(moments)}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read: {error}", hint="make the fake again") from error


def _points(landmarks: list[np.ndarray]) -> pa.Array:
    flat = np.asarray(landmarks, np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), _POINTS)
