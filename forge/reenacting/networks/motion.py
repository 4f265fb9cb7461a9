"""Local motions of a face: for each group of landmarks the affine map from where it is driven to, back to the source.

Siarohin et al., "First Order Motion Model for Image Animation", NeurIPS 2019, eq. 4, with groups of landmarks and
affine maps fitted to them in place of learned keypoints and Jacobians. So motion is right before anything is learned.

Convention:
    landmarks: (B, 68, 2) float32 crop pixels, pixel centres at integers
    motions: (B, G, 2, 3) affine maps from driving pixels to source pixels
    places, flow: (B, S, S, 2) float32 crop pixels, x and y; a flow is from a driving pixel to the source pixel
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GROUPS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2, 3, 4), (4, 5, 6, 7), (7, 8, 9), (9, 10, 11, 12), (12, 13, 14, 15, 16),  # jaw, from ear to ear
    (17, 18, 19, 20, 21), (22, 23, 24, 25, 26),  # brows
    (27, 28, 29, 30), (31, 32, 33, 34, 35),  # bridge and base of the nose
    (36, 37, 38, 39), (36, 39, 40, 41), (42, 43, 44, 45), (42, 45, 46, 47),  # lids
    (48, 49, 59, 60), (49, 50, 51, 52, 53, 61, 62, 63), (53, 54, 55, 64), (55, 56, 57, 58, 59, 65, 66, 67),  # lips
)  # fmt: skip
"""Landmarks that move together; corners of lips and ends of the chin belong to two groups."""

_RIDGE = 0.15
"""Share of the crop's side as strong as which a group's spread has to be for its own map to count.

With less the finder's jitter turns and stretches what lies beside a group: the face flickers."""

_REACH = 0.035
_FAR = 3.5
"""How many reaches, each a share of the side, a place is from every landmark where the background begins to count."""


def local_motions(driving: Tensor, source: Tensor, px: int) -> Tensor:
    """(B, G, 2, 3): the affine map of each group by least squares, drawn to a shift where its points say too little.

    Fitted in float64: the rounding of float32 is seen as flicker.
    """
    found: list[Tensor] = []
    same = torch.eye(2, device=driving.device, dtype=torch.float64)
    for group in GROUPS:
        there, here = driving[:, list(group)].double(), source[:, list(group)].double()
        to, at = there.mean(1, keepdim=True), here.mean(1, keepdim=True)
        x, y = there - to, here - at
        ridge = len(group) * (_RIDGE * px) ** 2 * same
        linear = torch.linalg.solve(x.mT @ x + ridge, x.mT @ y + ridge).mT
        found.append(torch.cat([linear, at.mT - linear @ to.mT], 2))
    return torch.stack(found, 1).float()


def places(px: int, step: int, device: torch.device | None = None) -> Tensor:
    """(px / step, px / step, 2): the centres of blocks of ``step`` pixels of a crop, in its pixels."""
    at = torch.arange(px // step, device=device, dtype=torch.float32) * step + (step - 1) / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], -1)


def moved_places(motions: Tensor, at: Tensor) -> Tensor:
    """(B, 1 + G, S, S, 2): where each motion takes ``at`` (S, S, 2) in the source; the first, the background, stays."""
    moved = torch.einsum("bgij,hwj->bghwi", motions[..., :2], at) + motions[:, :, None, None, :, 2]
    return torch.cat([at.expand(len(motions), 1, *at.shape), moved], 1)


def nearness(driving: Tensor, at: Tensor, px: int) -> Tensor:
    """(B, 1 + G, S, S): logits of which motion counts at ``at`` (S, S, 2), by distance; first the background's."""
    reach = _REACH * px
    squared = (at[None, None] - driving[:, :, None, None]).square().sum(-1) / (2 * reach**2)
    groups = [squared[:, list(group)].amin(1) for group in GROUPS]
    far = torch.full_like(groups[0], _FAR**2 / 2)
    return -torch.stack([far, *groups], 1)


def sampled(pictures: Tensor, at: Tensor, px: int) -> Tensor:
    """(B, C, H, W): ``pictures`` (B, C, s, s) of a crop of side ``px`` at places ``at`` (B, H, W, 2) of it."""
    grid = (2 * at + 1) / px - 1
    return F.grid_sample(pictures.float(), grid.float(), padding_mode="border", align_corners=False)
