"""The base class of swappers: one shared encoder and one decoder (or inter) per identity, two identities or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from shared.errors import UsageError
from shared.registry import near_matches
from shared.types import Framing

Option = str | int | float | bool
"""Type of a family's option: a value that TOML can hold."""


@dataclass(frozen=True)
class SwapSpec:
    """Inputs, outputs and options of a swapper. Preprocessing belongs to the model, not to its caller.

    Convention:
        input: (B, 3, input_px, input_px) float in [0, 1], RGB, a crop of ``framing``
        output: rgb (B, 3, output_px, output_px) in [0, 1] of the same framing; mask (B, 1, output_px, output_px)
        width: multiplier of every channel count; options: the family's other options, so that ``build_swapper(name,
            identities, width=width, **options)`` makes the same module again
        can_morph: whether :meth:`Swapper.decode_between` decodes faces between two identities
    """

    name: str
    input_px: int
    output_px: int
    framing: Framing
    identities: tuple[str, ...]
    has_mask: bool
    width: float = 1.0
    options: tuple[tuple[str, Option], ...] = ()
    can_morph: bool = False

    def __post_init__(self) -> None:
        if len(self.identities) < 2 or len(set(self.identities)) != len(self.identities):
            raise UsageError(
                f"a swapper needs two or more different identities, got {', '.join(self.identities) or 'none'}",
                hint="name one faceset per person",
            )


class Swap(NamedTuple):
    """A decoded batch: ``rgb`` (B, 3, S, S) in [0, 1] and ``mask`` (B, 1, S, S) in [0, 1] or None.

    ``smaller`` holds the same image from coarser stages of the decoder, the finest first, for multi-scale losses. Their
    masks may be None where the full one is not.
    """

    rgb: Tensor
    mask: Tensor | None
    smaller: tuple[Swap, ...] = ()


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
        """Latent -> the face of ``identity`` with the pose and expression in the latent.

        Raises:
            UsageError: this model does not know ``identity``.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement decode")

    def decode_between(self, latent: Tensor, source: str, target: str, share: float) -> Swap:
        """Latent -> a face between two identities: ``share`` of ``source``, the rest of ``target``.

        A share of 1 is ``decode(latent, source)`` and one of 0 ``decode(latent, target)``, of a module in evaluation
        mode; between them it is continuous in ``share``.

        Raises:
            UsageError: this family cannot (``spec.can_morph``), an identity is unknown, or ``share`` is not 0 to 1.
        """
        if not self.spec.can_morph:
            raise UsageError(
                f"{self.spec.name} decodes one identity or another, nothing between them",
                hint="leave the morph at 1, or train a family that can: amp",
            )
        self.check_identity(source)
        self.check_identity(target)
        if not 0 <= share <= 1:
            raise UsageError(f"a morph is a share from 0 to 1, got {share}", hint="1 is the source, 0 the target")
        return self._between(latent, source, target, share)

    def _between(self, latent: Tensor, source: str, target: str, share: float) -> Swap:
        """Implements :meth:`decode_between` where ``spec.can_morph``; the arguments are valid."""
        raise NotImplementedError(f"{type(self).__name__} must implement _between")

    def parts(self) -> Mapping[str, nn.Module]:
        """The modules that are frozen, loaded and compiled one by one, by name; every parameter is in exactly one.

        Names are a kind (``encoder``, ``inter``, ``decoder``, ``mask``), alone for what all identities share, with a
        dot and the identity for what is its own: ``encoder``, ``inter``, ``inter.ann``, ``decoder.ann``, ``mask.ann``.
        A decoder that gives the mask itself has no part ``mask``.

        This default gives the child modules, those of a list by number; families give the names above.
        """
        found: dict[str, nn.Module] = {}
        for name, child in self.named_children():
            if isinstance(child, nn.ModuleList):
                found |= {f"{name}.{number}": part for number, part in enumerate(child)}
            else:
                found[name] = child
        return found

    def forward(self, faces: Tensor, identity: str) -> Swap:
        """(B, 3, S, S) faces -> the same faces swapped to ``identity``."""
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
