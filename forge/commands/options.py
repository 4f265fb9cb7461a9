"""What the commands share: options that several take, and how flags and a settings file become a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from shared.config import from_mapping, load_toml
from shared.errors import UsageError

DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")]
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


def resolve(kind: type[Any], file: Path | None, flags: Mapping[str, object]) -> Any:
    """Defaults, under the file's settings, under the flags that were given."""
    given = {name: value for name, value in flags.items() if value is not None}
    return load_toml(kind, file, overrides=given) if file is not None else from_mapping(kind, given, where="flags")


def typed_options(pairs: list[str]) -> dict[str, str | int | float | bool]:
    """``name=value`` words as a mapping of typed values.

    Raises:
        UsageError: a word is not of that form.
    """
    options: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise UsageError(f"an option reads name=value, got {pair!r}", hint="for example --option mask=false")
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
