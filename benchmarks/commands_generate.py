"""The command that measures generators of new faces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import SETTINGS, Save, app, command_line, show
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


@app.command("generate-peers")
def generate_peers(
    facesets: Annotated[list[Path], typer.Argument(help="Facesets of photographs, each file of another person.")],
    work: Annotated[Path, typer.Option(help="Folder of the trainings; one that was stopped goes on.")],
    gan: Annotated[
        list[str] | None, typer.Option(help="GAN to train; repeatable.", show_default="generate-gan, torchgan-dcgan")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Minutes of the processor for each.")] = 60.0,
    steps: Annotated[int | None, typer.Option(help="Stop after so many steps.", show_default="no limit")] = None,
    px: Annotated[int, typer.Option(help="Side of the faces: 64 or 128.")] = 64,
    batch: Annotated[int, typer.Option(help="Faces in a step.")] = 16,
    samples: Annotated[int, typer.Option(help="Faces of each GAN.", min=2)] = 128,
    sheets: Annotated[
        Path | None, typer.Option(help="Write a sheet of 64 faces of each here, to look at.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the trainings.")] = 0,
    save: Save = None,
) -> None:
    """Assay's GAN beside a package's, for equal minutes of the processor: kernel distance to the photographs, steps."""
    from benchmarks.generate_peers import GANS, Effort, measured

    effort = Effort(px, batch, minutes, steps, seed)
    settings = {**asdict(effort), "samples": samples, "facesets": [path.name for path in facesets]}
    for found in measured(facesets, gan or GANS, work, effort, samples=samples, sheets=sheets):
        # Saved after each GAN, so that a call that is stopped keeps what it has.
        show(new_result("generate-peers", command_line(), found, settings=settings), save)


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


@app.command()
def kinds(
    photographs: Annotated[Path, typer.Argument(help="Folder of photographs, each of another person.")],
    generator: Annotated[list[str], typer.Option(help="NAME=RUN of a generator of faces. Repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder of the set; built as far as it is not there.")],
    work: Annotated[Path, typer.Option(help="Folder of the trainings; finished ones are kept.")],
    rights: Annotated[str, typer.Option(help="Rights to use the photographs.")],
    settings: Annotated[Path, typer.Option(help="Swaps and re-enactments of the set.")] = SETTINGS / "set-kinds.toml",
    leave_out: Annotated[list[str] | None, typer.Option(help="Manipulation that is left out. Repeatable.")] = None,
    only: Annotated[str, typer.Option(help="Photographs with such names.")] = "*",
    most: Annotated[int, typer.Option(help="So many photographs, the first by name.", min=30)] = 100,
    face_steps: Annotated[int, typer.Option(help="Steps of the detector of faces.", min=10)] = 150,
    motion_steps: Annotated[int, typer.Option(help="Steps of the detector of motion.", min=10)] = 300,
    still_steps: Annotated[int, typer.Option(help="Steps of the detectors of stills.", min=10)] = 200,
    seed: Annotated[int, typer.Option(help="Of the trainings.")] = 0,
    save: Save = None,
) -> None:
    """Detectors of faces, motion and stills, one by one and fused, on all kinds of fakes, some left out or not."""
    from benchmarks.kinds import Effort, built, measured
    from shared.video.images import pictures_in

    chosen = [path for path in pictures_in(photographs) if path.match(only)][:most]
    generators = {name: Path(run) for name, _, run in (text.partition("=") for text in generator)}
    effort, left = Effort(face_steps, motion_steps, still_steps), leave_out or []
    dataset = built(settings, out, chosen, rights, generators)
    told = {"photographs": len(chosen), "generators": sorted(generators), "left out": left, "seed": seed}
    told |= {"face steps": face_steps, "motion steps": motion_steps, "still steps": still_steps}
    for found in measured(dataset, work, effort, left, seed):
        show(new_result("kinds", command_line(), found, settings=told), save)
