"""Inspects all videos, pictures and sounds of a folder: a case each, an index page and a CSV file.

The output folder holds ``cases/NAME/`` for each file, ``index.html``, ``index.csv`` and ``inspection.json`` (detectors
and settings). A case that is there and whole is not made again, so the same command continues after a kill.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from detect.inspection.hearing import NOT_HEARD
from detect.inspection.inspect import InspectConfig, inspect_file
from detect.inspection.others import need_distinct
from detect.inspection.report import TEMPLATES
from detect.models.predictor import CropPredictor
from detect.speech.checkpoint import load_speech
from shared.audio.sound import SOUND_SUFFIXES
from shared.config import digest
from shared.console import console, visible
from shared.dataset.names import safe_name
from shared.engine.local import LocalEngine
from shared.engine.tasks import Task
from shared.errors import MediaError, RunError, UsageError
from shared.pages import page_environment
from shared.results.scores import ForensicReport
from shared.storage import need_own_folder, read_json, sha256_file, write_bytes, write_text
from shared.video.container import VIDEO_SUFFIXES
from shared.video.images import SUFFIXES as PICTURE_SUFFIXES

_MOST_FILES = 100_000
_MOST_REPORT_BYTES = 256 << 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class BatchRow:
    """One file of a folder.

    Attributes:
        file: its path below the folder.
        case: the path of its case below the output folder; empty if there is none.
        sound: verdict of the detector of speech on the sound; empty if it heard none. ``sound_logit`` and
            ``sound_llr`` are its score and log10 likelihood ratio.
        others: verdict and score of each further detector.
        odd: names of the findings that differ from their reference.
        error: why there is no case; empty if there is one.
    """

    file: str
    case: str
    sha256: str = ""
    verdict: str = ""
    logit: float | None = None
    low: float | None = None
    high: float | None = None
    llr: float | None = None
    sound: str = ""
    sound_logit: float | None = None
    sound_llr: float | None = None
    others: tuple[tuple[str, str, float | None], ...] = ()
    odd: tuple[str, ...] = ()
    agreement: str = ""
    error: str = ""


@dataclass(frozen=True)
class _Begun:
    """Contents of ``inspection.json``: what must be the same when the work goes on.

    Attributes:
        detectors: SHA-256 of the weights of each, the first one's first.
        settings: digest of the settings.
        speech: SHA-256 of the weights of the detector of speech; empty without one.
    """

    detectors: tuple[str, ...]
    settings: str
    speech: str = ""


def inspect_folder(
    folder: str | Path,
    detector: str | Path,
    out: str | Path,
    config: InspectConfig | None = None,
    *,
    others: Sequence[str | Path] = (),
    speech: str | Path | None = None,
    device: str = "auto",
    workers: int = 1,
) -> list[BatchRow]:
    """Inspects every video and picture in ``folder`` and the folders within it, ``workers`` at once; a row for each.

    With ``speech``, a detector of synthetic speech, also every sound file.

    A file that cannot be read has a row that says why. With ``config.force`` all are inspected again.

    Raises:
        UsageError: there is no such file; ``out`` is in the folder or holds something else; a detector is named twice.
        RunError: ``out`` was begun with other detectors or settings.
        CheckpointError: a detector cannot be read.
    """
    folder, out = Path(folder), Path(out)
    config = config or InspectConfig()
    need_distinct(detector, others)
    files = media_in(folder, sounds=speech is not None)
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{out} lies in the folder that is inspected", hint="choose another --out")
    engine = LocalEngine(workers)
    need_own_folder(out, "inspection of a folder", marks=("inspection.json",))
    begun = _begin(out, [detector, *others], speech, config)
    names = case_names(files)
    rows: dict[str, BatchRow] = {}
    tasks = []
    for file in files:
        row = None if config.force else _finished(folder / file, file, out, names[file], begun)
        if row is not None:
            rows[file] = row
            continue
        arguments = (folder / file, file, out, names[file], Path(detector), tuple(map(Path, others)),
                     None if speech is None else Path(speech), config, device)  # fmt: skip
        tasks.append(Task(file, inspect_one, arguments, device=device))
    if rows:
        console.print(f"{len(rows)} of {len(files)} files were inspected before and are kept")
    for done in console.track(engine.run(tasks), "inspecting", len(tasks), unit="file"):
        rows[done.key] = done.result
    ordered = [rows[file] for file in files]
    write_index(out, folder.name, ordered)
    return ordered


def media_in(folder: Path, *, sounds: bool = False) -> list[str]:
    """Paths below ``folder`` of files that are videos or pictures, or sounds, by their name, sorted. Follows no link.

    Raises:
        UsageError: there is none, or there are more than 100,000.
    """
    found: list[str] = []
    for place, _, names in os.walk(folder):
        paths = [Path(place) / name for name in names if not name.startswith(".")]
        wanted = (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES, *(SOUND_SUFFIXES if sounds else ()))
        media = [path for path in paths if path.suffix.lower() in wanted]
        found += [path.relative_to(folder).as_posix() for path in media if not path.is_symlink()]
        if len(found) > _MOST_FILES:
            raise UsageError(f"{folder} holds more than {_MOST_FILES:,} files", hint="inspect its parts")
    if not found:
        raise UsageError(f"{folder} holds no video or picture", hint="name a file, or a folder of files")
    return sorted(found)


def case_names(files: Sequence[str]) -> dict[str, str]:
    """A folder name for the case of each file, unique also where the file system ignores case."""
    names = {file: safe_name(file) for file in files}
    taken: dict[str, int] = {}
    for name in names.values():
        taken[name.casefold()] = taken.get(name.casefold(), 0) + 1
    unique = {}
    for file, name in names.items():
        mark = hashlib.sha256(file.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        unique[file] = name if taken[name.casefold()] == 1 else f"{name}-{mark}"
    return unique


def _begin(out: Path, detectors: Sequence[str | Path], speech: str | Path | None, config: InspectConfig) -> _Begun:
    settings = digest(dataclasses.replace(config, force=False))
    listener = "" if speech is None else load_speech(speech).weights_sha256
    begun = _Begun(tuple(CropPredictor.load(Path(each), "cpu").digest for each in detectors), settings, listener)
    path = out / "inspection.json"
    if path.is_file():
        earlier = read_json(path, _Begun, error=RunError, hint="choose another --out")
        if earlier != begun and not config.force:
            raise RunError(
                f"{out} was begun with other detectors or settings",
                hint="choose another --out, or inspect all files again with --force",
            )
    write_bytes(path, msgspec.json.format(msgspec.json.encode(begun), indent=2) + b"\n")
    return begun


def _finished(path: Path, file: str, out: Path, name: str, begun: _Begun) -> BatchRow | None:
    """The row of a case that is there, by these detectors and settings, of the file as it is now; None without one."""
    report = out / "cases" / name / "report.json"
    if not (report.is_file() and (report.parent / "case.json").is_file()):
        return None
    try:
        known = read_json(report, ForensicReport, _MOST_REPORT_BYTES, error=RunError)
    except RunError:
        return None
    made_by = (known.detector.get("weights_sha256", ""), *(other.weights_sha256 for other in known.others))
    if known.score is None:  # a file of sound alone, which other detectors do not see
        made_by = begun.detectors
    unheard = any(NOT_HEARD.why in line for line in known.not_analysed)
    listener = known.sound.weights_sha256 if known.sound is not None else "" if unheard else begun.speech
    if _Begun(made_by, known.tool.get("settings", ""), listener) != begun:
        return None
    return row_of(known, file, name) if known.sha256_intake == sha256_file(path) else None


def inspect_one(
    path: Path,
    file: str,
    out: Path,
    name: str,
    detector: Path,
    others: tuple[Path, ...],
    speech: Path | None,
    config: InspectConfig,
    device: str,
) -> BatchRow:
    """Inspects one file of a folder; a task of the engine."""
    case = out / "cases" / name
    try:
        report = inspect_file(
            path,
            detector,
            case,
            dataclasses.replace(config, force=True),
            others=others,
            speech=speech,
            device=device,
        )
    except MediaError as error:
        return BatchRow(visible(file), "", error=visible(str(error)))
    return row_of(report, file, name)


def row_of(report: ForensicReport, file: str, name: str) -> BatchRow:
    """The row of a report."""
    score, sound = report.score, report.sound
    return BatchRow(
        file=visible(file),
        case=f"cases/{name}",
        sha256=report.sha256_intake,
        verdict=report.verdict,
        logit=None if score is None else score.logit,
        low=report.low,
        high=report.high,
        llr=None if score is None else score.llr,
        sound="" if sound is None else sound.verdict,
        sound_logit=None if sound is None else sound.logit,
        sound_llr=None if sound is None else sound.llr,
        others=tuple((other.name, other.verdict, other.logit) for other in report.others),
        odd=tuple(each.name for each in report.evidence if each.odd),
        agreement=report.agreement,
    )


def write_index(out: Path, title: str, rows: Sequence[BatchRow]) -> None:
    """Writes ``index.html`` and ``index.csv``.

    Raises:
        StorageError: writing failed.
    """
    write_bytes(out / "index.csv", _csv(rows))
    environment = page_environment(TEMPLATES)
    environment.filters["signed"] = lambda value: "" if value is None else f"{value:+.2f}"
    environment.filters["link"] = lambda case: f"{case}/report.html"
    names = list(dict.fromkeys(name for row in rows for name, _, _ in row.others))
    page = environment.get_template("index.html.j2").render(title=visible(title), rows=rows, others=names)
    write_text(out / "index.html", page)


def _csv(rows: Sequence[BatchRow]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name, _, _ in row.others))
    columns = [
        "file",
        "case",
        "sha256",
        "verdict",
        "logit",
        "low",
        "high",
        "log10_likelihood_ratio",
        "sound",
        "sound_logit",
        "sound_log10_likelihood_ratio",
        "evidence_differs",
    ]
    columns += [f"{name} {what}" for name in names for what in ("verdict", "logit")]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*map(_cell, columns), "error"])
    for row in rows:
        mine = {name: (verdict, logit) for name, verdict, logit in row.others}
        others = [each for name in names for each in mine.get(name, ("", None))]
        plain = [row.file, row.case, row.sha256, row.verdict, row.logit, row.low, row.high, row.llr]
        heard = [row.sound, row.sound_logit, row.sound_llr, "; ".join(row.odd)]
        writer.writerow([_cell(each) for each in (*plain, *heard, *others, row.error)])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """A value for a spreadsheet; text from outside that would be read as a formula gets a quote before it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"'{value}" if value.startswith(_FORMULA) else value
