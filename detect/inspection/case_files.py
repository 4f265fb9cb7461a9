"""The files of a case folder, written and signed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from detect.cases.intake import FileState
from detect.cases.log import StepLog, now
from detect.cases.seal import seal_case
from detect.inspection.evidence.found import Found
from detect.inspection.hearing import Heard
from detect.inspection.pdf import write_pdf
from detect.inspection.report import FaceExhibit, write_html, write_json
from detect.scoring.regions import Regions, write_regions
from detect.scoring.video import write_frame_scores
from shared.plots import Plot
from shared.results.regions import REGIONS_NAME
from shared.results.scores import ForensicReport, FrameScore
from shared.storage import write_bytes, write_text
from shared.video.child import Child, NoChild


def write_case(
    folder: Path,
    report: ForensicReport,
    scores: tuple[Sequence[FrameScore], Mapping[str, Sequence[FrameScore]]],
    shown: tuple[Sequence[FaceExhibit], Sequence[Found], Plot | None, Heard],
    *,
    threshold: float,
    states: tuple[FileState, FileState],
    custody: Mapping[str, str],
    log: StepLog,
    regions: Regions | None = None,
) -> None:
    """Writes a case into the empty ``folder`` and signs it.

    Args:
        folder: receives the files.
        report: on the file.
        scores: of the detector, and those of further detectors by name.
        shown: sampled faces, findings with their pictures, the timeline, and what was heard.
        threshold: of the detector, as a logit; not used where nothing was scored.
        states: of the file at intake and at exit.
        custody: further facts for ``custody.json``.
        log: steps so far.
        regions: that the detector drew of the faces of its scores, if it draws any.

    Raises:
        ProvenanceError: the signing identity cannot be used.
        StorageError: writing failed.
    """
    exhibits, found, timeline, heard = shown
    with log.step("writing"):
        if timeline is not None:
            write_bytes(folder / "evidence" / "timeline.png", timeline.png)
        heard.write(folder)
        for place, exhibit in enumerate(exhibits):
            stem = f"face-{place:02d}-track-{exhibit.track}-frame-{exhibit.frame}"
            write_bytes(folder / "evidence" / f"{stem}.png", exhibit.crop_png)
            if exhibit.heat_png:
                write_bytes(folder / "evidence" / f"{stem}-heat.png", exhibit.heat_png)
        pictures = {f"evidence/{one.name}.png": one.png for each in found for one in each.pictures}
        for name, data in pictures.items():
            write_bytes(folder / name, data)
        write_frame_scores(folder / "frames.parquet", scores[0])
        if regions is not None:
            write_regions(folder / REGIONS_NAME, scores[0], regions)
        for name, others in scores[1].items():
            write_frame_scores(folder / f"frames-{name}.parquet", others)
        write_json(folder / "report.json", report)
        page = write_html(
            folder / "report.html",
            report,
            timeline=timeline,
            sound_timeline=heard.timeline,
            exhibits=exhibits,
            threshold=threshold,
            pictures=pictures,
        )
        plots = [plot.png for plot in (timeline, heard.timeline) if plot is not None]
        title = f"Inspection of {report.path_name}, SHA-256 {report.sha256_intake[:16]}"
        write_pdf(folder / "report.pdf", page, title=title, plots=plots)
        _write_custody(folder, report, states, custody, log)
    seal_case(folder, log.steps)


def custody_facts(source: Child | NoChild, isolated: bool) -> dict[str, str]:
    """How the file was decoded, for ``custody.json``."""
    return {
        "decoded": "in a process of its own" if isolated else "in the inspecting process",
        "limits that this system lacks": ", ".join(source.missing) or "none",
    }


def _write_custody(
    folder: Path, report: ForensicReport, states: tuple[FileState, FileState], custody: Mapping[str, str], log: StepLog
) -> None:
    intake, state = states
    began, ended = log.steps[0].began, now()
    facts = {
        "file": report.path_name,
        "sha256": intake.sha256,
        "sha512": intake.sha512,
        "size_bytes": intake.size_bytes,
        "modified": intake.modified,
        "status changed": intake.status_changed,
        "unchanged at exit": state.same_content(intake),
        "inspection started": began,
        "inspection ended": ended,
        "seconds": round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 2),
        **custody,
    }
    write_text(folder / "custody.json", json.dumps(facts, indent=2) + "\n")
