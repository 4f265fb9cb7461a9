"""Layers and wiring of DeepFaceLab's families: df and liae.

``df`` has one shared inter and a decoder for each identity. ``liae`` has one shared decoder, which reads the shared
inter and the identity's own one, concatenated. The first identity's own inter *is* the shared one, as in the original,
so N identities are N inters.

Facts from iperov/DeepFaceLab (``DeepFakeArchi.py``, ``Model_SAEHD``, ``Model_AMP`` as of 2023, ``Model_SAE`` of the
branch DFL-1.0); written anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.blocks import Activation, Down, Residual, Up, leaky, scaled
from forge.models.contract import Option, Swap, Swapper
from shared.types import Framing

_EPSILON = 1e-6


def cosine(x: Tensor, _slope: float) -> Tensor:
    """The activation of option c: x * cos(x)."""
    return x * torch.cos(x)


class FlatEncoder(nn.Module):
    """(B, 3, R, R) -> (B, F): strided convolutions to c, 2c, 4c, 8c, flattened, channels last.

    Args:
        channels: c.
        deep: a fifth stage of 8c, and residual blocks after the first and the last stage.
        unit_code: the code is divided by its root mean square.
        activation: of all layers.
    """

    def __init__(
        self, channels: int, *, deep: bool = False, unit_code: bool = False, activation: Activation = leaky
    ) -> None:
        super().__init__()
        outs = [channels, 2 * channels, 4 * channels, 8 * channels] + ([8 * channels] if deep else [])
        stages: list[nn.Module] = []
        for number, (before, after) in enumerate(zip([3, *outs], outs, strict=False)):
            stages.append(Down(before, after, activation))
            if deep and number in (0, len(outs) - 1):
                stages.append(Residual(after, activation=activation))
        self.stages = nn.Sequential(*stages)
        self.unit_code = unit_code
        self.out_channels = outs[-1]
        self.reduction = 2 ** len(outs)

    def size(self, resolution: int) -> int:
        """F for images of side ``resolution``."""
        return self.out_channels * (resolution // self.reduction) ** 2

    @override
    def forward(self, faces: Tensor) -> Tensor:
        code = self.stages(faces).permute(0, 2, 3, 1).flatten(1)
        if self.unit_code:
            code = code * torch.rsqrt(code.float().square().mean(1, keepdim=True) + _EPSILON).to(code.dtype)
        return code


class Inter(nn.Module):
    """(B, F) -> (B, out, s, s) through a narrow dense layer, or (B, out, 2s, 2s) with its doubling stage."""

    def __init__(
        self, flat: int, dense: int, out: int, side: int, *, double: bool = True, activation: Activation = leaky
    ) -> None:
        super().__init__()
        self.narrow = nn.Linear(flat, dense)
        self.widen = nn.Linear(dense, side * side * out)
        self.up = Up(out, out, activation=activation) if double else nn.Identity()
        self.side, self.out = side, out

    @override
    def forward(self, code: Tensor) -> Tensor:
        base = self.widen(self.narrow(code)).unflatten(1, (self.side, self.side, self.out))
        return self.up(base.permute(0, 3, 1, 2))


class HdDecoder(nn.Module):
    """(B, C, s, s) -> :class:`Swap`: the decoder of SAEHD and AMP.

    Doubling stages to 8d, 4d, 2d, a residual block after each, a 1x1 convolution; the mask's to 8m, 4m, 2m without
    residual blocks.

    Args:
        channels: C.
        dims: d. mask_dims: m.
        deep: one more stage of 8d and 8m at the start.
        doubled: four output convolutions (one 1x1, three 3x3) each give one pixel of every 2x2, and the mask has one
            more stage, of m.
        activation: of all layers.
    """

    def __init__(
        self,
        channels: int,
        dims: int,
        mask_dims: int,
        *,
        deep: bool,
        doubled: bool,
        activation: Activation = leaky,
    ) -> None:
        super().__init__()
        steps = (8, 8, 4, 2) if deep else (8, 4, 2)
        self.body = stages(channels, [step * dims for step in steps], 1, activation)
        outs = [nn.Conv2d(2 * dims, 3, 1)]
        if doubled:
            outs += [nn.Conv2d(2 * dims, 3, 3, padding=1) for _ in range(3)]
        self.outs = nn.ModuleList(outs)
        mask_steps = (*steps, 1) if doubled else steps
        self.mask_body = stages(channels, [step * mask_dims for step in mask_steps], 0, activation)
        self.mask_out = nn.Conv2d(mask_steps[-1] * mask_dims, 1, 1)

    @override
    def forward(self, latent: Tensor) -> Swap:
        body = self.body(latent)
        parts = [out(body) for out in self.outs]
        rgb = parts[0]
        if len(parts) == 4:
            # (B, 3, 4, h, w) -> (B, 12, h, w): each convolution gives one pixel of every 2x2.
            rgb = nn.functional.pixel_shuffle(torch.stack(parts, 2).flatten(1, 2), 2)
        mask = self.mask_out(self.mask_body(latent))
        return Swap(torch.sigmoid(rgb.float()), torch.sigmoid(mask.float()))


class PlainDecoder(nn.Module):
    """(B, C, s, s) -> :class:`Swap`: the decoder of LIAEF128 and SAE.

    Args:
        channels: C.
        ups: channels of the doubling stages. mask_ups: of the mask's, or None for no mask.
        residuals: residual blocks after each colour stage.
        coarser: how many stages before the last one give an image too.
    """

    def __init__(
        self, channels: int, ups: Sequence[int], mask_ups: Sequence[int] | None, *, residuals: int = 0, coarser: int = 0
    ) -> None:
        super().__init__()
        befores = [channels, *ups]
        self.stages = nn.ModuleList(
            stages(before, [after], residuals, leaky) for before, after in zip(befores, ups, strict=False)
        )
        with_output = ups[len(ups) - 1 - coarser :]
        self.outs = nn.ModuleList(nn.Conv2d(after, 3, 5, padding=2) for after in with_output)
        self.mask_body = None if mask_ups is None else stages(channels, mask_ups, 0, leaky)
        self.mask_out = None if mask_ups is None else nn.Conv2d(mask_ups[-1], 1, 5, padding=2)

    @override
    def forward(self, latent: Tensor) -> Swap:
        body, images = latent, []
        silent = len(self.stages) - len(self.outs)
        for number, stage in enumerate(self.stages):
            body = stage(body)
            if number >= silent:
                images.append(torch.sigmoid(self.outs[number - silent](body).float()))
        mask = None
        if self.mask_body is not None and self.mask_out is not None:
            mask = torch.sigmoid(self.mask_out(self.mask_body(latent)).float())
        rgb, *smaller = reversed(images)
        return Swap(rgb, mask, tuple(Swap(image, None) for image in smaller))


class RoutedSwapper(Swapper):
    """``df`` or ``liae`` with the parts that a family builds, see the module.

    A family sets ``spec``, ``kind``, ``encoder`` (faces to a flat code), ``inters`` (code to a map; one, or one for
    each identity) and ``decoders`` (map to :class:`Swap`; one for each identity, or one).
    """

    kind: str
    encoder: nn.Module
    inters: nn.ModuleList
    decoders: nn.ModuleList

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, R, R) in [0, 1] -> (B, F) latent."""
        return self.encoder(faces)

    @override
    def decode(self, latent: Tensor, identity: str) -> Swap:
        number = self.spec.identities.index(self.check_identity(identity))
        shared = self.inters[0](latent)
        if self.kind == "df":
            return self.decoders[number](shared)
        own = shared if number == 0 else self.inters[number](latent)
        return self.decoders[0](torch.cat([own, shared], 1))

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``, ``inter``, and ``decoder.<identity>`` (df) or ``inter.<identity>`` and ``decoder`` (liae).

        The first identity of liae has no inter of its own.
        """
        found: dict[str, nn.Module] = {"encoder": self.encoder, "inter": self.inters[0]}
        others = zip(self.spec.identities[1:], list(self.inters)[1:], strict=False)
        found |= {f"inter.{who}": part for who, part in others}
        if self.kind == "df":
            decoders = zip(self.spec.identities, self.decoders, strict=True)
            return found | {f"decoder.{who}": part for who, part in decoders}
        return found | {"decoder": self.decoders[0]}


def stages(channels: int, outs: Sequence[int], residuals: int, activation: Activation) -> nn.Sequential:
    """Doubling stages to ``outs``, ``residuals`` residual blocks after each."""
    layers: list[nn.Module] = []
    for out in outs:
        layers.append(Up(channels, out, activation=activation))
        layers.extend(Residual(out, activation=activation) for _ in range(residuals))
        channels = out
    return nn.Sequential(*layers)


def old_two_decoders(
    name: str,
    layout: Layout,
    identities: Sequence[str],
    options: Mapping[str, Option] | None = None,
    *,
    width: float,
    mask: bool,
    mask_width: float,
    framing: Framing,
) -> AutoencoderSwapper:
    """A swapper of the old models with a decoder for each identity: the width of their masks is not an option.

    Raises:
        ConfigError: ``width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """
    swapper = AutoencoderSwapper(
        name, layout, identities, options, width=width, mask=mask, mask_width=mask_width, framing=framing
    )
    kept = tuple((name, value) for name, value in swapper.spec.options if name != "mask_width")
    swapper.spec = replace(swapper.spec, options=kept)
    return swapper


def narrowed(channels: int, width: float) -> int:
    """``channels`` unchanged at width 1 (22 and 42 are no multiples of 8), else as ``blocks.scaled`` gives them."""
    return channels if width == 1 else scaled(channels, width)
