"""The detectors of the face-alignment package (Bulat): S3FD, BlazeFace, RetinaFace, SCRFD. Its YuNet is yunet.py.

The package downloads on construction and defaults to a GPU and to compiling; here each network is built once, on the
given device, from a file whose hash has been checked. Assay decodes and maps faces itself where the package's code is
worse: it crops frames to a square for BlazeFace, and gives RetinaFace RGB although it was trained on BGR.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from typing_extensions import override

from shared import weights
from shared.faces.boxes import BoxConvention, suppress
from shared.faces.finders.contract import Detection, Detector, DetectorSettings, detectors, need_package, roll_of
from shared.faces.finders.scaling import shrunk

_PACKAGE = "face-alignment"
_PARTS = "face_alignment.detection"
_EASY_PX = 24.0
_NMS = 0.4
_LONGEST_ASPECT = 4

# S3FD, RetinaFace, SCRFD and YuNet were all trained on WIDER FACE's boxes, forehead to chin; measured on YuNet's.
_WIDER_FACE = BoxConvention(scale=0.954, right=0.0, down=0.089)
_BLAZE_NEAR = BoxConvention(scale=0.967, right=0.0, down=-0.022)
_BLAZE_FAR = BoxConvention(scale=0.990, right=0.0, down=-0.016)

_CAFFE_MEAN_BGR = np.array([104.0, 117.0, 123.0], dtype=np.float32)
_VARIANCES = (0.1, 0.2)
_STRIDES_PX = (8, 16, 32)
_ANCHORS_PX = {
    "retinaface": ((16, 32), (64, 128), (256, 512)),
    "retinaface-slim": ((10, 20), (32, 64), (128, 256)),
}
_RETINA_LONGEST_PX = {"retinaface": 640, "retinaface-slim": 320}


class _PackageDetector(Detector):
    """Searches image by image: the package's batch decoding mixes the candidates of a batch's images."""

    _file: str
    _usual_score = 0.5

    def __init__(self, settings: DetectorSettings) -> None:
        self.device = settings.device
        self._settings = settings
        self._min_score = self._usual_score if settings.min_score is None else settings.min_score

    @override
    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect_one(image) for image in images]

    @override
    def describe(self) -> dict[str, str]:
        sha256 = weights.entry_named(self._file).sha256
        return {"torch": torch.__version__, "sha256": sha256, "min_score": f"{self._min_score:g}"}

    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        raise NotImplementedError


@detectors.register("sfd")
class SfdDetector(_PackageDetector):
    """S3FD (Zhang et al., "Single shot scale-invariant face detector", ICCV 2017), as face-alignment has it.

    A VGG-16: for GPUs. Frames at up to 640 px on their longer side; scores in [0, 1], at least 0.5 by default.
    """

    name = "sfd"
    _file = "s3fd"

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        path = weights.require(self._file)
        module = need_package(f"{_PARTS}.sfd.sfd_detector", _PACKAGE)
        self._inner = module.SFDDetector(settings.device, path_to_detector=str(path), filter_threshold=self._min_score)

    @override
    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        small, back = shrunk(image, longest_px=640, easy_px=_EASY_PX, min_face_px=self._settings.min_face_px)
        return _from_rows(self._inner.detect_from_image(small), back)


@detectors.register("scrfd")
class ScrfdDetector(_PackageDetector):
    """SCRFD-2.5G (Guo et al., "Sample and computation redistribution for efficient face detection", ICLR 2022).

    Runs on onnxruntime; the network's input is 640x640. Scores in [0, 1], at least 0.5 by default.
    """

    name = "scrfd"
    _file = "scrfd"

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        path = weights.require(self._file)
        need_package("onnxruntime", "onnxruntime")
        module = need_package(f"{_PARTS}.scrfd.scrfd_detector", _PACKAGE)
        self._inner = module.SCRFDDetector(
            settings.device, path_to_detector=str(path), confidence_threshold=self._min_score, nms_threshold=_NMS
        )

    @override
    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        return _from_rows(self._inner.detect_from_image(image), np.ones(2))


@detectors.register("retinaface")
class RetinaFaceDetector(_PackageDetector):
    """RetinaFace with MobileNet-0.25 (Deng et al., CVPR 2020): box and five points.

    Uses either published weights file, whichever is installed. "retinaface-slim" has smaller anchors and was trained
    with plain ReLUs where the package's network has leaky ones; with those it finds eyes instead of faces. Frames at up
    to 640 px (slim: 320 px) on their longer side; scores in [0, 1], at least 0.6 by default.
    """

    name = "retinaface"
    _usual_score = 0.6

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        self._file = next((file for file in _ANCHORS_PX if weights.find(file) is not None), "retinaface")
        path = weights.require(self._file)
        module = need_package(f"{_PARTS}.retinaface.net_retinaface", _PACKAGE)
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._net = module.RetinaFace(cfg=module.cfg_mnet)
        self._net.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
        if self._file == "retinaface-slim":
            for part in self._net.modules():
                if isinstance(part, torch.nn.LeakyReLU):
                    part.negative_slope = 0.0
        self._net.to(settings.device).eval()

    @override
    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        longest = _RETINA_LONGEST_PX[self._file]
        small, back = shrunk(image, longest_px=longest, easy_px=_EASY_PX, min_face_px=self._settings.min_face_px)
        pixels = small[..., ::-1].astype(np.float32) - _CAFFE_MEAN_BGR
        batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self._settings.device)
        with torch.inference_mode():
            regression, classes, points = (part[0].float().cpu().numpy() for part in self._net(batch))
        sure = classes[:, 1] > self._min_score
        anchors = retina_anchors(small.shape[0], small.shape[1], _ANCHORS_PX[self._file])[sure]
        boxes, scores = _decode_boxes(regression[sure], anchors), classes[sure, 1]
        eyes = anchors[:, None, :2] + points[sure].reshape(-1, 5, 2)[:, :2] * _VARIANCES[0] * anchors[:, None, 2:]
        return [
            Detection(
                _WIDER_FACE.to_face_box(boxes[index] * np.tile(back, 2) - 0.5),
                float(scores[index]),
                roll_of(eyes[index, 0], eyes[index, 1]),
            )
            for index in suppress(boxes, scores, _NMS)
        ]


class _BlazeDetector(_PackageDetector):
    """BlazeFace (Bazarevsky et al., 2019) on the squares that cover a frame; see the two registered kinds."""

    name = "blazeface"
    _file = "blazeface"
    _usual_score = 0.6
    _px = 128
    _boxes = _BLAZE_NEAR

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        path, anchors = weights.require(self._file), weights.require("blazeface-anchors")
        module = need_package(f"{_PARTS}.blazeface.blazeface_detector", _PACKAGE)
        inner = module.BlazeFaceDetector(
            settings.device,
            back_model=self._px == 256,
            path_to_detector=str(path),
            path_to_anchor=str(anchors),
            min_score_thresh=self._min_score,
        )
        self._net: Any = inner.face_detector

    @override
    def _detect_one(self, image: np.ndarray) -> list[Detection]:
        image = _not_too_long(image)
        corners, side = covering_squares(image.shape[1], image.shape[0])
        tiles = [
            cv2.resize(image[y : y + side, x : x + side], (self._px, self._px), interpolation=cv2.INTER_AREA)
            for x, y in corners
        ]
        found: list[np.ndarray] = []
        for corner, rows in zip(corners, self._net.predict_on_batch(np.stack(tiles)), strict=True):
            for row in np.asarray(rows.float().cpu(), dtype=np.float64).reshape(-1, 17):
                box = row[[1, 0, 3, 2]] * side + np.tile(corner, 2)
                found.append(np.concatenate([box, row[4:8] * side, row[16:]]))
        if not found:
            return []
        table = np.stack(found)
        return [
            Detection(
                self._boxes.to_face_box(table[index, :4] - 0.5),
                float(table[index, 8]),
                roll_of(table[index, 4:6], table[index, 6:8]),
            )
            for index in suppress(table[:, :4], table[:, 8], _NMS)
        ]


@detectors.register("blazeface")
class BlazeFaceDetector(_BlazeDetector):
    """BlazeFace for near faces: input 128x128, so a face must fill about a fifth of the frame's shorter side."""


@detectors.register("blazeface-back")
class BlazeFaceBackDetector(_BlazeDetector):
    """BlazeFace for a phone's back camera: input 256x256, finds faces down to a tenth of the shorter side."""

    name = "blazeface-back"
    _file = "blazeface-back"
    _px = 256
    _boxes = _BLAZE_FAR


def covering_squares(width: int, height: int) -> tuple[list[tuple[int, int]], int]:
    """Corners (x, y) of squares as large as the shorter side that cover a frame, each overlapping the next by half.

    So a face no larger than half a square is complete in one of them.

    Returns:
        The corners, from left or top on, and the squares' side in pixels.
    """
    side, longer = min(width, height), max(width, height)
    count = 1 + math.ceil(2 * (longer - side) / side)
    offsets = [round(index * (longer - side) / max(1, count - 1)) for index in range(count)]
    return [(offset, 0) if width >= height else (0, offset) for offset in offsets], side


def _not_too_long(image: np.ndarray) -> np.ndarray:
    """The frame, padded with black at the right or below if one side is more than four times the other."""
    height, width = image.shape[:2]
    least = math.ceil(max(height, width) / _LONGEST_ASPECT)
    if min(height, width) >= least:
        return image
    return cv2.copyMakeBorder(
        image, 0, max(0, least - height), 0, max(0, least - width), cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )


@functools.lru_cache(maxsize=16)
def retina_anchors(height: int, width: int, sizes_px: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """RetinaFace's anchors, (N, 4) float64: centre x, centre y, width, height in pixels, in the network's order."""
    levels = []
    for stride, sizes in zip(_STRIDES_PX, sizes_px, strict=True):
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        y, x, size = np.meshgrid(np.arange(rows), np.arange(columns), np.array(sizes, dtype=float), indexing="ij")
        levels.append(np.stack([(x + 0.5) * stride, (y + 0.5) * stride, size, size], axis=-1).reshape(-1, 4))
    anchors = np.concatenate(levels)
    anchors.setflags(write=False)
    return anchors


def _decode_boxes(regression: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """(N, 4) xyxy from SSD's offsets: centre in anchor sides, size as a logarithm."""
    centre = anchors[:, :2] + regression[:, :2] * _VARIANCES[0] * anchors[:, 2:]
    half = anchors[:, 2:] * np.exp(np.clip(regression[:, 2:] * _VARIANCES[1], -10, 10)) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _from_rows(rows: Sequence[Any], back: np.ndarray) -> list[Detection]:
    """Detections from the package's rows of x0, y0, x1, y1, score."""
    found = []
    for row in rows:
        values = np.asarray(row, dtype=np.float64)
        found.append(Detection(_WIDER_FACE.to_face_box(values[:4] * np.tile(back, 2) - 0.5), float(values[4])))
    return sorted(found, key=lambda detection: -detection.score)
