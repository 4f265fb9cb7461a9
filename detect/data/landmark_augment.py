"""Augmentation of landmarks of a face in motion: mirroring, and jitter as a finder's on worse pictures."""

from __future__ import annotations

import numpy as np

from detect.config.data import AugmentConfig
from shared.faces.align import MEAN_FACE

_JITTER = 0.006
"""Largest jitter of a point, standard deviation in distances between the eyes."""


def _mirrored() -> np.ndarray:
    """(68,): for each landmark its counterpart on the other side of the mean face, which is symmetric."""
    other = MEAN_FACE * np.array([-1.0, 1.0]) + np.array([1.0, 0.0])
    return np.linalg.norm(other[:, None] - MEAN_FACE, axis=2).argmin(1)


MIRRORED = _mirrored()
"""(68,): the landmark that each becomes in a mirror."""


def augment_landmarks(track: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """An augmented copy of ``track`` (T, 68, 2) float32: mirrored by ``p_flip``, with jitter by ``p_noise``.

    Sampled parameters do not depend on the points: equal generators change two tracks in the same way.
    """
    if rng.random() < config.p_flip:
        track = track[:, MIRRORED] * np.array([-1, 1], np.float32)
    if rng.random() < config.p_noise:
        eyes = float(np.linalg.norm(track[:, 45] - track[:, 36], axis=1).mean())
        track = track + rng.normal(0, rng.uniform(0, _JITTER) * eyes, track.shape)
    return np.ascontiguousarray(track, np.float32)
