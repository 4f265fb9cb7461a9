"""``original``: 64 -> 64 px, the network that began the field.

Channel counts as published for the model of that name in deepfakes/faceswap (2017): 82.1 million parameters for two
identities without masks. The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.registry import swappers

_LAYOUT = Layout(64, down=(128, 256, 512, 1024), dense=1024, base=(1024, 4), up=512, ups=(256, 128, 64))


@swappers.register("original")
def original(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """An ``original`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("original", _LAYOUT, identities, **options)
