"""The base class of generators: a latent of standard normal numbers in, a face of nobody out; and their registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forge.models.contract import Option
from shared.registry import Registry
from shared.types import Framing


@dataclass(frozen=True)
class GeneratorSpec:
    """Inputs, outputs and options of a generator.

    Convention:
        latent: length of a latent; all its numbers are standard normal
        output: (B, 3, px, px) float in [0, 1], RGB, a crop of ``framing``
        options: of the family, so that ``generators.create(name, **options)`` makes the same module again
    """

    name: str
    px: int
    framing: Framing
    latent: int
    options: tuple[tuple[str, Option], ...] = ()


class Generator(nn.Module):
    """Base of all families. A family sets ``spec`` and implements ``forward``; it does no I/O."""

    spec: GeneratorSpec

    def forward(self, latents: Tensor) -> Tensor:
        """(B, latent) float32 -> faces (B, 3, px, px) in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """(N, latent) float32 on the CPU: standard normal numbers, each row from its seed alone."""
        size = self.spec.latent
        rows = [torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(rows) if rows else torch.zeros(0, size)


generators: Registry[Generator] = Registry("generator")
"""Factories of untrained generators; they take the options of the family."""


def latent_between(first: Tensor, last: Tensor, share: float) -> Tensor:
    """(D,) the latent at ``share`` of the way from ``first`` to ``last``, on the great circle between them.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985: a straight line would pass nearer to the
    mean, where faces are plainer.
    """
    one, other = first / first.norm(), last / last.norm()
    angle = torch.arccos((one @ other).clamp(-1, 1))
    if float(angle) < 1e-4:
        return torch.lerp(first, last, share)
    weights = torch.sin((1 - share) * angle), torch.sin(share * angle)
    return (weights[0] * first + weights[1] * last) / torch.sin(angle)
