"""What was measured on a set: audits of its shortcuts and leaks, and scoreboards of detectors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.dataset.layout import MANIFEST
from shared.errors import AssayError, ManifestError, RunError, UsageError
from shared.results.scoreboard import SCOREBOARD_NAME, Row, Scoreboard, read_scoreboard
from shared.results.scores import Evaluation
from shared.storage import inside, read_bytes, read_json, sha256_file
from shared.types import Split
from shared.web.answers import MissingError, form, plain
from shared.web.found import Work
from shared.web.jobs.record import Job, records
from shared.web.rooms.room import REPORT_POLICY, Room, picture_answer
from shared.web.rooms.run_files import run_facts
from shared.web.rooms.sets import set_records

_AUDIT, _AUDIT_PAGE, _PICTURE = "audit.json", "audit.html", "scoreboard.png"
_MOST_BYTES = 64 << 20
_MOST_JOBS = 4
_PACKAGED = "assay"
ALL = "all"
"""In place of a split: every clip of the set."""
_SHOWN = (("auc", "Clip AUC"), ("tpr@fpr1%", "Fakes caught at 1 % false alarms"), ("eer", "Equal error rate"))
_MEANING = {
    "shortcut": "tells real from fake without the face: its whole interval lies above the limit",
    "none found": "does not tell them apart, as far as this set shows",
    "undecided": "may tell them apart: more people are needed to know",
    "not measured": "not measured",
    "signal": "the face itself, which is meant to tell",
}
_DECIDED = {"shortcut", "none found", "signal", "not measured"}
_HINT = "make it again"


@dataclass(frozen=True)
class ProbeBrief:
    """One line of an audit: what was seen, in which part, and its area under the ROC curve with its interval."""

    title: str = ""
    part: str = ""
    verdict: str = ""
    area: float | None = None
    low: float | None = None
    high: float | None = None
    num_real: int = 0
    num_fake: int = 0
    groups: int = 0
    telling: tuple[str, ...] = ()
    advice: str = ""
    note: str = ""

    @property
    def meaning(self) -> str:
        """The verdict in words."""
        return _MEANING.get(self.verdict, self.verdict)


@dataclass(frozen=True)
class AuditBrief:
    """The parts of ``audit.json`` that the page shows itself; the rest is in ``audit.html``."""

    dataset: str
    summary: str
    clean: bool
    clips: int = 0
    method: str = ""
    findings: tuple[ProbeBrief, ...] = ()
    shortcuts: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    tool_version: str = ""
    manifest_sha256: str = ""

    @property
    def outcome(self) -> str:
        """In two words: what was named, nothing, or that it is not decided: a probe needs more people, or none ran."""
        if not self.clean:
            return "to be mended"
        verdicts = {one.verdict for one in self.findings}
        return "nothing named" if "none found" in verdicts and verdicts <= _DECIDED else "not decided"

    @property
    def limit(self) -> float | None:
        """The area above which a probe is a shortcut."""
        found = self.settings.get("limit")
        return float(found) if isinstance(found, int | float) else None


class ResultRoom(Room):
    """The part of the room of sets that shows and starts audits and scoreboards."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/sets/{key:str}/results.json", self.results),
            Route("/sets/{key:str}/audit", self.start_audit, methods=["POST"]),
            Route("/sets/{key:str}/score", self.start_score, methods=["POST"]),
            Route("/audits/{key:str}", self.audit_page),
            Route("/audits/{key:str}/report", self.report),
            Route("/boards/{key:str}", self.board_page),
            Route("/boards/{key:str}/picture.png", self.picture),
        ]

    def results(self, request: Request) -> Response:
        """The audits and scoreboards of a set, the newest first, its jobs, and detectors to score with."""
        work = self.works.get("set", request.path_params["key"])
        digest = _digest(work.path)
        audits = [row for each in self.works.all("audit") if (row := self._audit_row(each, work, digest))]
        boards = [row for each in self.works.all("board") if (row := self._board_row(each, work, digest))]
        return plain(
            {
                "audits": sorted(audits, key=lambda row: -row["made"]),
                "boards": sorted(boards, key=lambda row: -row["made"]),
                "jobs": self._jobs(work)[-_MOST_JOBS:],
                "splits": _splits(work),
                "detectors": [{"key": _PACKAGED, "name": "the one in the package"}, *self._detectors()],
            }
        )

    def _audit_row(self, each: Work, work: Work, digest: str) -> dict[str, Any] | None:
        """An audit of this very manifest, or one that was made here of this set, if need be before it changed."""
        with suppress(AssayError, OSError):
            found, made = read_audit(each.path), (each.path / _AUDIT).stat().st_mtime
            same = found.manifest_sha256 == digest
            if same or each.path == self.folder.audits / work.key:
                # Older audits do not say of which manifest they are.
                current = same or (not found.manifest_sha256 and made >= (work.path / MANIFEST).stat().st_mtime)
                facts = {"key": each.key, "place": each.name, "made": made, "outcome": found.outcome}
                return facts | {"summary": found.summary, "outdated": not current}
        return None

    def _board_row(self, each: Work, work: Work, digest: str) -> dict[str, Any] | None:
        """A scoreboard of this very manifest, or one that was made here of this set, if need be before it changed."""
        with suppress(AssayError, OSError):
            board, made = _board(each.path), (each.path / SCOREBOARD_NAME).stat().st_mtime
            same = board.dataset.get("manifest_sha256") == digest
            if same or each.path == self.folder.boards / work.key:
                shown = [_shown(_cell(board, "total", one.name, "auc")) for one in board.detectors]
                facts = {"key": each.key, "place": each.name, "made": made, "outdated": not same}
                return facts | {"detectors": [one.name for one in board.detectors], "auc": shown}
        return None

    def _jobs(self, work: Work) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for one in records(self.folder.jobs):
            with suppress(AssayError):
                shown = one.shown()
                if shown["kind"] in ("audit", "score") and shown["about"].get("set") == work.key:
                    found.append(shown)
        return [one for one in found if one["state"] != "done"]

    def _detectors(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for each in self.works.all("run"):
            with suppress(AssayError):
                if run_facts(each.path).get("kind") == "detector":
                    found.append({"key": each.key, "name": each.name})
        return found

    async def start_audit(self, request: Request) -> Response:
        """Audits a set: which parts besides the face tell real from fake, and what is in two splits."""
        return plain(await anyio.to_thread.run_sync(self._start, self._set(request), "audit", ()))

    async def start_score(self, request: Request) -> Response:
        """Scores a set with detectors of the folder, or with the one in the package."""
        values = await form(request)
        chosen = values.get("detectors")
        if (
            not isinstance(chosen, list)
            or not 1 <= len(chosen) <= 16
            or not all(isinstance(one, str) for one in chosen)
        ):
            raise UsageError("a scoreboard is of 1 to 16 detectors", hint="choose them in the list")
        split = values.get("split", ALL)
        if split not in (ALL, *get_args(Split)):
            raise UsageError("a split is train, val or test", hint="choose one, or all")
        words = ["--split", split, *([] if values.get("quality") is True else ["--no-quality"])]
        for one in dict.fromkeys(chosen):
            words += ["--detector", one if one == _PACKAGED else str(self.works.get("run", one).path)]
        return plain(await anyio.to_thread.run_sync(self._start, self._set(request), "score", tuple(words)))

    def _set(self, request: Request) -> Work:
        return self.works.get("set", request.path_params["key"])

    def _start(self, work: Work, kind: str, more: tuple[str, ...]) -> dict[str, str]:
        live = [one for one in self._jobs(work) if one["kind"] == kind and one["state"] in ("waiting", "running")]
        if live:
            raise RunError(f"{work.name} is waiting for this already", hint="look at it below, or stop it first")
        job = self._audit_job(work) if kind == "audit" else self._score_job(work, more)
        return {"job": self.queue.add(job).key}

    def _audit_job(self, work: Work) -> Job:
        words = ("dataset", "audit", str(work.path), "--out", str(self.folder.audits / work.key))
        return self.short_job("audit", f"Audit of {work.name}", words, set=work.key)

    def _score_job(self, work: Work, more: tuple[str, ...]) -> Job:
        words = ("score", str(work.path), *more, "--out", str(self.folder.boards / work.key))
        return self.short_job("score", f"Scoreboard of {work.name}", words, set=work.key)

    def audit_page(self, request: Request) -> HTMLResponse:
        """One audit: the result in words, each probe with its interval, and the report."""
        work = self.works.get("audit", request.path_params["key"])
        return self.pages.page("audit.html.j2", room="sets", work=work, audit=read_audit(work.path))

    def report(self, request: Request) -> Response:
        """The report as it lies beside the audit, in a sandbox without scripts."""
        work = self.works.get("audit", request.path_params["key"])
        data = read_bytes(inside(work.path, _AUDIT_PAGE), _MOST_BYTES, error=ManifestError, hint=_HINT)
        return HTMLResponse(data, headers={"Content-Security-Policy": REPORT_POLICY})

    def board_page(self, request: Request) -> HTMLResponse:
        """One scoreboard: a table a metric, a row a manipulation, a column a detector."""
        work = self.works.get("board", request.path_params["key"])
        board = read_scoreboard(work.path)
        quality = [(_name(row), row.measure(board.measure)) for row in board.rows]
        tables = [table for metric, title in _SHOWN if (table := _table(board, metric, title))]
        return self.pages.page(
            "board.html.j2", room="sets", work=work, board=board, tables=tables,
            picture=(work.path / _PICTURE).is_file(), quality=quality,
        )  # fmt: skip

    def picture(self, request: Request) -> Response:
        """The picture of a scoreboard: quality against detection."""
        work = self.works.get("board", request.path_params["key"])
        path = work.path / _PICTURE
        if not path.is_file():
            raise MissingError("this scoreboard has no picture", hint="score again")
        path, facts = inside(work.path, _PICTURE), path.stat()
        mark = f"{work.key}-{facts.st_mtime_ns}-{facts.st_size}"
        return picture_answer(request, mark, lambda: read_bytes(path, _MOST_BYTES, error=UsageError), "image/png")


def _splits(work: Work) -> list[str]:
    """The splits that the set has clips in, in the order in which a detector is evaluated on them; then all clips."""
    there = {record.split for record in set_records(work.path).values()}
    return [*(str(name) for name in reversed(get_args(Split)) if name in there), ALL]


def read_audit(folder: Path) -> AuditBrief:
    """The audit in ``folder``, in brief; kept until it changes.

    Raises:
        ManifestError: it is missing or damaged.
    """
    path = folder / _AUDIT
    try:
        facts = path.stat()
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from error
    return _read_audit(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _read_audit(path: Path, _modified: int, _size: int) -> AuditBrief:
    return read_json(path, AuditBrief, _MOST_BYTES, error=ManifestError, hint=_HINT)


def _board(folder: Path) -> Scoreboard:
    facts = (folder / SCOREBOARD_NAME).stat()
    return _read_board(folder, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _read_board(folder: Path, _modified: int, _size: int) -> Scoreboard:
    return read_scoreboard(folder)


def _cell(board: Scoreboard, by: str, detector: str, metric: str) -> Evaluation | None:
    row = next((row for row in board.rows if row.by == by), None)
    cell = row.cell(detector) if row is not None else None
    return cell.find(metric) if cell is not None else None


def _shown(found: Evaluation | None) -> str:
    """A value with its interval; "-" where it is not defined."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.2f} to {found.high:.2f})"


def _table(board: Scoreboard, metric: str, title: str) -> dict[str, Any] | None:
    """One metric: a row for all fakes, each manipulation and each rendition; None if nothing has it."""
    lines = []
    for row in board.rows:
        cells = [row.cell(one.name) for one in board.detectors]
        lines.append({"name": _name(row), "real": row.num_real, "fake": row.num_fake,
                      "cells": [cell.find(metric) if cell is not None else None for cell in cells]})  # fmt: skip
    if not any(cell for line in lines for cell in line["cells"]):
        return None
    return {"title": title, "lines": lines, "shown": _shown, "chance": metric != "tpr@fpr1%"}


def _name(row: Row) -> str:
    return row.name if row.by != "rendition" else f"{row.name} (rendition)"


def _digest(folder: Path) -> str:
    facts = (folder / MANIFEST).stat()
    return _digest_of(folder / MANIFEST, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _digest_of(path: Path, _modified: int, _size: int) -> str:
    return sha256_file(path)
