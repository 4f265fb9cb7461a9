"""The file of a case inspected once more, by another detector or another version, and what came out differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detect.cases.compare import Comparison, compare_cases
from detect.cases.contents import FolderContents
from detect.cases.log import LOG_NAME, MAX_LOG_BYTES, LogLine, Step, now, read_log
from detect.cases.seal import append_steps, check_case
from detect.inspection.inspect import InspectConfig, inspect_file
from shared.config import from_mapping
from shared.errors import CaseError, UsageError
from shared.results.scores import ForensicReport
from shared.storage import sha256_file

_PREFIX = "setting "


def inspect_again(
    case: str | Path,
    detector: str | Path,
    out: str | Path,
    *,
    others: Sequence[str | Path] = (),
    file: str | Path | None = None,
    speech: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
) -> tuple[ForensicReport, Comparison]:
    """Inspects the file of ``case`` with the settings of that case and ``detector`` into the new case ``out``.

    ``others`` are further detectors, as of :func:`inspect_file`: those of ``case`` are not taken over. Both cases
    log it. ``file`` is where the file lies now, by default where the log of the case says that it lay;
    ``speech`` is a detector of synthetic speech for the sound.

    Returns:
        The new report, and how the new case differs from ``case``.

    Raises:
        CaseError: the case was changed, or has no log.
        UsageError: the file is not there, or is not the file of the case.
        MediaError, RunError, CheckpointError, ProvenanceError: as :func:`inspect_file`.
    """
    case, out = Path(case), Path(out)
    if not case.is_dir():
        raise CaseError(f"{case} is no case folder", hint="name the folder that assay inspect wrote")
    faults = check_case(case).faults
    if faults:
        raise CaseError(f"{case} was changed: {faults[0]}", hint="assay case verify lists all faults")
    if out.resolve() == case.resolve():
        raise UsageError(f"{out} is the case itself", hint="choose another --out")
    lines, _ = read_log(FolderContents(case).read(LOG_NAME, MAX_LOG_BYTES))
    intake, settings = _details(lines, "intake", case), _details(lines, "detector", case)
    path = Path(file) if file is not None else Path(str(intake.get("file")))
    if not path.is_file():
        raise UsageError(f"{path}, the file of {case}, is not there", hint="say where it is with --file")
    if sha256_file(path) != intake.get("sha256"):
        raise UsageError(f"{path} is not the file of {case}", hint="say where that file is with --file")
    moment = now()
    first = Step("begun from another case", moment, moment, {"case": case.resolve().name, "sha256": _head(case)})
    config = _config(settings, force=force)
    report = inspect_file(path, detector, out, config, others=others, speech=speech, device=device, before=(first,))
    done = {"case": out.resolve().name, "detector": report.detector["name"], "report_sha256": _report_sha256(out)}
    append_steps(case, [Step("inspected again", moment, now(), done)])
    return report, compare_cases(case, out)


def _details(lines: list[LogLine], step: str, case: Path) -> Mapping[str, Any]:
    found = next((line.details for line in lines if line.step == step), None)
    if found is None:
        raise CaseError(f"the log of {case} has no step {step!r}", hint="inspect the file with assay inspect")
    return found


def _config(details: Mapping[str, Any], *, force: bool) -> InspectConfig:
    """The settings that :func:`detect.inspection.inspect.logged_settings` wrote."""
    nested: dict[str, Any] = {}
    for name, value in details.items():
        if name.startswith(_PREFIX):
            group, _, key = name.removeprefix(_PREFIX).partition(".")
            if key:
                nested.setdefault(group, {})[key] = value
            else:
                nested[group] = value
    return from_mapping(InspectConfig, nested | {"force": force})


def _head(case: Path) -> str:
    return sha256_file(case / "case.json")


def _report_sha256(case: Path) -> str:
    return sha256_file(case / "report.json")
