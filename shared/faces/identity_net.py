"""dlib's face recognition network (King, 2017: a ResNet-29 with half the filters) in torch.

He et al., "Deep residual learning for image recognition", CVPR 2016; trained by metric learning so that two images of
one person are within 0.6 of each other. Where a block and its shortcut differ in size, dlib adds them in the larger
size, the smaller one zero-padded at the right, below and in the last channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from shared.faces.finders.dlib_file import Affine, DlibTensors, normalized

CHIP_PX = 150
EMBEDDING_DIM = 128

# (filters, whether the first block halves the resolution), from the input on: three blocks each but two in the last but
# two and last groups, as published.
_GROUPS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))


class IdentityNet(nn.Module):
    """(B, 3, 150, 150) float RGB in 0 to 255 to embeddings (B, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        self.stem_affine = Affine(32)
        blocks: list[nn.Module] = []
        channels = 32
        for filters, count, halves in _GROUPS:
            for index in range(count):
                blocks.append(_Block(channels, filters, halves=halves and index == 0))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.embedding = nn.Linear(channels, EMBEDDING_DIM, bias=False)

    @override
    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.stem_affine(self.stem(normalized(images))))
        x = self.blocks(F.max_pool2d(x, 3, 2))
        return self.embedding(x.mean(dim=(2, 3)))

    @classmethod
    def from_bytes(cls, data: bytes) -> IdentityNet:
        """The network with the weights of dlib's file, in evaluation mode.

        Raises:
            WeightsError: the bytes do not hold this network.
        """
        net = cls()
        tensors = DlibTensors(data, "dlib-identity")
        tensors.fill_convolution(net.stem)
        tensors.fill_affine(net.stem_affine)
        for block in net.blocks:
            assert isinstance(block, _Block)
            block.fill(tensors)
        net.embedding.weight.data.copy_(tensors.next(net.embedding.in_features, EMBEDDING_DIM).reshape(-1, 128).T)
        return net.eval().requires_grad_(False)


class _Block(nn.Module):
    def __init__(self, channels: int, filters: int, *, halves: bool) -> None:
        super().__init__()
        # dlib pads a convolution only when it does not stride.
        first_padding = 0 if halves else 1
        self.halves = halves
        self.first = nn.Conv2d(channels, filters, 3, stride=2 if halves else 1, padding=first_padding)
        self.first_affine = Affine(filters)
        self.second = nn.Conv2d(filters, filters, 3, padding=1)
        self.second_affine = Affine(filters)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first_affine(self.first(x)))
        inner = self.second_affine(self.second(inner))
        shortcut = F.avg_pool2d(x, 2, 2) if self.halves else x
        return F.relu(_added(inner, shortcut))

    def fill(self, tensors: DlibTensors) -> None:
        """Loads this block's four layers from the file."""
        tensors.fill_convolution(self.first)
        tensors.fill_affine(self.first_affine)
        tensors.fill_convolution(self.second)
        tensors.fill_affine(self.second_affine)


def _added(one: Tensor, other: Tensor) -> Tensor:
    if one.shape == other.shape:
        return one + other
    sizes = [max(pair) for pair in zip(one.shape[1:], other.shape[1:], strict=True)]
    return _filled_up(one, sizes) + _filled_up(other, sizes)


def _filled_up(x: Tensor, sizes: list[int]) -> Tensor:
    channels, height, width = (want - have for want, have in zip(sizes, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x


def embed_chips(net: IdentityNet, chips: Tensor) -> Tensor:
    """(B, 150, 150, 3) uint8 RGB chips to (B, 128) float32 embeddings on the CPU."""
    device = next(net.parameters()).device
    with torch.inference_mode():
        return net(chips.to(device).permute(0, 3, 1, 2).float()).float().cpu()
