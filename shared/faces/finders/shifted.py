"""A finder of stored faces for a clip that begins inside the one they were stored for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shared.faces.finders.finder import FaceFinder, IndexedFinder
from shared.types import Face, Frame


class ShiftedFinder:
    """``finder``, an :class:`IndexedFinder`, for a clip whose frame 0 is its frame ``by``."""

    def __init__(self, finder: FaceFinder, by: int) -> None:
        assert isinstance(finder, IndexedFinder)
        self.name, self.device = finder.name, finder.device
        self._finder, self._indexed, self._by = finder, finder, by

    def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """See :class:`~shared.faces.finders.finder.IndexedFinder`."""
        return self._indexed.find_indexed([replace(frame, index=frame.index + self._by) for frame in frames])

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        return self._finder.find(frames)

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        return self._finder.refine(image, boxes)

    def describe(self) -> dict[str, str]:
        """See :class:`~shared.faces.finders.finder.FaceFinder`."""
        return self._finder.describe()


def shifted(finder: FaceFinder, by: int) -> FaceFinder:
    """``finder`` for a clip that begins at frame ``by``; the same one where it searches pictures, not a list."""
    return ShiftedFinder(finder, by) if by and isinstance(finder, IndexedFinder) else finder
