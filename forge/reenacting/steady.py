"""Smoothing of landmarks over time at the level of the finder's own noise.

What a point does beyond a short mean over time is kept where it is larger than the finder's jitter, and left out where
it is not: a non-negative garrote (Breiman 1995; Gao 1998 for its use as a threshold). Lips that shut for two frames
stay shut; a point that trembles stops. A mean alone would take away both.
"""

from __future__ import annotations

import numpy as np

_SECONDS = 0.06
_THRESHOLD = 2.0
_NORMAL = 1.4826
"""Standard deviation over median absolute deviation, of normal values."""


def smoothed(values: np.ndarray, seconds: np.ndarray, width: float) -> np.ndarray:
    """(N, ...): Gaussian means of ``values`` over ascending ``seconds`` (N,), of standard deviation ``width``."""
    out = np.empty_like(values)
    low = np.searchsorted(seconds, seconds - 3 * width)
    high = np.searchsorted(seconds, seconds + 3 * width, side="right")
    for place, (start, stop) in enumerate(zip(low, high, strict=True)):
        weights = np.exp(-0.5 * ((seconds[start:stop] - seconds[place]) / width) ** 2)
        out[place] = np.tensordot(weights, values[start:stop], 1) / weights.sum()
    return out


def steadied(points: np.ndarray, seconds: np.ndarray, *, most_noise: float) -> np.ndarray:
    """(N, K, 2): ``points`` at ascending ``seconds`` (N,) without the jitter of each point.

    Jitter is estimated from third differences, in which a slow movement has little part, and is at most ``most_noise``,
    in the unit of the points; fewer than eight frames stay as they are.
    """
    if len(points) < 8:
        return points
    mean = smoothed(points, seconds, _SECONDS)
    third = np.diff(points, n=3, axis=0)
    noise = _NORMAL * np.median(np.abs(third), axis=0) / np.sqrt(20)  # 1, 3, 3, 1 squared
    rest = points - mean
    distance = np.linalg.norm(rest, axis=2)
    level = _THRESHOLD * np.minimum(np.linalg.norm(noise, axis=1), most_noise)
    kept = np.clip(1 - (level / np.maximum(distance, 1e-12)) ** 2, 0.0, 1.0)
    return mean + kept[..., None] * rest
