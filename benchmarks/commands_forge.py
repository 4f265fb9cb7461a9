"""Commands that measure swappers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import SETTINGS, DeviceName, Save, app, command_line, device_text, show
from benchmarks.schema import new_result
from shared.console import console
from shared.errors import UsageError


@app.command("swap-quality")
def swap_quality(
    clips: Annotated[list[Path], typer.Argument(help="Two clips of two people.")],
    config: Annotated[Path, typer.Option(help="TOML of training settings.", show_default="pair-cpu.toml")] = SETTINGS
    / "pair-cpu.toml",
    recipe: Annotated[str | None, typer.Option(help="A recipe instead of a settings file.")] = None,
    start_from: Annotated[str | None, typer.Option("--from", help="base, none, or a swapper.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Training time instead of the settings' own.")] = None,
    sharpen: Annotated[float, typer.Option(help="Unsharp masking of the swapped face before it is pasted.")] = 0.0,
    work: Annotated[Path, typer.Option(help="Folder for facesets, run and swaps.")] = Path("runs/swap-quality"),
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Two people, both directions, measured on the last fifth of each clip, which is not trained on."""
    from benchmarks.swap_quality import measure
    from forge.swapping.config import BlendConfig, SwapConfig
    from forge.training.config import TrainConfig
    from forge.training.recipe import load_recipe
    from shared.config import from_mapping, load_toml

    given = {"minutes": minutes, "device": device, "start_from": start_from}
    if recipe is None:
        trained = load_toml(TrainConfig, config, overrides=given)
    else:
        limit = {} if minutes is None else {"steps": 10_000_000}
        chosen = {name: value for name, value in given.items() if value is not None}
        trained = from_mapping(TrainConfig, {**load_recipe(recipe), **limit, **chosen}, where=recipe)
    found, settings = measure(
        clips, config=trained, work=work, swap=SwapConfig(device=device, blend=BlendConfig(sharpen=sharpen))
    )
    show(new_result("swap-quality", command_line(), found, settings=settings, device=device_text(device)), save)


@app.command()
def swappers(
    minutes: Annotated[float, typer.Option(help="Training time of each family.")],
    faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of one of the two people; twice.", show_default=False)
    ] = None,
    clips: Annotated[
        list[Path] | None, typer.Option(help="Clip that a faceset was extracted from; twice.", show_default=False)
    ] = None,
    cast: Annotated[
        list[Path] | None, typer.Option(help="More facesets, for retrieval among them; repeatable.", show_default=False)
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this family; repeatable.", show_default="all")] = None,
    config: Annotated[Path, typer.Option(help="TOML of widths and sizes.", show_default="swappers.toml")] = SETTINGS
    / "swappers.toml",
    table: Annotated[Path | None, typer.Option(help="Page with markers for the table, docs/swappers.md.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a sheet of all families on two actors, no table.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for runs and swaps; finished ones are reused.")] = Path(
        "runs/swappers"
    ),
    device: DeviceName = "auto",
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Annotated[
        Path | None, typer.Option("--save", "--out", help="Write the result here; '-' for results/swappers.json.")
    ] = None,
) -> None:
    """Every family of swappers on one pair for equal minutes: measured on the last fifth, or rendered on actors."""
    from benchmarks import swappers as bench
    from benchmarks.page import put_between
    from benchmarks.swappers_table import markdown
    from benchmarks.swappers_table import sheet as render_sheet
    from shared.storage import write_bytes

    settings = bench.load_settings(config)
    if sheet is not None:
        if faces or clips:
            raise UsageError("a sheet is of actors", hint="leave --faces and --clips out, or --sheet")
        faces, clips = bench.film_pair(work / "actors")
    jobs = bench.make_jobs(
        faces or [], clips or [], settings, work=work, minutes=minutes, only=only or (), cast=cast or (),
        device=device, finder=finder, measured=sheet is None,
    )  # fmt: skip
    found, notes = bench.measure(jobs, say=console.print)
    if sheet is not None:
        write_bytes(sheet, render_sheet([(job.family, Path(job.folder)) for job in jobs]))
        console.print(f"picture: {sheet}")
        return
    facts = {"minutes": minutes, "held_out": "the last fifth", "cast": len(jobs[0].cast), **settings}
    show(new_result("swappers", command_line(), found, settings=facts, device=device_text(device), notes=notes), save)
    if table is not None:
        console.print(f"table: {put_between(table, markdown(found, notes), name='swappers')}")


@app.command()
def many(
    run: Annotated[Path, typer.Option(help="Run folder of a swapper of many people, trained with a held-out fifth.")],
    faces: Annotated[list[Path], typer.Option(help="Faceset of a person; repeatable.")],
    clips: Annotated[list[Path], typer.Option(help="Clip that a faceset was extracted from; repeatable.")],
    frames: Annotated[int, typer.Option(help="Held-out frames of each clip, evenly spaced.", min=1)] = 8,
    picture: Annotated[Path | None, typer.Option(help="Write the matrix of directions here, as PNG.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for what is swapped.")] = Path("runs/many"),
    device: DeviceName = "auto",
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """One swapper of many people: whom each swapped face is taken for, in every direction, on held-out frames."""
    from benchmarks.many import measure, plot_matrix
    from shared.storage import write_bytes

    total = len(faces) * (len(faces) - 1)
    with console.progress("swapping and measuring", total, unit="direction") as tick:
        found, settings, matrix = measure(
            run, faces, clips, frames=frames, work=work, device=device, finder=finder, tick=tick
        )
    if picture is not None:
        write_bytes(picture, plot_matrix(matrix))
        console.print(f"matrix: {picture}")
    show(new_result("many", command_line(), found, settings=settings, device=device_text(device)), save)


@app.command()
def base(
    material: Annotated[
        Path | None, typer.Argument(help="Folder with real_faces and video_grid; actors alone without it.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for actors, facesets and run; what is there is kept.")] = Path(
        "runs/base"
    ),
    minutes: Annotated[float | None, typer.Option(help="Training time; by the clock.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps, in place of the recipe's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to ship it, forge/models/weights/base in the package.")
    ] = None,
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Makes the base swapper of the package: facesets, one training of a population, weights and model card."""
    import time

    from benchmarks.base_swapper import base_config, make_base, ship
    from benchmarks.schema import Measurement
    from forge.models.checkpoint import read_card

    config = base_config(minutes=minutes, steps=steps, device=device)
    before = time.process_time()
    run = make_base(material, work, config)
    cost = time.process_time() - before
    card = ship(run, out) if out is not None else read_card(run)
    facts = {name: float(card.training[name]) for name in ("steps", "seconds", "faces_seen", "loss")}
    found = [
        Measurement.of("training", "steps", [facts["steps"]]),
        Measurement.of("training", "minutes", [facts["seconds"] / 60], better="lower"),
        Measurement.of("faces seen", "faces", [facts["faces_seen"]]),
        Measurement.of("loss", "mean of the last steps", [facts["loss"]], better="lower"),
        Measurement.of("CPU time of this call", "minutes", [cost / 60], better="lower"),
        Measurement.of("parameters", "million", [card.parameters / 1e6]),
    ]
    settings = {"model": card.model, "people": sum(each.faces for each in card.facesets), "recipe": "population"}
    show(new_result("base", command_line(), found, settings=settings, device=device_text(device)), save)


@app.command()
def restorer(
    material: Annotated[Path, typer.Argument(help="Folder with real_faces.")],
    work: Annotated[Path, typer.Option(help="Folder for facesets and run; what is there is kept.")] = Path("runs/base"),
    minutes: Annotated[float | None, typer.Option(help="Training time; by the clock.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to ship it, forge/models/weights/restorer/model.safetensors.")
    ] = None,
    device: DeviceName = "auto",
) -> None:
    """Makes the restorer of the package: a small network that sharpens faces, trained on photographs."""
    import shutil

    from benchmarks.base_swapper import make_restorer
    from forge.training.restoring import RestorerConfig

    steps = RestorerConfig().steps if minutes is None else 10_000_000
    weights = make_restorer(material, work, RestorerConfig(minutes=minutes, steps=steps, device=device))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights, out)
    console.print(f"restorer: {out or weights}\npictures: {work / 'restorer' / 'previews' / 'latest.png'}")
