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
    kind: Annotated[
        list[str] | None, typer.Option(help="Kind of detector. Repeatable.", show_default="lfcc-gmm, spectral")
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Engine that is left out in turn. Repeatable.", show_default="each")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the trainings.")] = 0,
    save: Save = None,
) -> None:
    """EER, costs and Cllr of detectors of synthetic speech: in family, engines left out, codecs, rooms; probes."""
    import dataclasses

    from benchmarks.speech import SpeechPlan, measure
    from detect.speech.utterances import read_speech

    plan, made = SpeechPlan(steps=steps, steps_left_out=steps_left_out, seed=seed), read_speech(dataset)
    plan = dataclasses.replace(plan, kinds=tuple(kind or plan.kinds), left_out=tuple(leave_out or ()))
    settings = {**dataclasses.asdict(plan), "set": made.name, "list_sha256": made.digest}
    for split in ("train", "val", "test"):
        mine = [each for each in made.utterances if each.split == split]
        settings[split] = {
            "real": sum(not each.fake for each in mine),
            "fake": sum(each.fake for each in mine),
            "speakers": len({each.speaker for each in mine}),
        }
    show(new_result("speech", command_line(), measure(dataset, work, plan), settings=settings), save)


@app.command("speech-detector")
def speech_detector(
    voices: Annotated[
        list[Path], typer.Argument(help="Voicesets of recorded readers, or folders of them.", show_default=False)
    ],
    work: Annotated[Path, typer.Option(help="Folder for the set and the run, to go on from.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder of the detector.", show_default="the package's own")] = None,
    engines: Annotated[
        str, typer.Option(help="Engines that read sentences, with commas.")
    ] = "espeak,flite,festival,hibari,piper",
    per_speaker: Annotated[int, typer.Option(help="Utterances of each reader.", min=1)] = 2,
    steps: Annotated[int, typer.Option(help="Steps of the training.", min=1)] = 4000,
    seed: Annotated[int, typer.Option(help="Seed of the set and the training.")] = 0,
    save: Save = None,
) -> None:
    """Makes the detector of synthetic speech that comes with the package; the same command goes on after a stop."""
    import dataclasses

    from benchmarks.speech_detector import SpeechDetectorPlan, make
    from detect.speech.shipped import SPEECH_FOLDER
    from shared.voices.reader import read_voiceset, voicesets_in

    named = tuple(each.strip() for each in engines.split(",") if each.strip())
    plan = SpeechDetectorPlan(engines=named, per_speaker=per_speaker, steps=steps, seed=seed)
    read = [read_voiceset(path) for folder in voices for path in voicesets_in(folder)]
    settings = {**dataclasses.asdict(plan), "readers": len(read)}
    found = make(read, work, out or SPEECH_FOLDER, plan)
    show(new_result("speech-detector", command_line(), found, settings=settings), save)


@app.command("real-sound")
def real_sound(
    folders: Annotated[list[Path], typer.Argument(help="Folders of real recordings and clips.", show_default=False)],
    detector: Annotated[Path, typer.Option(help="Run or folder of a detector of speech, or assay.")] = Path("assay"),
    save: Save = None,
) -> None:
    """Verdicts of a detector of speech on sound that is all real: none may be called fake."""
    from benchmarks.real_clips import measure_sounds, sounds_under

    found, told = measure_sounds(sounds_under(folders), detector)
    settings = {"detector": detector.name, "verdicts": told}
    show(new_result("real-sound", command_line(), found, settings=settings), save)
