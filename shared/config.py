"""Settings as frozen dataclasses, which define the defaults; files and flags are checked strictly.

Precedence: default < TOML file < flag. The resolved settings are saved beside the result.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import tomli_w

from shared.errors import AssayError, ConfigError
from shared.registry import near_matches
from shared.storage import MAX_LEVELS, TOO_DEEP, check_plain, read_bytes, read_json, write_text

T = TypeVar("T")

_MAX_CONFIG_BYTES = 1 << 20
_STRING_OR_COMMENT = re.compile(
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5})?'
    r"|'''(?:[^']++|'{1,2}(?!'))*+(?:'{3,5})?"
    r'|"(?:[^"\\\n]++|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w \t.-])(?:[\w \t-]*+\.){{{MAX_LEVELS}}}")
_NOT_A_CHOICE = re.compile(r"Invalid enum value '([^']*)' - at `\$\.([\w.]+)`")


def from_mapping(cls: type[T], mapping: Mapping[str, Any], *, where: str = "settings") -> T:
    """A ``cls`` (dataclass) from plain values; unknown keys, wrong types and invalid values are refused.

    Raises:
        ConfigError: names the key, and near names.
    """
    _refuse_unknown(cls, mapping, where)
    try:
        return msgspec.convert(dict(mapping), type=cls, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}", hint=_choice_hint(cls, str(error))) from error


def _choice_hint(cls: Any, message: str) -> str:
    """The nearest choices, if ``message`` is about an invalid choice of a setting."""
    found = _NOT_A_CHOICE.match(message)
    hint: Any = cls
    for name in found[2].split(".") if found else ():
        inner = _dataclass_in(hint)
        hint = typing.get_type_hints(inner).get(name) if inner is not None else None
    choices = [str(each) for each in typing.get_args(hint) if isinstance(each, str)] if found else []
    return near_matches(found[1], choices) if found and choices else f"see the settings of {cls.__name__}"


def configured(cls: type[T], config: T | None, settings: Mapping[str, Any]) -> T:
    """``config``, default that of ``cls``, with ``settings`` replaced and checked as in a file.

    A group of settings is a mapping, which changes only its keys, or a dataclass, which replaces the group.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
    """
    if not settings:
        return cls() if config is None else config
    try:
        given = _plain(settings)
    except TypeError as error:
        raise ConfigError(f"{cls.__name__}: {error}", hint="settings are plain values, lists and mappings") from error
    return from_mapping(cls, merged(_plain(config or {}), given), where=cls.__name__)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with the settings of ``above``, merged group by group."""
    result = dict(below)
    for name, value in above.items():
        was = result.get(name)
        result[name] = merged(was, value) if isinstance(was, Mapping) and isinstance(value, Mapping) else value
    return result


def to_mapping(config: object) -> dict[str, Any]:
    """Plain values (str, int, float, bool, list, dict) that :func:`from_mapping` reads back; None is left out."""
    return _without_none(_plain(config))


def _plain(config: object) -> dict[str, Any]:
    return msgspec.to_builtins(_fields(config), enc_hook=_encode)


def load_toml(cls: type[T], path: Path, *, overrides: Mapping[str, Any] | None = None) -> T:
    """A ``cls`` from a TOML file, with ``overrides`` (given flags) on top.

    Raises:
        ConfigError: the file is missing, not TOML, or does not match ``cls``.
    """
    mapping = read_toml(path)
    for key, value in (overrides or {}).items():
        if value is not None:
            mapping[key] = value
    return from_mapping(cls, mapping, where=path.name)


def load_json(cls: type[T], path: Path, *, error: type[AssayError], hint: str | None = None) -> T:
    """A ``cls`` (dataclass) from a JSON file, as strictly as :func:`from_mapping`.

    Raises:
        error: as :func:`shared.storage.read_json`; also if the document does not match ``cls``.
    """
    try:
        return from_mapping(cls, read_json(path, dict, error=error, hint=hint), where=path.name)
    except ConfigError as problem:
        raise error(f"{path} is damaged: {problem}", hint=hint) from problem


def read_toml(
    path: Path, *, error: type[AssayError] = ConfigError, hint: str = "check the path, and the line if one is named"
) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        error: missing, larger than 1 MiB, or as :func:`parse_toml`; with ``hint``.
    """
    data = read_bytes(path, _MAX_CONFIG_BYTES, error=error, hint=hint)
    try:
        return parse_toml(data.decode())
    except ValueError as problem:
        raise error(f"{path} is not TOML: {problem}", hint=hint) from problem


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML document.

    Raises:
        ValueError: not TOML, a key of more than 64 parts, or as :func:`shared.storage.check_plain`.
    """
    # The parser needs time quadratic in a key's parts, and one level of Python's stack per bracket.
    if _LONG_KEY.search(_STRING_OR_COMMENT.sub("s", text)):
        raise ValueError(f"a key has more than {MAX_LEVELS} parts")
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    check_plain(found)
    return found


def completed(old: Mapping[str, Any], config: object) -> dict[str, Any]:
    """Settings written by an older version, with defaults for settings that were added since.

    So work of an older version can be resumed while new settings have their defaults.
    """
    found = dict(old)
    for field in dataclasses.fields(config) if dataclasses.is_dataclass(config) else ():
        now = getattr(config, field.name)
        if dataclasses.is_dataclass(now) and isinstance(old.get(field.name), Mapping):
            found[field.name] = completed(old[field.name], now)
        elif field.name not in old and now == _default_of(field):
            found |= to_mapping({field.name: now})
    return found


def _default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def write_toml(path: Path, config: object) -> None:
    """Writes ``config`` (a dataclass or a mapping) as TOML, atomically.

    Raises:
        StorageError: writing failed.
    """
    write_text(path, tomli_w.dumps(to_mapping(config)))


def digest(config: object) -> str:
    """SHA-256 of the settings in canonical form."""
    canonical = json.dumps(to_mapping(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def replace(config: T, **changes: Any) -> T:
    """``config`` with the given fields replaced, except those that are None (flags not given)."""
    given = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(config, **given)  # type: ignore[type-var]


def _refuse_unknown(cls: Any, mapping: Mapping[str, Any], where: str) -> None:
    hints = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]
    for key, value in mapping.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown setting {key!r}", hint=near_matches(key, known))
        inner = _dataclass_in(hints[key])
        for item in value if isinstance(value, list | tuple) else (value,):
            if inner is not None and isinstance(item, Mapping):
                _refuse_unknown(inner, item, f"{where}, {key}")


def _dataclass_in(hint: Any) -> Any | None:
    """The dataclass in a type hint, a union or a sequence; None for mappings, whose keys are free."""
    if dataclasses.is_dataclass(hint):
        return hint
    if typing.get_origin(hint) in (types.UnionType, typing.Union, list, tuple):
        return next((inner for inner in map(_dataclass_in, typing.get_args(hint)) if inner is not None), None)
    return None


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is Fraction and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except ZeroDivisionError as error:
            raise ValueError(f"{value!r} divides by zero") from error
    raise TypeError(f"cannot read {type(value).__name__} as {kind.__name__}")


def _encode(value: object) -> object:
    if isinstance(value, Path | Fraction):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as a setting")


def _fields(value: Any) -> Any:
    """Dataclasses as mappings of all their fields.

    msgspec would leave out fields with default values in instances that it made.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _fields(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _fields(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_fields(inner) for inner in value]
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value


def need(condition: bool, what: str, hint: str | None = None) -> None:
    """Raises a ConfigError with the message ``what`` and the ``hint``, unless ``condition``."""
    if not condition:
        raise ConfigError(what, hint=hint)
