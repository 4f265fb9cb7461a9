"""``assay detect import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from shared.commands.completion import values
from shared.commands.options import choices
from shared.console import console
from shared.errors import UsageError
from shared.types import Framing


def import_weights(
    file: Annotated[Path, typer.Argument(help="Keras weights of MesoNet, .h5.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Detector folder to write.", show_default=False)],
    framing: Annotated[
        str, typer.Option(help=f"How much of the head it sees: {choices(Framing)}.", autocompletion=values(Framing))
    ] = "whole",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing detector folder.")] = False,
) -> None:
    """Makes a detector from published weights of MesoNet, a baseline: Meso-4 or MesoInception-4.

    The folder works like a trained one, in detect evaluate, inspect and detect export.

    Example: assay detect import MesoInception_DF.h5 --out runs/mesonet
    """
    if framing not in get_args(Framing):
        raise UsageError(f"no framing is named {framing!r}", hint=choices(Framing))
    if out.exists() and not force:
        raise UsageError(f"{out} is there already", hint="--force replaces it")
    from detect.exchange.keras import import_keras

    detector = import_keras(file, out, framing=cast(Framing, framing))
    console.print(f"{detector.spec.name} from {file.name}: {out}")
    console.result({"detector": out, "name": detector.spec.name, "family": detector.spec.family})
