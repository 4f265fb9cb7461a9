"""Commands that measure datasets: building, auditing, tampering, size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import Measurement, new_result
from shared.console import console


@app.command()
def shortcuts(
    settings: Annotated[Path, typer.Argument(help="A set.toml, say settings/set-300.toml.")],
    out: Annotated[Path, typer.Option(help="The set with controls; the other and both audits are written beside it.")],
    jobs: Annotated[int, typer.Option(help="Tasks of a build at a time.", min=1)] = 2,
    pictures: Annotated[Path | None, typer.Option(help="Folder for the plots.")] = None,
    table: Annotated[Path | None, typer.Option(help="Page with markers for the tables, docs/dataset.md.")] = None,
    save: Save = None,
) -> None:
    """A set built with and without the controls, both audited with all shortcut probes."""
    from benchmarks.page import put_between
    from benchmarks.shortcuts import build_and_audit

    found, tables = build_and_audit(settings, out, jobs=jobs, pictures=pictures)
    show(new_result("shortcuts", command_line(), found, settings={"set": settings.name}), save)
    if table is not None:
        for name, text in zip(("controls", "no-controls"), tables, strict=True):
            put_between(table, text, name=name)


@app.command("cross-set")
def cross_set(
    clips: Annotated[list[Path], typer.Argument(help="Clips of people; the file name is the person.")],
    run: Annotated[list[str], typer.Option(help="NAME=RUN:PERSON, a swapper and its source identity; repeatable.")],
    rights: Annotated[str, typer.Option(help="Rights to use the clips.")],
    out: Annotated[Path, typer.Option(help="The set.")],
    work: Annotated[Path, typer.Option(help="Folder for the cut clips.")] = Path("runs/cross-set"),
    frames: Annotated[int, typer.Option(help="Frames of each clip.", min=8)] = 75,
    crf: Annotated[int, typer.Option(help="Of real clips and fakes.", min=0, max=51)] = 28,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "dlib",
) -> None:
    """A set of other people and other families, to test detectors that were trained on another."""
    from benchmarks.cross_set import make_set, parse_runs

    make_set(clips, parse_runs(run), out, work=work, rights=rights, frames=frames, crf=crf, finder=finder)


@app.command()
def scale(
    clips: Annotated[int, typer.Option(help="Number of lines of the manifest.", min=16)] = 100_000,
    save: Save = None,
) -> None:
    """Load, split, filter and verify the structure of a manifest without media."""
    from benchmarks.scale import measure

    show(new_result("scale", command_line(), measure(clips), settings={"clips": clips}), save)


@app.command()
def scaling(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Clips of four people, one each.", show_default="procedural actors")
    ] = None,
    frames: Annotated[int, typer.Option(help="Frames of each.", min=8)] = 40,
    steps: Annotated[int, typer.Option(help="Steps of each training.", min=1)] = 24,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "dlib",
    save: Save = None,
) -> None:
    """Build throughput of one core by stage, and of two Ray workers of one core each against one."""
    from benchmarks.scaling import measure

    found, settings, notes = measure(clips or [], frames=frames, steps=steps, finder=finder, say=console.print)
    show(new_result("scaling", command_line(), found, settings=settings, notes=notes), save)


@app.command()
def tamper(
    sets: Annotated[int, typer.Option(help="Number of sets, one tampering each.", min=1)] = 200,
    start: Annotated[int, typer.Option(help="Seed of the first set.", min=0)] = 0,
    save: Save = None,
) -> None:
    """Whether verify finds seven kinds of tampering, without false alarms on unmodified sets."""
    from benchmarks.tamper import measurements, run

    with console.progress("sets", sets, unit="set") as tick:
        outcomes = run(sets, start=start, tick=tick)
    for outcome in outcomes:
        if outcome.accused or not outcome.found:
            console.warn(f"seed {outcome.seed}, {outcome.kind}: untouched {outcome.accused}, said {outcome.said[:3]}")
    show(new_result("tamper", command_line(), measurements(outcomes), settings={"sets": sets, "start": start}), save)


@app.command()
def writers(
    rounds: Annotated[int, typer.Option(help="How often the four write one name at once.", min=1)] = 200,
    start: Annotated[int, typer.Option(help="Seed of the first round.", min=0)] = 0,
    save: Save = None,
) -> None:
    """Four processes that write one clip name into one set: one wins, and the set stays whole."""
    from benchmarks.writers import measurements, run

    with console.progress("rounds", rounds, unit="round") as tick:
        outcomes = run(rounds, start=start, tick=tick)
    for outcome in outcomes:
        if outcome.faults:
            console.warn(f"seed {outcome.seed}: {outcome.faults[:3]}")
    settings = {"rounds": rounds, "start": start}
    show(new_result("writers", command_line(), measurements(outcomes), settings=settings), save)


@app.command("build-kill")
def build_kill(
    moments: Annotated[int, typer.Option(help="Number of killed builds.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 50,
    jobs: Annotated[int, typer.Option(help="Tasks of a build at a time.", min=1)] = 1,
    save: Save = None,
) -> None:
    """Builds killed at random moments and resumed, compared with an uninterrupted one."""
    import tempfile

    from benchmarks.build_kill import kill_and_go_on

    with (
        tempfile.TemporaryDirectory() as folder,
        console.progress("killing builds", moments, unit="build") as tick,
    ):
        seen = kill_and_go_on(Path(folder), moments=moments, seed=seed, jobs=jobs, tick=tick)
    found = [
        Measurement.of("killed while running", "builds", [float(seen.killed)], note=f"of {seen.moments} moments"),
        Measurement.of("ended otherwise", "builds", [float(seen.different)], target=0.0, better="lower"),
        Measurement.of("listed half-written", "builds", [float(seen.half_written)], target=0.0, better="lower"),
        Measurement.of("a build by itself", "s", [seen.build_seconds], better="lower"),
    ]
    show(
        new_result("build-kill", command_line(), found, settings={"moments": moments, "seed": seed, "jobs": jobs}), save
    )
