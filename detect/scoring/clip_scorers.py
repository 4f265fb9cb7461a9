"""Third-party detectors that give one score per clip: a Python function, or a table of existing scores.

A clip without a score is counted and not given a default value.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitTimeoutError
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from detect.models.external.settings import Reference, probability_to_logit
from shared.config import from_mapping
from shared.console import console, counted
from shared.errors import CheckpointError, ConfigError, UsageError
from shared.storage import decode_json, sha256_file
from shared.types import ClipRecord

_MAX_TABLE_BYTES = 256 << 20
_MAX_LINE = 1 << 16
_START_SECONDS = 300.0
"""Minimum time limit for loading a user's file, which may load weights; apart from the limit for a clip."""
_NAME_COLUMNS = ("clip", "path", "file", "filename", "video", "id", "name")
_SCORE_COLUMNS = ("probability", "score", "logit", "p_fake", "fake", "prediction")

Clips = Sequence[tuple[ClipRecord, Path]]


@dataclass(frozen=True)
class ScorerConfig:
    """Settings of a detector of whole clips."""

    score: Literal["probability", "logit"] = "probability"
    fake: Literal[0, 1] = 1
    """The class that a high score means: 1 fake, 0 real."""
    timeout: float = 300.0
    """Time limit for one clip, in seconds; only for ``python:``."""
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= 86400:
            raise ConfigError(f"timeout must lie within a day, got {self.timeout}", hint="seconds for one clip")

    def logit(self, value: float, where: str) -> float:
        """The logit, positive for fake, of one score.

        Raises:
            UsageError: a probability is expected, and it is outside [0, 1].
        """
        if self.score == "probability":
            if not 0 <= value <= 1:
                raise UsageError(f"{where} gives {value:g}, which is no probability", hint="say ?score=logit")
            value = probability_to_logit(value)
        return value if self.fake == 1 else -value


@dataclass(frozen=True)
class ClipScores:
    """Scores of clips: one logit each, None without a score; and notes for readers.

    ``failed`` are the indices of clips on which scoring failed and may be tried again; the other Nones are final.
    """

    logits: tuple[float | None, ...]
    notes: tuple[str, ...]
    failed: frozenset[int] = frozenset()


class ClipScorer(Protocol):
    """A detector that gives one logit per clip."""

    name: str
    digest: str

    def score(self, clips: Clips, tick: Callable[[], object]) -> ClipScores:
        """Logits of ``clips`` in their order; ``tick`` is called after each."""
        ...


def make_scorer(reference: Reference) -> ClipScorer | None:
    """The scorer that ``reference`` names; None for a network that scores crops.

    Raises:
        ConfigError: an unknown setting.
        UsageError: a table that cannot be read.
    """
    if reference.kind not in ("python", "csv"):
        return None
    options: dict[str, Any] = dict(reference.options)
    if reference.kind == "csv":
        return TableScorer(reference, options)
    return PythonScorer(reference, from_mapping(ScorerConfig, options, where=str(reference)))


class TableScorer:
    """Scores from a CSV file with a column of clips (their ids, paths or names) and a column of scores."""

    def __init__(self, reference: Reference, options: dict[str, Any]) -> None:
        self.digest = sha256_file(reference.path)
        columns, rows = _read_table(reference.path)
        self._label = str(reference)
        if columns[1] == "logit":
            options.setdefault("score", "logit")
        self._config = from_mapping(ScorerConfig, options, where=str(reference))
        self.name = self._config.name or reference.path.name
        self._rows = rows

    def score(self, clips: Clips, tick: Callable[[], object]) -> ClipScores:
        """As :meth:`ClipScorer.score`.

        Raises:
            UsageError: no clip of the set is in the table, or a score is no probability.
        """
        bare = Counter(key for record, _ in clips for key in set(_loose_names(record)))
        logits: list[float | None] = []
        used: set[str] = set()
        for record, path in clips:
            names = [*_exact_names(record, path), *(key for key in _loose_names(record) if bare[key] == 1)]
            key = next((name for name in names if name in self._rows), None)
            value = None if key is None else self._rows[key]
            if key is not None:
                used.add(key)
            logits.append(None if value is None else self._config.logit(value, f"{self._label}, {key}"))
            tick()
        if not used:
            raise UsageError(
                f"{self._label} names none of these {len(clips)} clips",
                hint="its first column holds clip ids (set/manipulation/name), paths in the set, or file names",
            )
        spare = len(self._rows) - len(used)
        notes = (f"{self._label}: {spare} of its {len(self._rows)} rows are of other clips.",) if spare else ()
        return ClipScores(tuple(logits), (*notes, *no_score_notes(self._label, logits)))


class PythonScorer:
    """The user's function ``predict(path)``, run in a separate process that is replaced when it hangs or dies."""

    def __init__(self, reference: Reference, config: ScorerConfig) -> None:
        self.digest = sha256_file(reference.path)
        self.name = config.name or reference.path.name
        self._label = str(reference)
        self._path = reference.path
        self._config = config

    def score(self, clips: Clips, tick: Callable[[], object]) -> ClipScores:
        """As :meth:`ClipScorer.score`.

        Raises:
            CheckpointError: the file cannot be loaded, or fails on every clip.
            UsageError: a score is not a probability.
        """
        console.warn(f"running {self._path}: your own code, with all that you may do")
        logits: list[float | None] = []
        failures: Counter[str] = Counter()
        failed: set[int] = set()
        with ExitStack() as stack:
            worker: _Worker | None = None
            for place, (_, path) in enumerate(clips):
                worker = worker or stack.enter_context(_Worker(self._path, self._config.timeout))
                answer = worker.ask(path)
                if "error" in answer:
                    failures[str(answer["error"])] += 1
                    failed.add(place)
                score = answer.get("score")
                usable = isinstance(score, float | int) and math.isfinite(score)
                logits.append(self._config.logit(float(score), self._label) if usable else None)  # type: ignore[arg-type]
                if not worker.alive:
                    worker = None
                tick()
        if failures and failures.total() == len(clips):
            raise CheckpointError(f"{self._label} failed on every clip: {next(iter(failures))}", hint="try it by hand")
        notes = [f"{self._label} failed on {counted(count, 'clip')}: {what}" for what, count in failures.most_common(3)]
        return ClipScores(tuple(logits), (*no_score_notes(self._label, logits), *notes), frozenset(failed))


class _Worker:
    """A process that scores clips; see :mod:`detect.scoring.python_worker`."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._timeout = timeout
        self.alive = True
        self._process = subprocess.Popen(
            [sys.executable, "-m", "detect.scoring.python_worker", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="assay-python")
        first = self._answer(max(timeout, _START_SECONDS))
        if not first.get("ready"):
            self.close()
            why = first.get("fatal") or first.get("error")
            raise CheckpointError(f"{path} cannot be used: {why}", hint="it defines predict(path) -> float")

    def __enter__(self) -> _Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, path: Path) -> dict[str, Any]:
        """A document with ``score`` or ``error`` for one clip."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(str(path.resolve())) + "\n")
            self._process.stdin.flush()
        except OSError:
            self.close()
            return {"error": "its process ended"}
        return self._answer(self._timeout)

    def close(self) -> None:
        """Ends the process."""
        self.alive = False
        self._process.kill()
        self._process.wait()
        self._reader.shutdown(wait=True)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:  # unsent input
                    continue

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        waiting = self._reader.submit(self._process.stdout.readline, _MAX_LINE)
        try:
            line = waiting.result(seconds)
        except WaitTimeoutError:
            self.close()
            return {"error": f"no answer within {seconds:g} s"}
        try:
            return decode_json(line, dict, "its answer", error=CheckpointError)
        except CheckpointError:
            self.close()
            return {"error": "its process ended"}


def _read_table(path: Path) -> tuple[tuple[str, str], dict[str, float | None]]:
    """The names of the two columns, and the score by clip; None for an empty or undefined score.

    Raises:
        UsageError: the table is too large, lacks a column, has a cell that is not a number, or a clip twice.
    """
    if path.stat().st_size > _MAX_TABLE_BYTES:
        raise UsageError(f"{path} is larger than 256 MiB", hint="a row is a clip and its score")
    rows: dict[str, float | None] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            heads = {(head or "").strip().lower(): head for head in reader.fieldnames or ()}
            names = _column(path, heads, _NAME_COLUMNS), _column(path, heads, _SCORE_COLUMNS)
            for row in reader:
                clip = (row[heads[names[0]]] or "").strip()
                if clip in rows:
                    raise UsageError(f"{path} has {clip!r} twice", hint="one row a clip")
                rows[clip] = _number(path, clip, row[heads[names[1]]])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV table: {error}", hint="UTF-8, commas, a first line with names") from error
    return names, rows


def _column(path: Path, heads: dict[str, str], known: Sequence[str]) -> str:
    found = next((name for name in known if name in heads), None)
    if found is None:
        raise UsageError(f"{path} has no column {' or '.join(known[:3])}", hint="its first line: clip,probability")
    return found


def _number(path: Path, clip: str, cell: str | None) -> float | None:
    text = (cell or "").strip().lower()
    if text in ("", "none", "null", "na", "n/a"):
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"{path}, {clip}: {cell!r} is no number", hint="leave it empty for no score") from error
    return value if math.isfinite(value) else None


def _exact_names(record: ClipRecord, path: Path) -> list[str]:
    return [str(record.id), record.path, str(path), str(path.resolve())]


def _loose_names(record: ClipRecord) -> list[str]:
    """Names that may be ambiguous; used only where they are not."""
    file = Path(record.path)
    return list(dict.fromkeys((file.name, file.stem, record.id.name)))


def no_score_notes(label: str, logits: Sequence[float | None]) -> tuple[str, ...]:
    """A note on clips without a score; empty if there are none."""
    count = sum(logit is None for logit in logits)
    return (f"{label} gives {count} of {len(logits)} clips no score: they are counted, not scored.",) if count else ()
