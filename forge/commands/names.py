"""Names that the shell completes in the commands of ``assay forge``."""

from __future__ import annotations

from forge.training.recipe import recipe_names
from shared.commands.completion import offered


def _families() -> list[str]:
    from forge.models.registry import swappers

    return swappers.names()


families, recipe_words = offered(_families), offered(recipe_names)
