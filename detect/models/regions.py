"""A detector on statistics of regions: how detail, noise and colour differ between the face and what lies round it.

A pasted face has been through another lens, decoder and resampling than its surroundings. What that leaves is little
and nearly the same at every place of a region, so means over whole regions show it with far fewer parameters than a
network needs, which then cannot learn people. The statistics are of the kind used for splicing (Fridrich and Kodovsky,
"Rich models for steganalysis", TIFS 2012; Cozzolino et al., "Splicebuster", WIFS 2015): log energies of frequency bands
and of second differences, of brightness and of both colour differences, how far the finest band of two colours goes
together (what colour filters and their interpolation leave), and mean colours.

Convention:
    regions: (R, S, S) weights of sum 1, from the mean face of aligned crops, so the same for every crop
    statistics: (B, K) float32
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect.models.backbone import start_undecided
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec
from detect.models.registry import detectors
from shared.errors import ConfigError, UnknownNameError
from shared.faces.align import mean_in_crop
from shared.types import Framing

NAME = "regions"
REGION_PX = 192

REGION_NAMES = ("eyes", "nose", "mouth", "cheeks", "edge inside", "edge outside", "surroundings")
"""Parts of the face, a band on either side of its outline, and all beyond."""

_PX_RANGE = (64, 512)
_BANDS = 5
_FLOOR = 1e-6
_HIDDEN = 48
_BAND_SHARE = 0.06


@detectors.register("regions")
class RegionDetector(Detector):
    """A logit of a small dense network on :func:`statistics`; 8,000 parameters."""

    regions: Tensor

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        if options.name != NAME:
            raise UnknownNameError(f"regions has no model {options.name!r}", hint=f"--model {NAME}")
        px = options.input_px or REGION_PX
        if not _PX_RANGE[0] <= px <= _PX_RANGE[1]:
            raise ConfigError(f"input_px must lie between {_PX_RANGE[0]} and {_PX_RANGE[1]}, got {px}", hint="192")
        self.spec = DetectorSpec(NAME, px, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), options.framing, family="regions")
        self.register_buffer("regions", torch.from_numpy(regions_of(px, options.framing)), persistent=False)
        count = statistics(torch.zeros(1, 3, px, px), self.regions).shape[1]
        self.norm = nn.BatchNorm1d(count)
        self.hidden = nn.Linear(count, _HIDDEN)
        self.drop = nn.Dropout(options.drop_rate)
        self.straight = nn.Linear(count, 1)
        self.head = nn.Linear(_HIDDEN, 1)
        for layer in (self.head, self.straight):
            start_undecided(layer)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) in [0, 1] -> logits (B,), no mask."""
        found = self.norm(statistics(x, self.regions))
        logit = self.straight(self.drop(found)) + self.head(self.drop(self.hidden(found).relu()))
        return Detection(logit.squeeze(1), None)

    def get_classifier(self) -> nn.Module:
        """The last layer; the method's name is that of timm's models."""
        return self.head


def statistics(x: Tensor, regions: Tensor) -> Tensor:
    """The statistics of crops (B, 3, S, S) in [0, 1]; see the module.

    Bands are differences of a pyramid at full size, smoothed twice as wide each time (Burt and Adelson, 1983).
    """
    planes = _planes(x.float())
    moments = [planes]
    energies = []
    below = planes
    for band in range(_BANDS):
        smooth = _smoothed(below, 2**band)
        energies.append((below - smooth).square())
        below = smooth
    across = planes[..., 2:] + planes[..., :-2] - 2 * planes[..., 1:-1]
    down = planes[..., 2:, :] + planes[..., :-2, :] - 2 * planes[..., 1:-1, :]
    energies += [F.pad(across, (1, 1)).square()[:, :1], F.pad(down, (0, 0, 1, 1)).square()[:, :1]]
    detail = x.float() - _smoothed(x.float(), 1)
    products = torch.cat([detail.square(), detail[:, :2] * detail[:, 1:]], 1)
    logs = torch.log(_means(torch.cat(energies, 1), regions) + _FLOOR).flatten(1)
    red, green, blue, red_green, green_blue = _means(products, regions).unbind(1)
    together = [red_green / (red * green + _FLOOR**2).sqrt(), green_blue / (green * blue + _FLOOR**2).sqrt()]
    return torch.cat([logs, *together, _means(torch.cat(moments, 1), regions).flatten(1)], 1)


def regions_of(px: int, framing: Framing) -> np.ndarray:
    """(R, ``px``, ``px``) float32: :data:`REGION_NAMES` as weights whose sum is 1.

    Raises:
        ConfigError: the crop shows no surroundings.
    """
    points = mean_in_crop(px, framing)
    width = max(1, round(_BAND_SHARE * px))
    face = _filled(np.concatenate((points[:17], _forehead(points))), px)
    inside, outside = _grown(face, -width), _grown(face, width)
    eyes = _grown(_filled(points[36:48], px), width) & inside
    mouth = _filled(points[48:60], px) & inside
    nose = _grown(_filled(points[27:36], px), width) & inside & ~eyes & ~mouth
    rest = inside & ~eyes & ~nose & ~mouth
    found = np.stack([eyes, nose, mouth, rest, face & ~inside, outside & ~face, ~outside]).astype(np.float32)
    totals = found.sum((1, 2), keepdims=True)
    if (totals == 0).any():
        empty = REGION_NAMES[int(np.argmin(totals))]
        raise ConfigError(f"a crop of framing {framing!r} has no pixel of {empty}", hint='framing "whole"')
    return found / totals


def _planes(x: Tensor) -> Tensor:
    """Brightness and two differences of colour, (B, 3, S, S)."""
    red, green, blue = x.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([luma, blue - luma, red - luma], 1)


def _smoothed(planes: Tensor, step: int) -> Tensor:
    """Binomially smoothed along both axes, with gaps of ``step`` between the five places, at full size."""
    return _along(_along(planes, step).transpose(2, 3), step).transpose(2, 3)


def _along(planes: Tensor, step: int) -> Tensor:
    """One axis of :func:`_smoothed`, as sums of shifted planes: many times faster than convolutions of one channel."""
    size = planes.shape[3]
    padded = F.pad(planes, (2 * step, 2 * step, 0, 0), mode="replicate")
    shifted = [padded[..., place * step : place * step + size] for place in range(5)]
    return (shifted[0] + shifted[4]) / 16 + (shifted[1] + shifted[3]) / 4 + shifted[2] * 0.375


def _means(planes: Tensor, regions: Tensor) -> Tensor:
    """(B, C, R): the mean of each plane (B, C, S, S) over each region."""
    return planes.flatten(2) @ regions.flatten(1).T


def _forehead(points: np.ndarray) -> np.ndarray:
    """The brows raised by half the length of the nose, from right to left, to close the outline."""
    return (points[17:27] - 0.5 * (points[33] - points[27]))[::-1]


def _filled(points: np.ndarray, px: int) -> np.ndarray:
    """(``px``, ``px``) bool, true in the convex hull of ``points``."""
    canvas = np.zeros((px, px), np.uint8)
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    return np.asarray(cv2.fillConvexPoly(canvas, hull, (1,))) > 0


def _grown(region: np.ndarray, px: int) -> np.ndarray:
    """``region`` grown by ``px`` pixels on every side, or made smaller where that is negative."""
    reach = abs(px)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    change = cv2.dilate if px > 0 else cv2.erode
    return np.asarray(change(region.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=(0,))) > 0
