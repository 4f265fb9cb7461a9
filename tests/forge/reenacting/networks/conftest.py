"""Facesets of two painted people whose mouths open."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.faces.align import mean_in_crop
from tests.factories import face_row, write_faceset
from tests.forge.reenacting.conftest import LOWER

PX, FRAMES = 96, 10


def painted(person: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """(96, 96, 3) uint8 and its landmarks (68, 2): a mouth that opens from frame to frame."""
    points = mean_in_crop(PX, "whole")
    drop = 0.6 * frame
    points[LOWER, 1] += drop
    points[6:11, 1] += drop
    picture = np.full((PX, PX, 3), (40, 50, 60 + 40 * person), np.uint8)
    for part, colour in (
        (range(27), (200, 160 - 40 * person, 130)),
        (range(48, 60), (150, 60, 60)),
        (range(60, 68), (30, 10, 10)),
        (range(36, 42), (60, 60, 70)),
        (range(42, 48), (60, 60, 70)),
    ):
        hull = cv2.convexHull(np.rint(points[list(part)] * 16).astype(np.int32))
        cv2.fillConvexPoly(picture, hull, colour, cv2.LINE_AA, 4)
    return picture, points.astype(np.float32)


def write_talking(folder: Path, person: int, *, frames: int = FRAMES, **facts: str) -> Path:
    """The faceset of a person: one clip of that many frames."""
    faces = [(face_row(points, frame=frame, seconds=frame / 25), picture)
             for frame in range(frames) for picture, points in [painted(person, frame)]]  # fmt: skip
    return write_faceset(folder / f"p{person}", f"p{person}", faces, **facts)


@pytest.fixture(scope="session")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Facesets of two people, a clip each."""
    folder = tmp_path_factory.mktemp("talkers")
    return [write_talking(folder, person) for person in range(2)]
