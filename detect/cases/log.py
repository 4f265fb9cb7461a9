"""The log of a case, ``log.jsonl``: one step a line, and in each line the hash of the line before.

A line is never changed: one altered, removed or inserted line breaks the chain for all that follow. What the chain
alone cannot show, a log that was rewritten as a whole, the signature of the case shows (:mod:`detect.cases.seal`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from shared.console import visible_json
from shared.errors import CaseError
from shared.storage import decode_json

LOG_NAME = "log.jsonl"
MAX_LOG_BYTES = 64 << 20
NO_LINE = "0" * 64
"""What the first line holds in place of the hash of the line before."""

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Step:
    """One step of the work on a case.

    Attributes:
        step: name of the step.
        began, ended: ISO 8601 in UTC.
        details: settings, hashes and outcome, by name.
    """

    step: str
    began: str
    ended: str
    details: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class LogLine:
    """One line of the log: a step with its number, from 0, and ``before``, the SHA-256 of the line before."""

    number: int
    before: str
    step: str
    began: str
    ended: str
    details: dict[str, Plain] = field(default_factory=dict)


class StepLog:
    """Collects the steps of one run, in the order in which they end; ``before`` are those that came before it."""

    def __init__(self, before: Iterable[Step] = ()) -> None:
        self.steps: list[Step] = [*before]

    @contextmanager
    def step(self, name: str, **details: Plain) -> Iterator[dict[str, Plain]]:
        """Records the block as one step; the block may add to the details that it is given."""
        began = now()
        told: dict[str, Plain] = dict(details)
        yield told
        self.steps.append(Step(name, began, now(), told))


def now() -> str:
    """The time of day, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat()


def chained(steps: Sequence[Step], before: bytes = b"") -> bytes:
    """The lines of ``steps`` that continue the log ``before``.

    Raises:
        CaseError: the log before is damaged.
    """
    lines, faults = read_log(before)
    if faults:
        raise CaseError(f"the log cannot be continued: {faults[0]}", hint="assay case verify lists all faults")
    head = head_of(before)
    added = b""
    for number, step in enumerate(steps, len(lines)):
        line = _encoded(LogLine(number, head, step.step, step.began, step.ended, dict(step.details)))
        head = hashlib.sha256(line).hexdigest()
        added += line + b"\n"
    return added


def head_of(log: bytes) -> str:
    """SHA-256 of the last line of a log; :data:`NO_LINE` for an empty one."""
    lines = log.splitlines()
    return hashlib.sha256(lines[-1]).hexdigest() if lines else NO_LINE


def read_log(log: bytes) -> tuple[list[LogLine], list[str]]:
    """The lines of a log, and what is wrong with its chain; the lines end before the first fault."""
    lines: list[LogLine] = []
    if len(log) > MAX_LOG_BYTES:
        return lines, [f"it is larger than {MAX_LOG_BYTES >> 20} MiB"]
    if log and not log.endswith(b"\n"):
        return lines, ["its last line is not whole"]
    head = NO_LINE
    for number, text in enumerate(log.split(b"\n")[:-1]):
        try:
            line = decode_json(text, LogLine, f"line {number + 1}", error=CaseError)
        except CaseError as error:
            return lines, [str(error)]
        if _encoded(line) != text:
            return lines, [f"line {number + 1} is not as it was written"]
        if line.number != number or line.before != head:
            return lines, [f"line {number + 1} does not follow the line before it"]
        head = hashlib.sha256(text).hexdigest()
        lines.append(line)
    return lines, []


def _encoded(line: LogLine) -> bytes:
    return visible_json(msgspec.json.encode(line).decode()).encode()
