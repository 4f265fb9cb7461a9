"""Commands that measure detectors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import SETTINGS, DeviceName, Repeats, Save, app, command_line, device_text, show
from benchmarks.schema import RESULTS, new_result
from shared.console import console
from shared.errors import UsageError


@app.command("first-run")
def first_run(
    clips: Annotated[list[Path], typer.Argument(help="Clips; the file name is the person. Neighbours are paired.")],
    rights: Annotated[str, typer.Option(help="Rights to use the clips.")],
    same: Annotated[list[str] | None, typer.Option(help="CLIP=PERSON for a second clip of a person.")] = None,
    swap: Annotated[Path, typer.Option(help="TOML of the swapper's training.", show_default="many-cpu.toml")] = SETTINGS
    / "many-cpu.toml",
    detect_minutes: Annotated[float, typer.Option(help="Training time of the detector.")] = 5.0,
    work: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("runs/first-run"),
) -> None:
    """The whole workflow on real people, through the public command line."""
    from benchmarks.first_run import first_run, make_plan

    aliases = dict(pair.split("=", 1) for pair in same or [])
    first_run(
        make_plan(clips, same=aliases),
        work,
        swap_settings=["--config", str(swap)],
        detect_settings=["--minutes", str(detect_minutes), "--frames", "24"],
        rights=rights,
    )


@app.command()
def crowd(
    photographs: Annotated[Path, typer.Argument(help="Folder of photographs, a person each.")],
    config: Annotated[Path, typer.Option(help="TOML of swappers.", show_default="crowd.toml")] = SETTINGS
    / "crowd.toml",
    work: Annotated[Path, typer.Option(help="Folder of facesets, swappers and twins.")] = Path("runs/crowd"),
) -> None:
    """Facesets of many people and their twins by several decoders: training data of the detectors below."""
    from benchmarks.crowd import load_settings, prepare

    prepare(photographs, load_settings(config), work)


@app.command()
def detectors(
    dataset: Annotated[Path, typer.Argument(help="Set with train, val and test people and several manipulations.")],
    faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of real people to blend; repeatable.", show_default=False)
    ] = None,
    twins: Annotated[
        list[Path] | None, typer.Option(help="Those faces redrawn; repeatable.", show_default=False)
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="NAME=DETECTOR of a trained detector; repeatable.", show_default=False)
    ] = None,
    other: Annotated[
        list[Path] | None, typer.Option(help="Another set to test on; repeatable.", show_default=False)
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this row; repeatable.", show_default="all")] = None,
    config: Annotated[
        Path, typer.Option(help="TOML of rows, folds and seeds.", show_default="detectors.toml")
    ] = SETTINGS / "detectors.toml",
    table: Annotated[Path | None, typer.Option(help="Page with markers for the table, docs/detectors.md.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the plot here.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for runs and scores; finished ones are reused.")] = Path(
        "runs/detectors"
    ),
    save: Annotated[
        Path | None, typer.Option("--save", "--out", help="Write the result here; '-' for results/detectors.json.")
    ] = None,
) -> None:
    """Detectors trained on forgeries, self-blends and both, on manipulations that were left out of training."""
    from benchmarks.detectors_report import report

    result, text, plot = report(
        dataset, faces or [], twins or [], dict(_named(baseline or [])), other or [], only or [], config, work,
        command=command_line(),
    )  # fmt: skip
    show(result, save)
    if table is not None:
        from benchmarks.page import put_between

        console.print(f"table: {put_between(table, text, name='detectors')}")
    if picture is not None:
        from shared.storage import write_bytes

        write_bytes(picture, plot)
        console.print(f"picture: {picture}")


@app.command()
def detector(
    material: Annotated[
        Path | None, typer.Argument(help="Folder with real_faces and video_grid; actors alone without it.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for everything; what is there is kept.")] = Path("runs/assay"),
    run: Annotated[str, typer.Option(help="Name of the training in that folder.")] = "run",
    config: Annotated[
        Path, typer.Option(help="TOML of people, clips, fakes and training.", show_default="detector.toml")
    ] = SETTINGS / "detector.toml",
    minutes: Annotated[float | None, typer.Option(help="Training time; by the clock.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps, in place of the settings'.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training, in place of the settings'.")] = None,
    only_material: Annotated[
        bool, typer.Option("--only-material", help="Stop before the training: facesets, twins and sets alone.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Tasks of the sets at once.", show_default="one a core", min=1)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to ship it, detect/models/weights/assay in the package.")
    ] = None,
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Makes the detector of the package: people, twins, a set, a training, half precision, calibration, model card."""
    from benchmarks.shipped_detector import (
        Costs,
        load_settings,
        make_detector,
        make_material,
        measurements,
        ship,
        with_training,
    )
    from detect.models.checkpoint import need_detector_place

    if out is not None:
        need_detector_place(out)
    settings = with_training(load_settings(config), minutes=minutes, steps=steps, seed=seed, device=device)
    costs = Costs()
    made = make_material(material, work, settings, costs, jobs=jobs)
    if only_material:
        return
    folder = make_detector(made, work / run, settings, costs)
    if out is not None:
        ship(folder, out)
    found = measurements(folder, costs)
    facts = {"model": settings.train.model, "family": settings.train.family, "seed": settings.train.seed}
    show(new_result("detector", command_line(), found, settings=facts, device=device_text(device)), save)


@app.command()
def calibration(
    people: Annotated[
        list[int] | None, typer.Option(help="Number of people; repeatable.", show_default="10 to 200")
    ] = None,
    repeats: Repeats = 20,
    picture: Annotated[Path | None, typer.Option(help="Write a calibration plot of simulated scores here.")] = None,
    save: Save = None,
) -> None:
    """How many people a calibration needs: simulated scores, measured on people left out and on new ones."""
    from benchmarks.calibration import CalibrationPlan, Simulation, measure
    from benchmarks.calibration import picture as plots

    plan = CalibrationPlan(people=tuple(people or CalibrationPlan.people), repeats=repeats)
    settings = {"plan": asdict(plan), "simulation": asdict(Simulation())}
    show(new_result("calibration", command_line(), measure(plan), settings=settings), save)
    if picture is not None:
        from shared.storage import write_bytes

        write_bytes(picture, plots(plan))
        console.print(f"picture: {picture}")


@app.command()
def coverage(
    people: Annotated[
        list[int] | None, typer.Option(help="Number of people; repeatable.", show_default="10 to 200")
    ] = None,
    repeats: Repeats = 200,
    save: Save = None,
) -> None:
    """Whether conformal prediction sets keep their promise: simulated scores, measured on people never seen."""
    from benchmarks.calibration import Simulation
    from benchmarks.coverage import CoveragePlan, measure

    plan = CoveragePlan(people=tuple(people or CoveragePlan.people), repeats=repeats)
    settings = {"plan": asdict(plan), "simulation": asdict(Simulation())}
    show(new_result("coverage", command_line(), measure(plan), settings=settings), save)


@app.command("real-clips")
def real_clips(
    folders: Annotated[list[Path], typer.Argument(help="Folders of real clips, searched with the folders in them.")],
    detector: Annotated[Path, typer.Option(help="Run or folder of the detector, or assay: the one in the package.")] = (
        Path("assay")
    ),
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Verdicts of an inspection on clips that are all real: none may be called fake."""
    from benchmarks.real_clips import clips_under, measure

    found, verdicts = measure(clips_under(folders), detector, finder=finder, device=device)
    settings = {"detector": detector.name, "finder": finder, "verdicts": verdicts}
    show(new_result("real-clips", command_line(), found, settings=settings), save)


@app.command()
def outside(
    folder: Annotated[Path, typer.Argument(help="Folder of other people's fakes and their reals, with index.csv.")],
    detector: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=PATH: a run, a detector folder, onnx:FILE, or Keras weights of MesoNet (.h5); repeatable, and "
            "a NAME too, for several trainings of one recipe.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[int, typer.Option(help="Frames of each clip, evenly spaced.", min=1, max=64)] = 8,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    work: Annotated[Path, typer.Option(help="Folder for faces, which are found once.")] = Path("runs/outside"),
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Detectors on other people's fakes beside softness alone: AUC, paired accuracy, Cllr, by kind and family."""
    from benchmarks.outside.report import (
        main_table,
        measure,
        measurements,
        named_detectors,
        parts_table,
        spread_table,
    )

    found = measure(folder, named_detectors(detector or []), work, frames=frames, finder=finder, device=device)
    tables = {
        "Separation, 95 % over pairs and people": main_table(found),
        "Spread": spread_table(found),
        "Matched, by kind and family": parts_table(found),
    }
    for title, (columns, rows) in tables.items():
        console.table(title, columns, rows)
    for note in found.notes:
        console.print(f"note: {note}")
    if save is not None:
        result = new_result("outside", command_line(), measurements(found), settings=found.settings, notes=found.notes)
        console.print(f"written to {result.save(RESULTS / 'outside.json' if str(save) == '-' else save)}")


@app.command()
def diversity(
    faces: Annotated[list[Path], typer.Argument(help="Facesets of people to learn from.")],
    twins: Annotated[list[Path], typer.Option(help="Twins of them and of the scored faces; repeatable.")],
    test_faces: Annotated[list[Path], typer.Option(help="Faceset of other people, who are scored; repeatable.")],
    outside: Annotated[
        Path | None, typer.Option(help="Folder of other people's fakes and their reals, with index.csv.")
    ] = None,
    kinds: Annotated[
        list[int] | None, typer.Option(help="Kinds of fakes to learn from; repeatable.", show_default="1 to 15")
    ] = None,
    people: Annotated[
        list[int] | None, typer.Option(help="People to learn from; repeatable.", show_default="4 to 256")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Pairs of each training.")] = 640,
    seeds: Annotated[int, typer.Option(help="Trainings of each number.", min=1)] = 3,
    finder: Annotated[str, typer.Option(help="Face finder for the folder outside.")] = "auto",
    work: Annotated[Path, typer.Option(help="Folder for faces, which are found once.")] = Path("runs/outside"),
    image: Annotated[Path | None, typer.Option("--picture", help="Write a plot (.png) here.")] = None,
    save: Save = None,
) -> None:
    """Error on kinds of fakes left out, and outside, against the number of kinds and people learned from."""
    from benchmarks.diversity import DiversityPlan, as_measurements, measure, picture, read_faces, read_outside
    from shared.storage import write_bytes

    plan = DiversityPlan(
        kinds=tuple(kinds or DiversityPlan.kinds), people=tuple(people or DiversityPlan.people), pairs=pairs,
        seeds=tuple(range(seeds)),
    )  # fmt: skip
    others = None if outside is None else read_outside(outside, work, finder)
    points = measure(read_faces(faces, twins), read_faces(test_faces, twins), plan, others)
    show(new_result("diversity", command_line(), as_measurements(points), settings=asdict(plan)), save)
    if image is not None:
        write_bytes(image, picture(points))
        console.print(f"picture: {image}")


def _named(texts: list[str]) -> list[tuple[str, str]]:
    for text in texts:
        if "=" not in text:
            raise UsageError(f"{text!r} is not NAME=DETECTOR", hint="for example meso4=runs/meso4")
    return [(text.partition("=")[0], text.partition("=")[2]) for text in texts]
