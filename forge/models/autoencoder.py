"""The architecture of most families: one shared encoder, and for each identity a colour decoder and a mask decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from forge.models.blocks import RESIDUAL_SLOPE, Decoder, Encoder, Up, initialise, scaled
from forge.models.checks import checked_spec, need_share
from forge.models.contract import Option, Swap, Swapper, SwapSpec
from shared.types import Framing

_SLOPE = 0.1


@dataclass(frozen=True)
class Layout:
    """Channel counts of one family at width 1.

    Convention:
        down: of the encoder's stride-2 stages; dense: of the narrow layer
        base: channels and side of the map after it; up: channels of the latent, whose side is twice the base's
        ups: of the decoder's doubling stages; residuals: how many of them are followed by a residual block
    """

    input_px: int
    down: tuple[int, ...]
    dense: int
    base: tuple[int, int]
    up: int
    ups: tuple[int, ...]
    residuals: int = 0

    @property
    def output_px(self) -> int:
        """Side of the decoded image."""
        return self.base[1] * 2 ** (1 + len(self.ups))


class AutoencoderSwapper(Swapper):
    """One shared encoder, a decoder per identity.

    Args:
        name: what the family is registered as.
        layout: its channel counts.
        identities: two or more people, in the order of their decoders.
        extra: options of the family that determined ``layout``.
        width: multiplier of every channel count but the image's.
        mask: whether each identity has a second, thinner decoder for the face mask.
        mask_width: channels of the mask decoder, as a fraction of the colour decoder's.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: ``width`` or ``mask_width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self,
        name: str,
        layout: Layout,
        identities: Sequence[str],
        extra: Mapping[str, Option] | None = None,
        *,
        width: float = 1.0,
        mask: bool = True,
        mask_width: float = 0.25,
        framing: Framing = "full",
    ) -> None:
        super().__init__()
        need_share("mask_width", mask_width, 1.0)
        self.spec = checked_spec(
            name,
            identities,
            px=(layout.input_px, layout.output_px),
            width=width,
            framing=framing,
            mask=mask,
            options={**(extra or {}), "mask_width": float(mask_width)},
        )
        latent = scaled(layout.up, width)
        ups = [scaled(channels, width) for channels in layout.ups]
        thin = [scaled(channels, width * mask_width) for channels in layout.ups]
        self.encoder = Encoder(
            layout.input_px,
            [scaled(channels, width) for channels in layout.down],
            scaled(layout.dense, width),
            (scaled(layout.base[0], width), layout.base[1]),
            latent,
        )
        # Lists, not dictionaries: a module's name may not hold the dots that an identity's may.
        self.faces = nn.ModuleList(Decoder(latent, ups, 3, residuals=layout.residuals) for _ in identities)
        self.masks = nn.ModuleList(Decoder(latent, thin, 1) for _ in identities) if mask else None
        initialise(self)

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) in [0, 1] -> (B, C, s, s) latent."""
        return self.encoder(faces)

    @override
    def decode(self, latent: Tensor, identity: str) -> Swap:
        number = self.spec.identities.index(self.check_identity(identity))
        return Swap(self.faces[number](latent), self.masks[number](latent) if self.masks is not None else None)

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``, and for every identity ``decoder.<identity>`` and ``mask.<identity>``."""
        found: dict[str, nn.Module] = {"encoder": self.encoder}
        for kind, modules in (("decoder", self.faces), ("mask", self.masks or ())):
            found |= {f"{kind}.{who}": part for who, part in zip(self.spec.identities, modules, strict=False)}
        return found


class MaskedDecoder(nn.Module):
    """(B, C, s, s) -> :class:`Swap` of side ``s * 2**len(ups)``: a colour decoder and a mask decoder.

    Args:
        channels: of the latent.
        ups: channels of the doubling stages; mask_ups: of the mask's, empty for no mask.
        residuals: how many stages of the colour decoder are followed by a residual block.
    """

    def __init__(self, channels: int, ups: Sequence[int], mask_ups: Sequence[int], *, residuals: int = 0) -> None:
        super().__init__()
        self.face = Decoder(channels, ups, 3, residuals=residuals)
        self.mask = Decoder(channels, mask_ups, 1) if mask_ups else None

    @override
    def forward(self, latent: Tensor) -> Swap:
        return Swap(self.face(latent), None if self.mask is None else self.mask(latent))


def strengthened(
    before: int,
    outs: Sequence[int],
    *,
    strong: bool,
    kernel: int = 3,
    resides: Callable[[int], list[nn.Module]],
    otherwise: Callable[[int], list[nn.Module]] = lambda number: [],
) -> list[nn.Module]:
    """Doubling stages of a decoder; if ``strong``, all but the last are followed by residual blocks.

    Args:
        before: channels of the input.
        outs: channels of the stages.
        strong: whether there are residual blocks.
        kernel: of the convolutions that double.
        resides: gives the residual blocks for a number of channels.
        otherwise: gives the layers after a stage, by its number, of a decoder that is not strong.
    """
    layers: list[nn.Module] = []
    for number, (channels, after) in enumerate(zip((before, *outs), outs, strict=False)):
        blocks = strong and number < len(outs) - 1
        layers.append(Up(channels, after, kernel=kernel, slope=RESIDUAL_SLOPE if blocks else _SLOPE))
        layers += resides(after) if blocks else [] if strong else otherwise(number)
    return layers


class TwoPartSwapper(Swapper):
    """One shared encoder, and for each identity a decoder of face and mask.

    Args:
        spec: its inputs, outputs and options.
        encoder: (B, 3, input_px, input_px) -> latent.
        decoders: latent -> :class:`Swap`; one for each of the spec's identities, in their order.
    """

    def __init__(self, spec: SwapSpec, encoder: nn.Module, decoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = encoder
        self.decoders = nn.ModuleList(decoders)
        initialise(self)

    @classmethod
    def lopsided(
        cls, spec: SwapSpec, encoder: nn.Module, decoder: Callable[[bool], nn.Module], *, lopsided: bool
    ) -> TwoPartSwapper:
        """A swapper with a plain ``decoder(False)`` for the first identity if ``lopsided``, else ``decoder(True)``."""
        people = range(len(spec.identities))
        return cls(spec, encoder, [decoder(not lopsided or number > 0) for number in people])

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, input_px, input_px) in [0, 1] -> latent."""
        return self.encoder(faces)

    @override
    def decode(self, latent: Tensor, identity: str) -> Swap:
        return self.decoders[self.spec.identities.index(self.check_identity(identity))](latent)

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``, and for every identity ``decoder.<identity>``."""
        own = zip(self.spec.identities, self.decoders, strict=True)
        return {"encoder": self.encoder, **{f"decoder.{who}": part for who, part in own}}
