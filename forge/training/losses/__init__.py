"""Losses of swapper training; :mod:`forge.training.losses.objective` combines them."""

from __future__ import annotations

from forge.training.losses.pixel import pixel_weight, weighted_mean
from forge.training.losses.structure import dssim, ssim, ssim_map
from forge.training.losses.texture import detail, grid, sharpness

__all__ = ["detail", "dssim", "grid", "pixel_weight", "sharpness", "ssim", "ssim_map", "weighted_mean"]
