"""The command that measures marks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Repeats, Save, app, command_line, show
from benchmarks.schema import Measurement, new_result


@app.command()
def marking(
    media: Annotated[
        Path | None, typer.Option(help="Folder of real clips, pictures and speech.", show_default="$ASSAY_MEDIA/media")
    ] = None,
    clips: Annotated[int, typer.Option(help="Clips, actors among them, at most.", min=1)] = 40,
    pictures: Annotated[int, typer.Option(help="Unmarked pictures, at most.", min=1)] = 2000,
    people: Annotated[int, typer.Option(help="People of the detectors' training and test, at most.", min=24)] = 360,
    minutes: Annotated[float, typer.Option(help="No clip or picture of a part is begun after that time.")] = 20,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="survival, false-alarms, sound, speed, redrawn or detectors; repeatable.", show_default="all"
        ),
    ] = None,
    side: Annotated[int, typer.Option(help="Pixels of the shorter side of clips.", min=64)] = 288,
    only: Annotated[
        list[str] | None, typer.Option(help="Only cases whose name holds this; repeatable.", show_default="all")
    ] = None,
    repeats: Repeats = 5,
    picture: Annotated[Path | None, typer.Option(help="Write docs/marking.jpg here, and measure nothing.")] = None,
    save: Save = None,
) -> None:
    """How well marks survive encodes, changes of shape and attacks; false alarms, quality and speed."""
    if picture is not None:
        from benchmarks.marking_picture import difference_picture

        picture.write_bytes(difference_picture())
        return
    from benchmarks.marking_parts import PARTS, measurements

    root = media or (Path(os.environ["ASSAY_MEDIA"]) / "media" if "ASSAY_MEDIA" in os.environ else None)
    settings = {"clips": clips, "pictures": pictures, "minutes": minutes, "side": side, "real media": root is not None}
    found: list[Measurement] = []
    for name in part or PARTS:
        found += measurements(
            name,
            root,
            most=clips,
            pictures=pictures,
            people=people,
            minutes=minutes,
            repeats=repeats,
            side_px=side,
            only=tuple(only or ()),
        )
        # Saved after each part, so that a run that is stopped keeps what it has.
        show(
            new_result("marking" if side == 288 else f"marking-{side}", command_line(), list(found), settings=settings),
            save,
        )
