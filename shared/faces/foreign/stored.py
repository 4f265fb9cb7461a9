"""Faces whose landmarks another program has stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import MediaError
from shared.faces.boxes import box_around
from shared.faces.foreign.pickled import PickledArray
from shared.types import NUM_LANDMARKS, Face, Frame

_FARTHEST_PX = 100_000.0


@dataclass
class StoredFinder:
    """Finds the faces of a clip or a picture that were given; an :class:`shared.faces.finders.finder.IndexedFinder`.

    Attributes:
        name: of the program that stored them.
        faces: landmarks, (68, 2) float32 in frame pixels, by frame.
        device: that of :class:`~shared.faces.finders.finder.FaceFinder`.
    """

    name: str
    faces: Mapping[int, Sequence[np.ndarray]]
    device: str = "cpu"

    def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """See :class:`~shared.faces.finders.finder.IndexedFinder`."""
        return [self._at(frame.index) for frame in frames]

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        return [self._at(index) for index in range(len(frames))]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`; stored faces are not followed."""
        del image
        return [Face(box, np.zeros((NUM_LANDMARKS, 2), np.float32), 0.0) for box in boxes]

    def describe(self) -> dict[str, str]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        return {"name": self.name, "detector": self.name, "landmarker": self.name}

    def _at(self, index: int) -> list[Face]:
        return [Face(box_around(points), points, 1.0) for points in self.faces.get(index, ())]


def landmarks_of(value: object, what: str) -> np.ndarray:
    """(68, 2) float32 from a list of points or an array.

    Raises:
        MediaError: it is something else, or no face has such points.
    """
    rows = _rows(value)
    if rows is None or not (np.isfinite(rows).all() and (np.abs(rows) < _FARTHEST_PX).all()):
        raise MediaError(f"{what} holds no 68 landmarks", hint="extract that face again, or leave it out")
    if (np.ptp(rows, axis=0) < 1).any():
        raise MediaError(
            f"{what} holds landmarks that lie on one line", hint="extract that face again, or leave it out"
        )
    return rows


def _rows(value: object) -> np.ndarray | None:
    if isinstance(value, PickledArray):
        value = value.value
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if value.shape == (NUM_LANDMARKS, 2) else None
    # Lists are looked at one by one: nested ones may refer to each other and be endless.
    if not isinstance(value, list | tuple) or len(value) != NUM_LANDMARKS:
        return None
    if not all(isinstance(point, list | tuple) and len(point) == 2 for point in value):
        return None
    flat = [number for point in value for number in point]
    if not all(isinstance(number, int | float) and abs(number) < _FARTHEST_PX for number in flat):
        return None
    return np.array(flat, np.float32).reshape(NUM_LANDMARKS, 2)
