"""Features of a region of a picture: noise, frequencies, block edges, colours.

Hand-made forensic features: histograms and neighbouring pairs of quantised high-pass residuals (Fridrich and Kodovsky,
"Rich models for steganalysis", TIFS 2012), energies of frequency bands and of 8 x 8 cosine coefficients, and gradients
by their position on the 8-pixel grid of compression. All are computed at the picture's resolution, because resizing
would remove these traces.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.fft import dct

MIN_SHARE = 0.02
"""Minimum share of a picture's pixels in a region."""

_MIN_PIXELS = 400
_KB = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], dtype=np.float32) / 4
_ACROSS = np.array([[1, -2, 1]], dtype=np.float32) / 2
_DOWN = _ACROSS.T
_LEVELS = 3
_BINS = 2 * _LEVELS + 1
_FLOOR = 1e-3
_DCT = np.asarray(dct(np.eye(8), axis=0, norm="ortho"), np.float32)
_DIAGONAL = np.add.outer(np.arange(8), np.arange(8)).ravel()


@dataclass(frozen=True, eq=False)
class _Maps:
    """Per-pixel quantities of one picture, (H, W) each."""

    planes: tuple[np.ndarray, ...]
    residuals: tuple[np.ndarray, ...]
    bands: tuple[np.ndarray, ...]
    across: np.ndarray
    down: np.ndarray


class RegionFeatures:
    """Computes features of regions of one picture; shared maps are computed once.

    Args:
        image: (H, W, 3) uint8 RGB.
    """

    def __init__(self, image: np.ndarray) -> None:
        self._maps = _maps(image)
        self._spectrum = _block_spectrum(self._maps.planes[0])

    def texture(self, region: np.ndarray) -> np.ndarray | None:
        """(:data:`TEXTURE_DIM`,) float32 of the pixels where ``region`` (H, W) bool is true; None for too few."""
        if region.sum() < max(_MIN_PIXELS, MIN_SHARE * region.size):
            return None
        maps = self._maps
        parts = [np.bincount(quantised[region], minlength=_BINS) / region.sum() for quantised in maps.residuals]
        parts.append(_pairs(maps.residuals[0], region))
        parts.append(np.log([np.abs(band[region]).mean() + _FLOOR for band in maps.bands]))
        parts.append(_grid(maps.across, region, axis=1))
        parts.append(_grid(maps.down, region, axis=0))
        parts.append(self._frequencies(region))
        return np.concatenate(parts).astype(np.float32)

    def colour(self, region: np.ndarray) -> np.ndarray | None:
        """(:data:`COLOUR_DIM`,) float32: moments of the three planes and a joint histogram of 4 x 4 x 4 colours."""
        if region.sum() < max(_MIN_PIXELS, MIN_SHARE * region.size):
            return None
        values = np.stack([plane[region] for plane in self._maps.planes])
        centred = values - values.mean(axis=1, keepdims=True)
        spread = centred.std(axis=1) + _FLOOR
        skew = (centred**3).mean(axis=1) / spread**3
        cells = np.clip(values / 64, 0, 3).astype(np.int64)
        joint = np.bincount(cells[0] * 16 + cells[1] * 4 + cells[2], minlength=64) / values.shape[1]
        return np.concatenate([values.mean(axis=1) / 64, spread / 32, skew, np.sqrt(joint)]).astype(np.float32)

    def _frequencies(self, region: np.ndarray) -> np.ndarray:
        """(14,) log mean magnitude of the cosine coefficients of whole blocks, by diagonal; zeros without a block."""
        rows, columns = (side // 8 for side in region.shape)
        whole = region[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).all(axis=(1, 3))
        if not whole.any():
            return np.zeros(14)
        sizes = self._spectrum[whole].mean(axis=0)
        sums = np.bincount(_DIAGONAL, weights=sizes, minlength=15) / np.bincount(_DIAGONAL, minlength=15)
        return np.log(sums[1:] + _FLOOR)


TEXTURE_DIM = 3 * _BINS + _BINS * _BINS + 8 + 16 + 14
COLOUR_DIM = 9 + 64


def _maps(image: np.ndarray) -> _Maps:
    planes = tuple(plane.astype(np.float32) for plane in cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)))
    luma = planes[0]
    filtered = [cv2.filter2D(luma, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for kernel in (_KB, _ACROSS, _DOWN)]
    quantised = tuple((np.clip(np.rint(r), -_LEVELS, _LEVELS) + _LEVELS).astype(np.int64) for r in filtered)
    bands = [*difference_bands(luma, 4), *difference_bands(planes[1], 2), *difference_bands(planes[2], 2)]
    across = np.abs(np.diff(luma, axis=1, prepend=luma[:, :1]))
    down = np.abs(np.diff(luma, axis=0, prepend=luma[:1]))
    return _Maps(planes, quantised, tuple(bands), across, down)


def difference_bands(plane: np.ndarray, count: int) -> list[np.ndarray]:
    """Differences of Gaussians (sigma 0.7, 1.4, 2.8, ...), fine to coarse."""
    bands, last = [], plane
    for step in range(count):
        smooth = cv2.GaussianBlur(plane, (0, 0), 0.7 * 2**step, borderType=cv2.BORDER_REFLECT_101)
        bands.append(last - smooth)
        last = smooth
    return bands


def _pairs(quantised: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(49,) normalised co-occurrence of horizontally neighbouring residuals."""
    both = region[:, :-1] & region[:, 1:]
    codes = quantised[:, :-1][both] * _BINS + quantised[:, 1:][both]
    return np.bincount(codes, minlength=_BINS * _BINS) / max(1, codes.size)


def _grid(gradient: np.ndarray, region: np.ndarray, *, axis: int) -> np.ndarray:
    """(8,) log mean gradient at each position on the 8-pixel grid, relative to their mean."""
    kept = np.where(region, gradient, 0)
    sums, counts = kept.sum(axis=1 - axis), region.sum(axis=1 - axis)
    places = np.arange(len(sums)) % 8
    totals = np.bincount(places, weights=sums, minlength=8)
    means = np.log(totals / np.maximum(1, np.bincount(places, weights=counts, minlength=8)) + _FLOOR)
    return means - means.mean()


def _block_spectrum(luma: np.ndarray) -> np.ndarray:
    """(rows, columns, 64) magnitudes of the cosine coefficients of each whole 8 x 8 block."""
    rows, columns = (side // 8 for side in luma.shape)
    blocks = luma[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2)
    return np.abs(_DCT @ blocks @ _DCT.T).reshape(rows, columns, 64)


def face_region(shape: tuple[int, int], box: np.ndarray) -> np.ndarray:
    """(H, W) bool: the box (x0, y0, x1, y1)."""
    return _filled(shape, box)


def background_region(shape: tuple[int, int], boxes: np.ndarray) -> np.ndarray:
    """(H, W) bool: all except the heads, with a margin beyond any swapped pixel and its coding block.

    Each box, (x0, y0, x1, y1), grows by 60 % of its width to both sides, 80 % of its height upwards, 50 % downwards,
    and by 16 px, the largest block of H.264.
    """
    outside = np.ones(shape, dtype=bool)
    for x0, y0, x1, y1 in boxes.reshape(-1, 4):
        width, height = x1 - x0, y1 - y0
        grown = (x0 - 0.6 * width - 16, y0 - 0.8 * height - 16, x1 + 0.6 * width + 16, y1 + 0.5 * height + 16)
        outside &= ~_filled(shape, np.asarray(grown))
    return outside


def border_region(shape: tuple[int, int], boxes: np.ndarray) -> np.ndarray:
    """(H, W) bool: a frame of 8 px, or a twentieth of the shorter side if that is more, without the faces in it."""
    width = max(8, min(shape) // 20)
    edge = np.ones(shape, dtype=bool)
    edge[width:-width, width:-width] = False
    for box in boxes.reshape(-1, 4):
        edge &= ~_filled(shape, box)
    return edge


def _filled(shape: tuple[int, int], box: np.ndarray) -> np.ndarray:
    height, width = shape
    x0, x1 = (int(np.clip(round(float(x)), 0, width)) for x in (box[0], box[2]))
    y0, y1 = (int(np.clip(round(float(y)), 0, height)) for y in (box[1], box[3]))
    region = np.zeros(shape, dtype=bool)
    region[y0:y1, x0:x1] = True
    return region
