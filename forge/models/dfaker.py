"""``dfaker``: 64 -> 128 px. The encoder of ``original``; decoders with a stage more and residual blocks between.

Channel counts as published for the model of that name in deepfakes/faceswap, after dfaker/df: 144.6 million
parameters for two identities with full masks (``mask_width=1``). The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.registry import swappers

_LAYOUT = Layout(
    64, down=(128, 256, 512, 1024), dense=1024, base=(1024, 4), up=512, ups=(512, 256, 128, 64), residuals=3
)


@swappers.register("dfaker")
def dfaker(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """A ``dfaker`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("dfaker", _LAYOUT, identities, **options)
