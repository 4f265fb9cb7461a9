"""The command that measures detectors of synthetic speech."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result


@app.command("speech")
def speech(
    material: Annotated[Path, typer.Argument(help="Folder with many/ and ten/: recordings of readers.")],
    work: Annotated[Path, typer.Option(help="Folder that keeps the set and the detectors, to go on from.")],
    steps: Annotated[int, typer.Option(help="Steps of the network in family.", min=1)] = 240,
    steps_left_out: Annotated[int, typer.Option(help="Steps with an engine left out.", min=1)] = 120,
    size: Annotated[float, typer.Option(help="Share of the whole set that is made.", min=0.05, max=1)] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the set and of the trainings.")] = 0,
    save: Save = None,
) -> None:
    """EER, costs and Cllr of detectors of synthetic speech: in family, engines left out, codecs, rooms; probes."""
    import dataclasses

    from benchmarks.speech import SpeechPlan, measure
    from benchmarks.speech_set import SetSizes, build_set

    sizes, plan = SetSizes().scaled(size), SpeechPlan(steps=steps, steps_left_out=steps_left_out, seed=seed)
    made = build_set(material / "many", material / "ten", work / "set", sizes, seed)
    settings = {**dataclasses.asdict(plan), **dataclasses.asdict(sizes), "utterances": len(made.utterances)}
    notes = (
        "Engines with one voice have it in every split, with other sentences; readers and voices of espeak are apart.",
    )
    show(new_result("speech", command_line(), measure(made, work, plan), settings=settings, notes=notes), save)
