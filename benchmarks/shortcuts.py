"""One set built with and without the controls, both audited: shortcuts that tell the classes apart.

Both share expensive steps (shots, swappers, masters) in one work folder; without controls the real clips are the source
files, every fake is encoded at its rendition's crf exactly, and there is one rendition.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.schema import Measurement
from forge.building.build import build_set, work_folder
from forge.building.spec import SetSpec, load_spec
from shared.console import console
from shared.dataset.audit.audit import audit_dataset
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.findings import AuditReport
from shared.dataset.audit.plots import plot_areas
from shared.dataset.audit.report import write_report
from shared.engine.local import LocalEngine
from shared.storage import write_bytes


def without_controls(spec: SetSpec) -> SetSpec:
    """The same set without controls: its first rendition only."""
    careless = replace(spec.set, name=f"{spec.set.name}-bare", controls=False)
    return replace(spec, set=careless, renditions=spec.renditions[:1])


def build_and_audit(
    settings: Path, out: Path, *, jobs: int, config: AuditConfig | None = None, pictures: Path | None = None
) -> tuple[list[Measurement], list[str]]:
    """AUCs of all probes on both sets, and a Markdown table of each.

    Args:
        settings: the ``set.toml``.
        out: the set with controls; beside it are the set without (``-bare``) and the audits (``.audit``).
        jobs: tasks of a build at a time.
        config: of the audits.
        pictures: folder for the plots of both.

    Raises:
        AssayError: a build or an audit failed.
    """
    config = config or AuditConfig()
    spec = load_spec(settings)
    work = work_folder(out, None)
    found: list[Measurement] = []
    tables: list[str] = []
    for name, chosen, place in (
        ("controls", spec, out),
        ("no controls", without_controls(spec), out.with_name(f"{out.name}-bare")),
    ):
        build_set(chosen, place, work=work, engine=LocalEngine(jobs))
        target = place.with_name(f"{place.name}.audit")
        progress = partial(console.progress, unit="clip")
        report, curves = audit_dataset(place, out=target, config=config, progress=progress)
        write_report(report, curves, target, config)
        found += measurements(name, report)
        tables.append(markdown(report))
        if pictures is not None:
            write_bytes(pictures / f"audit-{name.replace(' ', '-')}.png", plot_areas(report, config.limit).png)
    return found, tables


def measurements(name: str, report: AuditReport) -> list[Measurement]:
    """One value per probe and part; the audit's verdict is in the note."""
    listed = [
        Measurement(
            f"{name}: {one.title} ({one.part})",
            "AUC",
            (one.area,),
            one.area,
            one.area if one.low is None else one.low,
            one.area if one.high is None else one.high,
            better="higher" if one.probe == "face" else "lower",
            note=f"{one.verdict}; {one.num_real} real, {one.num_fake} fake, {one.groups} groups; 95 % over groups",
        )
        for one in report.findings
        if one.area is not None
    ]
    counted = {"shortcuts": len(report.shortcuts), "people or pictures in two splits": len(report.leaks)}
    return [*listed, *(Measurement.of(f"{name}: {what}", "found", [float(n)]) for what, n in counted.items())]


def markdown(report: AuditReport) -> str:
    """A Markdown table: one row per probe, one column per part of the set."""
    parts = list(dict.fromkeys(one.part for one in report.findings))
    lines = [f"| probe | {' | '.join(parts)} |", f"|---|{'---|' * len(parts)}"]
    by = {(one.title, one.part): one for one in report.findings}
    for title in dict.fromkeys(one.title for one in report.findings):
        shown = []
        for part in parts:
            one = by.get((title, part))
            area = "" if one is None or one.area is None else f"{one.area:.2f}"
            bounds = "" if one is None or one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
            shown.append(f"**{area}{bounds}**" if one is not None and one.verdict == "shortcut" else f"{area}{bounds}")
        lines.append(f"| {title} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
