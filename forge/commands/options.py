"""Options shared by commands of ``assay forge``, and the completion of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forge.swapping.config import OutputConfig
from forge.training.config import OptimizerName, TrainConfig
from forge.training.recipe import recipe_names
from shared.commands.completion import offered, values
from shared.commands.options import choices, default
from shared.errors import UsageError
from shared.faces.pastes.presets import paste_names
from shared.video.encoding import CodecName

_TRAIN, _OUTPUT = TrainConfig(), OutputConfig()


def _families() -> list[str]:
    from forge.models.registry import swappers

    return swappers.names()


families, recipes_offered = offered(_families), offered(recipe_names)
pastes_offered = offered(paste_names)

FacesetsArgument = Annotated[
    list[Path], typer.Argument(help="One faceset a person, two or more, or folders of them.", show_default=False)
]
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


RangeOption = Annotated[
    str | None,
    typer.Option(
        "--range", help="Change and write this part only: 10s-12s, 1:02-1:10, frames 250-300.", show_default="all"
    ),
]
CodecOption = Annotated[
    str | None,
    typer.Option(help=f"One of {choices(CodecName)}.", show_default=_OUTPUT.codec, autocompletion=values(CodecName)),
]
MarkOption = Annotated[
    bool, typer.Option(help="Mark what is written outside a dataset imperceptibly; the record says if not.")
]
NoticeOption = Annotated[bool, typer.Option("--notice", help="Outside a dataset, add a visible label in a corner.")]
RightsOption = Annotated[
    str | None, typer.Option(help="Basis of use of the video.", show_default="by record or faceset")
]
GifOption = Annotated[bool | None, typer.Option(help="Add a small animated preview.", show_default="--no-gif")]
CrfOption = Annotated[int | None, typer.Option(help="Quality, lower is better.", show_default="by codec")]


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
