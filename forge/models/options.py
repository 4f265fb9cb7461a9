"""The options of a family, read from its factory's signature."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from forge.models.contract import Option
from forge.models.registry import swappers
from shared.errors import ConfigError
from shared.registry import near_matches


def options_of(name: str) -> dict[str, Option]:
    """The options of the family ``name`` with their defaults, in the order of its signature; ``width`` among them.

    A factory names its options as keyword-only parameters. One that takes ``**options`` passes them on to the class it
    returns, whose constructor names them.

    Raises:
        UnknownNameError: no family has that name.
    """
    factory = swappers.get(name)
    found = _keywords(inspect.signature(factory))
    if any(each.kind is each.VAR_KEYWORD for each in inspect.signature(factory).parameters.values()):
        returned = get_type_hints(factory)["return"]
        found = {**_keywords(inspect.signature(returned)), **found}
    return found


def check_options(name: str, options: dict[str, Option]) -> None:
    """Refuses an option that the family ``name`` does not have.

    Raises:
        UnknownNameError: no family has that name.
        ConfigError: with the nearest option that it has.
    """
    known = options_of(name)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigError(
            f"{name} has no option {unknown[0]!r}",
            hint=f"{near_matches(unknown[0], list(known))} (see assay forge models {name})",
        )


def _keywords(signature: inspect.Signature) -> dict[str, Option]:
    return {each.name: each.default for each in signature.parameters.values() if each.kind is each.KEYWORD_ONLY}
