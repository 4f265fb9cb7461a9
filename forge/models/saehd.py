"""DeepFaceLab's current family: df and liae with the options u, d, t and c, 64 to 640 px, and the small Quick96.

Facts from iperov/DeepFaceLab (``DeepFakeArchi.py``, ``Model_SAEHD``, ``Model_Quick96`` as of 2023); written anew.

============  ===============================================================================================
part          numbers (e, d, m: encoder, decoder and mask channels; ae: the narrow layer)
============  ===============================================================================================
encoder       5x5 stride 2 to e, 2e, 4e, 8e; with t a fifth stage and residual blocks after the first and last
inter         dense to ae, dense to s x s x ae (df) or 2 ae (liae), then one doubling stage except with t
decoder       doubling stages to 8d, 4d, 2d (t: 8d, 8d, 4d, 2d), a residual block after each, 1x1 convolution
mask          doubling stages to 8m, 4m, 2m (t: one more 8m), 1x1 convolution; always learned
============  ===============================================================================================

u: the code has unit root mean square. d: four output convolutions are interleaved to twice the resolution, so the
body works at half of it. c: x * cos(x) instead of leaky ReLU.

:mod:`forge.models.dfl` says what df and liae are. Input and output have one resolution; framing is ``full`` by default.
The latent is the encoder's flat output, 8e (R/16)^2 numbers, (R/32)^2 with t.

Parameters at ae 256, e 64, d 64, m 22, two identities (held by a test): df 128: 57.5 M, df-ud 128: 54.5 M, df-ud 256:
82.8 M, liae-ud 128: 82.4 M, liae-ud 256: 145.3 M, liae-udt 224: 94.9 M, liae-udt 320: 121.7 M; quick96: 38.3 M.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from forge.models.blocks import initialise, leaky
from forge.models.checks import checked_spec, need_between, need_multiple
from forge.models.contract import Option
from forge.models.dfl import FlatEncoder, HdDecoder, Inter, RoutedSwapper, cosine, narrowed
from forge.models.registry import swappers
from shared.errors import ConfigError
from shared.types import Framing

_LETTERS = "udtc"
_KINDS = ("df", "liae")


@dataclass(frozen=True)
class Architecture:
    """A parsed name such as ``liae-ud``."""

    kind: str
    unit_code: bool
    doubled: bool
    deep: bool
    cosine: bool

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """``df`` or ``liae``, then after a dash any of the letters u, d, t, c.

        Raises:
            ConfigError: anything else.
        """
        kind, _, letters = text.partition("-")
        if kind not in _KINDS or set(letters) - set(_LETTERS) or len(set(letters)) != len(letters):
            raise ConfigError(
                f"no architecture is named {text!r}",
                hint=f"df or liae, then a dash and letters of udtc; nearest: {_nearest(kind, letters)}",
            )
        return cls(kind, "u" in letters, "d" in letters, "t" in letters, "c" in letters)


@dataclass(frozen=True)
class Dims:
    """Channel counts: the narrow layer, encoder, decoder and mask decoder."""

    ae: int
    encoder: int
    decoder: int
    mask: int


def _nearest(kind: str, letters: str) -> str:
    """The valid architecture nearest to a wrong name."""
    near = "df" if kind.startswith("d") else "liae"
    kept = "".join(letter for letter in _LETTERS if letter in letters) or "ud"
    return f"{near}-{kept}"


class SaehdSwapper(RoutedSwapper):
    """The ``saehd`` swapper, see the module.

    Args:
        name: what the family is registered as.
        identities: two or more people.
        resolution: side of input and output, 64 to 640, a multiple of 16 (with d or t of 32).
        architecture: ``df`` or ``liae`` with letters, see the module.
        dims: channel counts, before ``width``.
        width: multiplier of every channel count.
        framing: how much of the head the crops show.
        options: options of the spec beside the framing.

    Raises:
        ConfigError: an option is out of range; the message names the nearest valid value.
        UsageError: fewer than two identities, or one twice.
    """

    def __init__(
        self,
        name: str,
        identities: Sequence[str],
        *,
        resolution: int,
        architecture: str,
        dims: Dims,
        width: float,
        framing: Framing,
        options: Mapping[str, Option],
    ) -> None:
        super().__init__()
        shape = Architecture.parse(architecture)
        need_multiple("resolution", resolution, 32 if shape.doubled or shape.deep else 16, 64, 640)
        self.spec = checked_spec(name, identities, px=resolution, width=width, framing=framing, options=options)
        dims = Dims(*(narrowed(count, width) for count in vars(dims).values()))
        activation = cosine if shape.cosine else leaky
        encoder = FlatEncoder(dims.encoder, deep=shape.deep, unit_code=shape.unit_code, activation=activation)
        flat = encoder.size(resolution)
        side = resolution // (32 if shape.doubled else 16)
        is_df, people = shape.kind == "df", len(self.spec.identities)
        out = dims.ae if is_df else 2 * dims.ae
        self.kind = shape.kind
        self.encoder = encoder
        self.inters = nn.ModuleList(
            Inter(flat, dims.ae, out, side, double=not shape.deep, activation=activation)
            for _ in range(1 if is_df else people)
        )
        self.decoders = nn.ModuleList(
            HdDecoder(
                out if is_df else 2 * out,
                dims.decoder,
                dims.mask,
                deep=shape.deep,
                doubled=shape.doubled,
                activation=activation,
            )
            for _ in range(people if is_df else 1)
        )
        initialise(self)


@swappers.register("saehd", source="iperov/DeepFaceLab", tiny={"resolution": 64})
def saehd(
    identities: Sequence[str],
    *,
    resolution: int = 128,
    architecture: str = "liae-ud",
    ae_dims: int = 256,
    encoder_dims: int = 64,
    decoder_dims: int = 64,
    mask_dims: int = 22,
    width: float = 1.0,
    framing: Framing = "full",
) -> SaehdSwapper:
    """DeepFaceLab's SAEHD, by default liae-ud at 128 px: 82.4 M parameters. See the module for the rest.

    ``ae_dims`` are 32 to 1024, the other dims 16 to 256.
    """
    need_between("ae_dims", ae_dims, 32, 1024)
    counts: dict[str, int] = {"encoder_dims": encoder_dims, "decoder_dims": decoder_dims, "mask_dims": mask_dims}
    for name, count in counts.items():
        need_between(name, count, 16, 256)
    return SaehdSwapper(
        "saehd",
        identities,
        resolution=resolution,
        architecture=architecture,
        dims=Dims(ae_dims, encoder_dims, decoder_dims, mask_dims),
        width=width,
        framing=framing,
        options={"resolution": resolution, "architecture": architecture, "ae_dims": ae_dims, **counts},
    )


@swappers.register("quick96", source="iperov/DeepFaceLab")
def quick96(identities: Sequence[str], *, width: float = 1.0, framing: Framing = "full") -> SaehdSwapper:
    """DeepFaceLab's Quick96: df-ud at 96 px, ae 128, mask 16; 38.3 M parameters."""
    return SaehdSwapper(
        "quick96",
        identities,
        resolution=96,
        architecture="df-ud",
        dims=Dims(128, 64, 64, 16),
        width=width,
        framing=framing,
        options={},
    )
