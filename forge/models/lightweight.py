"""``lightweight``: 64 -> 64 px. A smaller encoder and dense layer than ``original``, and larger decoders.

==========  ==========================================================================================================
input       64 px, any framing (full by default)
output      64 px
masks       a thinner decoder (``mask_width``) beside each colour decoder; off with ``mask = false``
latent      512 numbers, widened to a 256x8x8 map that the decoders read
parameters  51.1 M for two identities without masks, as published
source      deepfakes/faceswap, ``lightweight``
==========  ==========================================================================================================

The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.registry import swappers

_LAYOUT = Layout(64, down=(128, 256, 512), dense=512, base=(512, 4), up=256, ups=(512, 256, 128))


@swappers.register("lightweight", source="deepfakes/faceswap")
def lightweight(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """A ``lightweight`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("lightweight", _LAYOUT, identities, **options)
