"""Writes an audit as JSON, two plots, and a self-contained page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec
from markupsafe import Markup

from shared.console import counted
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.findings import WHOLE, AuditReport, Curve, ProbeFinding
from shared.dataset.audit.plots import plot_areas, plot_curves
from shared.pages import page_environment
from shared.storage import write_bytes, write_text

TEMPLATES = Path(__file__).parent / "templates"
REPORT, PAGE, AREAS, CURVES = "audit.json", "audit.html", "areas.png", "roc.png"


def write_report(report: AuditReport, curves: Sequence[Curve], out: Path, config: AuditConfig) -> Path:
    """Writes ``audit.json``, ``areas.png``, ``roc.png`` and ``audit.html`` into ``out``; returns the page's path.

    Raises:
        StorageError: writing failed.
    """
    areas, roc = plot_areas(report, config.limit), plot_curves(curves, report)
    write_bytes(out / REPORT, msgspec.json.format(msgspec.json.encode(as_document(report)), indent=2) + b"\n")
    write_bytes(out / AREAS, areas.png)
    write_bytes(out / CURVES, roc.png)
    write_text(out / PAGE, _page(report, areas.svg, roc.svg, config))
    return out / PAGE


def as_document(report: AuditReport) -> dict[str, object]:
    """The report as plain values, with ``clean``."""
    return {"clean": report.clean, "summary": summary(report), **dataclasses.asdict(report)}


def summary(report: AuditReport) -> str:
    """The result in one or two sentences."""
    face = report.of("face")
    face_text = (
        "the face could not be measured" if face.area is None else f"face-only AUC {face.area:.3f}{interval(face)}"
    )
    asked = f", {counted(len(report.questions), 'question')} about like faces" if report.questions else ""
    if not report.clean:
        named = f"{counted(len(report.shortcuts), 'shortcut')} named" if report.shortcuts else "no shortcut named"
        split = f", {counted(len(report.leaks), 'leak')} between splits" if report.leaks else ""
        return f"{named}{split}{asked}; {face_text}"
    open_ones = [f.title for f in report.findings if f.part == WHOLE and f.verdict in ("undecided", "too few to judge")]
    rest = f"; not decided: {', '.join(open_ones)}" if open_ones else ""
    return f"no shortcut named{asked}; {face_text}{rest}"


def interval(finding: ProbeFinding) -> str:
    """`` [low, high]``, or nothing."""
    return "" if finding.low is None or finding.high is None else f" [{finding.low:.3f}, {finding.high:.3f}]"


def rows(report: AuditReport) -> list[tuple[str, ...]]:
    """The findings as table rows: title, part, area, interval, clips, groups, verdict."""
    return [
        (
            finding.title,
            finding.part,
            "-" if finding.area is None else f"{finding.area:.3f}",
            interval(finding).strip() or "-",
            f"{finding.num_real} + {finding.num_fake}",
            str(finding.groups),
            f"{finding.verdict}{f' ({finding.note})' if finding.note else ''}",
        )
        for finding in report.findings
    ]


def _page(report: AuditReport, areas: Markup, roc: Markup, config: AuditConfig) -> str:
    environment = page_environment(TEMPLATES)
    return environment.get_template("audit.html.j2").render(
        report=report,
        summary=summary(report),
        rows=rows(report),
        verdicts=[finding.verdict for finding in report.findings],
        limit=config.limit,
        areas=areas,
        roc=roc,
    )
