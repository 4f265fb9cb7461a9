"""Finds faces of people lying down, in rotated pictures, if there are none in upright ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from shared.console import console
from shared.faces.finders.finder import FaceFinder, IndexedFinder
from shared.types import Face, Frame

_TRIED_FRAMES = 5
_TRIED_EVERY = 6
_QUARTERS = (1, 3, 2)


class TurnedFinder:
    """A finder that searches rotated pictures, and returns faces in coordinates of the original."""

    def __init__(self, finder: FaceFinder, quarters: int) -> None:
        self.name = finder.name
        self.device = finder.device
        self.degrees_clockwise = 90 * quarters
        self._finder = finder
        self._quarters = quarters

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        found = self._finder.find([_turned(image, self._quarters) for image in frames])
        return [[self._back(face, image) for face in faces] for faces, image in zip(found, frames, strict=True)]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        there = [_box(_moved(box.reshape(2, 2), image.shape[:2], self._quarters)) for box in boxes]
        return [self._back(face, image) for face in self._finder.refine(_turned(image, self._quarters), there)]

    def describe(self) -> dict[str, str]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        return self._finder.describe() | {"turned": str(self.degrees_clockwise)}

    def _back(self, face: Face, image: np.ndarray) -> Face:
        shape = _turned(image, self._quarters).shape[:2]
        landmarks = _moved(face.landmarks, shape, -self._quarters).astype(np.float32)
        return replace(face, landmarks=landmarks, box=_box(_moved(face.box.reshape(2, 2), shape, -self._quarters)))


def turned_finder(frames: Iterable[Frame], finder: FaceFinder) -> TurnedFinder | None:
    """``finder`` with the rotation that shows faces in most of a few ``frames``; None if no rotation does."""
    if isinstance(finder, IndexedFinder):
        return None
    images = [frame.image for frame in islice(frames, 0, _TRIED_FRAMES * _TRIED_EVERY, _TRIED_EVERY)]
    for quarters in _QUARTERS:
        turned = TurnedFinder(finder, quarters)
        if images and sum(bool(faces) for faces in turned.find(images)) > len(images) / 2:
            return turned
    return None


def turned_note(turned: TurnedFinder, clip: str) -> dict[str, str]:
    """What a record says of a clip whose faces were found so; said on standard error, too."""
    degrees = turned.degrees_clockwise
    console.warn(f"{clip}: faces were found by turning its pictures {degrees} degrees clockwise")
    return {"source_turned": f"faces found {degrees} degrees clockwise"}


def _turned(image: np.ndarray, quarters: int) -> np.ndarray:
    """``image`` rotated clockwise by ``quarters`` times 90 degrees."""
    return np.ascontiguousarray(np.rot90(image, -quarters))


def _moved(points: np.ndarray, shape: tuple[int, ...], quarters: int) -> np.ndarray:
    """(N, 2) ``points`` of a picture of (height, width) ``shape`` after rotating it clockwise."""
    height, width = shape[:2]
    x, y = points[:, 0], points[:, 1]
    match quarters % 4:
        case 1:
            x, y = height - 1 - y, x
        case 2:
            x, y = width - 1 - x, height - 1 - y
        case 3:
            x, y = y, width - 1 - x
    return np.stack([x, y], axis=1)


def _box(corners: np.ndarray) -> np.ndarray:
    return np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32)
