"""Another person's face fitted into a real face: the copy of a blended pair, for seams between two people.

Source: Li et al., "Face X-ray for More General Face Forgery Detection", CVPR 2020 (arXiv 1912.13458): the face of
another person whose landmarks are nearest is warped to the target's, its colours are moved to the target's, and it is
blended in. So a blend shows two cameras, lights and skins, and no generator. Written from the published method; the
warp is piecewise affine over the triangles of the landmarks, as tools without a network warp a face.

Convention:
    crop: (S, S, 3) uint8 RGB
    landmarks: (68, 2) float32 in crop pixels
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.spatial import Delaunay

from shared.faces.mask import feather, hull_mask

COLOR_SHARE = 0.8
"""Share of the copies whose colours are moved to the target's."""

_COLUMNS = 4
_LEAST_SPREAD = 1.0


def nearest_landmarks(landmarks: np.ndarray, candidates: Sequence[np.ndarray]) -> int:
    """Index of the candidate whose points (68, 2) lie nearest to ``landmarks``, by mean squared distance.

    Raises:
        ValueError: there is no candidate.
    """
    return int(np.argmin([((points - landmarks) ** 2).mean() for points in candidates]))


def other_face(
    target: np.ndarray,
    landmarks: np.ndarray,
    other: np.ndarray,
    other_landmarks: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """``target`` with the face of ``other`` in it, both (S, S, 3) uint8, the same shape and dtype.

    The face reaches as far as the hull of the landmarks, softly; beyond it are the target's own pixels.
    """
    px = target.shape[0]
    warped = warped_to(other, other_landmarks, landmarks)
    hull = hull_mask(landmarks, px, "facehull")
    if rng.random() < COLOR_SHARE:
        warped = _colored(warped, target, hull > 0.5)
    weight = feather(hull, px * float(rng.uniform(0.004, 0.02)))[..., None]
    return np.rint(weight * warped + (1 - weight) * target).clip(0, 255).astype(np.uint8)


def warped_to(crop: np.ndarray, landmarks: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """``crop`` warped so that ``landmarks`` lie at ``wanted``, both (68, 2); the crop's border stays where it is.

    Piecewise affine over Delaunay's triangles of ``wanted`` and points along the border; float32 of the same shape.
    """
    px = crop.shape[0]
    border = _border(px)
    there, here = np.concatenate((wanted, border)), np.concatenate((landmarks, border))
    mesh = Delaunay(there.astype(np.float64))
    grid = np.stack(np.meshgrid(np.arange(px), np.arange(px)), axis=-1).reshape(-1, 2).astype(np.float64)
    triangle = np.maximum(mesh.find_simplex(grid), 0)
    transform = mesh.transform[triangle]
    two = np.einsum("nij,nj->ni", transform[:, :2], grid - transform[:, 2])
    shares = np.concatenate((two, 1 - two.sum(axis=1, keepdims=True)), axis=1)
    found = np.einsum("nk,nkc->nc", shares, here[mesh.simplices[triangle]]).reshape(px, px, 2).astype(np.float32)
    return cv2.remap(
        crop.astype(np.float32), found[..., 0], found[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _border(px: int) -> np.ndarray:
    """(N, 2) points around a crop, evenly spaced."""
    along = np.linspace(-0.5, px - 0.5, _COLUMNS + 1)[:-1]
    low, high = np.full(_COLUMNS, -0.5), np.full(_COLUMNS, px - 0.5)
    sides = ((along, low), (high, along), (along[::-1] + px / _COLUMNS, high), (low, along[::-1] + px / _COLUMNS))
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def _colored(image: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``image`` with mean and spread of each Lab channel as ``target`` has them ``inside`` (Reinhard et al. 2001)."""
    own = cv2.cvtColor(np.clip(image, 0, 255).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    wanted = cv2.cvtColor(target.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    from_mean, to_mean = own[inside].mean(axis=0), wanted[inside].mean(axis=0)
    gain = wanted[inside].std(axis=0) / np.maximum(own[inside].std(axis=0), _LEAST_SPREAD)
    moved = (own - from_mean) * gain + to_mean
    return np.clip(cv2.cvtColor(moved.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1) * 255
