"""dlib's frontal face detector (HOG and a linear classifier, Dalal and Triggs, CVPR 2005; King, arXiv:1502.00046).

Five filters, no learned features: about 16 ms a frame of 512x480 on one core, and dlib releases the GIL meanwhile. It
needs near-frontal, near-upright faces of 80 px; smaller ones are found by enlarging the frame.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from typing_extensions import override

from shared.faces.finders.contract import Detection, Detector, DetectorSettings, detectors, need_package

DLIB_PACKAGES = "dlib-bin face_recognition_models"

_WINDOW_PX = 80.0
_LONGEST_FIRST_PX = 1280
_LONGEST_PX = 2560
_ENLARGED = 2.0
_IDLE: queue.SimpleQueue[Any] = queue.SimpleQueue()
"""dlib's detectors that no thread of this process uses just now; they have no settings of their own."""


@detectors.register("dlib-hog")
class HogDetector(Detector):
    """dlib's HOG detector.

    Without ``min_face_px`` a frame is searched for faces of 80 px and more at up to 1280 px on its longer side, and,
    only if none is found, again at twice that. With it, a frame is searched once, at the scale that makes such a face
    80 px (at most enlarged twice, at most 2560 px).

    Frames of one call are searched on all cores. A detection's score is its distance from the classifier's hyperplane:
    above 0 by default, about 1.5 for a clear face.
    """

    name = "dlib-hog"

    def __init__(self, settings: DetectorSettings) -> None:
        self._dlib = need_package("dlib", DLIB_PACKAGES)
        self._min_score = 0.0 if settings.min_score is None else settings.min_score
        self._min_face_px = settings.min_face_px
        self._workers = max(1, os.cpu_count() or 1)

    @override
    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        if len(images) < 2 or self._workers < 2:
            return [self._detect_one(image) for image in images]
        with ThreadPoolExecutor(min(self._workers, len(images))) as pool:
            return list(pool.map(self._detect_one, images))

    @override
    def describe(self) -> dict[str, str]:
        return {"dlib": str(self._dlib.__version__), "min_score": f"{self._min_score:g}"}

    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        for scale in scales_for(gray.shape[1], gray.shape[0], self._min_face_px):
            if found := self._search(gray, scale):
                return found
        return []

    def _search(self, gray: np.ndarray, scale: float) -> list[Detection]:
        height, width = gray.shape
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if size != (width, height):
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            gray = cv2.resize(gray, size, interpolation=method)
        detector = self._borrow()
        rectangles, scores, _ = detector.run(gray, 0, self._min_score)
        _IDLE.put(detector)
        back = np.array([width / size[0], height / size[1]] * 2)
        found = [
            Detection(_pixels(rectangle, back), float(score))
            for rectangle, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda detection: -detection.score)

    def _borrow(self) -> Any:
        # A detector keeps its pyramid between calls, so two threads may not share one; creating one takes a while.
        try:
            return _IDLE.get_nowait()
        except queue.Empty:
            return self._dlib.get_frontal_face_detector()


def scales_for(width: int, height: int, min_face_px: float | None) -> list[float]:
    """The scales at which a frame is searched, in order, until a face is found; see :class:`HogDetector`."""
    longer = max(width, height)
    most = min(_ENLARGED, _LONGEST_PX / longer)
    if min_face_px is not None:
        return [min(_WINDOW_PX / min_face_px, most)]
    first = min(1.0, _LONGEST_FIRST_PX / longer)
    return [first, most] if most > first else [first]


def _pixels(rectangle: Any, back: np.ndarray) -> np.ndarray:
    """A dlib rectangle (its right and bottom pixels included) as a box in frame pixels, (4,) float32."""
    edges = np.array([rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1], dtype=float)
    return (edges * back - 0.5).astype(np.float32)
