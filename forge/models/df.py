"""``df``: 128 -> 128 px, full face. DeepFaceLab's old two-decoder model for the whole face: the network of ``h128``.

Input and output 128 px, framing ``full`` by default, masks as wide as the colour decoders unless ``mask=False``,
latent 512 x 16 x 16 behind a dense layer of 512. 138.4 million parameters for two identities with masks.

It differs from ``h128`` in framing and in how it was trained (squared error for the mask, one optimizer for each
identity; here one optimizer for all). Facts from iperov/DeepFaceLab, branch DFL-1.0 (``Model_DF``); the code is our
own.
"""

from __future__ import annotations

from collections.abc import Sequence

from forge.models.autoencoder import AutoencoderSwapper
from forge.models.dfl import old_two_decoders
from forge.models.h128 import LAYOUT
from forge.models.registry import swappers
from shared.types import Framing


@swappers.register("df", source="iperov/DeepFaceLab")
def df(
    identities: Sequence[str], *, mask: bool = True, width: float = 1.0, framing: Framing = "full"
) -> AutoencoderSwapper:
    """A ``df`` swapper, see the module.

    Raises:
        ConfigError: ``width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """
    return old_two_decoders("df", LAYOUT, identities, width=width, mask=mask, mask_width=1.0, framing=framing)
