"""The options of ``assay detect train`` and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from detect.commands.options import backbones, families
from detect.config.scoring import Aggregation
from detect.config.training import SelfSwaps, TrainConfig
from shared.commands.completion import finders, values
from shared.commands.options import choices, default
from shared.errors import UsageError
from shared.types import Framing

_TRAIN = TrainConfig()

_SETTING = {
    "blended": ("mix", "blended"),
    "forged": ("mix", "forged"),
    "real_faces": ("mix", "real_faces"),
    "twins": ("mix", "twin_faces"),
    "frames": ("frames_per_clip",),
    "finder": ("faces", "finder"),
    "aggregate": ("aggregate", "method"),
    "compiled": ("compile",),
    "grades": ("validation", "grades"),
    "validation_faces": ("validation", "real_faces"),
    "validation_twins": ("validation", "twin_faces"),
}
"""Settings of the options that have another name."""

_ONE_MODEL = ("meso4", "mesoinception4", "motion", "regions", "spectrum", "upsampling")
"""Families without a choice of backbone, whose name is enough."""

_NO_SETTING = ("dataset", "run", "config", "seeds")

DatasetArgument = Annotated[Path, typer.Argument(help="Dataset folder with train and val splits.", show_default=False)]
RunOption = Annotated[Path, typer.Option(help="Run folder; an unfinished run in it continues.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Any timm backbone, see assay detect models.", show_default=_TRAIN.model, autocompletion=backbones
    ),
]
FamilyOption = Annotated[
    str | None,
    typer.Option(
        help="Family of detectors, see assay detect models --families.",
        show_default=_TRAIN.family,
        autocompletion=families,
    ),
]
PretrainedOption = Annotated[
    bool | None, typer.Option(help="Start from ImageNet weights.", show_default="--pretrained")
]
DownloadOption = Annotated[
    bool | None, typer.Option("--download", help="Allow downloading those weights.", show_default="no")
]
InputOption = Annotated[int | None, typer.Option(help="Side of the crops.", show_default="the model's")]
FramingOption = Annotated[
    str | None,
    typer.Option(
        help=f"How much head a crop shows: {choices(Framing)}.",
        show_default=_TRAIN.framing,
        autocompletion=values(Framing),
    ),
]
StepsOption = Annotated[int | None, typer.Option(help="How long.", show_default=default(_TRAIN.steps))]
MinutesOption = Annotated[float | None, typer.Option(help="Stop after this many minutes.", show_default="no limit")]
BatchOption = Annotated[
    int | None, typer.Option(help="Crops per step, half of them fake.", show_default=default(_TRAIN.batch))
]
RateOption = Annotated[float | None, typer.Option(help="Learning rate.", show_default=default(_TRAIN.lr))]
BlendedOption = Annotated[
    float | None, typer.Option(help="Share of pairs that are self-blended beside 1 of forged ones.", show_default="0")
]
ForgedOption = Annotated[float | None, typer.Option(help="Share of forged pairs; 0 for none.", show_default="1")]
RealFacesOption = Annotated[
    list[str] | None, typer.Option(help="Faceset of real people to blend; repeatable.", show_default=False)
]
TwinsOption = Annotated[
    list[str] | None, typer.Option(help="Those faces redrawn (assay forge redraw); repeatable.", show_default=False)
]
GradesOption = Annotated[
    bool | None,
    typer.Option(
        help="Choose the step by fakes of falling strength, once the set's own are solved.",
        show_default="--grades",
    ),
]
ValidationFacesOption = Annotated[
    list[str] | None,
    typer.Option(help="Faceset of more real people to make these from; repeatable.", show_default=False),
]
ValidationTwinsOption = Annotated[
    list[str] | None, typer.Option(help="Those faces redrawn; repeatable.", show_default=False)
]
FramesOption = Annotated[
    int | None, typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_TRAIN.frames_per_clip))
]
FinderOption = Annotated[
    str | None, typer.Option(help="Face finder.", show_default=_TRAIN.faces.finder, autocompletion=finders)
]
AggregateOption = Annotated[
    str | None,
    typer.Option(
        help=f"Faces to clip: {choices(Aggregation)}.",
        show_default=_TRAIN.aggregate.method,
        autocompletion=values(Aggregation),
    ),
]
LeaveOutOption = Annotated[
    list[str] | None,
    typer.Option(
        help="KEY=NAME not to learn from: manipulation, rendition, identity, or group (all linked to a person).",
        show_default="nothing",
    ),
]
SelfSwapsOption = Annotated[
    str | None,
    typer.Option(
        help=f"People given their own face: {choices(SelfSwaps)}.",
        show_default=_TRAIN.self_swaps,
        autocompletion=values(SelfSwaps),
    ),
]
AllowLeakOption = Annotated[
    bool | None,
    typer.Option(
        "--allow-leak", help="Train although splits share people or clips; the card says so.", show_default="no"
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Threads that prepare batches.", show_default="one a core, 2 to 8")
]
CompileOption = Annotated[
    bool | None, typer.Option("--compile", help="Use torch.compile; faster on CUDA.", show_default="no")
]
SeedsOption = Annotated[
    str | None,
    typer.Option(help="Several seeds, as 0,1,2: each into RUN/seed-N, with mean and spread.", show_default="one seed"),
]


def as_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name as nested settings; an empty list counts as not given."""
    found: dict[str, Any] = {}
    for name in options.keys() - set(_NO_SETTING):
        value = None if options[name] == [] else options[name]
        group, *inner = _SETTING.get(name, (name,))
        if inner:
            found.setdefault(group, {})[inner[0]] = value
        else:
            found[group] = value
    if found.get("model") is None and found.get("family") in _ONE_MODEL and options.get("config") is None:
        found["model"] = found["family"]
    return found


def parse_seeds(text: str | None, seed: int | None) -> tuple[int, ...] | None:
    """The seeds of ``--seeds``; None where there is none.

    Raises:
        UsageError: ``--seed`` is given beside it, or it is not a list of different whole numbers.
    """
    if text is None:
        return None
    if seed is not None:
        raise UsageError("--seed and --seeds are given at once", hint="leave one out")
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(map(int, words))) != len(words):
        raise UsageError(f"--seeds {text!r} is no list of different whole numbers", hint="for example --seeds 0,1,2")
    return tuple(int(word) for word in words)
