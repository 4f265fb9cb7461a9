"""YuNet (Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", MIR 2023) on OpenCV: box and five points.

A fixed, small network on the CPU: about 8 ms for 512x480. Finds small, tilted and turned faces that HOG does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from typing_extensions import override

from shared import weights
from shared.errors import WeightsError
from shared.faces.boxes import BoxConvention
from shared.faces.finders.contract import Detection, Detector, DetectorSettings, detectors, roll_of
from shared.faces.finders.scaling import shrunk

_FILES = ("yunet", "yunet-2023mar")
_BOXES = BoxConvention(scale=0.954, right=0.0, down=0.089)
_EASY_PX = 24.0
_LONGEST_PX = 640
_NMS = 0.3


@detectors.register("yunet")
class YuNetDetector(Detector):
    """OpenCV's ``FaceDetectorYN`` with either of the two published weights files.

    The longer side of a frame is searched at up to 640 px, where the network finds faces of about 10 px and more; with
    ``min_face_px`` a frame is reduced until such a face has 24 px. Scores are in [0, 1]; at least 0.6 by default.
    """

    name = "yunet"

    def __init__(self, settings: DetectorSettings) -> None:
        self._weights = next((file for file in _FILES if weights.find(file) is not None), _FILES[0])
        path = weights.require(self._weights)
        self._min_score = 0.6 if settings.min_score is None else settings.min_score
        self._min_face_px = settings.min_face_px
        self._net = _opened(path, self._min_score)

    @override
    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect_one(image) for image in images]

    @override
    def describe(self) -> dict[str, str]:
        sha256 = weights.entry_named(self._weights).sha256
        return {"opencv": cv2.__version__, "sha256": sha256, "min_score": f"{self._min_score:g}"}

    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        small, back = shrunk(image, longest_px=_LONGEST_PX, easy_px=_EASY_PX, min_face_px=self._min_face_px)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        return sorted((_detection(row, back) for row in rows), key=lambda detection: -detection.score)


def _opened(path: Path, min_score: float) -> cv2.FaceDetectorYN:
    # OpenCV 5 warns on every construction that its new engine ignores the target, which is not set.
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        return cv2.FaceDetectorYN.create(str(path), "", (320, 320), min_score, _NMS)
    except cv2.error as error:
        raise WeightsError(f"OpenCV cannot read {path}: {error}", hint="pip install -U opencv-python") from error
    finally:
        logging.setLogLevel(level)


def _detection(row: np.ndarray, back: np.ndarray) -> Detection:
    """One row of the network: x, y, width, height, five points from the eye on the image's left on, score."""
    low, size = row[:2] * back, row[2:4] * back
    points = row[4:14].reshape(5, 2) * back
    box = _BOXES.to_face_box(np.concatenate([low, low + size]))
    return Detection(box, float(row[14]), roll_of(points[0], points[1]))
