"""``generate-prior``: the decoder of a population's swapper, and a prior over the latents of its encoder.

The narrow layer's numbers of all faces are described by a normal distribution: their mean, and their covariance shrunk
towards a multiple of the identity (Chen et al., "Shrinkage algorithms for MMSE covariance estimation", IEEE
Transactions on Signal Processing 2010, the oracle approximating estimate, equation 23), cut to the directions that hold
most of the variance. A latent drawn from it is decoded to a person whom no photograph shows. Nothing is trained: a pass
over the faces is enough.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.generating.contract import Generator, GeneratorSpec, generators
from forge.models import Swapper, build_swapper
from forge.models.blocks import Encoder
from forge.models.checks import need_between
from forge.models.contract import Option
from shared.errors import UsageError
from shared.types import Framing

_NAMES = ("first", "second")


class PriorGenerator(Generator):
    """(B, latent) -> (B, 3, px, px) in [0, 1]: through the prior, then the decoder.

    Convention:
        mean: (code,) of the narrow layer; directions: (code, latent), each as long as its standard deviation
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, spec: GeneratorSpec, swapper: Swapper) -> None:
        super().__init__()
        self.spec = spec
        encoder, decoder = coding_parts(swapper)
        self.widen, self.up, self.decoder = encoder.widen, encoder.up, decoder
        self._base = encoder.base_px, encoder.base_channels
        code = encoder.narrow.out_features
        self.register_buffer("mean", torch.zeros(code))
        self.register_buffer("directions", torch.eye(code, spec.latent))

    @override
    def forward(self, latents: Tensor) -> Tensor:
        code = self.mean + latents @ self.directions.T
        side, channels = self._base
        base = self.widen(code).unflatten(1, (side, side, channels))
        return self.decoder(self.up(base.permute(0, 3, 1, 2))).rgb.float().clamp(0, 1)


def coding_parts(swapper: Swapper) -> tuple[Encoder, nn.Module]:
    """The encoder and the first decoder of a swapper whose latent is narrow.

    Raises:
        UsageError: its encoder has no narrow layer.
    """
    parts = swapper.parts()
    encoder = parts.get("encoder")
    decoder = parts.get(f"decoder.{swapper.spec.identities[0]}")
    if not isinstance(encoder, Encoder) or decoder is None:
        raise UsageError(
            f"a swapper of the family {swapper.spec.name} has no narrow layer to fit a prior to",
            hint="start from one of the family compact: --from base",
        )
    return encoder, decoder


def codes_of(encoder: Encoder, faces: Tensor) -> Tensor:
    """(B, code): what the narrow layer makes of ``faces`` (B, 3, S, S)."""
    return encoder.narrow(encoder.stages(faces).permute(0, 2, 3, 1).flatten(1))


def shrunk_covariance(covariance: Tensor, count: int) -> Tensor:
    """(D, D): the sample covariance of ``count`` vectors, shrunk; Chen et al. 2010, equation 23."""
    size = len(covariance)
    mean = covariance.trace() / size
    squares = (covariance**2).mean()
    top = squares + mean**2
    below = (count + 1) * (squares - mean**2 / size)
    share = 1.0 if below == 0 else min(1.0, float(top / below))
    return (1 - share) * covariance + share * mean * torch.eye(size, dtype=covariance.dtype)


def main_directions(covariance: Tensor, latent: int) -> Tensor:
    """(D, latent): eigenvectors of the largest eigenvalues, each times the square root of its own; signs are fixed."""
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:latent].clamp_min(0), vectors.flip(1)[:, :latent]
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * largest.sign() * values.sqrt()


@generators.register("generate-prior")
def generate_prior(
    *,
    swapper: str = "compact",
    width: float = 0.5,
    latent: int = 96,
    resolution: int = 128,
    code: int = 256,
    framing: Framing = "full",
) -> PriorGenerator:
    """A generator of the family, see the module.

    ``latent`` is how many directions of the prior are kept, at most ``code``; the others are those of the swapper.

    Raises:
        ConfigError: an option is out of range.
        UsageError: the family of the swapper has no narrow layer.
    """
    need_between("latent", latent, 4, code)
    inner: dict[str, Option] = {"resolution": resolution, "code": code, "framing": framing}
    built = build_swapper(swapper, _NAMES, width=width, **inner)
    options: dict[str, Option] = {"swapper": swapper, "width": width, "latent": latent, **inner}
    spec = GeneratorSpec("generate-prior", built.spec.output_px, framing, latent, tuple(options.items()))
    return PriorGenerator(spec, built)
