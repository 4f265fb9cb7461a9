"""``timm``: any encoder of timm, with shared or separate bottlenecks, 64 to 1024 px out.

==========  =========================================================================================================
input       ``input_px``, 224 by default: a multiple of the encoder's reduction; any framing (full by default)
output      64, 80, 96, 112, 128, 160, 192, 224, 256 (default), 320 and so on to 1024 px
masks       a thinner decoder (``mask_width``) beside the colour decoder; off with ``mask = false``
latent      ``dense`` numbers, 512 by default, in each bottleneck
parameters  99.1 M with EfficientNet-B4 at the defaults, two identities, no masks
source      the idea of ``phaze-a`` of deepfakes/faceswap, with timm's encoders instead of Keras'
==========  =========================================================================================================

The encoder's last map goes to a bottleneck: flattened into a dense layer, or averaged or maximised over the map first;
widened to a small map and doubled. ``split`` is one of

* ``shared``: one for all identities, as in ``original``; the decoders tell them apart.
* ``own``: one for each identity.
* ``half``: one for each identity and a shared one, concatenated, as in ``iae`` and LIAE.

With ``own`` and ``half`` the decoder may be shared too (``decoder = "shared"``).

A small map of 4 to 7 px is doubled until it has the output's side, which is why 288 px, being 9 times 32, is refused.
Channels halve from ``decoder_channels`` at every doubling and stay at 32. ``width`` scales everything but the encoder.

No weights are downloaded: the encoder starts at random, or with ``pretrained = true`` from ImageNet weights that are
already in the Hugging Face cache. That option is about the start of training and is not exported. The code is our own.
"""

# timm is imported where it is used: reading all its models takes longer than most commands.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.autoencoder import MaskedDecoder
from forge.models.blocks import Up, initialise, scaled
from forge.models.checks import checked_spec, need_between, need_choice, need_multiple, need_share, need_size
from forge.models.contract import Option, Swap, Swapper, SwapSpec
from forge.models.registry import swappers
from shared.errors import ConfigError
from shared.registry import near_matches
from shared.types import Framing

POOLS = ("dense", "average", "max")
SPLITS = ("shared", "own", "half")
DECODERS = ("own", "shared")
OUTPUT_PX = tuple(
    sorted(side << doublings for doublings in range(4, 9) for side in (4, 5, 6, 7) if side << doublings <= 1024)
)
"""Sizes that a map of 4 to 7 px can be doubled to."""

_LEAST_CHANNELS = 32
_BASE_CHANNELS = 1024


@dataclass(frozen=True)
class Shape:
    """Input and output of timm's encoder ``name``: input side, last map (C, h, w), mean and standard deviation."""

    name: str
    px: int
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class TimmOptions:
    """The options of one ``timm`` swapper beside its encoder, all checked.

    Convention:
        pool: how the encoder's map is flattened; split, decoder: whether bottleneck and decoder are shared
        dense: of the narrow layer; side: of the map after it; channels: of the map that decoders read
        ups, mask_ups: of the doubling stages, the latter empty without a mask; residuals: stages with a residual block
    """

    pool: str
    split: str
    decoder: str
    dense: int
    side: int
    base: int
    channels: int
    ups: tuple[int, ...]
    mask_ups: tuple[int, ...]
    residuals: int


class TimmEncoder(nn.Module):
    """(B, 3, px, px) in [0, 1] -> (B, C, h, w): the last map of timm's encoder."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, *, weights: str | None = None) -> None:
        super().__init__()
        self.net = _net(shape.name, shape.px, weights)
        self.channels_last = _gives_channels_last(self.net)
        self.register_buffer("mean", torch.tensor(shape.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(shape.std).view(1, 3, 1, 1))

    @override
    def forward(self, faces: Tensor) -> Tensor:
        seen = self.net((faces - self.mean) / self.std)[0]
        return seen.permute(0, 3, 1, 2) if self.channels_last else seen


class Bottleneck(nn.Module):
    """(B, C, h, w) -> (B, out, 2 * side, 2 * side) through a narrow dense layer."""

    def __init__(self, shape: Shape, plan: TimmOptions, share: float) -> None:
        super().__init__()
        self.pool, self.side, self.base = plan.pool, plan.side, scaled(plan.base, share)
        area = shape.height * shape.width if plan.pool == "dense" else 1
        self.narrow = nn.Linear(shape.channels * area, plan.dense)
        self.widen = nn.Linear(plan.dense, self.base * plan.side**2)
        self.up = Up(self.base, scaled(plan.channels, share))
        self.out = scaled(plan.channels, share)

    @override
    def forward(self, seen: Tensor) -> Tensor:
        base = self.widen(self.narrow(self._flat(seen))).unflatten(1, (self.side, self.side, self.base))
        return self.up(base.permute(0, 3, 1, 2))

    def _flat(self, seen: Tensor) -> Tensor:
        if self.pool == "average":
            return seen.mean((2, 3))
        if self.pool == "max":
            return seen.amax((2, 3))
        return seen.permute(0, 2, 3, 1).flatten(1)


class TimmSwapper(Swapper):
    """The ``timm`` swapper, see the module.

    Args:
        spec: its inputs, outputs and options.
        shape: of the encoder.
        plan: options of all layers after it.
        weights: a safetensors file of timm's that the encoder starts from; None for random ones.
    """

    def __init__(self, spec: SwapSpec, shape: Shape, plan: TimmOptions, weights: str | None) -> None:
        super().__init__()
        self.spec = spec
        people = len(spec.identities)
        share = 0.5 if plan.split == "half" else 1.0
        self.encoder = TimmEncoder(shape, weights=weights)
        self.shared = None if plan.split == "own" else Bottleneck(shape, plan, share)
        own = 0 if plan.split == "shared" else people
        self.inters = nn.ModuleList(Bottleneck(shape, plan, share) for _ in range(own))
        latent = (self.shared.out if self.shared else 0) + (self.inters[0].out if own else 0)  # type: ignore[operator]
        self.decoders = nn.ModuleList(
            MaskedDecoder(int(latent), plan.ups, plan.mask_ups, residuals=plan.residuals)
            for _ in range(1 if plan.decoder == "shared" else people)
        )
        # timm initialises its encoder itself.
        for part in (self.shared, self.inters, self.decoders):
            if part is not None:
                initialise(part)

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) in [0, 1] -> (B, C, h, w)."""
        return self.encoder(faces)

    @override
    def decode(self, latent: Tensor, identity: str) -> Swap:
        number = self.spec.identities.index(self.check_identity(identity))
        sides = [self.inters[number](latent)] if len(self.inters) else []
        if self.shared is not None:
            sides.append(self.shared(latent))
        both = torch.cat(sides, 1) if len(sides) > 1 else sides[0]
        return self.decoders[number if len(self.decoders) > 1 else 0](both)

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``; ``inter`` and ``inter.<identity>`` where there are; ``decoder`` or ``decoder.<identity>``."""
        found: dict[str, nn.Module] = {"encoder": self.encoder}
        if self.shared is not None:
            found["inter"] = self.shared
        found |= {f"inter.{who}": inter for who, inter in zip(self.spec.identities, self.inters, strict=False)}
        if len(self.decoders) == 1:
            return {**found, "decoder": self.decoders[0]}
        return found | {f"decoder.{who}": one for who, one in zip(self.spec.identities, self.decoders, strict=True)}


@swappers.register(
    "timm",
    source="deepfakes/faceswap",
    tiny={"encoder": "test_efficientnet", "input_px": 64, "output_px": 64},
)
def timm_swapper(
    identities: Sequence[str],
    *,
    width: float = 1.0,
    encoder: str = "efficientnet_b4",
    input_px: int = 224,
    output_px: int = 256,
    pool: str = "dense",
    dense: int = 512,
    split: str = "shared",
    decoder: str = "own",
    decoder_channels: int = 512,
    residuals: int = 3,
    pretrained: bool = False,
    mask: bool = True,
    mask_width: float = 0.25,
    framing: Framing = "full",
) -> TimmSwapper:
    """A ``timm`` swapper.

    Args:
        identities: two or more people.
        width: multiplier of every channel count after the encoder.
        encoder: a name that timm knows, such as convnext_tiny or vit_base_patch16_clip_224.
        input_px: of the crops, a multiple of the encoder's reduction (14, 16 or 32) up to 1024.
        output_px: one of :data:`OUTPUT_PX`.
        pool: dense, average or max: how the encoder's map is flattened.
        dense: of the narrow layer, 16 to 4096.
        split: shared, own or half bottlenecks, see the module.
        decoder: own or shared.
        decoder_channels: of the map that decoders read, 32 to 2048.
        residuals: how many doubling stages are followed by a residual block, 0 to 8.
        pretrained: start the encoder from cached ImageNet weights.
        mask: whether the face's mask is learned.
        mask_width: channels of its decoder, as a fraction of the colour decoder's.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range, or weights are not cached; the message names the nearest choice.
        UsageError: fewer than two identities, or one twice.
    """
    _check_choices(pool, split, decoder)
    _check_sizes(output_px, dense, decoder_channels, residuals, mask_width)
    options: dict[str, Option] = {
        "encoder": encoder,
        "input_px": input_px,
        "output_px": output_px,
        "pool": pool,
        "dense": dense,
        "split": split,
        "decoder": decoder,
        "decoder_channels": decoder_channels,
        "residuals": residuals,
        "mask_width": float(mask_width),
    }
    spec = checked_spec(
        "timm", identities, px=(input_px, output_px), width=width, framing=framing, mask=mask, options=options
    )
    shape = encoder_shape(encoder, input_px)
    plan = TimmOptions(
        pool=pool,
        split=split,
        decoder=decoder,
        dense=scaled(dense, width),
        side=_base_side(output_px),
        base=scaled(_BASE_CHANNELS, width),
        channels=scaled(decoder_channels, width),
        ups=_ups(output_px, decoder_channels, width),
        mask_ups=_ups(output_px, decoder_channels, width * mask_width) if mask else (),
        residuals=residuals,
    )
    return TimmSwapper(spec, shape, plan, cached_weights(encoder) if pretrained else None)


@lru_cache(maxsize=32)
def encoder_shape(name: str, px: int) -> Shape:
    """Input and output of timm's encoder ``name`` for faces of ``px``, found on the meta device.

    Raises:
        ConfigError: timm has no such encoder, it cannot give its map, or not at that size; the nearest is named.
    """
    import timm

    if not timm.is_model(name):
        raise ConfigError(
            f"timm has no encoder {name!r}",
            hint=near_matches(name, timm.list_models(), listed_by="assay detect models"),
        )
    native = int(timm.get_pretrained_cfg_value(name, "input_size")[-1])  # type: ignore[index]
    with torch.device("meta"), torch.no_grad():
        multiple = int(_net(name, native).feature_info.reduction()[-1])  # type: ignore[union-attr, operator]
        need_multiple("input_px", px, multiple, -(-_LEAST_CHANNELS // multiple) * multiple, 1024 // multiple * multiple)
        net = _net(name, px)
        try:
            seen = net.eval()(torch.zeros(1, 3, px, px))[0]
        except (RuntimeError, AssertionError, ValueError) as error:
            raise ConfigError(f"{name} cannot read faces of {px} px: {error}", hint=f"try {native}") from error
    if _gives_channels_last(net):
        seen = seen.permute(0, 3, 1, 2)
    config: Any = net.pretrained_cfg
    _, channels, height, width = seen.shape
    return Shape(name, px, channels, height, width, tuple(config["mean"]), tuple(config["std"]))


def cached_weights(name: str) -> str:
    """Path of timm's weights of ``name`` in the Hugging Face cache.

    Raises:
        ConfigError: timm has none, or they were never downloaded.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    repository = timm.get_pretrained_cfg_value(name, "hf_hub_id")
    if not isinstance(repository, str):
        raise ConfigError(f"timm has no pretrained weights of {name}", hint="leave pretrained out")
    path = try_to_load_from_cache(repository, "model.safetensors")
    if not isinstance(path, str):
        raise ConfigError(
            f"the pretrained weights of {name} ({repository}) are not on this machine",
            hint="leave pretrained out, or fetch them first: hf download " + repository,
        )
    return path


def _check_choices(pool: str, split: str, decoder: str) -> None:
    need_choice("pool", pool, POOLS)
    need_choice("split", split, SPLITS)
    need_choice("decoder", decoder, DECODERS)
    if split == decoder == "shared":
        raise ConfigError(
            "with a shared bottleneck and a shared decoder all identities would look alike",
            hint='split = "half" or decoder = "own"',
        )


def _check_sizes(output_px: int, dense: int, decoder_channels: int, residuals: int, mask_width: float) -> None:
    need_size("output_px", output_px, OUTPUT_PX)
    need_between("dense", dense, 16, 4096)
    need_between("decoder_channels", decoder_channels, 32, 2048)
    need_between("residuals", residuals, 0, 8)
    need_share("mask_width", mask_width, 1.0)


def _net(name: str, px: int, weights: str | None = None) -> nn.Module:
    """The encoder of timm with its last map as the only output.

    Raises:
        ConfigError: timm cannot build it at this size.
    """
    import timm

    settings: dict[str, Any] = {"img_size": px} if timm.get_pretrained_cfg_value(name, "fixed_input_size") else {}
    if weights is not None:
        settings["pretrained_cfg_overlay"] = {"file": weights}
    try:
        return timm.create_model(
            name, pretrained=weights is not None, features_only=True, out_indices=(-1,), **settings
        )
    except (RuntimeError, AssertionError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"timm cannot build {name} as an encoder at {px} px: {error}",
            hint="try efficientnet_b4, convnext_tiny or resnet50",
        ) from error


def _gives_channels_last(net: nn.Module) -> bool:
    return str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC")


def _base_side(output_px: int) -> int:
    side = output_px
    while side >= 8:
        side //= 2
    return side


def _ups(output_px: int, channels: int, width: float) -> tuple[int, ...]:
    """Channels of the doublings after the bottleneck's own."""
    doublings = (output_px // _base_side(output_px)).bit_length() - 2
    return tuple(scaled(max(_LEAST_CHANNELS, channels >> number), width) for number in range(doublings))
