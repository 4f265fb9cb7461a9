"""Augmentation of batches of faces on their device. One affine map is used for a face and its masks.

Convention:
    plane: a square image spans -1 to 1 in x and y, edge to edge, whatever its size (``align_corners=False``)
    theta: (B, 2, 3), maps the plane of the output to the plane of the stored image, as ``affine_grid`` needs it
    field: (B, S, S, 2), added to positions in the output's plane before ``theta``
    randomness: sampled on the CPU from the given generator, so that a run's random stream does not depend on the device
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from forge.training.augment_config import AugmentConfig
from forge.training.lab import lab_to_rgb, rgb_to_lab
from forge.training.warp import send

_CONTRAST_RANGE = 0.5
_MAX_GAIN = 3.0


class Shades(NamedTuple):
    """Colour changes of a batch: factor of L (B,), shifts of a and b (B, 2), factor of local contrast (B,) or None."""

    lightness: Tensor
    tint: Tensor
    contrast: Tensor | None


class ColorCast(NamedTuple):
    """An affine change of each channel of Lab: ``gain * value + offset``; both (B, 3, 1, 1)."""

    gain: Tensor
    offset: Tensor


def random_affine(count: int, extent: float, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """(count, 2, 3) float32 ``theta``: rotation, zoom, shift and flip about the centre.

    ``extent`` is the side of the output's area over the side of the stored image (at most 1 where the stored image
    has a margin). Nothing is sampled from ``generator`` for flips when their probability is 0.
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
    """(count, 2, 3) float32 ``theta`` without any augmentation."""
    return torch.tensor([[extent, 0.0, 0.0], [0.0, extent, 0.0]]).expand(count, 2, 3).clone()


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
    """(B, C, px, px): ``stored`` (B, C, W, W) resampled by ``theta``, and first by ``field`` if given.

    Affine map and warp are one resampling. With ``times`` above 1 it is supersampled by that factor and averaged,
    which avoids aliasing. Beyond its edge the stored image is reflected.
    """
    fine = px * times
    size = [len(stored), 1, fine, fine]
    grid = functional.affine_grid(send(theta, stored.device), size, align_corners=False)
    if field is not None:
        # The field is in the output's plane; only the linear part of the affine map applies to a displacement.
        planes = field.permute(0, 3, 1, 2)
        if times > 1:
            planes = functional.interpolate(planes, size=(fine, fine), mode="bilinear")
        grid = grid + torch.einsum("bij,bjhw->bhwi", send(theta, stored.device)[:, :, :2], planes)
    seen = functional.grid_sample(stored, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return functional.avg_pool2d(seen, times) if times > 1 else seen


def random_shades(count: int, config: AugmentConfig, generator: torch.Generator) -> Shades:
    """Colour changes for ``count`` faces."""
    lightness = 1 + config.lightness * _signed(count, generator)
    tint = 100 * config.tint * torch.stack([_signed(count, generator), _signed(count, generator)], 1)
    chosen = torch.rand(count, generator=generator) < config.contrast
    contrast = torch.where(chosen, 1 + _CONTRAST_RANGE * _signed(count, generator), 1.0)
    return Shades(lightness, tint, contrast if config.contrast > 0 else None)


def color_cast(images: Tensor, mask: Tensor, others: Tensor, other_mask: Tensor, chosen: Tensor) -> ColorCast:
    """The change that gives faces in ``images`` the per-channel mean and standard deviation of those in ``others``.

    Reinhard et al., "Color Transfer between Images", 2001, eq. 10 and 11, in CIE Lab and inside the masks.

    Args:
        images: (B, 3, S, S) RGB in [0, 1].
        mask: (B, 1, S, S), the face in each.
        others: (B, 3, T, T), for each face the one whose colours it gets.
        other_mask: (B, 1, T, T).
        chosen: (B,) bool; the others keep their colours.
    """
    mean, spread = _moments(rgb_to_lab(images), mask)
    goal_mean, goal_spread = _moments(rgb_to_lab(others), other_mask)
    gain = (goal_spread / spread.clamp_min(1e-3)).clamp_max(_MAX_GAIN)
    keep = ~chosen.view(-1, 1, 1, 1)
    gain = gain.masked_fill(keep, 1.0)
    return ColorCast(gain, (goal_mean - gain * mean).masked_fill(keep, 0.0))


def shade(images: Tensor, shades: Shades, cast: ColorCast | None = None) -> Tensor:
    """(B, 3, S, S) in [0, 1] RGB with its colours changed in CIE Lab, clipped to [0, 1].

    First ``cast``, if given; then L is scaled, a and b are shifted. Local contrast, if given, scales
    the difference of L from its mean over a quarter of the image: similar to contrast-limited equalisation, without
    histograms.
    """
    lab = rgb_to_lab(images)
    if cast is not None:
        lab = lab * cast.gain + cast.offset
    light = lab[:, :1]
    if shades.contrast is not None:
        window = max(3, images.shape[-1] // 4 | 1)
        around = functional.avg_pool2d(light, window, 1, window // 2, count_include_pad=False)
        light = around + (light - around) * _per_face(shades.contrast, images)
    light = light * _per_face(shades.lightness, images)
    tinted = lab[:, 1:] + send(shades.tint, images.device).view(-1, 2, 1, 1)
    return lab_to_rgb(torch.cat([light, tinted], 1)).clamp(0, 1)


def _moments(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel inside ``mask``, both (B, C, 1, 1)."""
    share = mask / mask.sum((2, 3), keepdim=True).clamp_min(1e-3)
    mean = (values * share).sum((2, 3), keepdim=True)
    return mean, ((values - mean) ** 2 * share).sum((2, 3), keepdim=True).sqrt()


def _per_face(values: Tensor, like: Tensor) -> Tensor:
    return send(values, like.device).view(-1, 1, 1, 1)


def _signed(count: int, generator: torch.Generator) -> Tensor:
    """(count,) uniform in -1 to 1."""
    return 2 * torch.rand(count, generator=generator) - 1
