"""Differentiable augmentation: the same random changes for real and for generated faces, through which gradients flow.

Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020: colour, translation and
cutout. Changes that a discriminator sees on real faces alone would leak into what is generated.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SHIFT = 0.125
_CUTOUT = 0.5


def augmented(faces: Tensor, generator: torch.Generator) -> Tensor:
    """(B, C, S, S) in [0, 1]: each face with its own brightness, saturation, contrast, shift and one grey square."""
    return _cut_out(_shifted(_recolored(faces, generator), generator), generator)


def _recolored(faces: Tensor, generator: torch.Generator) -> Tensor:
    brightness, saturation, contrast = torch.rand(3, len(faces), 1, 1, 1, generator=generator).to(faces.device)
    faces = faces + (brightness - 0.5) / 2
    gray = faces.mean(1, keepdim=True)
    faces = gray + 2 * saturation * (faces - gray)
    mean = faces.mean((1, 2, 3), keepdim=True)
    return mean + (contrast + 0.5) * (faces - mean)


def _shifted(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Moved by up to an eighth of the side; what comes in is grey."""
    side = faces.shape[-1]
    most = round(_SHIFT * side)
    moves = torch.randint(-most, most + 1, (2, len(faces), 1), generator=generator)
    places = torch.arange(side) - moves + most
    padded = F.pad(faces, (most, most, most, most), value=0.5)
    rows, columns = places.clamp(0, padded.shape[-1] - 1).to(faces.device)
    batch = torch.arange(len(faces), device=faces.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _cut_out(faces: Tensor, generator: torch.Generator) -> Tensor:
    """A square of half the side, centred anywhere, is grey."""
    side = faces.shape[-1]
    half = round(_CUTOUT * side) // 2
    centres = torch.randint(side + 1, (2, len(faces), 1), generator=generator)
    near = (torch.arange(side) - centres).abs() < half
    square = near[0][:, :, None] & near[1][:, None, :]
    return torch.where(square[:, None].to(faces.device), torch.full_like(faces, 0.5), faces)
