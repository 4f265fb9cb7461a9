"""The command that measures detectors of synthetic speech."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result


@app.command("speech")
def speech(
    dataset: Annotated[Path, typer.Argument(help="Set of speech with all three splits.", show_default=False)],
    work: Annotated[Path, typer.Option(help="Folder that keeps the detectors, to go on from.", show_default=False)],
    steps: Annotated[int, typer.Option(help="Steps of the network in family.", min=1)] = 600,
    steps_left_out: Annotated[int, typer.Option(help="Steps with an engine left out.", min=1)] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the trainings.")] = 0,
    save: Save = None,
) -> None:
    """EER, costs and Cllr of detectors of synthetic speech: in family, engines left out, codecs, rooms; probes."""
    import dataclasses

    from benchmarks.speech import SpeechPlan, measure
    from detect.speech.utterances import read_speech

    plan, made = SpeechPlan(steps=steps, steps_left_out=steps_left_out, seed=seed), read_speech(dataset)
    settings = {**dataclasses.asdict(plan), "set": made.name, "list_sha256": made.digest}
    for split in ("train", "val", "test"):
        mine = [each for each in made.utterances if each.split == split]
        settings[split] = {
            "real": sum(not each.fake for each in mine),
            "fake": sum(each.fake for each in mine),
            "speakers": len({each.speaker for each in mine}),
        }
    show(new_result("speech", command_line(), measure(dataset, work, plan), settings=settings), save)
