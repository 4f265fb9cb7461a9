"""``assay detect models``."""

from __future__ import annotations

from typing import Annotated

import typer

from detect.commands.options import backbones
from shared.console import console


def models(
    text: Annotated[
        str, typer.Argument(metavar="[FILTER]", help="Part of the name.", show_default=False, autocompletion=backbones)
    ] = "",
    families: Annotated[bool, typer.Option("--families", help="List the families of detectors instead.")] = False,
) -> None:
    """Lists the backbones for detectors, or the families of detectors.

    Example: assay detect models convnext

    Example: assay detect models --families
    """
    if families:
        _show_families(text)
        return
    from detect.models.backbone import model_names
    from shared.errors import UnknownNameError

    names = model_names(text)
    if not names:
        raise UnknownNameError(f"no model has {text!r} in its name", hint="try a shorter part, or none")
    for name in names:
        console.print(name)
    console.result({"models": names})


def _show_families(text: str) -> None:
    from detect.models import detectors
    from shared.errors import UnknownNameError

    found = {name: (detectors.get(name).__doc__ or "").partition("\n")[0] for name in detectors.names() if text in name}
    if not found:
        raise UnknownNameError(f"no family has {text!r} in its name", hint=", ".join(detectors.names()))
    console.table("Families of detectors", ["family", "what it is"], list(found.items()))
    console.result({"families": found})
