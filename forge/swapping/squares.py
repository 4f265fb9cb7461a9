"""Moves a swapped face into the square of its paste, and the target's own pixels with it where the paste wants them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from forge.swapping.config import SwapConfig
from forge.swapping.stages import DecodedFace
from shared.faces.pastes.config import SquareConfig
from shared.faces.pastes.square import coverage, fitted, redrawn, sampled, square_matrix
from shared.types import Framing, SwappedFace


def fitted_config(config: SwapConfig, framing: Framing) -> SwapConfig:
    """``config`` with its square, if it has one, within the crop of a swapper of ``framing``."""
    return config if config.square is None else replace(config, square=fitted(config.square, framing))


def in_square(swapped: SwappedFace, landmarks: np.ndarray, config: SquareConfig) -> SwappedFace:
    """``swapped`` in the square of the face with these ``landmarks`` (68, 2) in frame pixels."""
    matrix = square_matrix(landmarks, config)
    crop = redrawn(swapped.crop, swapped.frame_to_crop, matrix, config.px)
    mask = None if swapped.mask is None else redrawn(swapped.mask, swapped.frame_to_crop, matrix, config.px)
    return SwappedFace(crop, mask, matrix)


def covered(swapped: SwappedFace, square: SwappedFace, config: SquareConfig) -> np.ndarray | float:
    """(S, S) float32: 1 where ``swapped`` has pixels for the ``square``; an upright one may reach beyond them."""
    if not config.upright:
        return 1.0
    return coverage(swapped.crop.shape[0], swapped.frame_to_crop, square.frame_to_crop, config.px)


def rewritten(face: DecodedFace, image: np.ndarray, config: SquareConfig, opacity: float) -> DecodedFace:
    """``face`` mixed with the frame's own pixels within its square; all of the square is then pasted."""
    matrix = face.swapped.frame_to_crop
    behind = sampled(image, matrix, face.alpha.shape[0], config).astype(np.float32) / 255
    weight = (face.alpha * opacity)[..., None]
    crop = behind + weight * (face.swapped.crop - behind)
    return replace(face, swapped=replace(face.swapped, crop=crop), alpha=np.ones_like(face.alpha))


def resized_to(picture: np.ndarray, px: int) -> np.ndarray:
    """``picture`` (S, S, ...) with ``px`` pixels on a side."""
    shrinking = px < picture.shape[0]
    return cv2.resize(picture, (px, px), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
