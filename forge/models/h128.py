"""``h128``: 128 -> 128 px, half face. DeepFaceLab's larger old model of two decoders.

Input and output 128 px, framing ``half`` by default, masks as wide as the colour decoders unless ``mask=False``,
latent 512 x 16 x 16 behind a dense layer of 512. 138.4 million parameters for two identities with masks.

``lighter``: dense 256, latent 256 x 16 x 16, decoders half as wide; 55.9 million parameters.

Channel counts from iperov/DeepFaceLab, branch DFL-1.0 (``Model_H128``); the code is our own. ``dfl-h128`` is faceswap's
version of the same network, with the masks an option.
"""

from __future__ import annotations

from collections.abc import Sequence

from forge.models.autoencoder import AutoencoderSwapper, Layout
from forge.models.contract import Option
from forge.models.dfl import old_two_decoders
from forge.models.registry import swappers
from shared.types import Framing

LAYOUT = Layout(128, down=(128, 256, 512, 1024), dense=512, base=(512, 8), up=512, ups=(512, 256, 128))
"""Layout of ``h128`` and ``df``."""

_LIGHTER = Layout(128, down=(128, 256, 512, 1024), dense=256, base=(256, 8), up=256, ups=(256, 128, 64))


@swappers.register("h128", source="iperov/DeepFaceLab")
def h128(
    identities: Sequence[str],
    *,
    lighter: bool = False,
    mask: bool = True,
    width: float = 1.0,
    framing: Framing = "half",
) -> AutoencoderSwapper:
    """An ``h128`` swapper, see the module.

    Raises:
        ConfigError: ``width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """
    layout = _LIGHTER if lighter else LAYOUT
    options: dict[str, Option] = {"lighter": lighter}
    return old_two_decoders(
        "h128", layout, identities, options, width=width, mask=mask, mask_width=1.0, framing=framing
    )
