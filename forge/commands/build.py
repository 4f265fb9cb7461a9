"""``assay forge build``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.commands.engine_options import AddressOption, EngineOption, JobsOption, engine_asked
from shared.console import console, counted

if TYPE_CHECKING:
    from forge.building.build import DryRun


def build(
    settings: Annotated[Path, typer.Argument(help="What the set is made of (TOML).", show_default=False)],
    out: Annotated[Path, typer.Option(help="The dataset; made where there is none, completed where there is one.")],
    work: Annotated[
        Path | None, typer.Option(help="Folder for what is made on the way.", show_default="OUT.build")
    ] = None,
    audio: Annotated[
        bool | None, typer.Option(help="Keep the sound; leave it out where no container takes it.", show_default=False)
    ] = None,
    jobs: JobsOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and what it costs; make nothing.")] = False,
) -> None:
    """Builds a whole labelled set: real clips and fakes, in every rendition, masked, signed, split by person.

    Stopped or killed at any moment, the same command goes on; what is there is not made again.

    Example: assay forge build set.toml --out sets/portraits --dry-run

    Example: assay forge build set.toml --out /net/sets/portraits --engine ray --address 10.0.0.1:6379
    """
    from forge.building.build import build_set, plan_build
    from forge.building.spec import load_spec

    spec = load_spec(settings)
    if audio is not None:
        spec = replace(spec, set=replace(spec.set, audio=audio))
    planned = plan_build(spec, out, work=work)
    _show(planned)
    if dry_run:
        console.result({"clips": len(planned.plan.clips), "costs": [vars(cost) for cost in planned.costs]})
        return
    result = build_set(spec, out, work=work, engine=engine_asked(engine, address, jobs))
    console.print(f"{out}: {counted(result.listed, 'clip')}, {result.made} of them new; assay dataset verify {out}")
    console.result(
        {
            "dataset": result.dataset,
            "listed": result.listed,
            "made": result.made,
            "skipped": {str(clip): why for clip, why in result.skipped.items()},
            "tasks": result.tasks,
            "seconds": round(result.seconds, 1),
            "notes": result.notes,
        }
    )


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
