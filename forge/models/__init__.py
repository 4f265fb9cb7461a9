"""Swapper families. A new one is a file here and a line in the list below."""

from __future__ import annotations

from collections.abc import Sequence

from forge.models import (  # noqa: F401 - each registers its families
    amp,
    compact,
    deepfake_tf,
    df,
    dfaker,
    dfl_h128,
    dlight,
    gan,
    h64,
    h128,
    iae,
    liaef128,
    lightweight,
    original,
    realface,
    sae,
    saehd,
    timm_encoder,
    unbalanced,
    villain,
)
from forge.models.contract import Option, Swap, Swapper, SwapSpec
from forge.models.options import check_options
from forge.models.registry import swappers
from shared.errors import ConfigError

__all__ = ["Option", "Swap", "SwapSpec", "Swapper", "build_swapper"]


def build_swapper(name: str, identities: Sequence[str], **options: Option) -> Swapper:
    """An untrained swapper of the family ``name`` for ``identities``.

    ``options`` are those of the family, ``width`` among them.

    Raises:
        UnknownNameError: no family has that name.
        ConfigError: the family has no such option, or not with that value.
        UsageError: fewer than two identities, or one twice.
    """
    check_options(name, options)
    factory = swappers.get(name)
    try:
        return factory(tuple(identities), **options)
    except TypeError as error:
        raise ConfigError(
            f"{name} cannot be built with {options}: {error}", hint=f"see assay forge models {name}"
        ) from error
