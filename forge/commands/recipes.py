"""``assay forge recipes``."""

from __future__ import annotations

from typing import Annotated

import typer

from forge.commands.options import recipes_offered
from forge.training.recipe import read_recipe, recipe_names
from shared.console import console


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A recipe by name or file, to show it in full.", show_default=False, autocompletion=recipes_offered
        ),
    ] = None,
) -> None:
    """Lists the recipes for training with their sources, or shows settings and phases of one.

    Example: assay forge recipes deepfacelab
    """
    if name is not None:
        _show(name)
        return
    known = [read_recipe(each) for each in recipe_names()]
    rows = [
        [each.name, str(each.settings.get("model", "")), str(max(1, len(each.phases))), each.description]
        for each in known
    ]
    console.table("recipes", ["name", "model", "phases", "what it is"], rows)
    listed = [{"name": each.name, "description": each.description, "source": each.source} for each in known]
    console.print("train with one: assay forge train ... --recipe NAME")
    console.result({"recipes": listed})


def _show(name: str) -> None:
    recipe = read_recipe(name)
    console.print(f"{recipe.name}: {recipe.description}\nsource: {recipe.source}")
    settings = [f"{key} = {value}" for key, value in _lines(recipe.settings)]
    console.print("\n".join(settings))
    for number, phase in enumerate(recipe.phases, start=1):
        changes = ", ".join(f"{key} = {value}" for key, value in phase.set.items())
        console.print(f"phase {number}, until {phase.until:g}: {changes or 'as above'}")
    console.result({"name": recipe.name, "source": recipe.source, **recipe.mapping()})


def _lines(settings: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in settings.items():
        found += _lines(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found
