"""DeepFaceLab's current family: df and liae with the options u, d, t and c, 64 to 640 px, and its small form Quick96.

Facts from iperov/DeepFaceLab (``DeepFakeArchi.py``, ``Model_SAEHD``, ``Model_Quick96`` as of 2023); written anew.

============  ===============================================================================================
part          numbers (e, d, m: encoder, decoder and mask channels; ae: the narrow layer)
============  ===============================================================================================
encoder       5x5 stride 2 to e, 2e, 4e, 8e; with t a fifth stage and residual blocks after the first and last
inter         dense to ae, dense to s x s x ae (df) or 2 ae (liae), then one doubling stage except with t
decoder       doubling stages to 8d, 4d, 2d (t: 8d, 8d, 4d, 2d), a residual block after each, 1x1 convolution
mask          doubling stages to 8m, 4m, 2m (t: one more 8m), 1x1 convolution; always learned
============  ===============================================================================================

u: the code has unit root mean square. d: four output convolutions are interleaved to twice the resolution, so the
body works at half of it. c: x * cos(x) instead of leaky ReLU.

df has one inter for everybody and a decoder for each identity. liae has one decoder for everybody, which reads the
shared inter beside the identity's own one. The first identity's own inter *is* the shared one, as in the original, so
N identities are N inters.

Parameters at ae 256, e 64, d 64, m 22, two identities (held by a test): df 128: 57.5 M, df-ud 128: 54.5 M, df-ud 256:
82.8 M, liae-ud 128: 82.4 M, liae-ud 256: 145.3 M, liae-udt 224: 94.9 M, liae-udt 320: 121.7 M; quick96: 38.3 M.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forge.models.blocks import initialise, scaled
from forge.models.contract import Option, Swap, Swapper, SwapSpec
from forge.registry import swappers
from shared.errors import ConfigError
from shared.types import Framing

_LETTERS = "udtc"
_KINDS = ("df", "liae")
_SLOPE = 0.1
_RESIDUAL_SLOPE = 0.2
_EPSILON = 1e-6

Activation = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Architecture:
    """A parsed name such as ``liae-ud``."""

    kind: str
    unit_code: bool
    doubled: bool
    deep: bool
    cosine: bool

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """``df`` or ``liae``, then after a dash any of the letters u, d, t, c.

        Raises:
            ConfigError: anything else.
        """
        kind, _, letters = text.partition("-")
        if kind not in _KINDS or set(letters) - set(_LETTERS) or len(set(letters)) != len(letters):
            raise ConfigError(
                f"no architecture is named {text!r}", hint="df or liae, then a dash and letters of udtc: liae-ud"
            )
        return cls(kind, "u" in letters, "d" in letters, "t" in letters, "c" in letters)


@dataclass(frozen=True)
class Dims:
    """Channel counts: the narrow layer, encoder, decoder and mask decoder."""

    ae: int
    encoder: int
    decoder: int
    mask: int


def _leaky(x: Tensor, slope: float) -> Tensor:
    return nn.functional.leaky_relu(x, slope)


def _cosine(x: Tensor, _slope: float) -> Tensor:
    return x * torch.cos(x)


class _Down(nn.Module):
    def __init__(self, channels: int, out: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 5, stride=2, padding=2)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(x), _SLOPE)


class _Up(nn.Module):
    def __init__(self, channels: int, out: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * out, 3, padding=1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.activation(self.conv(x), _SLOPE), 2)


class _Residual(nn.Module):
    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(self.activation(self.first(x), _RESIDUAL_SLOPE))
        return self.activation(x + inner, _RESIDUAL_SLOPE)


class _Encoder(nn.Module):
    """(B, 3, R, R) -> (B, F) flat code, of unit root mean square where the architecture says so."""

    def __init__(self, channels: int, shape: Architecture, activation: Activation) -> None:
        super().__init__()
        outs = [channels, 2 * channels, 4 * channels, 8 * channels] + ([8 * channels] if shape.deep else [])
        stages: list[nn.Module] = []
        for number, (before, after) in enumerate(zip([3, *outs], outs, strict=False)):
            stages.append(_Down(before, after, activation))
            if shape.deep and number in (0, len(outs) - 1):
                stages.append(_Residual(after, activation))
        self.stages = nn.Sequential(*stages)
        self.unit_code = shape.unit_code
        self.out_channels = outs[-1]
        self.reduction = 2 ** len(outs)

    def forward(self, faces: Tensor) -> Tensor:
        code = self.stages(faces).permute(0, 2, 3, 1).flatten(1)
        if self.unit_code:
            code = code * torch.rsqrt(code.float().square().mean(1, keepdim=True) + _EPSILON).to(code.dtype)
        return code


class _Inter(nn.Module):
    """(B, F) -> (B, out, s, s), or (B, out, 2s, 2s) with its doubling stage."""

    def __init__(self, flat: int, ae: int, out: int, side: int, double: bool, activation: Activation) -> None:
        super().__init__()
        self.narrow = nn.Linear(flat, ae)
        self.widen = nn.Linear(ae, side * side * out)
        self.up = _Up(out, out, activation) if double else nn.Identity()
        self.side, self.out = side, out

    def forward(self, code: Tensor) -> Tensor:
        base = self.widen(self.narrow(code)).unflatten(1, (self.side, self.side, self.out))
        return self.up(base.permute(0, 3, 1, 2))


class _Decoder(nn.Module):
    """(B, C, s, s) -> :class:`Swap` of side R."""

    def __init__(self, channels: int, dims: Dims, shape: Architecture, activation: Activation) -> None:
        super().__init__()
        steps = (8, 8, 4, 2) if shape.deep else (8, 4, 2)
        self.body = self._stages(channels, [step * dims.decoder for step in steps], True, activation)
        last = 2 * dims.decoder
        outs = [nn.Conv2d(last, 3, 1)]
        if shape.doubled:
            outs += [nn.Conv2d(last, 3, 3, padding=1) for _ in range(3)]
        self.outs = nn.ModuleList(outs)
        mask_steps = (*steps, 1) if shape.doubled else steps
        self.mask_body = self._stages(channels, [step * dims.mask for step in mask_steps], False, activation)
        self.mask_out = nn.Conv2d(mask_steps[-1] * dims.mask, 1, 1)

    @staticmethod
    def _stages(channels: int, outs: Sequence[int], residual: bool, activation: Activation) -> nn.Sequential:
        layers: list[nn.Module] = []
        for out in outs:
            layers.append(_Up(channels, out, activation))
            if residual:
                layers.append(_Residual(out, activation))
            channels = out
        return nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Swap:
        body = self.body(latent)
        parts = [out(body) for out in self.outs]
        rgb = parts[0]
        if len(parts) == 4:
            # (B, 4, 3, h, w) -> (B, 3 * 4, h, w): each convolution draws one pixel of every 2x2.
            rgb = nn.functional.pixel_shuffle(torch.stack(parts, 2).flatten(1, 2), 2)
        mask = self.mask_out(self.mask_body(latent))
        return Swap(torch.sigmoid(rgb.float()), torch.sigmoid(mask.float()))


class SaehdSwapper(Swapper):
    """See the module.

    Args:
        name: what the family is registered as.
        identities: two or more people.
        resolution: side of input and output, 64 to 640, a multiple of 16 (with d or t of 32).
        architecture: ``df`` or ``liae`` with letters, see the module.
        dims: channel counts, before ``width``.
        width: multiplier of every channel count.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: a resolution, architecture or width that cannot be; the nearest one that can is named.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self,
        name: str,
        identities: Sequence[str],
        *,
        resolution: int,
        architecture: str,
        dims: Dims,
        width: float,
        framing: Framing,
        options: dict[str, Option],
    ) -> None:
        super().__init__()
        shape = Architecture.parse(architecture)
        check_resolution(resolution, 32 if shape.doubled or shape.deep else 16)
        if not 0 < width <= 4:
            raise ConfigError(f"width must be above 0 and at most 4, got {width}", hint="1.0 is the full size")
        self.spec = SwapSpec(
            name, resolution, resolution, framing, tuple(identities), True, float(width), tuple(options.items())
        )
        dims = Dims(*(scaled(count, width) if width != 1 else count for count in vars(dims).values()))
        activation = _cosine if shape.cosine else _leaky
        self.encoder = _Encoder(dims.encoder, shape, activation)
        flat = self.encoder.out_channels * (resolution // self.encoder.reduction) ** 2
        side = resolution // (32 if shape.doubled else 16)
        per_person = 1 if shape.kind == "df" else len(self.spec.identities)
        out = dims.ae if shape.kind == "df" else 2 * dims.ae
        self.inters = nn.ModuleList(
            _Inter(flat, dims.ae, out, side, not shape.deep, activation) for _ in range(per_person)
        )
        decoders = len(self.spec.identities) if shape.kind == "df" else 1
        channels = out if shape.kind == "df" else 2 * out
        self.decoders = nn.ModuleList(_Decoder(channels, dims, shape, activation) for _ in range(decoders))
        self.kind = shape.kind
        initialise(self)

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, R, R) in [0, 1] -> (B, F) code."""
        return self.encoder(faces)

    def decode(self, latent: Tensor, identity: str) -> Swap:
        """Code -> the face and mask of ``identity``.

        Raises:
            UsageError: this model does not know ``identity``.
        """
        number = self.spec.identities.index(self.check_identity(identity))
        shared = self.inters[0](latent)
        if self.kind == "df":
            return self.decoders[number](shared)
        own = shared if number == 0 else self.inters[number](latent)
        return self.decoders[0](torch.cat([own, shared], 1))


def check_resolution(resolution: int, multiple: int) -> None:
    """Refuses a resolution that the stages cannot make.

    Raises:
        ConfigError: with the nearest resolution that can be.
    """
    if not 64 <= resolution <= 640 or resolution % multiple:
        nearest = min(max(round(resolution / multiple) * multiple, 64), 640)
        raise ConfigError(
            f"resolution must be a multiple of {multiple} from 64 to 640, got {resolution}", hint=f"try {nearest}"
        )


@swappers.register("saehd")
def saehd(
    identities: Sequence[str],
    *,
    resolution: int = 128,
    architecture: str = "liae-ud",
    ae_dims: int = 256,
    encoder_dims: int = 64,
    decoder_dims: int = 64,
    mask_dims: int = 22,
    width: float = 1.0,
    framing: Framing = "full",
) -> SaehdSwapper:
    """DeepFaceLab's SAEHD, by default liae-ud at 128 px: 82.4 M parameters. See the module for the rest."""
    options: dict[str, Option] = {
        "resolution": resolution,
        "architecture": architecture,
        "ae_dims": ae_dims,
        "encoder_dims": encoder_dims,
        "decoder_dims": decoder_dims,
        "mask_dims": mask_dims,
        "framing": framing,
    }
    for name, value, top in (("ae_dims", ae_dims, 1024), ("encoder_dims", encoder_dims, 256)):
        if not 16 <= value <= top:
            raise ConfigError(f"{name} must be 16 to {top}, got {value}", hint="see the defaults")
    dims = Dims(ae_dims, encoder_dims, decoder_dims, mask_dims)
    return SaehdSwapper(
        "saehd",
        identities,
        resolution=resolution,
        architecture=architecture,
        dims=dims,
        width=width,
        framing=framing,
        options=options,
    )


@swappers.register("quick96")
def quick96(identities: Sequence[str], *, width: float = 1.0, framing: Framing = "full") -> SaehdSwapper:
    """DeepFaceLab's Quick96: df-ud at 96 px, ae 128, mask 16; 38.3 M parameters."""
    return SaehdSwapper(
        "quick96",
        identities,
        resolution=96,
        architecture="df-ud",
        dims=Dims(128, 64, 64, 16),
        width=width,
        framing=framing,
        options={"framing": framing},
    )
