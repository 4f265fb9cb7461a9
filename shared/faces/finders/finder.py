"""Finders: faces with landmarks in frames, behind one protocol, created by name.

Names: a detector and a landmarker joined by "+" ("yunet+dlib68"), one of the short names below, or "sidecar:PATH" for
exactly known landmarks.

    dlib                      dlib-hog+dlib68
    dlib-mmod, mtcnn, yunet   that detector +dlib68
    face-alignment            sfd+fan
    face-alignment:DETECTOR   that detector +fan
    auto                      face-alignment when its weights are installed (or may be downloaded), else dlib

``ASSAY_DOWNLOAD=1`` in the environment lets ``auto`` download face-alignment's weights when they are missing.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from typing_extensions import override

from shared import weights
from shared.console import console
from shared.errors import FinderError, UnknownNameError, WeightsError
from shared.faces.boxes import box_around, suppress
from shared.faces.finders.contract import (
    Detection,
    Detector,
    DetectorSettings,
    Fit,
    Landmarker,
    Place,
    detectors,
    landmarkers,
)
from shared.registry import Registry, near_matches
from shared.types import Face, Frame

DOWNLOAD_VARIABLE = "ASSAY_DOWNLOAD"
SIDECAR = "sidecar:"

_SAME_FACE = 0.5
_FACE_ALIGNMENT_FILES = ("s3fd", "2dfan4")


class FaceFinder(Protocol):
    """Finds faces with 68 landmarks. Not thread-safe.

    Every :class:`Face` has the face box of :mod:`shared.faces.boxes`, computed from its landmarks, so boxes of
    different finders are comparable and can be passed to :meth:`refine`.

    ``device`` is where faces are detected; landmarks may be fitted elsewhere.
    """

    name: str
    device: str = "cpu"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        """For each frame, (H, W, 3) uint8 RGB, its faces, best first; an empty list where there is none.

        ``confidence`` is the detector's score: a ranking, not a probability, on the detector's own scale.
        """
        ...

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        """Landmarks in given boxes of one frame, without detection: for following faces between detections.

        One face for each box, in order. Here ``confidence`` is in [0, 1] and that of the landmarks; below
        :data:`shared.faces.finders.contract.LOST_BELOW` the face is lost and the points are meaningless.
        """
        ...

    def describe(self) -> dict[str, str]:
        """What determines the result: name, parts, library versions, SHA-256 of each weights file."""
        ...


@runtime_checkable
class IndexedFinder(Protocol):
    """A finder that needs the frame index, because its faces are stored by frame.

    Callers with :class:`Frame` values use this method if ``isinstance(finder, IndexedFinder)``, for every frame,
    without tracking in between: the lookup is fast. :meth:`FaceFinder.find` of such a finder counts frames from 0 in
    the order given, and :meth:`FaceFinder.refine` uses the last frame.
    """

    def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """For each frame its faces, by ``frame.index``."""
        ...


@runtime_checkable
class FollowingFinder(Protocol):
    """A finder that can begin with the landmarks which a followed face should have, and is faster then."""

    def refine_followed(
        self, image: np.ndarray, boxes: Sequence[np.ndarray], expected: Sequence[np.ndarray]
    ) -> list[Face]:
        """As :meth:`FaceFinder.refine`; ``expected`` are (68, 2) frame pixels for each of ``boxes``."""
        ...


finders: Registry[FaceFinder] = Registry("finder")
"""Short names; factories take one :class:`DetectorSettings`."""


class ComposedFinder(FaceFinder):
    """A detector and a landmarker as one :class:`FaceFinder`.

    Detections with a landmark confidence of 0 are dropped, and of two detections of the same face the better one is
    kept.
    """

    def __init__(self, detector: Detector, landmarker: Landmarker) -> None:
        self.name = f"{detector.name}+{landmarker.name}"
        self.device = detector.device
        self._detector = detector
        self._landmarker = landmarker

    @override
    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        detections = self._detector.detect(frames)
        places = [
            Place(image, detection.box, detection.roll)
            for image, found in zip(frames, detections, strict=True)
            for detection in found
        ]
        fits = iter(self._landmarker.fit(places) if places else [])
        return [_faces(found, [next(fits) for _ in found]) for found in detections]

    @override
    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        if not len(boxes):
            return []
        return self._fitted([Place(image, box) for box in boxes])

    def refine_followed(
        self, image: np.ndarray, boxes: Sequence[np.ndarray], expected: Sequence[np.ndarray]
    ) -> list[Face]:
        """See :class:`FollowingFinder`."""
        both = zip(boxes, expected, strict=True)
        return self._fitted([Place(image, box, expected=points) for box, points in both]) if len(boxes) else []

    def _fitted(self, places: Sequence[Place]) -> list[Face]:
        fits = self._landmarker.fit(places)
        return [Face(box_around(fit.landmarks), fit.landmarks, fit.confidence) for fit in fits]

    @override
    def describe(self) -> dict[str, str]:
        facts = {"name": self.name}
        for role, part in (("detector", self._detector), ("landmarker", self._landmarker)):
            facts[role] = part.name
            facts.update({f"{role}.{key}": value for key, value in part.describe().items()})
        return facts


def _faces(detections: Sequence[Detection], fits: Sequence[Fit]) -> list[Face]:
    faces = [
        Face(box_around(fit.landmarks), fit.landmarks, detection.score)
        for detection, fit in zip(detections, fits, strict=True)
        if fit.confidence > 0
    ]
    if len(faces) < 2:
        return faces
    kept = suppress(np.stack([face.box for face in faces]), np.array([face.confidence for face in faces]), _SAME_FACE)
    return [faces[index] for index in kept]


def make_finder(
    name: str = "auto",
    *,
    device: str = "cpu",
    min_confidence: float | None = None,
    min_face_px: float | None = None,
) -> FaceFinder:
    """The finder called ``name``; see the module for names.

    Args:
        name: a short name, "detector+landmarker", a detector (landmarks by dlib68), or "sidecar:PATH".
        device: where networks run: "cpu", "cuda", "cuda:N", "mps".
        min_confidence: least score of a detection on its detector's own scale; None for the detector's default.
        min_face_px: side of the smallest face box to find; larger is faster. None for the detector's default.

    Raises:
        UnknownNameError: no such name; the hint names near ones.
        FinderError: a library is not installed; the hint is the command that installs it.
        WeightsError: weights are missing or not the pinned ones; the hint says how to get them.
    """
    load_backends()
    if name.startswith(SIDECAR):
        from shared.faces.finders.sidecar import SidecarFinder

        return SidecarFinder(Path(name.removeprefix(SIDECAR)))
    settings = DetectorSettings(device, min_confidence, min_face_px)
    if name in finders.names():
        return finders.create(name, settings=settings)
    detector, plus, landmarker = name.partition("+")
    if plus:
        return _compose(detector, landmarker, settings)
    if detector in detectors.names():
        return _compose(detector, "dlib68", settings)
    raise UnknownNameError(f"no finder is named {name!r}", hint=near_matches(name, finder_names()))


def finder_names() -> list[str]:
    """Every short name and every detector, without the free compositions."""
    load_backends()
    return sorted({*finders.names(), *detectors.names()})


def _compose(detector: str, landmarker: str, settings: DetectorSettings) -> FaceFinder:
    made = detectors.get(detector), landmarkers.get(landmarker)
    return ComposedFinder(made[0](settings), made[1](settings.device))


def _file(name: str, detector: str, landmarker: str) -> None:
    @finders.register(name)
    def make(settings: DetectorSettings) -> FaceFinder:
        return _compose(detector, landmarker, settings)

    del make


_file("dlib", "dlib-hog", "dlib68")
_file("face-alignment", "sfd", "fan")
for _detector in ("sfd", "blazeface", "blazeface-back", "retinaface", "scrfd", "yunet"):
    _file(f"face-alignment:{_detector}", _detector, "fan")
_file("face-alignment:dlib", "dlib-hog", "fan")


@finders.register("auto")
def _automatic(settings: DetectorSettings) -> FaceFinder:
    """The best available finder; prints which, and why."""
    reasons: list[str] = []
    candidates: list[tuple[str, Callable[[], str | None]]] = [("face-alignment", _why_not_face_alignment)]
    candidates.append(("dlib", lambda: None))
    for name, why_not in candidates:
        reason = why_not()
        if reason is None:
            try:
                finder = finders.create(name, settings=settings)
            except (FinderError, WeightsError) as error:
                reason = str(error)
            else:
                _announce(finder.name, "; ".join(reasons))
                return finder
        reasons.append(f"{name}: {reason}")
    raise FinderError(
        f"no face finder is available ({'; '.join(reasons)})",
        hint="pip install dlib-bin face_recognition_models (needs no download of weights), or: assay doctor",
    )


def _why_not_face_alignment() -> str | None:
    """Why face-alignment's weights cannot be used, None when they can. Downloads only if allowed."""
    missing = [file for file in _FACE_ALIGNMENT_FILES if weights.find(file) is None]
    if not missing:
        return None
    if os.environ.get(DOWNLOAD_VARIABLE) != "1":
        return f"weights {' and '.join(missing)} are missing"
    try:
        for file in missing:
            weights.fetch(file)
    except WeightsError as error:
        return str(error)
    return None


@functools.lru_cache(maxsize=8)
def _announce(name: str, reasons: str) -> None:
    # Cached, so that a process with many finders prints it once.
    console.print(f"face finder: {name}" + (f" ({reasons})" if reasons else ""))


@functools.lru_cache(maxsize=1)
def load_backends() -> None:
    """Imports the backend files; each registers its parts and imports its heavy library only when used.

    Fills :data:`detectors` and :data:`landmarkers`.
    """
    import shared.faces.finders.dlib_cnn
    import shared.faces.finders.dlib_hog
    import shared.faces.finders.dlib_landmarks
    import shared.faces.finders.face_alignment
    import shared.faces.finders.fan
    import shared.faces.finders.mtcnn
    import shared.faces.finders.yunet  # noqa: F401
