"""A ``set.toml`` as text with comments, which TOML writers do not support."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

TABLES = ("set", "faces", "splits", "speech")
LISTS = ("identity", "swapper", "manipulation", "reenactment", "generation")


def set_text(mapping: Mapping[str, Any], comments: Mapping[str, Sequence[str]]) -> str:
    """The settings as TOML, each table under its comments.

    Args:
        mapping: as returned by :func:`shared.config.read_toml`.
        comments: lines by position: "" for the beginning, a table's name, or "manipulation/NAME" and the like.

    Raises:
        TypeError: a value of a type that TOML lacks.
    """
    plain = {key: value for key, value in mapping.items() if key not in (*TABLES, *LISTS)}
    parts = [[*_comment(comments.get("", ())), "", *_pairs(plain)] if plain else _comment(comments.get("", ()))]
    for name in TABLES:
        if name in mapping:
            parts.append([*_comment(comments.get(name, ())), f"[{name}]", *_pairs(mapping[name])])
    for name in LISTS:
        for entry in mapping.get(name, ()):
            said = _comment(comments.get(f"{name}/{entry.get('name')}", ()))
            parts.append([*said, f"[[{name}]]", *_pairs(entry)])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def inline(value: Any) -> str:
    """One value as TOML on one line.

    Raises:
        TypeError: a type that TOML lacks, or that is not used in settings.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # JSON's escapes are valid in TOML; the one control character that JSON does not escape is not allowed in TOML.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(inline(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}" if value else "{}"
    raise TypeError(f"settings hold no {type(value).__name__}")


def _pairs(mapping: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {inline(value)}" for key, value in mapping.items()]


def _key(key: str) -> str:
    bare = key and all(char.isascii() and (char.isalnum() or char in "_-") for char in key)
    return key if bare else inline(key)


def _comment(lines: Sequence[str]) -> list[str]:
    """Comment lines; foreign text must not end a comment and continue as settings."""
    said = ("".join(char if char.isprintable() else " " for char in line) for line in lines)
    return [f"# {line}".rstrip() for line in said]
