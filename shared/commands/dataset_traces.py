"""``assay dataset traces``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from shared.console import console


def traces(
    path: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for traces.json and traces.png.")],
    clips: Annotated[int, typer.Option(help="Fakes of each manipulation that are compared.", min=1)] = 24,
    frames: Annotated[int, typer.Option(help="Pictures of each.", min=1)] = 4,
    workers: Annotated[int, typer.Option(help="Threads that read clips; 0: one per core.", min=0)] = 0,
) -> None:
    """Measures how far each manipulation moves statistics of real faces, and whether all of them move one way.

    Example: assay dataset traces sets/portraits --out traces/portraits

    Every fake is compared with its own real clip: detail by frequency and noise in the face, in the band round its
    border and in the surroundings, and steps of colour across the border, in standard deviations of real faces.
    """
    from shared.dataset.traces.measure import measure_traces
    from shared.dataset.traces.report import COLUMNS, as_document, rows, summary, write_traces

    found = measure_traces(
        path, clips=clips, frames=frames, workers=workers, progress=partial(console.progress, unit="clip")
    )
    picture = write_traces(found, out)
    console.table(f"Traces of {found.dataset}, in standard deviations of real faces", list(COLUMNS), rows(found))
    for reason, count in found.left_out.items():
        console.warn(f"{count} fakes {reason} were left out")
    for warning in found.warnings:
        console.warn(warning)
    console.print(f"{summary(found)}\n{picture} shows it")
    console.result(as_document(found))
