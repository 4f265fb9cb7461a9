"""dlib's CNN face detector (King, "Max-margin object detection", arXiv:1502.00046) in torch.

Seven convolutions that score every 80x80 window, 8 px apart, of a pyramid that shrinks by 5/6. Finds faces that HOG
misses: turned, tilted, partly covered, in bad light. The weights are those of dlib's file; scores and boxes equal
dlib's except for the resizing of the pyramid.

Convention:
    a window is centred on pixel 8 x + 14 of its level, where x is the column in the network's output
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from shared import weights
from shared.faces.boxes import BoxConvention, overlap, suppress
from shared.faces.finders.contract import Detection, Detector, DetectorSettings, detectors
from shared.faces.finders.dlib_file import Affine, DlibTensors, normalized
from shared.faces.finders.dlib_hog import scales_for

_WEIGHTS = "dlib-mmod"
_BOXES = BoxConvention(scale=1.041, right=0.027, down=0.086)
_WINDOW_PX = 80
_STRIDE_PX, _FIRST_PX = 8, 14
_SHRINK = 5 / 6
_BORDER_PX = 11
_SMALLEST_LEVEL_PX = 40
_SAME_FACE, _AGREEING = 0.34, 0.5

# (filters, size, stride), from the input on; all but the last are followed by an affine and a ReLU.
_LAYERS = ((16, 5, 2), (32, 5, 2), (32, 5, 2), (45, 5, 1), (45, 5, 1), (45, 5, 1), (1, 9, 1))


class MmodNet(nn.Module):
    """(B, 3, H, W) float RGB in 0 to 255 to window scores (B, H', W'); above 0 is a face."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for filters, size, stride in _LAYERS:
            # dlib pads a convolution only when it does not stride.
            layers.append(nn.Conv2d(channels, filters, size, stride=stride, padding=0 if stride > 1 else size // 2))
            if filters > 1:
                layers += [Affine(filters), nn.ReLU(inplace=True)]
            channels = filters
        self.layers = nn.Sequential(*layers)

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.layers(normalized(images))[:, 0]

    @classmethod
    def from_bytes(cls, data: bytes) -> MmodNet:
        """The network with the weights of dlib's file, in evaluation mode.

        Raises:
            WeightsError: the bytes do not hold this network.
        """
        net = cls()
        tensors = DlibTensors(data, _WEIGHTS)
        for layer in net.layers:
            if isinstance(layer, nn.Conv2d):
                tensors.fill_convolution(layer)
            elif isinstance(layer, Affine):
                tensors.fill_batch_norm(layer)
        return net.eval().requires_grad_(False)


@detectors.register("dlib-mmod")
class MmodDetector(Detector):
    """dlib's CNN detector, on any device, frames of one size in one batch.

    Searched at the same scales as :class:`shared.faces.finders.dlib_hog.HogDetector`. Scores are dlib's: above 0 by
    default, about 1 for a clear face.
    """

    name = "dlib-mmod"

    def __init__(self, settings: DetectorSettings) -> None:
        self._settings = settings
        self.device = settings.device
        self._device = torch.device(settings.device)
        self._min_score = 0.0 if settings.min_score is None else settings.min_score
        self._net = MmodNet.from_bytes(weights.read(_WEIGHTS)).to(self._device)

    @override
    def describe(self) -> dict[str, str]:
        sha256 = weights.entry_named(_WEIGHTS).sha256
        return {"torch": torch.__version__, "sha256": sha256, "min_score": f"{self._min_score:g}"}

    @override
    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        if len({image.shape for image in images}) > 1:
            return [found for image in images for found in self.detect([image])]
        found: list[list[Detection]] = [[] for _ in images]
        waiting = list(range(len(images)))
        height, width = images[0].shape[:2] if images else (1, 1)
        for scale in scales_for(width, height, self._settings.min_face_px):
            searched = self._search([images[index] for index in waiting], scale) if waiting else []
            for index, detections in zip(waiting, searched, strict=True):
                found[index] = detections
            waiting = [index for index in waiting if not found[index]]
        return found

    def _search(self, images: Sequence[np.ndarray], scale: float) -> list[list[Detection]]:
        rows: list[np.ndarray] = []
        height, width = images[0].shape[:2]
        # A face may fill more than the frame's shorter side, so the pyramid goes on to half a window.
        while min(height, width) * scale >= _SMALLEST_LEVEL_PX or not rows:
            rows.append(self._level(images, scale))
            scale *= _SHRINK
        table = np.concatenate(rows)
        return [_detections(table[table[:, 0] == index]) for index in range(len(images))]

    def _level(self, images: Sequence[np.ndarray], scale: float) -> np.ndarray:
        """(N, 6): image, box in frame pixels, score."""
        height, width = images[0].shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        level = [cv2.resize(image, size, interpolation=method) for image in images]
        pixels = torch.from_numpy(np.stack(level)).to(self._device).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            scores = self._net(F.pad(pixels, [_enough(side) for side in size for _ in (0, 1)]))
        image, row, column = (index.cpu().numpy() for index in torch.where(scores > self._min_score))
        values = scores.float().cpu().numpy()[image, row, column]
        borders = np.array([_enough(size[0]), _enough(size[1])])
        centres = np.stack([column, row], axis=1) * _STRIDE_PX + _FIRST_PX - borders
        back = np.array([width / size[0], height / size[1]])
        low, high = ((centres + 0.5 + half) * back - 0.5 for half in (-_WINDOW_PX / 2, _WINDOW_PX / 2))
        return np.column_stack([image, low, high, values])


def _enough(side: int) -> int:
    """Black padding of a level: dlib's 11, more where the level is smaller than the receptive field."""
    return max(_BORDER_PX, (_WINDOW_PX - side + 1) // 2)


def _detections(rows: np.ndarray) -> list[Detection]:
    """Detections of one image, best first. A face's box is the mean of the windows that overlap it.

    Windows lie 8 px apart, so the best one alone is up to 4 px off, and jitters from frame to frame.
    """
    boxes, scores = rows[:, 1:5], rows[:, 5]
    found = []
    for index in suppress(boxes, scores, _SAME_FACE):
        agreeing = overlap(boxes[index], boxes) > _AGREEING
        box = np.average(boxes[agreeing], axis=0, weights=scores[agreeing] - scores[agreeing].min() + 0.1)
        found.append(Detection(_BOXES.to_face_box(box), float(scores[index])))
    return found
