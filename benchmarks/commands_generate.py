"""The command that measures generators of new faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result


@app.command()
def generate(
    facesets: Annotated[list[Path], typer.Argument(help="Facesets of the photographs that the runs were trained on.")],
    run: Annotated[list[Path], typer.Option(help="Run of assay forge train-generator; repeatable.")],
    samples: Annotated[int, typer.Option(help="Faces of each run and truncation.", min=2)] = 128,
    truncation: Annotated[list[float] | None, typer.Option(help="Repeatable.", show_default="0.7, 1")] = None,
    sheets: Annotated[
        Path | None, typer.Option(help="Write a sheet of 64 faces of each here, to look at.", show_default=False)
    ] = None,
    save: Save = None,
) -> None:
    """Generated faces against photographs: kernel distance, share that is not new by its certificate, time."""
    from benchmarks.generate import measured

    settings = {"samples": samples, "facesets": [path.name for path in facesets]}
    found = []
    for one in run:
        found += measured(one, facesets, samples=samples, truncations=truncation or [0.7, 1.0], sheets=sheets)
        # Saved after each run, so that a call that is stopped keeps what it has.
        show(new_result("generate", command_line(), found, settings=settings), save)


@app.command("generated-stills")
def generated_stills(
    facesets: Annotated[list[Path], typer.Argument(help="Facesets of photographs of many people.")],
    run: Annotated[Path, typer.Option(help="Run whose faces the detectors are trained on.")],
    other: Annotated[
        list[Path] | None, typer.Option(help="Run that is only tested; repeatable.", show_default=False)
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the stills.", min=1)] = 12,
    most: Annotated[int, typer.Option(help="Photographs for training, and for the test, at most.", min=40)] = 1000,
    save: Save = None,
) -> None:
    """AUC of the detectors upsampling and spectrum on generated stills, by JPEG quality and after a reduction."""
    from benchmarks.generated_stills import measured

    settings = {"epochs": epochs, "most": most, "facesets": [path.name for path in facesets]}
    for found in measured(run, facesets, epochs=epochs, most=most, others=other or []):
        show(new_result("generated-stills", command_line(), found, settings=settings), save)


@app.command("still-sets")
def still_sets(
    photographs: Annotated[Path, typer.Argument(help="Folder of photographs, each of another person.")],
    run: Annotated[Path, typer.Option(help="Run of assay forge train-generator.")],
    out: Annotated[Path, typer.Option(help="Folder of the sets and their audits.")],
    rights: Annotated[str, typer.Option(help="Rights to use the photographs.")],
    only: Annotated[str, typer.Option(help="Photographs with such names.")] = "*",
    most: Annotated[int, typer.Option(help="So many photographs, the first by name.", min=24)] = 80,
    save: Save = None,
) -> None:
    """A set of photographs and generated faces, with its controls and without some, both audited for shortcuts."""
    from benchmarks.still_sets import measured
    from shared.video.images import pictures_in

    chosen = [path for path in pictures_in(photographs) if path.match(only)][:most]
    settings = {"photographs": len(chosen), "only": only, "run": run.name}
    for found in measured(chosen, run, out, rights=rights):
        show(new_result("still-sets", command_line(), found, settings=settings), save)
