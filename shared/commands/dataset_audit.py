"""``assay dataset audit``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.commands.completion import finders
from shared.console import console, counted
from shared.dataset.audit.config import AuditConfig, GroupBy
from shared.errors import ManifestError

if TYPE_CHECKING:
    from shared.dataset.audit.findings import AuditReport

_DEFAULT = AuditConfig()
_SHOWN = 10


def audit(
    path: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the report; it also caches what was measured of each clip.")],
    frames: Annotated[int, typer.Option(help="Pictures sampled from a clip.")] = _DEFAULT.frames,
    limit: Annotated[float, typer.Option(help="AUC above which a probe is a shortcut.")] = _DEFAULT.limit,
    group_by: Annotated[
        GroupBy, typer.Option(help="Unit of folds and bootstrap: component (people linked by clips) or target.")
    ] = _DEFAULT.group_by,
    finder: Annotated[
        str,
        typer.Option(help="Finds faces where few are labelled, and landmarks; none: neither.", autocompletion=finders),
    ] = _DEFAULT.finder,
    seed: Annotated[int, typer.Option(help="Seed of folds, trees and intervals.")] = _DEFAULT.seed,
    workers: Annotated[int, typer.Option(help="Threads that read clips; 0: one per core.")] = _DEFAULT.workers,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 when a shortcut or a leak is found.")] = False,
) -> None:
    """Measures what besides the face separates real from fake, and which people or files are in two splits.

    Example: assay dataset audit sets/portraits --out audits/portraits

    Each probe uses one kind of feature: codec facts, packet sizes, file size, sound, background, border or colours. It
    is trained on one part of the set and tested on another. The face is measured for comparison.
    """
    from shared.dataset.audit.audit import audit_dataset
    from shared.dataset.audit.report import REPORT, as_document, rows, summary, write_report

    config = AuditConfig(frames=frames, limit=limit, group_by=group_by, finder=finder, seed=seed, workers=workers)
    report, curves = audit_dataset(path, out=out, config=config, progress=partial(console.progress, unit="clip"))
    page = write_report(report, curves, out, config)
    columns = ["seen", "part", "AUC", "95 % interval", "real + fake", "groups", "verdict"]
    console.table(f"Audit of {report.dataset}", columns, rows(report))
    _show_findings(report)
    console.print(f"{summary(report)}\n{page} shows it; {out / REPORT} holds it for programs")
    console.result(as_document(report))
    if strict and not report.clean:
        raise ManifestError(f"{path}: {summary(report)}", hint=f"{page} says how to mend each")


def _show_findings(report: AuditReport) -> None:
    for line in (*report.shortcuts, *report.leaks[:_SHOWN]):
        console.warn(line)
    if len(report.leaks) > _SHOWN:
        console.warn(f"{counted(len(report.leaks) - _SHOWN, 'more leak')} in the report")
    for line in report.questions[:_SHOWN]:
        console.print(line)
    if report.unread:
        clip, reason = next(iter(report.unread.items()))
        console.warn(f"{counted(len(report.unread), 'clip')} could not be read, the first is {clip}: {reason}")
