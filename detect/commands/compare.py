"""``assay detect compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detect.commands.options import OnlyOption
from detect.commands.show import plain
from shared.console import console, counted

if TYPE_CHECKING:
    from detect.metrics.compare import Comparison


def compare(
    first: Annotated[Path, typer.Argument(help="Folder that assay detect evaluate wrote.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another one, on the same clips.", show_default=False)],
    only: OnlyOption = None,
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the result.", show_default="none")] = None,
) -> None:
    """Tests whether one detector beats another on the same clips: DeLong's test, bootstrap over people.

    Example: assay detect compare runs/a/evaluations/set-test runs/b/evaluations/set-test --only rendition=h264-crf40
    """
    from detect.data.scored import only_scored
    from detect.metrics.compare import compare_clips, read_scores, write_comparison
    from shared.bootstrap import BootstrapSettings

    found = compare_clips(
        only_scored(read_scores(first), only or ()),
        only_scored(read_scores(second), only or ()),
        names=(str(first), str(second)),
        bootstrap=BootstrapSettings(replicates=replicates, seed=seed),
    )
    if out is not None:
        write_comparison(out, found)
    _show(found)
    console.result({"out": out, **plain(found)})


def _show(found: Comparison) -> None:
    console.print(
        f"{found.num_real} real and {found.num_fake} fake clips that both scored, {found.left_out} left out; "
        f"{counted(found.clusters, 'cluster')} of people"
    )
    rows = [
        (d.metric, f"{d.first:.3f}", f"{d.second:.3f}", f"{d.difference:+.3f}{_interval(d.low, d.high)}", _p(d.p))
        for d in found.differences
    ]
    console.table(
        "First minus second, 95 % interval over people", ["metric", "first", "second", "difference", "p"], rows
    )
    if (test := found.delong) is not None:
        console.print(
            f"DeLong, as if clips were independent: AUC {test.difference:+.3f}{_interval(test.low, test.high)}, "
            f"p {test.p:.3g}"
        )
    for note in found.notes:
        console.print(f"note: {note}")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
