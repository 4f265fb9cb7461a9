"""The shape of a mouth in three parameters, and back: how far lips and jaw are from the person's face at rest.

Articulation moves a mouth along few axes: the jaw drops, the lips part, they spread or are rounded (Edwards et al.,
"JALI: an animator-centric viseme model for expressive lip synchronization", 2016, with jaw and lip as two axes). The
parameters are linear functions of landmarks, so the shape that the least squares give for them has just these values.

Convention:
    motion: (N, 68, 2) float64, a shape less the shape at rest, in face units (:mod:`forge.reenacting.shape`)
    parameters: (N, 3) float64 in face units, in the order of :data:`PARAMETERS`
"""

from __future__ import annotations

import numpy as np

from forge.reenacting.shape import LOWER_INNER, UPPER_INNER
from forge.reenacting.transfer import CHIN_POINTS, LIPS

PARAMETERS = ("opening", "width", "jaw")
"""Distance of the lips' inner edges, distance of the corners of the mouth, drop of the chin: each less that at rest."""

BASIS_SHAPE = (len(PARAMETERS), 2 * len(LIPS) + 1)
"""Of a basis: for each parameter x and y of the lips' points, then the drop of the chin."""

_MIRRORED = (*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1))
"""The point that each of the lips' becomes in a mirror."""


def parameters_of(motion: np.ndarray) -> np.ndarray:
    """(N, 3): the parameters of ``motion``."""
    opening = (motion[:, LOWER_INNER, 1] - motion[:, UPPER_INNER, 1]).mean(axis=1)
    width = motion[:, 54, 0] - motion[:, 48, 0]
    return np.stack([opening, width, motion[:, CHIN_POINTS, 1].mean(axis=1)], axis=1)


def fitted_basis(motion: np.ndarray) -> np.ndarray:
    """(3, 41): the symmetric motion that goes with each parameter, by least squares over all ``motion``."""
    both = np.concatenate([motion, _mirrored(motion)])
    return np.linalg.lstsq(parameters_of(both), _flat(both), rcond=None)[0]


def explained(motion: np.ndarray, basis: np.ndarray) -> float:
    """Share of the sum of squares of the lips' and the chin's ``motion`` that three parameters give."""
    flat = _flat(motion)
    return 1 - float(((flat - parameters_of(motion) @ basis) ** 2).sum() / max(float((flat**2).sum()), 1e-12))


def motion_of(parameters: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """(N, 68, 2): the motion with these ``parameters``; of the jaw only the points of the chin are moved."""
    flat = parameters @ basis
    motion = np.zeros((len(flat), 68, 2))
    motion[:, LIPS] = flat[:, :-1].reshape(len(flat), len(LIPS), 2)
    motion[:, CHIN_POINTS, 1] = flat[:, -1:]
    return motion


def _flat(motion: np.ndarray) -> np.ndarray:
    """(N, 41): the lips' points and the chin's drop of each motion."""
    return np.concatenate([motion[:, LIPS].reshape(len(motion), -1), motion[:, CHIN_POINTS, 1].mean(1)[:, None]], 1)


def _mirrored(motion: np.ndarray) -> np.ndarray:
    """``motion`` of the lips seen in a mirror; the chin's drop stays."""
    other = motion.copy()
    other[:, LIPS] = motion[:, _MIRRORED] * [-1, 1]
    return other
