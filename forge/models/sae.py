"""``sae``: 64 to 256 px. DeepFaceLab's styled autoencoder of 2019, before SAEHD: df or liae of any channel counts.

============  ===============================================================================================
part          numbers (e = 3 ``encoder_dims``, d = 3 ``decoder_dims``, m = ``decoder_dims``, ae = ``ae_dims``)
============  ===============================================================================================
encoder       5x5 stride 2 to e, 2e, 4e, 8e
inter         dense to ae, dense to R/16 x R/16 x ae (df) or 2 ae (liae), one doubling stage
decoder       doubling stages to 8d, 4d, 2d, two residual blocks after each, 5x5 convolution
mask          doubling stages to 8m, 4m, 2m, 5x5 convolution; separate decoders
============  ===============================================================================================

Input and output have one resolution, a multiple of 16; framing is ``full`` by default (the original offered half too).
The latent is the encoder's flat output. :mod:`forge.models.dfl` says what df and liae are. ``multiscale``: the stages
before the last also give the image at a quarter and at half of its size, for multi-scale losses; the weights of the
last stage's image are then better from the start.

Parameters at 128 px and the defaults, two identities with masks: df 137.5 M, liae 128.6 M. None was published; a test
computes these by hand from the layers. The original's liae gave its residual blocks the wrong input in the second
convolution, which is not repeated here. Some releases gave the mask nets residual blocks too; these have none.

Facts from iperov/DeepFaceLab, branch DFL-1.0 (``Model_SAE``); the code is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from forge.models.blocks import initialise
from forge.models.checks import checked_spec, need_between, need_choice, need_multiple
from forge.models.dfl import FlatEncoder, Inter, PlainDecoder, RoutedSwapper, narrowed
from forge.models.registry import swappers
from shared.types import Framing

_RESIDUALS = 2
_STEPS = (8, 4, 2)
_COLOURS = 3
_AE = {"df": 512, "liae": 256}


@swappers.register("sae", source="iperov/DeepFaceLab", tiny={"resolution": 64, "multiscale": True})
class SaeSwapper(RoutedSwapper):
    """The ``sae`` swapper, see the module.

    Args:
        identities: two or more people.
        resolution: side of input and output, 64 to 256, a multiple of 16.
        architecture: ``df`` or ``liae``.
        ae_dims: of the narrow layer before ``width``, 32 to 1024; 0 is 512 for df, 256 for liae.
        encoder_dims, decoder_dims: per colour channel, before ``width``; 21 to 85 and 10 to 85.
        multiscale: whether the stages before the last give an image too.
        mask: whether there are decoders of the face mask.
        width: multiplier of every channel count.
        framing: how much of the head the crops show.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self,
        identities: Sequence[str],
        *,
        resolution: int = 128,
        architecture: str = "df",
        ae_dims: int = 0,
        encoder_dims: int = 42,
        decoder_dims: int = 21,
        multiscale: bool = False,
        mask: bool = True,
        width: float = 1.0,
        framing: Framing = "full",
    ) -> None:
        super().__init__()
        need_choice("architecture", architecture, tuple(_AE))
        need_multiple("resolution", resolution, 16, 64, 256)
        ae = ae_dims or _AE[architecture]
        need_between("ae_dims", ae, 32, 1024)
        need_between("encoder_dims", encoder_dims, 21, 85)
        need_between("decoder_dims", decoder_dims, 10, 85)
        self.spec = checked_spec(
            "sae",
            identities,
            px=resolution,
            width=width,
            framing=framing,
            mask=mask,
            options={
                "resolution": resolution,
                "architecture": architecture,
                "ae_dims": ae,
                "encoder_dims": encoder_dims,
                "decoder_dims": decoder_dims,
                "multiscale": multiscale,
            },
        )
        is_df, people = architecture == "df", len(self.spec.identities)
        dense = narrowed(ae, width)
        out = dense if is_df else 2 * dense
        ups = [narrowed(step * _COLOURS * decoder_dims, width) for step in _STEPS]
        thin = [narrowed(step * decoder_dims, width) for step in _STEPS] if mask else None
        encoder = FlatEncoder(narrowed(_COLOURS * encoder_dims, width))
        self.kind = architecture
        self.encoder = encoder
        self.inters = nn.ModuleList(
            Inter(encoder.size(resolution), dense, out, resolution // 16) for _ in range(1 if is_df else people)
        )
        self.decoders = nn.ModuleList(
            PlainDecoder(out if is_df else 2 * out, ups, thin, residuals=_RESIDUALS, coarser=2 if multiscale else 0)
            for _ in range(people if is_df else 1)
        )
        initialise(self)
