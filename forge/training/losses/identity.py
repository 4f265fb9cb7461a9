"""Identity loss from dlib's embedding; see :mod:`shared.faces.identity`.

A swapper trained with it should be evaluated with another embedder, or the report should say that it was in the loss.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from shared import weights
from shared.faces.align import MEAN_FACE, mean_in_crop
from shared.faces.identity_net import CHIP_PX, IdentityNet
from shared.types import Framing

_CHIP_CORNER = (-0.245, -0.22)
_CHIP_STEP = 0.01
"""Position of dlib's first chip pixel centre on our mean face, and the distance of its pixels: measured from the chip
that dlib cuts of the mean face, to a pixel or two of the chip, within which dlib's own vary with the size."""

_WEIGHTS = "dlib-identity"


def identity(generated: Tensor, target: Tensor, framing: Framing) -> Tensor:
    """1 - cosine of the embeddings of (B, 3, S, S) crops of ``framing``, mean over the batch: 0 for equal faces.

    Raises:
        WeightsError: the embedder's weights are missing or not the pinned ones.
    """
    net = identity_net(generated.device)
    with torch.no_grad():
        wanted = net(255 * chips(target, framing)).float()
    return 1 - F.cosine_similarity(net(255 * chips(generated, framing)).float(), wanted, dim=1).mean()


def chips(images: Tensor, framing: Framing) -> Tensor:
    """(B, 3, 150, 150): the embedder's input, cut from crops of ``framing``; beyond a crop its border is repeated.

    The position is dlib's for the mean face, the same for all: the crops are aligned.
    """
    side = images.shape[-1]
    first, last = mean_in_crop(side, framing)[[0, 16]]
    scale = (last[0] - first[0]) / (MEAN_FACE[16, 0] - MEAN_FACE[0, 0])
    axes = []
    for axis in range(2):
        canon = _CHIP_CORNER[axis] + _CHIP_STEP * torch.arange(CHIP_PX, dtype=torch.float64)
        pixels = first[axis] + scale * (canon - MEAN_FACE[0, axis])
        axes.append((2 * pixels + 1) / side - 1)
    y, x = torch.meshgrid(axes[1], axes[0], indexing="ij")
    grid = torch.stack([x, y], -1).to(images.device, images.dtype).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


@functools.lru_cache(maxsize=4)
def identity_net(device: torch.device) -> IdentityNet:
    """The frozen embedder on ``device``, built once.

    Raises:
        WeightsError: its weights are missing or not the pinned ones.
    """
    with torch.random.fork_rng(devices=[]):
        return IdentityNet.from_bytes(weights.read(_WEIGHTS)).to(device)
