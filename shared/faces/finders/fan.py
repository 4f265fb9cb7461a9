"""68 landmarks by the face alignment network of the face-alignment package (Bulat and Tzimiropoulos, ICCV 2017).

Heat maps are decoded here with subpixel precision and in batches over frames; the package gives whole pixels, one face
at a time. A confidence is added: FAN is run on a face and on its mirror image, and the difference of the two results
indicates whether there is a face. One pixel of its 64x64 heat maps is 3 % of a face box; confidence is 1 at no
difference, 0.5 at two heat-map pixels, 0 from four.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from typing_extensions import override

from shared import weights
from shared.errors import WeightsError
from shared.faces.boxes import middle_of
from shared.faces.finders.contract import Fit, Landmarker, Place, landmarkers, need_package

_WEIGHTS = "2dfan4"
_PACKAGE = "face-alignment"
_CROP_PX = 256
_HEATMAP_STEP_PX = 4
_GIVE_UP_AT_HEATMAP_PX = 4.0
_BATCH = 16

# FAN was trained on crops from the tight box of the landmarks: scale (width + height) / 195, centre 12 % further up.
# That tight box in sides of the face box, medians over the clips of boxes.py:
_TIGHT_WIDTH, _TIGHT_HEIGHT, _TIGHT_DOWN = 0.90, 0.94, 0.08
_REFERENCE = 195.0
_UP_PER_HEIGHT = 0.12


@landmarkers.register("fan")
class FanLandmarks(Landmarker):
    """FAN-4 on any device; see the module."""

    name = "fan"

    def __init__(self, device: str = "cpu") -> None:
        path = weights.require(_WEIGHTS)
        self._flip = need_package("face_alignment.utils", _PACKAGE).flip
        models = need_package("face_alignment.models", _PACKAGE)
        self._device = torch.device(device)
        self._net = models.FAN(4)
        try:
            self._net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except RuntimeError as error:
            raise WeightsError(f"{path} does not fit FAN: {error}", hint="pip install -U face-alignment") from error
        self._net.to(self._device).eval()

    @override
    def fit(self, places: Sequence[Place]) -> list[Fit]:
        fits: list[Fit] = []
        for start in range(0, len(places), _BATCH):
            fits.extend(self._fit_batch(places[start : start + _BATCH]))
        return fits

    @override
    def describe(self) -> dict[str, str]:
        return {"torch": torch.__version__, "sha256": weights.entry_named(_WEIGHTS).sha256}

    def _fit_batch(self, places: Sequence[Place]) -> list[Fit]:
        maps = [frame_to_crop(place.box) for place in places]
        size = (_CROP_PX, _CROP_PX)
        # Black beyond the frame and linear interpolation, as in FAN's training.
        crops = [
            cv2.warpAffine(place.image, m, size, borderValue=(0, 0, 0)) for place, m in zip(places, maps, strict=True)
        ]
        batch = torch.from_numpy(np.stack(crops)).to(self._device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            plain = self._net(batch)[-1]
            mirrored = self._flip(self._net(batch.flip(-1))[-1], is_label=True)
        both, one, other = (peaks(heat.float().cpu().numpy()) for heat in (plain + mirrored, plain, mirrored))
        fits = []
        for index, matrix in enumerate(maps):
            landmarks = (both[index] - matrix[:, 2]) / matrix[0, 0]
            difference = float(np.linalg.norm(one[index] - other[index], axis=1).mean()) / _HEATMAP_STEP_PX
            fits.append(Fit(landmarks.astype(np.float32), max(0.0, 1.0 - difference / _GIVE_UP_AT_HEATMAP_PX)))
        return fits


def frame_to_crop(box: np.ndarray) -> np.ndarray:
    """(2, 3) float64 from frame pixels to FAN's 256 px input crop for a face box."""
    centre, side = middle_of(box)
    centre = centre - np.array([0.0, (_UP_PER_HEIGHT * _TIGHT_HEIGHT - _TIGHT_DOWN) * side])
    shown_px = 200 * (_TIGHT_WIDTH + _TIGHT_HEIGHT) * side / _REFERENCE
    scale = _CROP_PX / shown_px
    return np.column_stack([np.eye(2) * scale, (_CROP_PX - 1) / 2 - scale * centre])


def peaks(heat: np.ndarray) -> np.ndarray:
    """(B, 68, 2) float64 crop pixels: the highest cell of each (B, 68, 64, 64) heat map.

    As published, a quarter of a cell is added towards the higher neighbour, across and down.
    """
    batch, points, height, width = heat.shape
    best = heat.reshape(batch, points, -1).argmax(axis=-1)
    y, x = np.divmod(best, width)
    b, p = np.ogrid[:batch, :points]
    inside_x, inside_y = np.clip(x, 1, width - 2), np.clip(y, 1, height - 2)
    across = np.sign(heat[b, p, y, inside_x + 1] - heat[b, p, y, inside_x - 1]) * (x == inside_x)
    down = np.sign(heat[b, p, inside_y + 1, x] - heat[b, p, inside_y - 1, x]) * (y == inside_y)
    cells = np.stack([x + 0.25 * across, y + 0.25 * down], axis=-1)
    return (cells + 0.5) * _HEATMAP_STEP_PX - 0.5
