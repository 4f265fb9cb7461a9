"""A detector on colours, noise residuals and DCT statistics: a timm backbone with a high-pass and a DCT branch.

Traces of decoders and encoders are weak: high-pass residuals make them visible, and the DCT of 8 x 8 blocks shows
upsampling and double compression. Sources: the three SRM kernels of Zhou et al., "Learning rich features for image
manipulation detection", CVPR 2018 (after Fridrich and Kodovsky, 2012), and log-DCT statistics after Frank et al.,
"Leveraging frequency analysis for deep fake image recognition", ICML 2020.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect.models.backbone import BackboneDetector, start_undecided
from detect.models.contract import Detection, DetectorOptions
from detect.models.registry import detectors

_BLOCK = 8
_TRUNCATE = 3.0
_STREAM = (24, 48, 96, 128)
_HIDDEN = 64


@detectors.register("frequency")
class FrequencyDetector(BackboneDetector):
    """The sum of three logits: of the backbone on colours, of a small network on residuals, and of block statistics."""

    mean: Tensor
    std: Tensor
    kernels: Tensor
    basis: Tensor

    family = "frequency"

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__(options)
        self.register_buffer("mean", torch.tensor(self.spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.spec.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("kernels", srm_kernels().repeat(3, 1, 1, 1), persistent=False)
        self.register_buffer("basis", dct_basis(_BLOCK), persistent=False)
        self.residual = _residual_net(options.drop_rate)
        self.spectrum = nn.Sequential(
            nn.BatchNorm1d(2 * _BLOCK**2), nn.Linear(2 * _BLOCK**2, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1)
        )
        for head in (self.residual[-1], self.spectrum[-1]):
            start_undecided(head)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) normalised -> logits (B,), no mask."""
        levels = (x.float() * self.std + self.mean) * 255
        noise = F.conv2d(levels, self.kernels, padding=2, groups=3).clamp(-_TRUNCATE, _TRUNCATE)
        logit = self.net(x) + self.residual(noise) + self.spectrum(block_statistics(levels, self.basis))
        return Detection(logit.squeeze(1), None)


def srm_kernels() -> Tensor:
    """(3, 1, 5, 5): kernels of the residuals of a second derivative, a 3 x 3 and a 5 x 5 predictor, in grey levels."""
    line = torch.zeros(5, 5)
    line[2, 1:4] = torch.tensor([1.0, -2.0, 1.0])
    square = torch.zeros(5, 5)
    square[1:4, 1:4] = torch.tensor([[-1.0, 2, -1], [2, -4, 2], [-1, 2, -1]])
    wide = torch.tensor(
        [[-1.0, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]
    )
    return torch.stack([line / 2, square / 4, wide / 12]).unsqueeze(1)


def dct_basis(size: int) -> Tensor:
    """(``size``², ``size``²): row u is the orthonormal 2-D DCT-II pattern of frequency u, flattened."""
    place, frequency = torch.arange(size), torch.arange(size).unsqueeze(1)
    line = torch.cos(math.pi / size * (place + 0.5) * frequency) * math.sqrt(2 / size)
    line[0] /= math.sqrt(2)
    return torch.einsum("ai,bj->abij", line, line).reshape(size * size, size * size)


def block_statistics(levels: Tensor, basis: Tensor) -> Tensor:
    """(B, 2 n²): mean and standard deviation over all n x n blocks of the log magnitude of each DCT frequency of luma.

    ``levels`` are (B, 3, S, S) in [0, 255]; incomplete blocks are left out.
    """
    size = math.isqrt(basis.shape[0])
    luma = 0.299 * levels[:, 0] + 0.587 * levels[:, 1] + 0.114 * levels[:, 2]
    blocks = F.unfold(luma.unsqueeze(1), size, stride=size)
    logs = torch.log1p((basis @ blocks).abs())
    return torch.cat([logs.mean(2), logs.std(2)], 1)


def _residual_net(drop_rate: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 9
    for out in _STREAM:
        layers += [
            nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        ]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(drop_rate), nn.Linear(channels, 1))
