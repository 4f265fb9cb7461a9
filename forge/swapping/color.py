"""Colour transfer: gives a swapped crop the colour statistics of the target.

Every transfer moves the statistics of the crop's pixels to those of the target's pixels, both taken inside a face
mask, so that hair and background do not count. Two kinds:

* affine maps (``average``, ``mean-std``, ``reinhard``, ``lct``, ``mkl``): fitted as a :class:`ColorMap`, which can be
  averaged over time, so that brightness does not flicker;
* whole-distribution transfers (``histogram``, ``idt``, ``sot``): done at once, one crop at a time.

After any of them, or alone (``manual``), :func:`adjusted` applies the user's manual corrections.

Convention:
    crop, target: (S, S, 3) float32 in [0, 1], RGB, gamma-encoded as in the file
    mask: (S, S) float32 in [0, 1]; weighs each pixel in the statistics
    direction: the map takes *crop* colours to *target* colours, so spread is multiplied by std_target / std_crop.
        (The popular inverse, std_crop / std_target, makes a flat crop flatter.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from forge.swapping.config import ColorConfig
from shared.errors import UsageError
from shared.registry import near_matches

Space = Literal["rgb", "lab", "lalphabeta"]

# A crop with fewer face pixels than this (sum of the mask) has no usable statistics.
_MIN_WEIGHT = 16.0
# Bounds the stretching of a flat crop; light changes contrast by less than three times.
_MAX_GAIN = 3.0
_EPSILON = 1e-6
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Ruderman's lαβ by way of LMS cone responses: Reinhard et al., "Color Transfer between Images", 2001, eq. 4 and 6.
_RGB_TO_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LMS_TO_LAB = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]])
# Reinhard takes the logarithm; black is lifted by about a grey level so that it exists.
_LOG_FLOOR = 1.0 / 255


@dataclass(frozen=True, eq=False)
class ColorMap:
    """An affine map of colours: ``y = matrix @ x + offset`` in ``space``.

    Convention:
        matrix: (3, 3) float64; offset: (3,) float64
        lab: CIE L*a*b* (D65) with L in [0, 100]; lalphabeta: Ruderman's decorrelated log space
    """

    space: Space
    matrix: np.ndarray
    offset: np.ndarray

    def apply(self, crop: np.ndarray) -> np.ndarray:
        """``crop`` with its colours mapped: (S, S, 3) float32, clipped to [0, 1]."""
        values = _to_space(crop, self.space)
        mapped = values @ self.matrix.T.astype(np.float32) + self.offset.astype(np.float32)
        return np.clip(_from_space(mapped, self.space), 0.0, 1.0)

    @classmethod
    def identity(cls, space: Space) -> ColorMap:
        """The map that changes nothing."""
        return cls(space, np.eye(3), np.zeros(3))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Weighted mean (3,) and covariance (3, 3) of colours."""

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))


Fit = Callable[[_Moments, _Moments], tuple[np.ndarray, np.ndarray]]
Whole = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def fit_color(
    method: str,
    crop: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    target_mask: np.ndarray | None = None,
    *,
    zero_filled: bool = False,
) -> ColorMap:
    """The affine map that takes ``crop``'s colours to ``target``'s, statistics taken inside the masks.

    ``target_mask`` is ``mask`` where it is not given. With fewer than 16 face pixels (sum of the mask) in either,
    the map is the identity. ``zero_filled`` takes them over all pixels, those outside the masks (up to 0.5) as zero.

    Raises:
        UsageError: ``method`` is not an affine one.
    """
    if method not in AFFINE:
        raise UsageError(f"no affine colour transfer is named {method!r}", hint=near_matches(method, sorted(AFFINE)))
    space, fit = AFFINE[method]
    target_mask = mask if target_mask is None else target_mask
    if min(float(mask.sum()), float(target_mask.sum())) < _MIN_WEIGHT:
        return ColorMap.identity(space)
    moments = _zero_filled_moments if zero_filled else _moments
    matrix, offset = fit(moments(crop, mask, space), moments(target, target_mask, space))
    return ColorMap(space, matrix, offset)


def transfer_color(
    method: str,
    crop: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    target_mask: np.ndarray | None = None,
    *,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """``crop`` in the colours of ``target`` by any method of :data:`COLOR_METHODS`; (S, S, 3) float32 in [0, 1].

    ``rng`` samples the directions of ``idt`` and ``sot``; without it they are the same at every call, as a video
    needs, so that colours do not flicker.

    Raises:
        UsageError: no such method.
    """
    if method in ("none", "manual"):
        return crop
    if method in AFFINE:
        return fit_color(method, crop, target, mask, target_mask).apply(crop)
    if method not in WHOLE:
        raise UsageError(f"no colour transfer is named {method!r}", hint=near_matches(method, list(COLOR_METHODS)))
    target_mask = mask if target_mask is None else target_mask
    if min(float(mask.sum()), float(target_mask.sum())) < _MIN_WEIGHT:
        return crop
    return WHOLE[method](crop, target, mask, target_mask, rng or np.random.default_rng(0))


def adjusted(crop: np.ndarray, config: ColorConfig) -> np.ndarray:
    """``crop`` with gain and offset, then brightness, contrast, gamma and saturation as set: (S, S, 3) in [0, 1].

    Grey is the luma of BT.601.
    """
    if not config.is_adjusted:
        return crop
    values = (
        crop * np.array(config.gain, np.float32) + np.array(config.offset, np.float32) + np.float32(config.brightness)
    )
    values = np.clip((values - 0.5) * config.contrast + 0.5, 0.0, 1.0) ** (1 / config.gamma)
    grey = (values @ _LUMA)[..., None]
    return np.clip(grey + config.saturation * (values - grey), 0.0, 1.0).astype(np.float32)


def mean_map(maps: Sequence[ColorMap], weights: Sequence[float]) -> ColorMap:
    """The weighted mean of affine maps of one colour space.

    Raises:
        ValueError: no maps, different spaces, or weights that do not sum to a positive number.
    """
    if not maps or len(maps) != len(weights) or sum(weights) <= 0:
        raise ValueError(f"need as many positive weights as maps, got {len(maps)} maps and {len(weights)} weights")
    spaces = {one.space for one in maps}
    if len(spaces) != 1:
        raise ValueError(f"maps of different spaces cannot be averaged: {sorted(spaces)}")
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    matrix = np.einsum("n,nij->ij", shares, np.stack([one.matrix for one in maps]))
    offset = np.einsum("n,ni->i", shares, np.stack([one.offset for one in maps]))
    return ColorMap(maps[0].space, matrix, offset)


def _moments(crop: np.ndarray, mask: np.ndarray, space: Space) -> _Moments:
    inside = mask > 0
    values = _to_space(crop, space)[inside].astype(np.float64)
    weights = mask[inside].astype(np.float64)
    weights /= weights.sum()
    mean = weights @ values
    centred = values - mean
    return _Moments(mean, (centred * weights[:, None]).T @ centred)


def _zero_filled_moments(crop: np.ndarray, mask: np.ndarray, space: Space) -> _Moments:
    values = np.where(mask[..., None] > 0.5, _to_space(crop, space), 0.0).reshape(-1, 3).astype(np.float64)
    return _Moments(values.mean(0), np.cov(values, rowvar=False, bias=True))


def _to_space(crop: np.ndarray, space: Space) -> np.ndarray:
    if space == "rgb":
        return crop.astype(np.float32)
    if space == "lab":
        return cv2.cvtColor(np.ascontiguousarray(crop, dtype=np.float32), cv2.COLOR_RGB2LAB)
    lms = np.clip(crop, _LOG_FLOOR, None) @ _RGB_TO_LMS.T
    return (np.log10(lms) @ _LMS_TO_LAB.T).astype(np.float32)


def _from_space(values: np.ndarray, space: Space) -> np.ndarray:
    if space == "rgb":
        return values
    if space == "lab":
        return cv2.cvtColor(np.ascontiguousarray(values, dtype=np.float32), cv2.COLOR_LAB2RGB)
    lms = np.power(10.0, values @ np.linalg.inv(_LMS_TO_LAB).T)
    return (lms @ np.linalg.inv(_RGB_TO_LMS).T).astype(np.float32)


def _fit_average(crop: _Moments, target: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Moves the mean, keeps the spread."""
    return np.eye(3), target.mean - crop.mean


def _fit_mean_std(crop: _Moments, target: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Moves mean and spread of each channel (Reinhard et al. 2001, eq. 10-11): gain is std_target / std_crop."""
    gain = np.clip(target.std / np.maximum(crop.std, _EPSILON), 0.0, _MAX_GAIN)
    return np.diag(gain), target.mean - gain * crop.mean


def _fit_lct(crop: _Moments, target: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Linear colour transfer by symmetric square roots: whitens the crop, colours it as the target.

    ``sqrt(C_target) @ inverse_sqrt(C_crop)`` (Hertzmann, "Algorithms for Rendering in Artistic Styles", 2001).
    """
    matrix = _matrix_power(target.covariance, 0.5) @ _matrix_power(crop.covariance, -0.5)
    return _affine(matrix, crop, target)


def _fit_mkl(crop: _Moments, target: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """The linear map of least colour displacement: Monge-Kantorovitch between two Gaussians.

    Pitié and Kokaram, "The Linear Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer", 2007.
    """
    root, inverse = _matrix_power(crop.covariance, 0.5), _matrix_power(crop.covariance, -0.5)
    matrix = inverse @ _matrix_power(root @ target.covariance @ root, 0.5) @ inverse
    return _affine(matrix, crop, target)


def _affine(matrix: np.ndarray, crop: _Moments, target: _Moments) -> tuple[np.ndarray, np.ndarray]:
    stretch = float(np.linalg.norm(matrix, 2))
    if stretch > _MAX_GAIN:
        matrix = matrix * (_MAX_GAIN / stretch)
    return matrix, target.mean - matrix @ crop.mean


def _matrix_power(covariance: np.ndarray, power: float) -> np.ndarray:
    """A power of a symmetric positive matrix; variances below a fraction of a grey level are raised to it."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, _EPSILON) ** power) @ vectors.T


def _histogram(
    crop: np.ndarray, target: np.ndarray, mask: np.ndarray, target_mask: np.ndarray, _rng: np.random.Generator
) -> np.ndarray:
    """Each RGB channel takes the target's distribution: rank to rank."""
    matched = [
        _match_values(crop[..., c], target[..., c][target_mask > 0], mask, target_mask[target_mask > 0])
        for c in range(3)
    ]
    return np.clip(np.stack(matched, axis=-1), 0.0, 1.0).astype(np.float32)


def _match_values(values: np.ndarray, goal: np.ndarray, mask: np.ndarray, goal_weights: np.ndarray) -> np.ndarray:
    """``values`` through the monotone map that takes their weighted distribution to that of ``goal``."""
    inside = mask > 0
    knots, ranks = _cumulative(values[inside], mask[inside])
    goal_knots, goal_ranks = _cumulative(goal, goal_weights)
    moved = np.interp(ranks, goal_ranks, goal_knots)
    low, high = moved[0] - knots[0], moved[-1] - knots[-1]
    result = np.interp(values, knots, moved)
    # Beyond the measured range the map has slope one; a constant would flatten pixels outside the mask.
    result = np.where(values < knots[0], values + low, result)
    return np.where(values > knots[-1], values + high, result)


def _cumulative(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values, ascending, with the middle of each one's share of the weighted rank in [0, 1]."""
    knots, where = np.unique(values, return_inverse=True)
    share = np.bincount(where.reshape(-1), weights=weights.astype(np.float64), minlength=len(knots))
    upper = np.cumsum(share)
    return knots, (upper - share / 2) / upper[-1]


def _idt(
    crop: np.ndarray, target: np.ndarray, mask: np.ndarray, target_mask: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Iterative distribution transfer: matches the three marginals along randomly rotated axes in each iteration.

    Pitié, Kokaram and Dahyot, "Automated colour grading using colour distribution transfer", 2007.
    """
    values = crop.astype(np.float64)
    for _ in range(10):
        axes, _triangle = np.linalg.qr(rng.normal(size=(3, 3)))
        values += _displacement(values, target, mask, target_mask, axes)
    return np.clip(values, 0.0, 1.0).astype(np.float32)


def _sot(
    crop: np.ndarray, target: np.ndarray, mask: np.ndarray, target_mask: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Sliced optimal transport: descends the sliced Wasserstein distance, six independent directions a step.

    Rabin, Peyré, Delon and Bernot, "Wasserstein Barycenter and its Application to Texture Mixing", 2011. Its
    displacement is smaller than that of :func:`_idt`, and it converges more slowly.
    """
    values = crop.astype(np.float64)
    for _ in range(20):
        directions = rng.normal(size=(3, 6))
        directions /= np.linalg.norm(directions, axis=0)
        values += _displacement(values, target, mask, target_mask, directions) * (3 / 6)
    return np.clip(values, 0.0, 1.0).astype(np.float32)


def _displacement(
    values: np.ndarray, target: np.ndarray, mask: np.ndarray, target_mask: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """How far each colour moves when the marginal along each of ``directions`` (3, D) is matched, summed over D."""
    inside = target_mask > 0
    along, goal = values @ directions, target[inside].astype(np.float64) @ directions
    weights = target_mask[inside]
    moved = [_match_values(along[..., d], goal[:, d], mask, weights) for d in range(directions.shape[1])]
    return (np.stack(moved, axis=-1) - along) @ directions.T


AFFINE: Mapping[str, tuple[Space, Fit]] = MappingProxyType(
    {
        "average": ("rgb", _fit_average),
        "mean-std": ("lab", _fit_mean_std),
        "reinhard": ("lalphabeta", _fit_mean_std),
        "lct": ("rgb", _fit_lct),
        "mkl": ("rgb", _fit_mkl),
    }
)
WHOLE: Mapping[str, Whole] = MappingProxyType({"histogram": _histogram, "idt": _idt, "sot": _sot})
COLOR_METHODS: tuple[str, ...] = ("none", *AFFINE, *WHOLE, "manual")
