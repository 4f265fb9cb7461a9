"""What the commands share: options that several take, and how flags and a settings file become a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from detect.config import Aggregation, EvaluateConfig
from shared.config import from_mapping, read_toml

T = TypeVar("T")


def default(value: object) -> str:
    """How a default is shown in a help text."""
    return str(value)


def choices(kind: object) -> str:
    """The values of a ``Literal``, for a help text."""
    return ", ".join(get_args(kind))


def _long_name(precision: str | None) -> str | None:
    return {"bf16": "bfloat16", "fp32": "float32"}.get(precision or "", precision)


DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="auto, float32 or bfloat16 (bf16).", show_default="auto", callback=_long_name),
]
SeedOption = Annotated[int | None, typer.Option(help="Start of every random draw.", show_default="0")]
SettingsOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with any setting; flags overrule it.", show_default=False)
]
DetectorArgument = Annotated[
    Path,
    typer.Argument(
        help="Run or detector folder; or onnx:FILE, local-dir:FOLDER, python:FILE, csv:FILE.", show_default=False
    ),
]
DatasetArgument = Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)]
SplitOption = Annotated[
    str | None, typer.Option(help="train, val, test or all.", show_default=default(EvaluateConfig().split))
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(help="KEY=NAME, as manipulation=dfl-*, rendition, identity, group; repeatable.", show_default="all"),
]
FinderOption = Annotated[str | None, typer.Option(help="Face finder.", show_default="the detector's")]
AggregateOption = Annotated[
    str | None, typer.Option(help=f"Faces to clip: {choices(Aggregation)}.", show_default="the detector's")
]


def frames_option(shown: int) -> Any:
    """Of how many frames of each clip are looked at; ``shown`` is the default."""
    return typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(shown))


def replicates_option(shown: int) -> Any:
    """Of how often the bootstrap draws; ``shown`` is the default."""
    return typer.Option(help="Bootstrap replicates.", show_default=default(shown))


def resolve(cls: type[T], path: Path | None, flags: Mapping[str, Any]) -> T:
    """A ``cls`` from defaults, a TOML file and the flags that were given, in this order of precedence.

    A flag for a setting inside another one comes as a mapping, and changes that one alone.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown, of the wrong type or out of range.
    """
    settings = {} if path is None else read_toml(path)
    for name, value in flags.items():
        given = {key: inner for key, inner in value.items() if inner is not None} if isinstance(value, dict) else value
        if isinstance(given, dict):
            if given:
                settings[name] = {**settings.get(name, {}), **given}
        elif given is not None:
            settings[name] = given
    return from_mapping(cls, settings, where="settings" if path is None else path.name)
