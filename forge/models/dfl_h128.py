"""``dfl-h128``: 128 -> 128 px. Four stages down to a narrow dense layer of 512 over an 8x8 map, three stages up.

==========  ==========================================================================================================
input       128 px, any framing (full by default; the original used half faces)
output      128 px
masks       a thinner decoder (``mask_width``) beside each colour decoder; off with ``mask = false``
latent      512 numbers, widened to a 512x16x16 map that the decoders read
parameters  107.7 M for two identities without masks, 138.4 M with full ones (``mask_width = 1``), as published
source      deepfakes/faceswap, ``dfl-h128``, after H128 of DeepFaceLab 1.0
==========  ==========================================================================================================

The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.registry import swappers

_LAYOUT = Layout(128, down=(128, 256, 512, 1024), dense=512, base=(512, 8), up=512, ups=(512, 256, 128))


@swappers.register("dfl-h128", source="deepfakes/faceswap")
def dfl_h128(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """A ``dfl-h128`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("dfl-h128", _LAYOUT, identities, **options)
