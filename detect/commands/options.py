"""Options shared by commands of ``assay detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detect.config.scoring import Aggregation, EvaluateConfig
from shared.commands.completion import finders, offered, splits, values
from shared.commands.options import choices, default

DetectorArgument = Annotated[
    Path,
    typer.Argument(
        help="Run or detector folder, or assay; or onnx:FILE, local-dir:FOLDER, python:FILE, csv:FILE.",
        show_default=False,
    ),
]
DatasetArgument = Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)]
SplitOption = Annotated[
    str | None,
    typer.Option(help="train, val, test or all.", show_default=default(EvaluateConfig().split), autocompletion=splits),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(help="KEY=NAME, as manipulation=dfl-*, rendition, identity, group; repeatable.", show_default="all"),
]
FinderOption = Annotated[
    str | None, typer.Option(help="Face finder.", show_default="the detector's", autocompletion=finders)
]
AggregateOption = Annotated[
    str | None,
    typer.Option(
        help=f"Faces to clip: {choices(Aggregation)}.",
        show_default="the detector's",
        autocompletion=values(Aggregation),
    ),
]


def _backbones() -> list[str]:
    from detect.models.backbone import model_names

    return model_names()


def _families() -> list[str]:
    from detect.models import detectors

    return detectors.names()


backbones, families = offered(_backbones), offered(_families)


def frames_option(shown: int) -> Any:
    """The option for the number of frames of each clip; ``shown`` is the default in the help text."""
    return typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(shown))


def replicates_option(shown: int) -> Any:
    """The option for the number of bootstrap replicates; ``shown`` is the default in the help text."""
    return typer.Option(help="Bootstrap replicates.", show_default=default(shown))
