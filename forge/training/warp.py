"""Warps of faces in batches: smooth random fields, and fields that move landmarks to those of another face.

Convention:
    plane, field: as in :mod:`forge.training.augment`; a field at x is the offset from x at which the image is sampled
    points: (B, 68, 2), landmarks in the plane
    randomness: sampled on the CPU from the given generator and copied to the device asynchronously
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from forge.training.augment_config import WarpKind

_GRID = 5
_OVERREACH = 1.25
_FINEST = 9
_GRIDS = (3, 5, 9)
_JITTER = 0.4
_CONTROL_PX = 25
_STIFFNESS = 1e-2
_CORE = 17
"""Landmarks before this one are the jaw's, which neither dfaker nor we move: hair and background would move with it."""


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``; on CUDA through pinned memory, so that the copy is asynchronous."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def random_field(
    count: int, px: int, sigma: float, generator: torch.Generator, device: torch.device, *, kind: WarpKind = "grid"
) -> Tensor:
    """(count, px, px, 2) float32: a smooth random warp.

    ``grid``: the nodes of a 5x5 grid move by a normal of ``sigma`` sides on each axis; between them bilinear. The grid
    reaches 1/8 of the side beyond the image, so that its border warps like its centre (deepfakes/faceswap's scheme).

    ``grids``: for each face one grid of 3x3, 5x5 or 9x9 that spans the image; its inner nodes move by a normal of
    ``sigma`` sides at 5x5 and in proportion to the cell otherwise, its border is fixed (DeepFaceLab's scheme).
    """
    if kind == "grids":
        nodes = _random_grids(count, sigma, generator)
        field = functional.interpolate(send(nodes, device), size=(px, px), mode="bilinear", align_corners=True)
        return field.permute(0, 2, 3, 1)
    nodes = 2 * sigma * torch.randn(count, 2, _GRID, _GRID, generator=generator)
    wide = round(px * _OVERREACH)
    start = (wide - px) // 2
    field = functional.interpolate(send(nodes, device), size=(wide, wide), mode="bilinear", align_corners=True)
    return field[:, :, start : start + px, start : start + px].permute(0, 2, 3, 1)


def _random_grids(count: int, sigma: float, generator: torch.Generator) -> Tensor:
    """(count, 2, 9, 9): nodes of a 3x3, 5x5 or 9x9 grid for each face, the coarser ones refined without loss.

    Each grid's nodes are nodes of the next, and bilinear patches halved are the same bilinear patches.
    """
    made = []
    for side in _GRIDS:
        cells = (side - 1) / (_GRID - 1)
        inner = 2 * sigma / cells * torch.randn(count, 2, side - 2, side - 2, generator=generator)
        nodes = functional.pad(inner, (1, 1, 1, 1))
        made.append(functional.interpolate(nodes, size=(_FINEST, _FINEST), mode="bilinear", align_corners=True))
    chosen = torch.randint(len(_GRIDS), (count,), generator=generator)
    return torch.stack(made)[chosen, torch.arange(count)]


def landmark_field(points: Tensor, goals: Tensor, px: int, *, strength: float = 1.0) -> Tensor:
    """(B, px, px, 2): the warp after which the face with ``points`` has its brows, eyes, nose and mouth at ``goals``.

    Both are (B, 68, 2) in the output's plane. A thin-plate spline (Bookstein 1989) through the 51 inner landmarks and
    the image's corners and edge centres, which stay, slightly regularised, so that close points that move differently
    do not fold the skin. ``strength`` scales the displacement.
    """
    way = (points - goals)[:, _CORE:] * strength
    edges = _edge_points(points)
    places = torch.cat([goals[:, _CORE:], edges], 1)
    values = torch.cat([way, torch.zeros_like(edges)], 1)
    field = _thin_plate(places, values, _plane_grid(_CONTROL_PX, points))
    coarse = field.view(len(points), _CONTROL_PX, _CONTROL_PX, 2).permute(0, 3, 1, 2)
    fine = functional.interpolate(coarse, size=(px, px), mode="bicubic", align_corners=False)
    return fine.permute(0, 2, 3, 1)


def jittered(points: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """``points`` moved by a normal of 0.4 ``sigma`` sides: dfaker's 2 px of 256 at the usual strength."""
    noise = torch.randn(points.shape, generator=generator)
    return points + 2 * _JITTER * sigma * send(noise, points.device)


def nearest_shapes(points: Tensor, candidates: Tensor, picks: Tensor, *, among: int = 10) -> Tensor:
    """(B, 68, 2): for each face one of the ``among`` most similar of ``candidates`` (M, 68, 2).

    ``picks`` (B,) in [0, 1) selects it.
    """
    distance = torch.cdist(points[:, _CORE:].flatten(1), candidates[:, _CORE:].flatten(1))
    near = distance.topk(min(among, len(candidates)), largest=False).indices
    column = (picks * near.shape[1]).long().clamp_max(near.shape[1] - 1)
    return candidates[near.gather(1, column[:, None])[:, 0]]


def through(points: Tensor, theta: Tensor) -> Tensor:
    """(B, 68, 2): where points of the stored image's plane are in the output's plane, for ``theta`` (B, 2, 3)."""
    linear = theta[:, :, :2]
    a, b, c, d = linear[:, 0, 0], linear[:, 0, 1], linear[:, 1, 0], linear[:, 1, 1]
    scale = 1 / (a * d - b * c)
    inverse = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1) * scale[:, None, None]
    return (points - theta[:, None, :, 2]) @ inverse.mT


def _thin_plate(places: Tensor, values: Tensor, at: Tensor) -> Tensor:
    """(B, G, 2): the spline through ``values`` (B, P, 2) at ``places`` (B, P, 2), evaluated at ``at`` (G, 2)."""
    count, size = places.shape[:2]
    kernel = _bend(torch.cdist(places, places)) + _STIFFNESS * torch.eye(size, device=places.device)
    flat = torch.cat([torch.ones_like(places[..., :1]), places], 2)
    zeros = places.new_zeros(count, 3, 3)
    system = torch.cat([torch.cat([kernel, flat], 2), torch.cat([flat.mT, zeros], 2)], 1)
    # The checking solver would synchronise the device; distinct points give regular matrices.
    weights, _ = torch.linalg.solve_ex(system, torch.cat([values, places.new_zeros(count, 3, 2)], 1))
    everywhere = at.expand(count, -1, -1)
    basis = torch.cat([_bend(torch.cdist(everywhere, places)), torch.ones_like(everywhere[..., :1]), everywhere], 2)
    return basis @ weights


def _bend(distance: Tensor) -> Tensor:
    """The thin plate's radial function, r^2 log r."""
    return distance**2 * torch.log(distance.clamp_min(1e-6))


def _edge_points(like: Tensor) -> Tensor:
    """(B, 8, 2): corners and edge centres of the plane."""
    edge = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]
    return send(torch.tensor(edge, dtype=like.dtype), like.device).expand(len(like), -1, -1)


def _plane_grid(side: int, like: Tensor) -> Tensor:
    """(side * side, 2): pixel centres of the plane, row by row."""
    axis = (2 * torch.arange(side, device=like.device, dtype=like.dtype) + 1) / side - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)
