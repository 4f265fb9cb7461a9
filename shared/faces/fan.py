"""68 landmarks by the face alignment network (Bulat and Tzimiropoulos, ICCV 2017), as face-alignment has it.

Cropping, network and heat-map decoding are the package's own; here faces of several frames go through together, and a
confidence comes out: FAN looks at a face and at its mirror image, and how much the two answers differ tells whether
there is one. One pixel of its 64x64 heat maps is 3 % of a face box; confidence is 1 at no difference, 0.5 at two
heat-map pixels, 0 from four.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from shared import weights
from shared.errors import WeightsError
from shared.faces.boxes import middle_of
from shared.faces.contract import Fit, Place, landmarkers, need_package

_WEIGHTS = "2dfan4"
_PACKAGE = "face-alignment"
_HEATMAP_PX = 64
_GIVE_UP_AT = 4 * 2 / _HEATMAP_PX
_BATCH = 16

# FAN learned crops made from the tight box of the landmarks: scale (width + height) / 195, centre 12 % further up.
# That tight box in sides of the face box, medians over the clips of boxes.py:
_TIGHT_WIDTH, _TIGHT_HEIGHT, _TIGHT_DOWN = 0.90, 0.94, 0.08
_REFERENCE = 195.0
_UP_PER_HEIGHT = 0.12


@landmarkers.register("fan")
class FanLandmarks:
    """FAN-4 on any device; see the module's text."""

    name = "fan"

    def __init__(self, device: str = "cpu") -> None:
        path = weights.require(_WEIGHTS)
        self._tools = need_package("face_alignment.utils", _PACKAGE)
        models = need_package("face_alignment.models", _PACKAGE)
        self._device = torch.device(device)
        self._net = models.FAN(4)
        try:
            self._net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except RuntimeError as error:
            raise WeightsError(f"{path} does not fit FAN: {error}", hint="pip install -U face-alignment") from error
        self._net.to(self._device).eval()

    def fit(self, places: Sequence[Place]) -> list[Fit]:
        """See :class:`shared.faces.contract.Landmarker`."""
        fits: list[Fit] = []
        for start in range(0, len(places), _BATCH):
            fits.extend(self._fit_batch(places[start : start + _BATCH]))
        return fits

    def describe(self) -> dict[str, str]:
        """See :class:`shared.faces.contract.Landmarker`."""
        return {"torch": torch.__version__, "sha256": weights.entry_named(_WEIGHTS).sha256}

    def _fit_batch(self, places: Sequence[Place]) -> list[Fit]:
        frames = [crop_of(place.box) for place in places]
        crops = [
            self._tools.crop(place.image, centre, scale) for place, (centre, scale) in zip(places, frames, strict=True)
        ]
        batch = torch.from_numpy(np.stack(crops)).to(self._device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            plain = self._net(batch)[-1]
            mirrored = self._tools.flip(self._net(self._tools.flip(batch))[-1], is_label=True)
        pairs = [heat.float().cpu().numpy() for heat in (plain + mirrored, plain, mirrored)]
        fits = []
        for index, (place, (centre, scale)) in enumerate(zip(places, frames, strict=True)):
            both, one, other = (
                self._tools.get_preds_fromhm(heat[index : index + 1], centre, scale)[1][0] for heat in pairs
            )
            difference = float(np.linalg.norm(one - other, axis=1).mean()) / middle_of(place.box)[1]
            fits.append(Fit(both.astype(np.float32), max(0.0, 1.0 - difference / _GIVE_UP_AT)))
        return fits


def crop_of(box: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,) and scale, in the package's terms, of the crop FAN wants to see for a face box."""
    centre, side = middle_of(box)
    up = (_UP_PER_HEIGHT * _TIGHT_HEIGHT - _TIGHT_DOWN) * side
    return centre - np.array([0.0, up]), (_TIGHT_WIDTH + _TIGHT_HEIGHT) * side / _REFERENCE
