"""``h64``: 64 -> 64 px, half face. DeepFaceLab's smallest old model: one encoder, a decoder with its mask per identity.

Input and output 64 px, framing ``half`` by default, masks half as wide as the colour decoders unless ``mask=False``,
latent 512 x 8 x 8 behind a dense layer of 1024. 112.8 million parameters for two identities with masks.

``lighter`` is its variant for GPUs with little memory: a last stage of 768, dense 512, latent 256 x 8 x 8, decoders
half as wide; 44.5 million parameters.

Channel counts from iperov/DeepFaceLab, branch DFL-1.0 (``Model_H64``); the code is our own. Its loss was 10 DSSIM or
50 MSE inside the mask and the mask's absolute error.
"""

from __future__ import annotations

from collections.abc import Sequence

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.contract import Option
from forge.models.dfl import old_two_decoders
from forge.models.registry import swappers
from shared.types import Framing

_LAYOUT = Layout(64, down=(128, 256, 512, 1024), dense=1024, base=(1024, 4), up=512, ups=(512, 256, 128))
_LIGHTER = Layout(64, down=(128, 256, 512, 768), dense=512, base=(512, 4), up=256, ups=(256, 128, 64))


@swappers.register("h64", source="iperov/DeepFaceLab")
def h64(
    identities: Sequence[str],
    *,
    lighter: bool = False,
    mask: bool = True,
    width: float = 1.0,
    framing: Framing = "half",
) -> AutoencoderSwapper:
    """An ``h64`` swapper, see the module.

    Raises:
        ConfigError: ``width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """
    layout, mask_width = (_LIGHTER, 1.0) if lighter else (_LAYOUT, 0.5)
    options: dict[str, Option] = {"lighter": lighter}
    return old_two_decoders(
        "h64", layout, identities, options, width=width, mask=mask, mask_width=mask_width, framing=framing
    )
