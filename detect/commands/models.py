"""``assay detect models``."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.console import console


def models(
    text: Annotated[str, typer.Argument(metavar="[FILTER]", help="Part of the name.", show_default=False)] = "",
) -> None:
    """Lists the models a detector can be made of.

    Example: assay detect models convnext
    """
    from detect.models.backbone import model_names
    from shared.errors import UnknownNameError

    names = model_names(text)
    if not names:
        raise UnknownNameError(f"no model has {text!r} in its name", hint="try a shorter part, or none")
    for name in names:
        console.print(name)
    console.result({"models": names})
