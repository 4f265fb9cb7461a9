"""Interfaces of face detectors (boxes) and landmarkers (68 points), and their registries.

A backend file registers its detectors and landmarkers here and imports its heavy library only when one is built, so
that listing names is fast. :mod:`shared.faces.finders.finder` composes them.

Convention:
    image: (H, W, 3) uint8, RGB
    box: a face box, see :mod:`shared.faces.boxes`
    roll: radians, the angle of the line from the eye on the image's left to the one on its right, y down
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shared.errors import FinderError
from shared.registry import Registry


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A detected face: face box, the detector's score (not a probability), and roll if known."""

    box: np.ndarray
    score: float
    roll: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Input of a landmarker: an image, a face box in it, and the roll if known.

    ``expected`` are the landmarks, (68, 2) frame pixels, that a face followed from earlier frames should have here; a
    landmarker may begin with them instead of the box. None if nothing is known.
    """

    image: np.ndarray
    box: np.ndarray
    roll: float = 0.0
    expected: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """68 landmarks, (68, 2) float32 frame pixels, and their confidence.

    ``confidence`` lies in [0, 1]; below :data:`LOST_BELOW` there is most likely no face. Each landmarker documents its
    measure.
    """

    landmarks: np.ndarray
    confidence: float


LOST_BELOW = 0.5
"""A face whose fit has less confidence than this counts as lost."""


class Detector(Protocol):
    """Finds faces in frames. Not thread-safe.

    ``device`` is where it runs: "cpu" unless it uses that of its settings.
    """

    name: str
    device: str = "cpu"

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """For each image its faces, best score first; an empty list where there is none."""
        ...

    def describe(self) -> dict[str, str]:
        """What determines the result: library versions, SHA-256 of weights, settings."""
        ...


class Landmarker(Protocol):
    """Fits landmarks in given boxes. Not thread-safe."""

    name: str

    def fit(self, places: Sequence[Place]) -> list[Fit]:
        """One fit for each place, in order, also without a face (then with low confidence)."""
        ...

    def describe(self) -> dict[str, str]:
        """What determines the result: library versions, SHA-256 of weights."""
        ...


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Settings of all detectors.

    Convention:
        device: "cpu", "cuda", "cuda:N" or "mps"; detectors that know only the CPU ignore it
        min_score: minimum score of a detection, on the detector's own scale; None for its default
        min_face_px: side of the smallest face box to find; larger is faster. None for the detector's default
    """

    device: str = "cpu"
    min_score: float | None = None
    min_face_px: float | None = None


detectors: Registry[Detector] = Registry("face detector")
"""Factories that take one :class:`DetectorSettings`."""

landmarkers: Registry[Landmarker] = Registry("landmarker")
"""Factories that take the device's name."""


def need_package(module: str, distributions: str) -> Any:
    """The imported package ``module``.

    Raises:
        FinderError: it is not installed or cannot be imported; the hint says what to ``pip install``.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FinderError(f"{module} cannot be imported: {error}", hint=f"pip install {distributions}") from error


def roll_of(left_eye: np.ndarray, right_eye: np.ndarray) -> float:
    """Roll of a face in radians from its eye on the image's left and the one on its right, both (2,)."""
    across = right_eye - left_eye
    return math.atan2(float(across[1]), float(across[0]))
