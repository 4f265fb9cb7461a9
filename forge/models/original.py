"""``original``: 64 -> 64 px, the network of the first face-swap tools.

==========  ==========================================================================================================
input       64 px, any framing (full by default)
output      64 px
masks       a thinner decoder (``mask_width``) beside each colour decoder; off with ``mask = false``
latent      1024 numbers, widened to a 512x8x8 map that the decoders read
parameters  82.1 M for two identities without masks, as published
source      deepfakes/faceswap, ``original`` (2017)
==========  ==========================================================================================================

The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.registry import swappers

_LAYOUT = Layout(64, down=(128, 256, 512, 1024), dense=1024, base=(1024, 4), up=512, ups=(256, 128, 64))


@swappers.register("original", source="deepfakes/faceswap")
def original(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """An ``original`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("original", _LAYOUT, identities, **options)
