"""``lightweight``: 64 -> 64 px, one stage less in the encoder and half the dense layer, more in the decoders.

Channel counts as published for the model of that name in deepfakes/faceswap: 51.1 million parameters for two
identities without masks. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.registry import swappers

_LAYOUT = Layout(64, down=(128, 256, 512), dense=512, base=(512, 4), up=256, ups=(512, 256, 128))


@swappers.register("lightweight")
def lightweight(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """A ``lightweight`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("lightweight", _LAYOUT, identities, **options)
