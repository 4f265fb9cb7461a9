"""The three networks of MTCNN in torch, and their weights out of the ``mtcnn`` package's Keras arrays.

Zhang, Zhang, Li and Qiao, "Joint face detection and alignment using multitask cascaded convolutional networks", IEEE
Signal Processing Letters 2016. Kernels are stored as (rows, columns, in, out); the features before the first dense
layer are flattened columns first, as in the original's column-major training code.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from shared import weights
from shared.errors import WeightsError
from shared.faces.finders.contract import need_package

MTCNN_PACKAGES = "mtcnn joblib lz4"


class ProposalNet(nn.Module):
    """P-Net: every 12x12 window, two pixels apart, as face or not.

    Forward takes (B, 3, H, W) and gives the face probability (B, H', W') and the corrections (B, 4, H', W') of the
    window's x0, y0, x1, y1 in window sides.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_conv(3, 10, 3),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *_conv(10, 16, 3),
            *_conv(16, 32, 3),
        )
        self.corrections = nn.Conv2d(32, 4, 1)
        self.classes = nn.Conv2d(32, 2, 1)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.classes(x).softmax(1)[:, 1], self.corrections(x)


class RefineNet(nn.Module):
    """R-Net: (N, 3, 24, 24) windows to face probabilities (N,) and corrections (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_conv(3, 28, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *_conv(28, 48, 3),
            nn.MaxPool2d(3, 2),
            *_conv(48, 64, 2),
            _ColumnsFirst(),
            nn.Linear(576, 128),
            nn.PReLU(128),
        )
        self.corrections = nn.Linear(128, 4)
        self.classes = nn.Linear(128, 2)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        return self.classes(x).softmax(1)[:, 1], self.corrections(x)


class OutputNet(nn.Module):
    """O-Net: (N, 3, 48, 48) windows to probabilities (N,), corrections (N, 4) and points (N, 5, 2) in [0, 1].

    Points are x, y in window sides: the eye on the image's left, the other eye, nose, mouth corners left and right.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_conv(3, 32, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *_conv(32, 64, 3),
            nn.MaxPool2d(3, 2),
            *_conv(64, 64, 3),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *_conv(64, 128, 2),
            _ColumnsFirst(),
            nn.Linear(1152, 256),
            nn.PReLU(256),
        )
        self.corrections = nn.Linear(256, 4)
        self.points = nn.Linear(256, 10)
        self.classes = nn.Linear(256, 2)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.trunk(x)
        points = self.points(x).reshape(-1, 2, 5).transpose(1, 2)
        return self.classes(x).softmax(1)[:, 1], self.corrections(x), points


def _conv(channels: int, out: int, side: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(channels, out, side), nn.PReLU(out)


class _ColumnsFirst(nn.Module):
    """(N, C, H, W) to (N, W * H * C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 2, 1).flatten(1)


def load_nets(device: str) -> tuple[ProposalNet, RefineNet, OutputNet]:
    """The three networks with the package's weights, in evaluation mode on ``device``.

    Raises:
        FinderError: joblib or lz4 is not installed.
        WeightsError: a weights file is missing, is not the pinned one, or does not fit the network.
    """
    p_net, r_net, o_net = ProposalNet(), RefineNet(), OutputNet()
    for net, name in ((p_net, "mtcnn-pnet"), (r_net, "mtcnn-rnet"), (o_net, "mtcnn-onet")):
        fill(net, _keras_arrays(name), name)
        net.to(device).eval().requires_grad_(False)
    return p_net, r_net, o_net


def fill(net: nn.Module, arrays: Sequence[np.ndarray], name: str) -> None:
    """Copies Keras arrays into ``net``'s parameters, which are in the same order.

    Raises:
        WeightsError: their number or a shape does not fit.
    """
    parameters = list(net.parameters())
    if len(parameters) != len(arrays):
        raise WeightsError(f"{name} holds {len(arrays)} arrays, the network has {len(parameters)}")
    for parameter, array in zip(parameters, arrays, strict=True):
        tensor = torch.from_numpy(np.ascontiguousarray(_to_torch_layout(array)))
        if tensor.shape != parameter.shape:
            raise WeightsError(f"{name}: an array of shape {array.shape} does not fit {tuple(parameter.shape)}")
        parameter.data.copy_(tensor)


def _to_torch_layout(array: np.ndarray) -> np.ndarray:
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if array.ndim == 2:
        return array.T
    return array.reshape(-1)


def _keras_arrays(name: str) -> list[np.ndarray]:
    """The arrays of one file. This is the only place where a pickle is opened, after its hash was checked."""
    need_package("lz4", MTCNN_PACKAGES)
    joblib = need_package("joblib", MTCNN_PACKAGES)
    data = weights.read(name)
    return [np.asarray(array, dtype=np.float32) for array in joblib.load(io.BytesIO(data))]
