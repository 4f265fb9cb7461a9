"""Options shared by commands of ``assay forge``, and the completion of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forge.training.config import OptimizerName, TrainConfig
from forge.training.recipe import recipe_names
from shared.commands.completion import offered, values
from shared.commands.options import choices, default
from shared.errors import UsageError
from shared.faces.pastes.presets import paste_names

_TRAIN = TrainConfig()


def _families() -> list[str]:
    from forge.models.registry import swappers

    return swappers.names()


families, recipes_offered = offered(_families), offered(recipe_names)
pastes_offered = offered(paste_names)

FacesetsArgument = Annotated[list[Path], typer.Argument(help="One faceset a person, two or more.", show_default=False)]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Family of swappers, see assay forge models.", show_default=default(_TRAIN.model), autocompletion=families
    ),
]
WidthOption = Annotated[
    float | None, typer.Option(help="Multiplier of all channels.", show_default=default(_TRAIN.width))
]
BatchOption = Annotated[
    int | None, typer.Option(help="Faces of each person in a step.", show_default=default(_TRAIN.batch))
]
OptimizerOption = Annotated[
    str | None,
    typer.Option(help=choices(OptimizerName), show_default=_TRAIN.optimizer, autocompletion=values(OptimizerName)),
]


def strengths_of(words: list[str]) -> dict[str, float]:
    """``mouth=1.2`` words as numbers by region; an unknown region is refused by the settings.

    Raises:
        UsageError: a word is not of that form.
    """
    found: dict[str, float] = {}
    for word in words:
        region, _equals, number = word.partition("=")
        try:
            found[region] = float(number)
        except ValueError as error:
            raise UsageError(f"a strength reads REGION=NUMBER, got {word!r}", hint="such as mouth=1.2") from error
    return found
