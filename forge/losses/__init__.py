"""What a swapper is trained to make small, a subject a file; :mod:`forge.losses.objective` puts them together."""

from __future__ import annotations

from forge.losses.pixel import pixel_weight, weighted_mean
from forge.losses.structure import dssim, ssim, ssim_map
from forge.losses.texture import detail, sharpness

__all__ = ["detail", "dssim", "pixel_weight", "sharpness", "ssim", "ssim_map", "weighted_mean"]
