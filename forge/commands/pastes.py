"""``assay forge pastes``."""

from __future__ import annotations

from typing import Annotated

import typer

from forge.commands.options import pastes_offered
from shared.console import console
from shared.faces.pastes.presets import Jitter, Preset, Variant, flat, preset_named, presets


def pastes(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A paste, NAME or NAME:VARIANT, to show in full.", show_default=False, autocompletion=pastes_offered
        ),
    ] = None,
) -> None:
    """Lists the presets of pasting, each as public tools do it, or shows settings and ranges of one.

    Example: assay forge pastes box:simswap
    """
    if name is not None:
        preset, variant = preset_named(name)
        _show(preset, variant)
        return
    known = list(presets().values())
    rows = [[each.name, ", ".join(one.name for one in each.variants), each.description] for each in known]
    console.table("pastes", ["name", "variants", "what it is"], rows)
    console.print('use one: assay forge swap ... --paste NAME, or paste = "NAME" in a [[manipulation]]')
    console.result({"pastes": [_facts(each) for each in known]})


def _show(preset: Preset, only: Variant | None) -> None:
    shown = [only] if only is not None else list(preset.variants)
    console.print(f"{preset.name}: {preset.description}\nfrom: {preset.tools}\ncrf {preset.crf[0]} to {preset.crf[1]}")
    for one in shown:
        console.print(f"{preset.name}:{one.name}, share {one.share:g}, from {one.tools}")
        ranges = preset.ranges_of(one)
        for setting, value in flat(preset.settings_of(one)).items():
            drawn = f"   drawn: {_range(ranges.pop(setting))}" if setting in ranges else ""
            console.print(f"  {setting} = {value}{drawn}")
        for setting, each in ranges.items():
            console.print(f"  {setting}   drawn: {_range(each)}")
    variants = [
        {"name": one.name, "share": one.share, "tools": one.tools, "settings": preset.settings_of(one)}
        | {"drawn": {setting: _range(each) for setting, each in preset.ranges_of(one).items()}}
        for one in shown
    ]
    console.result(_facts(preset) | {"variants": variants})


def _facts(preset: Preset) -> dict[str, object]:
    return {
        "name": preset.name,
        "description": preset.description,
        "tools": preset.tools,
        "crf": list(preset.crf),
        "variants": [one.name for one in preset.variants],
    }


def _range(one: Jitter) -> str:
    often = f", in {one.chance:.0%} of draws" if one.chance < 1 else ""
    if one.of:
        shares = one.share or (1 / len(one.of),) * len(one.of)
        values = ", ".join(f"{value} ({share:.0%})" for value, share in zip(one.of, shares, strict=True))
        return f"{values}{often}"
    return f"{one.low:g} to {one.high:g}{often}"
