"""``assay forge coverage``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.console import console


def coverage(
    facesets: Annotated[list[Path], typer.Argument(help="One faceset a person, two or more.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder for coverage.json and coverage.png.", show_default="none")
    ] = None,
) -> None:
    """Shows which head poses of each person the others lack, before a training.

    Example: assay forge coverage faces/ann faces/bob --out coverage
    """
    from forge.training.coverage import cover, write_coverage
    from forge.training.train import open_facesets

    report = cover(open_facesets(facesets))
    console.table(
        "Share of a target's poses that a source has",
        ["source", "target", "covered", "overlap", "lacks"],
        report.rows(),
    )
    if out is not None:
        write_coverage(report, out)
        console.print(f"written: {out / 'coverage.json'}, {out / 'coverage.png'}")
    console.result(report.document())
