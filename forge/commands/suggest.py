"""``assay forge suggest``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.commands.completion import words
from shared.console import console

if TYPE_CHECKING:
    from forge.building.suggest import Suggestion


def suggest(
    scoreboard: Annotated[
        Path, typer.Argument(help="scoreboard.json of assay score, or its folder.", show_default=False)
    ],
    settings: Annotated[Path, typer.Option("--set", help="The set.toml of the scored set.")],
    out: Annotated[Path, typer.Option(help="TOML file for the settings of the next set.")],
    detector: Annotated[
        list[str] | None, typer.Option(help="Detectors whose misses count; repeatable.", show_default="all, their mean")
    ] = None,
    floor: Annotated[float, typer.Option(help="Share of the fakes that is divided equally.")] = 0.4,
    grow: Annotated[float, typer.Option(help="Number of fakes, as a multiple of this set's.")] = 1.0,
    metric: Annotated[
        str,
        typer.Option(
            help="Metric of detection: tpr@fpr1% or tpr@fpr5%.", autocompletion=words("tpr@fpr1%", "tpr@fpr5%")
        ),
    ] = "tpr@fpr1%",
    keep_swappers: Annotated[
        bool, typer.Option("--keep-swappers", help="Keep the swappers' seeds, so that a build reuses them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Writes the settings of the next set: more of what detectors miss, a minimum of the rest, new seeds.

    Example: assay forge suggest board/scoreboard.json --set set.toml --out next.toml

    The file gives a reason for each choice; read it, then: assay forge build next.toml --out sets/next
    """
    from forge.building.suggest import SuggestConfig, write_suggestion
    from forge.building.suggest import suggest as suggest_next

    config = SuggestConfig(floor, grow, metric, tuple(detector or ()), keep_swappers)
    found = suggest_next(scoreboard, settings, out, config)
    write_suggestion(out, found, force=force)
    _show(found)
    console.print(f"written to {out}; assay forge build {out} --out OUT --dry-run")
    console.result(
        {"out": out, "name": found.name, "seed": found.seed, "choices": [asdict(one) for one in found.choices],
         "notes": found.notes}
    )  # fmt: skip


def _show(found: Suggestion) -> None:
    rows = [
        (
            one.name,
            "not scored" if one.missed is None else f"{100 * one.missed:.0f} %",
            f"{100 * one.share_before:.0f} to {100 * one.share:.0f} %",
            f"{one.fakes_before} to {one.fakes}",
            "; ".join(one.changes),
        )
        for one in found.choices
    ]
    columns = ["manipulation", "missed", "share", "fakes", "changes"]
    console.table(f"{found.name}, seed {found.seed}", columns, rows)
    for note in found.notes:
        console.print(f"note: {note}")
