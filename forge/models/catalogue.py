"""Facts of a swapper family: sizes, latent size, parameter count, options, source."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from forge.models import Swapper, build_swapper
from forge.models.contract import Option
from forge.models.options import options_of
from forge.models.registry import swappers
from forge.models.unfilled import unfilled
from shared.types import Framing

_ANYBODY = ("a", "b")


@dataclass(frozen=True)
class FamilyFacts:
    """Facts of one family, built for two identities with its defaults or with the given options.

    Convention:
        latent: number of values at the narrowest dense layer; without a dense layer, of the map that the decoders
            read
        parameters: at width 1 unless another is given, masks included
        options: with their defaults
        about: the family's own description
    """

    name: str
    input_px: int
    output_px: int
    framing: Framing
    mask: bool
    can_morph: bool
    latent: int
    parameters: int
    source: str
    recipe: str
    options: Mapping[str, Option]
    about: str


def describe(name: str, **options: Option) -> FamilyFacts:
    """The facts of the family ``name``, built on the meta device, without memory for its weights.

    Raises:
        UnknownNameError: no family has that name.
        ConfigError: an unknown option, or an invalid value.
    """
    with unfilled():
        swapper = build_swapper(name, _ANYBODY, **options)
    spec, note = swapper.spec, swappers.note(name)
    return FamilyFacts(
        name=name,
        input_px=spec.input_px,
        output_px=spec.output_px,
        framing=spec.framing,
        mask=spec.has_mask,
        can_morph=spec.can_morph,
        latent=latent_size(swapper),
        parameters=sum(parameter.numel() for parameter in swapper.parameters()),
        source=note.source,
        recipe=note.recipe,
        options={**options_of(name), **options},
        about=inspect.getdoc(inspect.getmodule(swappers.get(name))) or "",
    )


def latent_size(swapper: Swapper) -> int:
    """Number of values of the latent. Families call the narrowest dense layer ``narrow``."""
    found = [
        module.out_features
        for name, module in swapper.named_modules()
        if name.rpartition(".")[2] == "narrow" and isinstance(module, nn.Linear)
    ]
    if found:
        return min(found)
    device = next(swapper.parameters()).device
    side = swapper.spec.input_px
    with torch.no_grad():
        return swapper.encode(torch.zeros(2, 3, side, side, device=device))[0].numel()


def tiny_options(name: str) -> dict[str, Option]:
    """Options of the smallest legal swapper of the family ``name``, ``width`` among them, for tests and quick trials.

    Raises:
        UnknownNameError: no family has that name.
    """
    return dict(swappers.note(name).tiny)
