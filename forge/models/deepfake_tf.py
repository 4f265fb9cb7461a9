"""``deepfake-tf``: the network of ``dfaker`` with that project's choice of losses, and without four of its faults.

==========  ==========================================================================================================
input       64 px, any framing (full by default)
output      128 px
masks       a thinner decoder (``mask_width``) beside each colour decoder; off with ``mask = false``
latent      1024 numbers, widened to a 512x8x8 map that the decoders read
parameters  144.6 M for two identities with full masks (``mask_width = 1``): ``dfaker``'s, as published
source      StromWine/DeepFake_tf (2018), which re-implements dfaker/df
==========  ==========================================================================================================

Losses are settings of training; the recipe ``deepfake-tf`` holds the project's default. It has four:
DSSIM; 0.2 DSSIM with MSE; MSE; MAE; each with the mask's squared error at 0.1 (1.0 beside the mixed one). Adam 1e-4
with a first momentum of 0.5, batches of 16.

Its faults, and what is done here:

* Its warp to landmarks keeps coordinates in eight bits, so that they wrap round at 256: here they are float32.
* Its second pass over a swapped frame is computed and thrown away: here only the last pass is pasted.
* It trains on 160 of 240 px and pastes 272 of 368, about 11 % larger: here framing belongs to the model's spec, and
  extraction, training and pasting all read it there.
* Its learning rate falls by a tenth every 1000 steps, to 5e-7 by 50 000, where learning stops: here the recipe keeps
  it constant and lets it fall along a cosine at the end.

The code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forge.models.autoencoder import AutoencoderSwapper
from forge.models.dfaker import LAYOUTS
from forge.models.registry import swappers

_PX = 128


@swappers.register("deepfake-tf", source="StromWine/DeepFake_tf", recipe="deepfake-tf")
def deepfake_tf(identities: Sequence[str], **options: Any) -> AutoencoderSwapper:
    """A ``deepfake-tf`` swapper; ``options`` as :class:`~forge.models.autoencoder.AutoencoderSwapper` names them."""
    return AutoencoderSwapper("deepfake-tf", LAYOUTS[_PX], identities, **options)
