"""What every swapper is: one shared encoder and one decoder (or inter) per identity, two identities or many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from shared.errors import UsageError
from shared.registry import near_matches
from shared.types import Framing

Option = str | int | float | bool
"""What a family's option may be: a value that TOML can hold."""


@dataclass(frozen=True)
class SwapSpec:
    """What a swapper takes and gives. Preprocessing is data of the model, never of its caller.

    Convention:
        input: (B, 3, input_px, input_px) float in [0, 1], RGB, a crop of ``framing``
        output: rgb (B, 3, output_px, output_px) in [0, 1] of the same framing; mask (B, 1, output_px, output_px)
        width: multiplier of every channel count; options: what else the family was built with, so that
            ``build_swapper(name, identities, width=width, **options)`` makes the same module again
    """

    name: str
    input_px: int
    output_px: int
    framing: Framing
    identities: tuple[str, ...]
    has_mask: bool
    width: float = 1.0
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        if len(self.identities) < 2 or len(set(self.identities)) != len(self.identities):
            raise UsageError(
                f"a swapper needs two or more different identities, got {', '.join(self.identities) or 'none'}",
                hint="name one faceset per person",
            )


class Swap(NamedTuple):
    """A decoded batch: ``rgb`` (B, 3, S, S) in [0, 1] and ``mask`` (B, 1, S, S) in [0, 1] or None."""

    rgb: Tensor
    mask: Tensor | None


class Swapper(nn.Module):
    """Base of all families. ``forward`` is ``decode(encode(faces), identity)``.

    A family sets ``spec`` and implements :meth:`encode` and :meth:`decode`; it does no I/O and never moves itself
    to a device.
    """

    spec: SwapSpec

    def encode(self, faces: Tensor) -> Tensor:
        """(B, 3, S, S) faces of anybody -> latent, the same for all identities."""
        raise NotImplementedError(f"{type(self).__name__} must implement encode")

    def decode(self, latent: Tensor, identity: str) -> Swap:
        """Latent -> the face of ``identity`` with the pose and expression in the latent."""
        raise NotImplementedError(f"{type(self).__name__} must implement decode")

    def forward(self, faces: Tensor, identity: str) -> Swap:
        """(B, 3, S, S) faces -> the same faces worn by ``identity``."""
        return self.decode(self.encode(faces), identity)

    def check_identity(self, identity: str) -> str:
        """``identity`` unchanged, when this model knows it.

        Raises:
            UsageError: with the nearest names.
        """
        if identity not in self.spec.identities:
            raise UsageError(
                f"{self.spec.name} knows no identity {identity!r}",
                hint=near_matches(identity, list(self.spec.identities)),
            )
        return identity
