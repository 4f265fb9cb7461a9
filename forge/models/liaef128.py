"""``liaef128``: 128 -> 128 px, full face. DeepFaceLab's first model of one decoder and several inters.

Input and output 128 px, framing ``full`` by default, the mask decoder as wide as the colour decoder unless
``mask=False``. The latent is the encoder's flat output of 65,536 numbers; an inter narrows it to 256 and gives 512 x 16
x 16; the decoder reads two of them. 136.1 million parameters for two identities with the mask.

:mod:`forge.models.dfl` says how inters are shared. Because the decoder is shared, very different face shapes swap
better than with ``df``, but the source's identity is kept less well (DeepFaceLab's issue 896). Channel counts from
iperov/DeepFaceLab, branch DFL-1.0 (``Model_LIAEF128``); the code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from forge.models.blocks import initialise, scaled
from forge.models.checks import checked_spec
from forge.models.dfl import FlatEncoder, Inter, PlainDecoder, RoutedSwapper
from forge.models.registry import swappers
from shared.types import Framing

_PX = 128
_ENCODER = 128
_DENSE = 256
_MAP = 512
_UPS = (512, 256, 128)


@swappers.register("liaef128", source="iperov/DeepFaceLab")
class Liaef128Swapper(RoutedSwapper):
    """The ``liaef128`` swapper, see the module.

    Args:
        identities: two or more people; the first one's inter is the shared one.
        mask: whether there is a decoder of the face mask.
        width: multiplier of every channel count.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: ``width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self, identities: Sequence[str], *, mask: bool = True, width: float = 1.0, framing: Framing = "full"
    ) -> None:
        super().__init__()
        self.spec = checked_spec("liaef128", identities, px=_PX, width=width, framing=framing, mask=mask, options={})
        encoder = FlatEncoder(scaled(_ENCODER, width))
        channels, ups = scaled(_MAP, width), [scaled(count, width) for count in _UPS]
        self.kind = "liae"
        self.encoder = encoder
        self.inters = nn.ModuleList(
            Inter(encoder.size(_PX), scaled(_DENSE, width), channels, _PX // 16) for _ in self.spec.identities
        )
        self.decoders = nn.ModuleList([PlainDecoder(2 * channels, ups, ups if mask else None)])
        initialise(self)
