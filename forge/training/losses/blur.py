"""Gaussian windows for image comparison, as matrix products."""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor

SIGMA = 1.5
REACH = 5
"""Pixels either side of the middle of the 11-tap window."""

Border = Literal["reflect", "valid"]


def blur(images: Tensor, sigma: float = SIGMA) -> Tensor:
    """(B, C, H, W) under an 11-tap Gaussian of ``sigma`` pixels, borders reflected; same shape.

    Raises:
        ValueError: a side is of 5 px or less.
    """
    return windowed(images, 2 * REACH + 1, sigma, "reflect")


def windowed(images: Tensor, taps: int, sigma: float, border: Border) -> Tensor:
    """(B, C, H, W) under a Gaussian window of ``taps`` x ``taps``; "valid" gives (B, C, H - taps + 1, W - taps + 1).

    Two small matrix products beat a depthwise convolution on every device, above all backward.

    Raises:
        ValueError: the image is too small for the window.
    """
    height, width = images.shape[-2:]
    rows = _matrix(height, taps, sigma, border, images.device, images.dtype)
    columns = _matrix(width, taps, sigma, border, images.device, images.dtype)
    return rows @ images @ columns.mT


@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)  # cached, so it must be usable in training too
def _matrix(side: int, taps: int, sigma: float, border: Border, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(side or side - taps + 1, side): the window along one axis as a product."""
    needed = taps // 2 if border == "reflect" else taps - 1
    if side <= needed:
        raise ValueError(f"a window of {taps} px needs images of more than {needed} px, got {side}")
    places = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    window = torch.exp(-(places**2) / (2 * sigma**2))
    window = (window / window.sum()).tolist()
    first = -(taps // 2) if border == "reflect" else 0
    matrix = torch.zeros(side if border == "reflect" else side - taps + 1, side, dtype=torch.float64)
    for row in range(len(matrix)):
        for tap, value in enumerate(window, start=row + first):
            column = abs(tap)
            matrix[row, min(column, 2 * (side - 1) - column)] += value
    return matrix.to(device=device, dtype=dtype)
