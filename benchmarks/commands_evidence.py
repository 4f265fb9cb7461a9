"""Commands that measure the evidence without training: its table of real material, and how often it differs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result
from detect.inspection.evidence.reference import REFERENCE
from shared.console import console

Media = Annotated[Path, typer.Argument(help="Folder of real material: video_grid/, real_faces/ and others.")]
Each = Annotated[int, typer.Option(help="Files of each set, at most.", min=2)]
Cache = Annotated[Path | None, typer.Option(help="File that keeps what was measured, in numbers, to go on from.")]
Finder = Annotated[str, typer.Option(help="Face finder.")]


@app.command("evidence-reference")
def evidence_reference(
    media: Media,
    out: Annotated[Path, typer.Option(help="Written here.", show_default="the table of this version")] = REFERENCE,
    each: Each = 40,
    finder: Finder = "dlib",
    cache: Cache = None,
) -> None:
    """Measures noise, sharpness, colour and spectrum of faces in real material, for the evidence of inspections."""
    from benchmarks.evidence import examined, reference_of, table_files

    files = table_files(media, each)
    found = reference_of(examined(files, finder=finder, cache=cache, faces_only=True))
    found.write(out)
    for kind, values in found.values.items():
        for name, spread in values.items():
            console.print(f"{kind}, {name}: {spread.words()}")
    console.print(f"written to {out}")


@app.command("evidence")
def evidence(
    media: Media,
    fakes: Annotated[
        list[Path] | None, typer.Option(help="Folder of fakes by Assay; repeatable.", show_default=False)
    ] = None,
    each: Each = 40,
    finder: Finder = "dlib",
    cache: Cache = None,
    save: Save = None,
) -> None:
    """How often evidence differs from its reference: real files, fakes of others and of Assay, odd files."""
    from benchmarks.evidence import examined, grouped, measurements, other_files, rates, table_files, with_faces

    table_files_ = table_files(media, each)
    others = other_files(media, fakes or [], each)
    files = [*table_files_, *others]
    rows = examined(files, finder=finder, cache=cache)
    count = len(table_files_)
    compared = grouped(with_faces(rows, rows[:count]))
    for row in compared:
        if row.error:
            console.warn(f"{row.file}: {row.error}")
    settings = {"each": each, "finder": finder, "files": len(files)}
    notes = ("Faces of files in the table are compared with the table without that file.",)
    show(new_result("evidence", command_line(), measurements(rates(compared)), settings=settings, notes=notes), save)


@app.command("mouth-sound")
def mouth_sound(
    folders: Annotated[list[Path], typer.Argument(help="Folders of clips with speech.", show_default=False)],
    finder: Finder = "dlib",
    save: Save = None,
) -> None:
    """Mouth and sound in step against moved by 160 and 320 ms and against the sound of another clip: AUC."""
    from benchmarks.mouth_sound import SHIFTS, measure, spoken_clips
    from shared.bootstrap import BootstrapSettings

    clips, total = spoken_clips(folders, finder)
    bootstrap = BootstrapSettings()
    found, numbers = measure(clips, bootstrap)
    settings = {
        "finder": finder,
        "clips": total,
        "with sound and face": len(clips),
        "shifts_seconds": list(SHIFTS),
        "folders": sorted({clip.folder for clip in clips}),
        "each": numbers,
    }
    show(new_result("mouth-sound", command_line(), found, settings=settings), save)
