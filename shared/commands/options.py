"""Shared options of commands, and the conversion of options and settings files to a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from shared.commands.completion import devices, words
from shared.config import from_mapping, merged, read_toml
from shared.errors import UsageError

T = TypeVar("T")


def _long_name(precision: str | None) -> str | None:
    return {"bf16": "bfloat16", "fp32": "float32"}.get(precision or "", precision)


DeviceOption = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto", autocompletion=devices)
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        help="auto, float32 or bfloat16 (bf16).",
        show_default="auto",
        callback=_long_name,
        autocompletion=words("auto", "float32", "bfloat16"),
    ),
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of all random numbers.", show_default="0")]
SettingsOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; options override it.", show_default=False)
]


def default(value: object) -> str:
    """A default as the help text shows it."""
    return str(value)


def choices(kind: object) -> str:
    """The values of a ``Literal``, for a help text."""
    return ", ".join(get_args(kind))


def resolve(
    kind: type[T],
    file: Path | None,
    flags: Mapping[str, Any],
    completed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> T:
    """A ``kind`` from defaults, a TOML file and given options; later ones override earlier ones.

    A group of settings is a mapping; settings that it lacks are unchanged. ``completed`` puts settings that a name
    among them stands for below those that are given.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown, of the wrong type or out of range.
    """
    below = {} if file is None else read_toml(file)
    given = completed(merged(below, given_only(flags)))
    return from_mapping(kind, given, where="settings" if file is None else file.name)


def given_only(flags: Mapping[str, Any]) -> dict[str, Any]:
    """``flags`` without those that are None, and without groups in which nothing is left."""
    found = {name: given_only(value) if isinstance(value, Mapping) else value for name, value in flags.items()}
    return {name: value for name, value in found.items() if value is not None and value != {}}


def nested(flags: Mapping[str, object]) -> dict[str, object]:
    """Options named ``group.setting`` as groups of settings; those not given are left out."""
    tree: dict[str, object] = {}
    for name, value in flags.items():
        if value is None:
            continue
        group, _, setting = name.rpartition(".")
        place = tree.setdefault(group, {}) if group else tree
        if isinstance(place, dict):
            place[setting] = value
    return tree


def typed_options(pairs: list[str]) -> dict[str, str | int | float | bool]:
    """``name=value`` words as a mapping of typed values.

    Raises:
        UsageError: a word is not of that form.
    """
    options: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise UsageError(f"an option has the form name=value, got {pair!r}", hint="for example --option mask=false")
        options[name] = _typed(value)
    return options


def _typed(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
