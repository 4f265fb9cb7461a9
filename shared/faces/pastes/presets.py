"""Presets: how public tools paste a face, as data (``presets.toml``): settings, ranges to draw from, sources."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from shared.config import from_mapping, merged, need, read_toml
from shared.errors import UnknownNameError
from shared.faces.pastes.config import MaskConfig, SquareConfig
from shared.registry import near_matches

Scalar = str | int | float | bool
_FILE = "presets.toml"
_DECIMALS = 4


@dataclass(frozen=True)
class Jitter:
    """The values that a setting takes in a draw: ``low`` to ``high``, evenly, or one ``of`` a list.

    Attributes:
        share: how often each of the list is taken; empty for equally often.
        chance: how often the setting is drawn at all; otherwise it stays as the preset has it.
        together: settings with the same word here are drawn with one random number, so that they move together.
    """

    low: float | None = None
    high: float | None = None
    of: tuple[Scalar, ...] = ()
    share: tuple[float, ...] = ()
    chance: float = 1.0
    together: str = ""

    def __post_init__(self) -> None:
        need(bool(self.of) != (self.low is not None and self.high is not None), "a range has low and high, or of")
        need(self.low is None or self.high is None or self.low <= self.high, "a range has low up to high")
        need(not self.share or len(self.share) == len(self.of), "a share for each value of the list")
        need(0 < self.chance <= 1, "a chance lies above 0, at most 1")

    def at(self, place: float) -> Scalar:
        """The value at ``place``, 0 to 1, along the range or the shares."""
        if self.low is not None and self.high is not None:
            value = self.low + place * (self.high - self.low)
            return round(value, _DECIMALS)
        shares = np.array(self.share or [1.0] * len(self.of))
        ends = np.cumsum(shares) / shares.sum()
        return self.of[min(int(np.searchsorted(ends, place, side="right")), len(self.of) - 1)]


@dataclass(frozen=True)
class Variant:
    """One tool's way within a preset; its settings and ranges go before those of the preset."""

    name: str
    share: float
    tools: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    jitter: dict[str, Jitter] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A family of pastes.

    Attributes:
        tools: whose it is, read from their sources.
        crf: range of x264's crf with which these tools write.
        settings: groups of a swap's settings; jitter: dotted names of settings to their ranges.
        variants: at least one; the first is meant by the preset's bare name.
    """

    name: str
    description: str
    tools: str
    crf: tuple[int, int]
    variants: tuple[Variant, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    jitter: dict[str, Jitter] = field(default_factory=dict)

    def variant(self, name: str) -> Variant:
        """The variant of that name; the first for "".

        Raises:
            UnknownNameError: there is none.
        """
        known = {one.name: one for one in self.variants}
        if name and name not in known:
            raise UnknownNameError(
                f"paste {self.name} has no variant {name!r}",
                hint=near_matches(f"{self.name}:{name}", [f"{self.name}:{each}" for each in known]),
            )
        return known[name] if name else self.variants[0]

    def settings_of(self, variant: Variant) -> dict[str, Any]:
        """The settings of a variant, without jitter."""
        return merged(self.settings, variant.settings)

    def ranges_of(self, variant: Variant) -> dict[str, Jitter]:
        """The ranges of a variant; what it sets itself is not drawn from the preset's ranges."""
        own = {name: one for name, one in self.jitter.items() if not _has(variant.settings, name)}
        return own | variant.jitter

    def draw(self, rng: np.random.Generator, variant: Variant | None = None) -> tuple[str, dict[str, Any]]:
        """The name (``preset:variant``) and settings of one random paste; ``variant`` is drawn too where it is None."""
        if variant is None:
            shares = np.array([one.share for one in self.variants])
            variant = self.variants[int(rng.choice(len(self.variants), p=shares / shares.sum()))]
        settings = self.settings_of(variant)
        places: dict[str, tuple[float, float]] = {}
        for name, one in sorted(self.ranges_of(variant).items()):
            place, luck = places.setdefault(one.together or name, (float(rng.random()), float(rng.random())))
            if luck < one.chance:
                settings = merged(settings, _nested(name, one.at(place)))
        return f"{self.name}:{variant.name}", settings


def presets() -> Mapping[str, Preset]:
    """All presets by name, in the order of the file."""
    return _read()


def paste_names() -> list[str]:
    """``NAME`` of every preset, and ``NAME:VARIANT`` of each of its variants."""
    return [
        name for one in _read().values() for name in (one.name, *(f"{one.name}:{each.name}" for each in one.variants))
    ]


def preset_named(name: str) -> tuple[Preset, Variant | None]:
    """The preset ``NAME`` and, of ``NAME:VARIANT``, the variant.

    Raises:
        UnknownNameError: no such preset or variant.
    """
    first, colon, second = name.partition(":")
    known = presets()
    if first not in known:
        raise UnknownNameError(
            f"no paste is named {first!r}", hint=f"{near_matches(first, list(known))}; assay forge pastes lists them"
        )
    return known[first], known[first].variant(second) if colon else None


def preset_settings(name: str) -> tuple[str, dict[str, Any]]:
    """``NAME:VARIANT`` in full, and its settings without jitter.

    Raises:
        UnknownNameError: no such preset or variant.
    """
    preset, variant = preset_named(name)
    variant = variant or preset.variants[0]
    return f"{preset.name}:{variant.name}", preset.settings_of(variant)


def draw_paste(names: Mapping[str, float], rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """The name and settings of a random paste of ``names`` (preset or preset:variant to weight), jittered.

    Raises:
        UnknownNameError: no such preset or variant.
    """
    weights = np.array(list(names.values()), np.float64)
    chosen = list(names)[int(rng.choice(len(names), p=weights / weights.sum()))]
    preset, variant = preset_named(chosen)
    return preset.draw(rng, variant)


def drawn_names(name: str) -> frozenset[str]:
    """Dotted names of all settings that the preset of ``NAME:VARIANT`` sets or draws.

    Raises:
        UnknownNameError: no such preset or variant.
    """
    preset, variant = preset_named(name)
    variant = variant or preset.variants[0]
    return frozenset([*flat(preset.settings_of(variant)), *preset.ranges_of(variant)])


def geometry(settings: Mapping[str, Any]) -> tuple[SquareConfig, MaskConfig]:
    """Square and mask of a preset's settings."""
    where = "paste"
    square = from_mapping(SquareConfig, settings.get("square", {}), where=where)
    return square, from_mapping(MaskConfig, settings.get("mask", {}), where=where)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Groups of settings as dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _nested(name: str, value: Scalar) -> dict[str, Any]:
    *groups, last = name.split(".")
    nested: dict[str, Any] = {last: value}
    for group in reversed(groups):
        nested = {group: nested}
    return nested


def _has(settings: Mapping[str, Any], name: str) -> bool:
    return name in flat(settings)


@dataclass(frozen=True)
class _File:
    preset: tuple[Preset, ...]


@functools.lru_cache(maxsize=1)
def _read() -> dict[str, Preset]:
    path = Path(str(resources.files("shared.faces.pastes") / _FILE))
    return {one.name: one for one in from_mapping(_File, read_toml(path), where=_FILE).preset}
