"""Commands that measure datasets: building, auditing, tampering, size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result
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
def traces(
    path: Annotated[Path, typer.Argument(help="A dataset.")],
    out: Annotated[Path | None, typer.Option(help="Folder for traces.json and traces.png.")] = None,
    clips: Annotated[int, typer.Option(help="Fakes of each manipulation that are compared.", min=1)] = 24,
    frames: Annotated[int, typer.Option(help="Pictures of each.", min=1)] = 4,
    save: Save = None,
) -> None:
    """How far each manipulation of a set moves statistics of real faces, and whether all of them move one way."""
    from benchmarks.traces import as_measurements
    from shared.dataset.traces.measure import measure_traces
    from shared.dataset.traces.report import write_traces

    found = measure_traces(path, clips=clips, frames=frames)
    if out is not None:
        write_traces(found, out)
    settings = {"set": found.dataset, "clips": clips, "frames": frames, "left_out": found.left_out}
    show(new_result("traces", command_line(), as_measurements(found), settings=settings, notes=found.warnings), save)
