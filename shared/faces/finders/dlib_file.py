"""Reader of dlib's network files, so that dlib's networks can run in torch.

dlib's wheels compute convolutions without a BLAS and hold the GIL: 73 ms per embedding, 1.2 s per MMOD search at
512x480. The same weights in torch take a few per cent of that, batched, on any device.

The format is dlib's plain binary serialization (no code in it): an integer is a length byte and that many bytes,
little-endian; a tensor is the version 2, four integers (samples, channels, rows, columns) and float32 values. Layers
come in order from the input on. The parameters of a layer are found in that order by their known shape; that is safe
because the file's hash is pinned.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from shared.errors import WeightsError

_TENSOR_VERSION = 2
_BATCH_NORM_EPSILON = 1e-4


class DlibTensors:
    """Sequential access to the tensors of a file."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    def next(self, *shape: int) -> Tensor:
        """The next tensor of exactly this shape (samples, channels, rows, columns; ones may be left out at the end).

        Raises:
            WeightsError: there is none further on in the file.
        """
        full = shape + (1,) * (4 - len(shape))
        header = b"".join(_encoded(value) for value in (_TENSOR_VERSION, *full))
        start = self._data.find(header, self._at)
        size = 4 * math.prod(full)
        if start < 0 or start + len(header) + size > len(self._data):
            raise WeightsError(f"{self._name} has no tensor of shape {full} where the network expects one")
        start += len(header)
        self._at = start + size
        return torch.from_numpy(np.frombuffer(self._data, "<f4", size // 4, start).astype(np.float32))

    def fill_convolution(self, layer: nn.Conv2d) -> None:
        """A ``con`` layer: filters, then biases, in one tensor."""
        filters = layer.weight.numel()
        values = self.next(filters + layer.out_channels)
        layer.weight.data.copy_(values[:filters].reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.data.copy_(values[filters:])

    def fill_affine(self, layer: Affine) -> None:
        """An ``affine`` layer: a factor for each channel, then an offset."""
        channels = layer.factor.numel()
        values = self.next(2 * channels)
        layer.factor.data.copy_(values[:channels].reshape(layer.factor.shape))
        layer.offset.data.copy_(values[channels:].reshape(layer.offset.shape))

    def fill_batch_norm(self, layer: Affine) -> None:
        """A ``bn_con`` layer as the equivalent affine: its running mean and variance folded in."""
        channels = layer.factor.numel()
        values = self.next(2 * channels)
        # Mean and inverse deviation of the last training batch come first; they are not used.
        *_, mean, variance = (self.next(1, channels) for _ in range(4))
        factor = values[:channels] / torch.sqrt(variance + _BATCH_NORM_EPSILON)
        layer.factor.data.copy_(factor.reshape(layer.factor.shape))
        layer.offset.data.copy_((values[channels:] - factor * mean).reshape(layer.offset.shape))


class Affine(nn.Module):
    """dlib's frozen batch normalization: each channel times a factor plus an offset."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return torch.addcmul(self.offset, x, self.factor)


def normalized(images: Tensor) -> Tensor:
    """(B, 3, H, W) float RGB in 0 to 255 as dlib's input layers scale it: mean subtracted, divided by 256."""
    mean = torch.tensor([122.782, 117.001, 104.298], device=images.device).reshape(1, 3, 1, 1)
    return (images - mean) / 256


def _encoded(value: int) -> bytes:
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")
