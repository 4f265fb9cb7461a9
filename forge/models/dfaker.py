"""``dfaker``: 64 -> 128 or 128 -> 256 px. The encoder of ``original``; decoders with residual blocks between stages.

==========  ==========================================================================================================
input       half the output, any framing (full by default)
output      128 px, or 256 with ``output_px = 256``
masks       a thinner decoder (``mask_width``) beside each colour decoder; off with ``mask = false``
latent      1024 numbers, widened to a 512x8x8 map that the decoders read
parameters  two identities, full masks (``mask_width = 1``): 144.6 M as published; 345.9 M for 128 -> 256 px
source      deepfakes/faceswap, ``dfaker``, after dfaker/df; the count at 256 px follows from the published layers
==========  ==========================================================================================================

At 256 px every decoder, the mask's too, begins with one more stage of 1024 channels, and the encoder's narrow layer
sees an 8x8 map. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.checks import need_size
from forge.models.registry import swappers

_SMALL = Layout(
    64, down=(128, 256, 512, 1024), dense=1024, base=(1024, 4), up=512, ups=(512, 256, 128, 64), residuals=3
)
_LARGE = Layout(
    128, down=(128, 256, 512, 1024), dense=1024, base=(1024, 4), up=512, ups=(1024, 512, 256, 128, 64), residuals=4
)
LAYOUTS = {128: _SMALL, 256: _LARGE}
"""By side of the output."""


@swappers.register("dfaker", source="deepfakes/faceswap")
def dfaker(identities: Sequence[str], *, output_px: int = 128, **options: Any) -> AutoencoderSwapper:
    """A ``dfaker`` swapper of 128 or 256 px; other ``options`` as ``AutoencoderSwapper`` names them.

    Raises:
        ConfigError: another ``output_px``, or an option out of range.
        UsageError: fewer than two identities, or one twice.
    """
    need_size("output_px", output_px, tuple(LAYOUTS))
    return AutoencoderSwapper("dfaker", LAYOUTS[output_px], identities, {"output_px": output_px}, **options)
