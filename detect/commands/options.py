"""What the commands share: options that several take, and how flags and a settings file become a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from shared.config import from_mapping, read_toml

T = TypeVar("T")

DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")]
PrecisionOption = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.", show_default="auto")]
SeedOption = Annotated[int | None, typer.Option(help="Start of every random draw.", show_default="0")]
SettingsOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with any setting; flags overrule it.", show_default=False)
]


def default(value: object) -> str:
    """How a default is shown in a help text."""
    return str(value)


def choices(kind: object) -> str:
    """The values of a ``Literal``, for a help text."""
    return ", ".join(get_args(kind))


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
