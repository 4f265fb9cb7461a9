"""``assay forge redraw``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.commands.options import DeviceOption
from shared.console import console, counted


def redraw(
    faceset: Annotated[Path, typer.Argument(help="Faces to draw again.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Run folder, or an exported swapper.")],
    out: Annotated[Path, typer.Option(help="Folder of the redrawn faceset.")],
    source: Annotated[
        str | None, typer.Option(help="Whose decoder draws.", show_default="the faceset's own person")
    ] = None,
    max_faces: Annotated[int | None, typer.Option(help="At most this many, evenly spaced.", show_default="all")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a faceset that is there.")] = False,
    device: DeviceOption = None,
) -> None:
    """Draws a faceset again with a swapper's decoder, face for face in place: twins that detectors are taught with.

    Example: assay forge redraw faces/crowd --run runs/crowd --source crowd-b --out faces/crowd-twins
    """
    from forge.swapping.redraw import redraw as draw

    info = draw(faceset, out, swapper=run, source=source, max_faces=max_faces, device=device or "auto", force=force)
    console.print(f"{out}: {counted(info.faces, 'face')}, drawn by {info.drawn_by.rsplit(' ', 1)[0]}")
    console.result({"out": out, "faces": info.faces, "drawn_by": info.drawn_by})
