"""Restoration of a pasted face: a crop of the finished frame is restored and laid over it, as face enhancers do.

A restorer takes a crop (S, S, 3) uint8 RGB and gives one of the same size. ``restorer`` is the network in the package,
which gets the crop at half its size and doubles it; ``sharpen`` stands in for one, and makes no new texture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from forge.swapping.blend import Patch, paste, place
from forge.swapping.config import RestoreConfig, Rounding
from forge.swapping.sharpen import sharpened
from shared.faces.align import map_points
from shared.faces.pastes.mask import plain_region, soften
from shared.faces.pastes.square import sampled, square_matrix
from shared.types import SwappedFace

Restorer = Callable[[np.ndarray], np.ndarray]

_SHARPEN_RADIUS_PX = 3.0


def make_restorer(config: RestoreConfig) -> Restorer:
    """The function that ``config.by`` names.

    Raises:
        CheckpointError: the network's weights are missing or damaged.
    """
    return _MAKERS[config.by](config)


def restorer_digest(config: RestoreConfig | None) -> str | None:
    """SHA-256 of the network's file, for the record of what made a clip; None where none is used."""
    if config is None or config.by != "restorer":
        return None
    from forge.models import restorer

    return restorer.restorer_digest()


def with_restored(
    image: np.ndarray,
    landmarks: np.ndarray,
    config: RestoreConfig,
    restorer: Restorer,
    rounding: Rounding | None = None,
) -> tuple[np.ndarray, Patch | None]:
    """A new frame (H, W, 3) uint8 with the restored face over it, and what was pasted; None where it lies outside.

    ``landmarks`` are (68, 2) in frame pixels. The patch's alpha is ``config.share`` times the mask.
    """
    square = config.square
    matrix = square_matrix(landmarks, square)
    crop = restorer(sampled(image, matrix, square.px, square))
    region = plain_region(config.mask, map_points(matrix, landmarks), square.px)
    alpha = soften(region, config.mask, crop_per_frame=float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    swapped = SwappedFace(crop.astype(np.float32) / 255, None, matrix)
    height, width = image.shape[:2]
    patch = place(swapped, alpha, region, width=width, height=height, square=square, mask=config.mask)
    if patch is None:
        return image, None
    patch = Patch(patch.bounds, patch.rgb, patch.alpha * config.share, patch.region)
    return paste(image, patch, rounding=rounding), patch


def _sharpen(config: RestoreConfig) -> Restorer:
    def restored(crop: np.ndarray) -> np.ndarray:
        sharp = sharpened(crop.astype(np.float32) / 255, config.amount, radius=_SHARPEN_RADIUS_PX)
        return np.rint(sharp * 255).astype(np.uint8)

    return restored


def _network(config: RestoreConfig) -> Restorer:
    from forge.models.restorer import FACTOR, load_restorer, restored

    net, half = load_restorer(), config.square.px // FACTOR
    return lambda crop: restored(net, cv2.resize(crop, (half, half), interpolation=cv2.INTER_AREA))


_MAKERS: Mapping[str, Callable[[RestoreConfig], Restorer]] = MappingProxyType(
    {"sharpen": _sharpen, "restorer": _network}
)
