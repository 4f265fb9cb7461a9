"""MTCNN: a cascade of three small networks, each on the output of the one before. Box and five points.

Zhang et al. 2016, see :mod:`shared.faces.finders.mtcnn_nets`. Frames of one size are one batch, on any device.

Convention:
    box: here (x0, y0, x1, y1) in pixels counted from the frame's corner (0 to W), converted at the end
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import batched_nms, roi_align
from typing_extensions import override

from shared import weights
from shared.faces.boxes import BoxConvention, suppress
from shared.faces.finders.contract import Detection, Detector, DetectorSettings, detectors, roll_of
from shared.faces.finders.mtcnn_nets import load_nets
from shared.faces.finders.scaling import shrunk

_BOXES = BoxConvention(scale=0.958, right=0.0, down=0.093)
_WINDOW_PX = 12
_STRIDE_PX = 2
_PYRAMID_STEP = 0.709
_LEAST_PX = 20.0
_USUAL_MIN_FACE_PX = 40.0
_LONGEST_PX = 1280
_PROPOSE_AT, _REFINE_AT = 0.6, 0.7
_NMS_LEVEL, _NMS_ALL, _NMS_LAST = 0.5, 0.7, 0.5
_MAX_PROPOSALS = 2000
_REFINE_PX, _OUTPUT_PX = 24, 48


@detectors.register("mtcnn")
class MtcnnDetector(Detector):
    """MTCNN in torch with the weights of the ``mtcnn`` package.

    Faces of 40 px and more by default, frames at up to 1280 px on their longer side. Scores are O-Net's face
    probabilities; at least 0.8 by default.
    """

    name = "mtcnn"

    def __init__(self, settings: DetectorSettings) -> None:
        self.device = settings.device
        self._device = torch.device(settings.device)
        self._propose, self._refine, self._output = load_nets(settings.device)
        self._min_score = 0.8 if settings.min_score is None else settings.min_score
        self._min_face_px = settings.min_face_px or _USUAL_MIN_FACE_PX

    @override
    def describe(self) -> dict[str, str]:
        hashes = {f"sha256.{net}": weights.entry_named(f"mtcnn-{net}").sha256 for net in ("pnet", "rnet", "onet")}
        return {"torch": torch.__version__, "min_score": f"{self._min_score:g}", **hashes}

    @override
    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        if len({image.shape for image in images}) > 1:
            return [found for image in images for found in self.detect([image])]
        if not images:
            return []
        # R-Net and O-Net need more resolution than P-Net, so only large frames are reduced for them.
        pairs = [shrunk(image, longest_px=_LONGEST_PX, easy_px=_OUTPUT_PX, min_face_px=None) for image in images]
        back = pairs[0][1]
        with torch.inference_mode():
            batch = (
                torch.from_numpy(np.stack([small for small, _ in pairs])).to(self._device).permute(0, 3, 1, 2).float()
            )
            rows = self._cascade((batch - 127.5) / 128, max(self._min_face_px / back[0], _LEAST_PX))
        return [_detections(rows[rows[:, 0] == index], back) for index in range(len(images))]

    def _cascade(self, batch: Tensor, min_face_px: float) -> np.ndarray:
        """(N, 16): image, box, score, five points (x, y), in pixels of ``batch``."""
        images, boxes = self._proposals(batch, min_face_px)
        if len(boxes):
            scores, corrections = self._refine(_windows(batch, images, boxes, _REFINE_PX))
            sure = scores > _REFINE_AT
            images, boxes, scores = images[sure], _corrected(boxes[sure], corrections[sure]), scores[sure]
            kept = batched_nms(boxes, scores, images, _NMS_ALL)
            images, boxes = images[kept], _square(boxes[kept])
        if not len(boxes):
            return np.zeros((0, 16), dtype=np.float32)
        scores, corrections, points = self._output(_windows(batch, images, boxes, _OUTPUT_PX))
        sure = scores > self._min_score
        sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
        points = (boxes[:, None, :2] + points * sides).flatten(1)
        rows = torch.cat([images[:, None], _corrected(boxes, corrections), scores[:, None], points], dim=1)
        return rows[sure].float().cpu().numpy()

    def _proposals(self, batch: Tensor, min_face_px: float) -> tuple[Tensor, Tensor]:
        """Image numbers (N,) float and square boxes (N, 4) of P-Net's proposals."""
        found = [self._level(batch, scale) for scale in _pyramid(batch.shape[2], batch.shape[3], min_face_px)]
        if not found:
            return batch.new_zeros(0), batch.new_zeros((0, 4))
        images, boxes, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
        kept = batched_nms(boxes, scores, images, _NMS_ALL)[: _MAX_PROPOSALS * len(batch)]
        return images[kept], _square(boxes[kept])

    def _level(self, batch: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Image numbers, corrected boxes and scores of one level of the pyramid."""
        size = (round(batch.shape[2] * scale), round(batch.shape[3] * scale))
        scores, corrections = self._propose(F.interpolate(batch, size=size, mode="area"))
        image, row, column = torch.where(scores > _PROPOSE_AT)
        corner = torch.stack([column, row], dim=1) * _STRIDE_PX
        boxes = torch.cat([corner, corner + _WINDOW_PX], dim=1) / scale
        boxes = _corrected(boxes, corrections[image, :, row, column])
        found, score = image.to(batch.dtype), scores[image, row, column]
        kept = batched_nms(boxes, score, found, _NMS_LEVEL)
        return found[kept], boxes[kept], score[kept]


def _pyramid(height: int, width: int, min_face_px: float) -> list[float]:
    scales: list[float] = []
    scale = _WINDOW_PX / min_face_px
    while min(height, width) * scale >= _WINDOW_PX:
        scales.append(scale)
        scale *= _PYRAMID_STEP
    return scales


def _windows(batch: Tensor, images: Tensor, boxes: Tensor, px: int) -> Tensor:
    """(N, 3, px, px): the contents of ``boxes``, four samples per pixel; grey beyond the frame."""
    return roi_align(batch, torch.cat([images[:, None], boxes], dim=1), (px, px), sampling_ratio=2, aligned=True)


def _corrected(boxes: Tensor, corrections: Tensor) -> Tensor:
    """Boxes with each edge moved by its correction, in units of the box's sides."""
    return boxes + corrections * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)


def _square(boxes: Tensor) -> Tensor:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    return torch.cat([centre - half, centre + half], dim=1)


def _detections(rows: np.ndarray, back: np.ndarray) -> list[Detection]:
    """Detections of one image from its rows, best first, in frame pixels."""
    found = []
    for index in suppress(rows[:, 1:5], rows[:, 5], _NMS_LAST):
        row = rows[index]
        box = row[1:5] * np.tile(back, 2) - 0.5
        points = row[6:].reshape(5, 2) * back
        found.append(Detection(_BOXES.to_face_box(box), float(row[5]), roll_of(points[0], points[1])))
    return found
