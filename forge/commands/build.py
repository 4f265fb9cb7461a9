"""``assay forge build``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.commands.engine_options import AddressOption, EngineOption, JobsOption, engine_asked
from shared.console import console, counted
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.building.build import BuildResult, DryRun


def build(
    settings: Annotated[
        list[Path], typer.Argument(help="Settings of the set (TOML); with --init its clips.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The dataset, new or to complete; with --init the TOML file.",
            show_default="with --init set.toml, else required",
        ),
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Folder for intermediate files.", show_default="OUT.build")] = None,
    audio: Annotated[
        bool | None, typer.Option(help="Keep the sound; leave it out if no container holds it.", show_default=False)
    ] = None,
    jobs: JobsOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show the plan, its cost, and what later steps will lack."),
    ] = False,
    init: Annotated[bool, typer.Option("--init", help="Only write a set.toml for the given clips.")] = False,
    rights: Annotated[
        str | None,
        typer.Option(help="With --init: basis of use, as consent or CC-BY-4.0.", show_default=False),
    ] = None,
) -> None:
    """Builds a whole labelled set: real clips and fakes, in every rendition, masked, signed, split by person.

    After a stop or a crash, the same command continues; finished parts are kept.

    Example: assay forge build --init ann-1.mp4 ann-2.mp4 bob.mp4 --rights consent --out set.toml

    Example: assay forge build set.toml --out sets/portraits --dry-run

    Example: assay forge build set.toml --out /net/sets/portraits --engine ray --address 10.0.0.1:6379
    """
    if init:
        _write_settings(settings, out or Path("set.toml"), rights)
        return
    if out is None or len(settings) != 1 or rights is not None:
        raise UsageError(
            "a build needs one settings file and --out DATASET",
            hint="--init CLIP... --rights RIGHTS writes a settings file for clips",
        )
    from forge.building.build import build_set, plan_build
    from forge.building.material import lacking_later
    from forge.building.spec import load_spec

    spec = load_spec(settings[0])
    if audio is not None:
        spec = dataclasses.replace(spec, set=dataclasses.replace(spec.set, audio=audio))
    planned = plan_build(spec, out, work=work)
    _show(planned)
    lacking = lacking_later(planned.plan)
    for what in lacking:
        console.print(f"too little for later: {what}")
    if dry_run:
        costs = [dataclasses.asdict(cost) for cost in planned.costs]
        plan = planned.plan
        counts = {"clips": len(plan.clips), "speech": plan.recordings}
        console.result(counts | {"costs": costs, "lacking": lacking, "unchecked": list(plan.unchecked)})
        return
    result = build_set(spec, out, work=work, engine=engine_asked(engine, address, jobs))
    _say(result)
    console.result(
        {
            "dataset": result.dataset,
            "listed": result.listed,
            "made": result.made,
            "speech": result.speech,
            "skipped": {str(clip): why for clip, why in result.skipped.items()},
            "tasks": result.tasks,
            "seconds": round(result.seconds, 1),
            "notes": result.notes,
            "unchecked": list(result.unchecked),
        }
    )


def _say(result: BuildResult) -> None:
    from forge.building.speech import FOLDER

    out = result.dataset
    console.print(f"{out}: {counted(result.listed, 'clip')}, {result.made} of them new; assay dataset verify {out}")
    if result.speech:
        place = out / FOLDER
        console.print(f"{place}: {counted(result.speech, 'recording')}; assay dataset verify-speech {place}")


def _write_settings(clips: list[Path], out: Path, rights: str | None) -> None:
    from forge.building.start import first_settings
    from shared.storage import write_text

    if rights is None:
        raise UsageError("on what basis may the clips be used?", hint="--rights consent, CC-BY-4.0, ...")
    if out.exists():
        raise UsageError(f"{out} exists", hint="choose another --out")
    write_text(out, first_settings(clips, out, rights))
    console.print(f"{out} is written: read it, then assay forge build {out} --out sets/one --dry-run", wrap=False)
    console.result({"settings": out})


def _show(planned: DryRun) -> None:
    counts = Counter((clip.split, clip.task.id.manipulation or "real") for clip in planned.plan.clips)
    console.table(
        f"{counted(len(planned.plan.clips), 'clip')}",
        ["split", "manipulation", "clips"],
        [(split, manipulation, count) for (split, manipulation), count in sorted(counts.items())],
    )
    rows = [
        (cost.kind, cost.tasks, cost.missing, f"{cost.seconds / 60:.1f}", f"{cost.size_bytes / 1e9:.2f}")
        for cost in planned.costs
    ]
    minutes = sum(cost.seconds for cost in planned.costs) / 60
    size = sum(cost.size_bytes for cost in planned.costs) / 1e9
    missing = sum(cost.missing for cost in planned.costs)
    rows.append(("all", sum(cost.tasks for cost in planned.costs), missing, f"{minutes:.1f}", f"{size:.2f}"))
    console.table("tasks", ["kind", "planned", "missing", "core minutes", "GB"], rows)
    if planned.plan.speech is not None:
        people = counted(len(planned.plan.speech.splits), "speaker")
        console.print(f"speech: {counted(planned.plan.speech.recordings, 'recording')} of {people}, after all others")
    for what in planned.plan.unchecked:
        console.warn(what)
