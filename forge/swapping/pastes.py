"""Puts the settings of a named paste (:mod:`shared.faces.pastes.presets`) below those that are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.config import merged, need
from shared.faces.pastes.presets import preset_named, preset_settings

_FREED = {"border": {"keep_edge": False}, "erode": {"erode_px": 0.0}, "blur": {"blur_px": 0.0}}
"""For settings of ``[mask]`` that are given: those of a preset under which they would not have their effect."""


def with_paste(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` of a swap as plain values, over those of the preset that ``paste`` names; as they are without one.

    ``paste`` becomes ``NAME:VARIANT`` in full. Where neither a codec nor a crf is given, the crf becomes the middle of
    the range with which the preset's tools write.

    Raises:
        UnknownNameError: there is no such preset or variant.
        ConfigError: ``paste`` is no name.
    """
    name = settings.get("paste")
    if name is None:
        return dict(settings)
    need(isinstance(name, str), f"paste is {name!r}", 'it is the name of a preset: paste = "box"')
    full, preset = preset_settings(name)
    return over_preset(full, merged({"output": _written_at(full, settings.get("output"))}, preset), settings)


def over_preset(name: str, preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` settings of a swap over those of the paste ``name`` (in full)."""
    mask = given.get("mask")
    names = [one for one in _FREED if one in mask] if isinstance(mask, Mapping) else []
    for one in names:
        preset = merged(preset, {"mask": _FREED[one]})
    return merged(preset, given) | {"paste": name}


def _written_at(name: str, output: object) -> dict[str, int]:
    if isinstance(output, Mapping) and not output.keys().isdisjoint(("crf", "codec")):
        return {}
    low, high = preset_named(name)[0].crf
    return {"crf": (low + high) // 2}
