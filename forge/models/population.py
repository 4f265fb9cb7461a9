"""One set of weights for all identities: training of a swapper on a whole population, before it learns two people."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from forge.models.contract import Swapper
from shared.errors import UsageError


def tie_identities(swapper: Swapper) -> None:
    """Makes every identity use the modules of the first, so that all of them are trained as one population.

    An inter of an identity's own, where the first has none, becomes the shared one.

    Raises:
        UsageError: the identities' parts have different shapes.
    """
    parts, first = swapper.parts(), swapper.spec.identities[0]
    for name, part in parts.items():
        kind, _, who = name.partition(".")
        if who in ("", first):
            continue
        common = population_part(name, parts, first)
        if common is None or shapes(common) != shapes(part):
            raise UsageError(
                f"{swapper.spec.name} has no common {kind} of all identities", hint="leave lopsided at false"
            )
        for parent in list(swapper.modules()):
            for child, module in list(parent.named_children()):
                if module is part:
                    parent.register_module(child, common)


def stored_names(swapper: Swapper) -> list[str]:
    """Names in the state of ``swapper`` that are written: of modules that identities share, once."""
    own = {name for name, _ in (*swapper.named_parameters(), *swapper.named_buffers())}
    return [name for name in swapper.state_dict() if name in own]


def population_part(name: str, parts: Mapping[str, nn.Module], first: str) -> nn.Module | None:
    """The part of the ``first`` identity, or of all, that has the kind of ``name``; None where there is none."""
    kind = name.partition(".")[0]
    return parts.get(f"{kind}.{first}", parts.get(kind))


def shapes(part: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor in the state of ``part``, by name."""
    return {name: tuple(value.shape) for name, value in part.state_dict().items()}
