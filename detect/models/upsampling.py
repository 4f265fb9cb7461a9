"""Detectors of what a generator's enlargements leave behind: neighbouring pixels, and the radial spectrum.

Every generator enlarges maps, and what it makes of the pixels of one cell is related as no camera's are. Both families
take crops of any size from 32 px on, and are small enough for a CPU. Neither says what is shown, only how pixels follow
each other, so both are blind where a picture was reduced or strongly compressed after it was made.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect.models.backbone import start_undecided
from detect.models.contract import Detection, Detector, DetectorOptions, DetectorSpec
from detect.models.registry import detectors
from shared.errors import ConfigError, UnknownNameError

_USUAL_PX = 224
_PX_RANGE = (32, 1024)
_WIDTHS = (32, 64, 128)
_BINS = 48
_HIDDEN = 32
_FLOOR = 1e-3


class _SmallDetector(Detector):
    """A detector with no backbone and no normalization of its input; ``names`` are the models of its family."""

    names: tuple[str, ...]
    family: str

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__()
        px = options.input_px or _USUAL_PX
        if options.name not in self.names:
            raise UnknownNameError(
                f"{self.family} has no model {options.name!r}", hint="--model " + " or ".join(self.names)
            )
        if not _PX_RANGE[0] <= px <= _PX_RANGE[1]:
            raise ConfigError(f"input_px must lie between {_PX_RANGE[0]} and {_PX_RANGE[1]}, got {px}", hint="224")
        self.spec = DetectorSpec(options.name, px, (0.0,) * 3, (1.0,) * 3, options.framing, family=self.family)  # type: ignore[arg-type]

    def get_classifier(self) -> nn.Module:
        """The last layer; the method's name is that of timm's models."""
        return self.head

    head: nn.Module


@detectors.register("upsampling")
class UpsamplingDetector(_SmallDetector):
    """A small residual network on the differences of neighbouring pixels.

    Tan et al., "Rethinking the up-sampling operations in CNN-based generative network for generalizable deepfake
    detection", CVPR 2024: the residual of a picture against its own halving and doubling by nearest neighbours.
    """

    family = "upsampling"
    names = ("upsampling",)

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__(options)
        layers: list[nn.Module] = []
        for before, after in zip((3, *_WIDTHS), _WIDTHS, strict=False):
            layers.append(_Stage(before, after))
        self.stages = nn.Sequential(*layers)
        self.drop = nn.Dropout(options.drop_rate)
        self.head = nn.Linear(_WIDTHS[-1], 1)
        start_undecided(self.head)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) in [0, 1] -> logits (B,), no mask."""
        maps = self.stages(neighbour_residual(x))
        return Detection(self.head(self.drop(maps.mean((2, 3)))).squeeze(1), None)


@detectors.register("spectrum")
class SpectrumDetector(_SmallDetector):
    """A logistic regression, or a small network, on the radial log spectrum of a high-pass residual.

    Durall et al., "Watch your up-convolution", CVPR 2020; Frank et al., "Leveraging frequency analysis for deep fake
    image recognition", ICML 2020. The weights of ``spectrum`` say which frequencies speak for a generator, see
    :meth:`explained`; ``spectrum-mlp`` has one hidden layer.
    """

    family = "spectrum"
    names = ("spectrum", "spectrum-mlp")
    kernel: Tensor

    def __init__(self, options: DetectorOptions) -> None:
        super().__init__(options)
        self.register_buffer("kernel", high_pass(), persistent=False)
        self.norm = nn.BatchNorm1d(_BINS)
        hidden = options.name == "spectrum-mlp"
        self.body = nn.Sequential(nn.Linear(_BINS, _HIDDEN), nn.ReLU()) if hidden else nn.Identity()
        self.drop = nn.Dropout(options.drop_rate)
        self.head = nn.Linear(_HIDDEN if hidden else _BINS, 1)
        start_undecided(self.head)

    def forward(self, x: Tensor) -> Detection:
        """(B, 3, S, S) in [0, 1] -> logits (B,), no mask."""
        features = self.body(self.norm(radial_spectrum(x, self.kernel)))
        return Detection(self.head(self.drop(features)).squeeze(1), None)

    def explained(self, x: Tensor) -> Tensor:
        """(B, 48): what each band of frequencies adds to the logit of ``spectrum``, from the lowest to the highest.

        Raises:
            ConfigError: the detector has a hidden layer.
        """
        if not isinstance(self.body, nn.Identity) or not isinstance(self.head, nn.Linear):
            raise ConfigError("the bands of spectrum-mlp have no weights of their own", hint="train --model spectrum")
        return self.norm(radial_spectrum(x, self.kernel)) * self.head.weight


class _Stage(nn.Module):
    """Halves the sides, then a residual block (He et al. 2016)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.halve = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
        )
        self.inner = nn.Sequential(
            nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, s, s) -> (B, after, s / 2, s / 2)."""
        small = self.halve(x)
        return F.relu(small + self.inner(small))


def neighbour_residual(x: Tensor) -> Tensor:
    """(B, C, S, S): each pixel less the upper left one of its cell of 2 x 2; an odd last row and column are 0."""
    even = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    corner = even[:, :, ::2, ::2]
    residual = even - corner.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return F.pad(residual, (0, x.shape[3] - even.shape[3], 0, x.shape[2] - even.shape[2]))


def high_pass() -> Tensor:
    """(1, 1, 3, 3): a pixel less the mean of its four neighbours."""
    return torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).view(1, 1, 3, 3) / 4


def radial_spectrum(x: Tensor, kernel: Tensor, bins: int = _BINS) -> Tensor:
    """(B, ``bins``): log10 of the mean power of the luma's residual at each distance from frequency 0, up to Nyquist's.

    ``x`` is (B, 3, S, S) in [0, 1]; ``kernel`` (1, 1, k, k) the high-pass filter. A Hann window keeps the crop's edges
    out; the power is over the sum of its squares, so that sizes are comparable.
    """
    with torch.autocast(x.device.type, enabled=False):
        levels = x.float() * 255
        luma = 0.299 * levels[:, 0] + 0.587 * levels[:, 1] + 0.114 * levels[:, 2]
        residual = F.conv2d(luma.unsqueeze(1), kernel.float()).squeeze(1)
        height, width = residual.shape[1:]
        window = torch.outer(_hann(height, x.device), _hann(width, x.device))
        power = _power(residual * window) / (window**2).sum()
        shares = _bands(height, width, bins, x.device)
        return torch.log10(power.flatten(1) @ shares + _FLOOR)


def _power(planes: Tensor) -> Tensor:
    """(B, H, W) to (B, H, W): squared magnitudes of the discrete Fourier transform, by products of matrices.

    ONNX has no real transform in the version that is exported.
    """
    height, width = planes.shape[1:]
    (row_cos, row_sin), (column_cos, column_sin) = _waves(height, planes.device), _waves(width, planes.device)
    real, imaginary = planes @ column_cos, planes @ column_sin
    return (row_cos @ real - row_sin @ imaginary) ** 2 + (row_cos @ imaginary + row_sin @ real) ** 2


def _waves(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (N, N) each and symmetric, of the transform of N values."""
    places = torch.arange(length, device=device)
    angles = 2 * math.pi / length * (places[:, None] * places[None] % length)
    return angles.cos(), angles.sin()


def _bands(height: int, width: int, bins: int, device: torch.device) -> Tensor:
    """(H W, ``bins``): each column is the mean over the frequencies of a band."""
    rows, columns = _frequencies(height, device), _frequencies(width, device)
    radius = (rows[:, None] ** 2 + columns[None, :] ** 2).sqrt()
    place = (radius * 2 * bins).long().flatten()
    inside = (place[:, None] == torch.arange(bins, device=device)).float()
    return inside / inside.sum(0).clamp_min(1)


def _frequencies(length: int, device: torch.device) -> Tensor:
    """(N,) in -1/2 to 1/2, in the order of the transform."""
    half = length // 2
    return ((torch.arange(length, device=device) + half) % length - half) / length


def _hann(length: int, device: torch.device) -> Tensor:
    return 0.5 - 0.5 * (2 * math.pi / (length - 1) * torch.arange(length, device=device)).cos()
