"""The shape that most families share: one encoder, and for every identity one decoder of colour and one of the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from torch import Tensor, nn

from forge.models.blocks import Decoder, Encoder, initialise, scaled
from forge.models.contract import Option, Swap, Swapper, SwapSpec
from shared.errors import ConfigError
from shared.registry import near_matches
from shared.types import Framing


@dataclass(frozen=True)
class Layout:
    """Channel counts of one family at width 1.

    Convention:
        down: of the encoder's stride-2 stages; dense: of the narrow layer
        base: channels and side of the map behind it; up: channels of the latent, whose side is twice the base's
        ups: of the decoder's doubling stages; residuals: how many of them have a residual block behind them
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
        """Side of the decoded picture."""
        return self.base[1] * 2 ** (1 + len(self.ups))


class AutoencoderSwapper(Swapper):
    """One shared encoder, a decoder per identity.

    Args:
        name: what the family is registered as.
        layout: its numbers.
        identities: two or more people, in the order of their decoders.
        width: multiplier of every channel count but the picture's.
        mask: whether each decoder has a second, thinner one beside it that draws the face's mask.
        mask_width: channels of that one, as a fraction of the colour decoder's.
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
        *,
        width: float = 1.0,
        mask: bool = True,
        mask_width: float = 0.25,
        framing: Framing = "full",
    ) -> None:
        super().__init__()
        if framing not in get_args(Framing):
            raise ConfigError(f"no framing is named {framing!r}", hint=near_matches(framing, list(get_args(Framing))))
        _check_range("width", width, 4.0)
        _check_range("mask_width", mask_width, 1.0)
        options: dict[str, Option] = {"mask": mask, "mask_width": float(mask_width), "framing": framing}
        self.spec = SwapSpec(
            name=name,
            input_px=layout.input_px,
            output_px=layout.output_px,
            framing=framing,
            identities=tuple(identities),
            has_mask=mask,
            width=float(width),
            options=tuple(options.items()),
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

    def decode(self, latent: Tensor, identity: str) -> Swap:
        """Latent -> the face of ``identity``.

        Raises:
            UsageError: this model does not know ``identity``.
        """
        number = self.spec.identities.index(self.check_identity(identity))
        return Swap(self.faces[number](latent), self.masks[number](latent) if self.masks is not None else None)

    def parts(self) -> Mapping[str, nn.Module]:
        """``encoder``, and for every identity ``decoder.<identity>`` and ``mask.<identity>``."""
        found: dict[str, nn.Module] = {"encoder": self.encoder}
        for kind, modules in (("decoder", self.faces), ("mask", self.masks or ())):
            found |= {f"{kind}.{who}": part for who, part in zip(self.spec.identities, modules, strict=False)}
        return found


def _check_range(name: str, value: float, top: float) -> None:
    if not 0 < value <= top:
        raise ConfigError(f"{name} must be above 0 and at most {top:g}, got {value}", hint="1.0 is the full size")
