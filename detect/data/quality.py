"""Changes of a face's sharpness, as tools and cameras leave them: soft, sharpened, resampled, smoothed, restored.

A pasted face is usually softer or crisper than the frame around it, for its network's size, its resampling or a face
restorer. So that this alone does not tell a fake, real crops get the same changes with the same probability, over the
whole crop or on the inner face alone, where the change ends at a soft edge as a paste does. Neither the choice nor its
strength depends on the label or the pixels.

Convention:
    crop: (S, S, 3) uint8 RGB; lengths are for a side of 192 px and scale with it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import cv2
import numpy as np

from detect.config.data import QualityChange
from detect.data.degrade import jpeg
from shared.faces.align import mean_in_crop
from shared.faces.mask import feather, hull_mask
from shared.types import Framing, HullKind

_BORDER = cv2.BORDER_REFLECT_101
_SIDE = 192
_HULLS: tuple[HullKind, ...] = get_args(HullKind)
_DOWN = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_NEAREST)
_UP = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_NEAREST)
_COARSEST = 1.6
_BOX_SHARE = 0.25
_MEANS_SHARE = 0.15


def quality_changed(
    crop: np.ndarray, rng: np.random.Generator, changes: Sequence[QualityChange], region: np.ndarray | None = None
) -> np.ndarray:
    """``crop`` after a random one of ``changes``; where ``region`` (S, S) in [0, 1] is given, inside of it only."""
    changed = _CHANGES[changes[int(rng.integers(len(changes)))]](crop, rng)
    return changed if region is None else _mixed(crop, changed, region[..., None])


def inner_face(px: int, framing: Framing, rng: np.random.Generator) -> np.ndarray:
    """(``px``, ``px``) float32 in [0, 1]: a random region over the face of an aligned crop, with a soft edge.

    A hull of the mean face's landmarks (or, in a quarter of the cases, their box), turned, resized and moved a little.
    """
    points = mean_in_crop(px, framing)
    centre = points.mean(0)
    scale, angle = rng.uniform(0.8, 1.15), np.deg2rad(rng.uniform(-8, 8))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (points - centre) @ turn.T + centre + rng.uniform(-0.03, 0.03, 2) * px
    kind = _HULLS[int(rng.integers(len(_HULLS)))]
    boxed, softness = rng.random() < _BOX_SHARE, rng.uniform(0.005, 0.06) * px
    region = _box(points, px) if boxed else hull_mask(points, px, kind)
    return feather(region, float(softness))


def _box(points: np.ndarray, px: int) -> np.ndarray:
    (x0, y0), (x1, y1) = (np.clip(np.rint(edge), 0, px).astype(int) for edge in (points.min(0), points.max(0)))
    region = np.zeros((px, px), np.float32)
    region[y0:y1, x0:x1] = 1
    return region


def _mixed(crop: np.ndarray, changed: np.ndarray, weight: np.ndarray | float) -> np.ndarray:
    """``crop`` with ``changed`` laid over it by ``weight``; where that is 0 not a level changes."""
    mixed = crop + np.asarray(weight, np.float32) * (changed.astype(np.float32) - crop)
    return np.rint(mixed).astype(np.uint8)


def _soft(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, by a Gaussian of 0.4 to 2.2 px."""
    return _blurred(crop, rng.uniform(0.4, 2.2))


def _sharp(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sharpened by an unsharp mask, as by a camera or an editor."""
    return _unsharp(crop, rng.uniform(0.6, 1.8), rng.uniform(0.3, 1.5))


def _resampled(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Made smaller by a factor of up to 3.5 and back, each with a kernel of its own; up to 1.6 for nearest pixels."""
    factor = rng.uniform(1.1, 3.5)
    down, up = _DOWN[int(rng.integers(len(_DOWN)))], _UP[int(rng.integers(len(_UP)))]
    factor = min(factor, _COARSEST) if cv2.INTER_NEAREST in (down, up) else factor
    return _enlarged(_reduced(crop, factor, down), crop.shape[0], up)


def _smooth(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Skin smoothed and edges kept, by a bilateral filter or non-local means, as by a beauty filter or denoiser."""
    strength, share, means = rng.uniform(0, 1), rng.uniform(0.5, 1), rng.random() < _MEANS_SHARE
    return _mixed(crop, _denoised(crop, strength, means=means), share)


def _restored(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As after a face restorer: detail lost, blocks and noise smoothed away, edges sharpened, partly laid over."""
    factor, quality = rng.uniform(1.3, 3.0), int(rng.integers(30, 91))
    blocky, strength = rng.random() < 0.5, rng.uniform(0.3, 1)
    amount, share = rng.uniform(0.4, 1.6), rng.uniform(0.5, 1)
    small = _reduced(crop, factor, cv2.INTER_AREA)
    small = _denoised(jpeg(small, quality) if blocky else small, strength)
    large = _enlarged(small, crop.shape[0], cv2.INTER_CUBIC)
    return _mixed(crop, _unsharp(large, 0.4 + 0.5 * factor, amount), share)


_CHANGES: dict[QualityChange, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "soft": _soft,
    "sharp": _sharp,
    "resampled": _resampled,
    "smooth": _smooth,
    "restored": _restored,
}


def _blurred(crop: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(crop, (0, 0), sigma * crop.shape[0] / _SIDE, borderType=_BORDER)


def _unsharp(crop: np.ndarray, sigma: float, amount: float) -> np.ndarray:
    """``crop`` plus ``amount`` times its difference from its blur."""
    return cv2.addWeighted(crop, 1 + amount, _blurred(crop, sigma), -amount, 0)


def _denoised(crop: np.ndarray, strength: float, *, means: bool = False) -> np.ndarray:
    """Noise and fine texture removed, edges kept; ``strength`` 0 to 1. Non-local means at half the size: 4 ms."""
    if not means:
        return cv2.bilateralFilter(crop, 5, 10 + 50 * strength, 2 + 2 * strength, borderType=_BORDER)
    half = _reduced(crop, 2, cv2.INTER_AREA)
    cleaned = cv2.fastNlMeansDenoisingColored(half, None, 3 + 9 * float(strength), 3 + 9 * float(strength), 3, 7)
    return _enlarged(cleaned, crop.shape[0], cv2.INTER_CUBIC)


def _reduced(crop: np.ndarray, factor: float, kernel: int) -> np.ndarray:
    side = max(8, round(crop.shape[0] / factor))
    return cv2.resize(crop, (side, side), interpolation=kernel)


def _enlarged(crop: np.ndarray, side: int, kernel: int) -> np.ndarray:
    return cv2.resize(crop, (side, side), interpolation=kernel)
