"""Commands that measure what the suite bears: hostile input, kills, a full disk, tampering, racing writers."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result
from shared.console import console


@app.command()
def fuzz(
    cases: Annotated[int, typer.Option(help="Number of cases.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="Of all cases.", min=0)] = 0,
    start: Annotated[int, typer.Option(help="Number of the first case.", min=0)] = 0,
    only: Annotated[list[int] | None, typer.Option(help="This case alone; repeatable.", show_default="all")] = None,
    jobs: Annotated[int, typer.Option(help="Cases side by side.", min=1)] = min(4, os.cpu_count() or 1),
    minutes: Annotated[
        float | None, typer.Option(help="Begin no case after that time.", show_default="no limit")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder in which the files of faulty cases stay.")] = None,
    save: Save = None,
) -> None:
    """Damaged and crafted files and settings through the commands: each has to end in a sentence. Exit 1 if not."""
    from benchmarks.fuzz import Outcome, gathered, measurements, run

    total = len(only) if only else cases
    with console.progress("cases", total, unit="case") as tick:

        def told(outcome: Outcome) -> None:
            tick()
            if not outcome.sound:
                console.warn(f"case {outcome.number}: {outcome.command}: {outcome.what}: {outcome.fault}")

        outcomes = run(
            cases,
            seed=seed,
            start=start,
            only=tuple(only or ()),
            jobs=jobs,
            minutes=math.inf if minutes is None else minutes,
            keep=keep,
            tick=told,
        )
    faults = gathered(outcomes)
    notes = tuple(f"{len(those)} x {fault}; case {those[0].number}" for fault, those in faults.items())
    settings = {"cases": len(outcomes), "seed": seed, "start": start}
    show(new_result("fuzz", command_line(), measurements(outcomes), settings=settings, notes=notes), save)
    raise typer.Exit(int(bool(faults)))


@app.command()
def kills(
    moments: Annotated[int, typer.Option(help="Of each command, half of them SIGKILL, half Ctrl-C.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of the moments.", min=0)] = 0,
    only: Annotated[list[str] | None, typer.Option(help="This command alone; repeatable.", show_default="all")] = None,
    save: Save = None,
) -> None:
    """Commands killed or interrupted at random moments and run again, compared with runs left alone."""
    from benchmarks.kills import ERRANDS, Outcome, measurements, run

    names = tuple(only or [errand.name for errand in ERRANDS])
    with console.progress("moments", moments * len(names), unit="moment") as tick:

        def told(outcome: Outcome) -> None:
            tick()
            if outcome.faults:
                console.warn(f"{outcome.errand}, {outcome.signal}: {outcome.faults[:3]}")

        outcomes, alone = run(moments, seed=seed, names=names, tick=told)
    settings = {"moments": moments, "seed": seed}
    show(new_result("kills", command_line(), measurements(outcomes, alone), settings=settings), save)


@app.command()
def refusals(save: Save = None) -> None:
    """Commands on a full disk, under a limit on file size, in somebody else's folder: a sentence, nothing harmed."""
    from benchmarks.refusals import measurements, run

    with console.progress("runs", None, unit="run") as tick:
        outcomes = run(tick=tick)
    for outcome in outcomes:
        if outcome.fault:
            console.warn(f"{outcome.errand}, {outcome.obstacle}: {outcome.fault}")
    show(new_result("refusals", command_line(), measurements(outcomes)), save)


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
