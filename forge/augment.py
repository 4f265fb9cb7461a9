"""Varies faces, a batch at a time, on the device they live on. One affine map serves a face and all that belongs to it.

Convention:
    plane: a square picture spans -1 to 1 in x and y, edge to edge, whatever its size (``align_corners=False``)
    theta: (B, 2, 3), maps the plane of the output to the plane of the stored picture, as ``affine_grid`` wants it
    field: (B, S, S, 2), added to positions in the output's plane before ``theta``
    chance: drawn on the CPU from the given generator, so that a run's random stream does not depend on the device
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from torch import Tensor
from torch.nn import functional

from forge.augment_config import AugmentConfig

_GRID = 5
_OVERREACH = 1.25
_CONTRAST_RANGE = 0.5


class Shades(NamedTuple):
    """Colour changes of a batch: factor of L (B,), shifts of a and b (B, 2), factor of local contrast (B,)."""

    lightness: Tensor
    tint: Tensor
    contrast: Tensor


def random_affine(count: int, extent: float, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """(count, 2, 3) float32 ``theta``: rotation, zoom, shift and flip about the centre.

    ``extent`` is the side of what the output shows over the side of what is stored (at most 1 where the stored
    picture has a margin). Nothing is drawn from ``generator`` for flips when their probability is 0.
    """
    angle = math.radians(config.rotate_degrees) * _signed(count, generator)
    scale = extent / (1 + config.zoom * _signed(count, generator))
    # A shift by the whole side is 2 in the plane.
    shift = 2 * extent * config.shift * torch.stack([_signed(count, generator), _signed(count, generator)], 1)
    mirrored = torch.where(torch.rand(count, generator=generator) < config.flip, -1.0, 1.0)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    return torch.stack(
        [torch.stack([cos * mirrored, -sin, shift[:, 0]], 1), torch.stack([sin * mirrored, cos, shift[:, 1]], 1)], 1
    )


def still_affine(count: int, extent: float) -> Tensor:
    """(count, 2, 3) float32 ``theta`` that shows the stored face as it is."""
    return torch.tensor([[extent, 0.0, 0.0], [0.0, extent, 0.0]]).expand(count, 2, 3).clone()


def random_field(count: int, px: int, sigma: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """(count, px, px, 2) float32: a smooth random warp.

    The nodes of a 5x5 grid move by a normal of ``sigma`` sides on each axis; between them bilinear. The grid
    reaches 1/8 of the side beyond the picture, so that its rim warps like its middle (deepfakes/faceswap's scheme).
    """
    nodes = 2 * sigma * torch.randn(count, 2, _GRID, _GRID, generator=generator)
    wide = round(px * _OVERREACH)
    start = (wide - px) // 2
    field = functional.interpolate(nodes.to(device), size=(wide, wide), mode="bilinear", align_corners=True)
    return field[:, :, start : start + px, start : start + px].permute(0, 2, 3, 1)


def combined(morph: Tensor | None, warp: Tensor | None, px: int) -> Tensor | None:
    """(B, px, px, 2): the field of ``warp`` first and ``morph`` then, to first order; None when both are.

    ``warp`` is of ``px``; ``morph`` is resized to it.
    """
    if morph is None:
        return warp
    if morph.shape[1] != px:
        morph = functional.interpolate(morph.permute(0, 3, 1, 2), size=(px, px), mode="bilinear").permute(0, 2, 3, 1)
    return morph if warp is None else morph + warp


def render(stored: Tensor, theta: Tensor, px: int, *, field: Tensor | None = None, times: int = 1) -> Tensor:
    """(B, C, px, px): ``stored`` (B, C, W, W) seen through ``theta``, and through ``field`` first where one is given.

    Affine map and warp are one resampling. With ``times`` above 1 it is done that much finer and averaged, which
    keeps a reduced picture free of aliasing. Beyond its edge the stored picture is reflected.
    """
    fine = px * times
    size = [len(stored), 1, fine, fine]
    grid = functional.affine_grid(theta.to(stored), size, align_corners=False)
    if field is not None:
        # The field lives in the output's plane; its linear part alone carries a displacement through the affine map.
        planes = field.permute(0, 3, 1, 2).to(stored)
        if times > 1:
            planes = functional.interpolate(planes, size=(fine, fine), mode="bilinear")
        grid = grid + torch.einsum("bij,bjhw->bhwi", theta[:, :, :2].to(stored), planes)
    seen = functional.grid_sample(stored, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return functional.avg_pool2d(seen, times) if times > 1 else seen


def random_shades(count: int, config: AugmentConfig, generator: torch.Generator) -> Shades:
    """Colour changes for ``count`` faces."""
    lightness = 1 + config.lightness * _signed(count, generator)
    tint = 100 * config.tint * torch.stack([_signed(count, generator), _signed(count, generator)], 1)
    chosen = torch.rand(count, generator=generator) < config.contrast
    contrast = torch.where(chosen, 1 + _CONTRAST_RANGE * _signed(count, generator), 1.0)
    return Shades(lightness, tint, contrast)


def shade(pictures: Tensor, shades: Shades) -> Tensor:
    """(B, 3, S, S) in [0, 1] RGB with its colours changed in CIE Lab, clipped to [0, 1].

    L is scaled, a and b are shifted. Local contrast, where asked for, scales the difference of L from its mean over
    a quarter of the picture: what contrast-limited equalisation does to a face, without its histograms.
    """
    lab = rgb_to_lab(pictures)
    light = lab[:, :1]
    if not torch.equal(shades.contrast, torch.ones_like(shades.contrast)):
        window = max(3, pictures.shape[-1] // 4 | 1)
        around = functional.avg_pool2d(light, window, 1, window // 2, count_include_pad=False)
        light = around + (light - around) * _per_face(shades.contrast, pictures)
    light = light * _per_face(shades.lightness, pictures)
    tinted = lab[:, 1:] + shades.tint.to(pictures).view(-1, 2, 1, 1)
    return lab_to_rgb(torch.cat([light, tinted], 1)).clamp(0, 1)


def _per_face(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like).view(-1, 1, 1, 1)


def _signed(count: int, generator: torch.Generator) -> Tensor:
    """(count,) uniform in -1 to 1."""
    return 2 * torch.rand(count, generator=generator) - 1
