"""Records of jobs in files: what runs, how far it is, and how it ended.

A folder may come from somebody else, with jobs in it. So each record holds a code made with a key of this user (HMAC,
RFC 2104), and one without it is neither shown nor run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shared.console import visible
from shared.errors import AssayError, RunError, storage_errors
from shared.home import config_home
from shared.storage import decode_json, read_bytes, read_json, write_text

State = Literal["waiting", "running", "done", "failed", "stopped"]
JOB, CODE, STATE, PROGRESS, OUTPUT = "job.json", "job.hmac", "state.json", "progress.json", "output.txt"
_KEY = re.compile(r"\d{13}-[0-9a-f]{6}")
_MAX_BYTES = 1 << 20
_TAIL_BYTES = 16 << 10


@dataclass(frozen=True)
class Job:
    """What a job does.

    Attributes:
        kind: "inspect", "train" or another word for the page.
        title: for people.
        words: of the command line, after ``assay``.
        memory_bytes, seconds: limits.
        about: what it belongs to: the key of a file that was handed in, the path of a run in the work folder.
    """

    kind: str
    title: str
    words: tuple[str, ...]
    memory_bytes: int
    seconds: float
    about: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobState:
    """How far a job is. ``began`` and ``ended`` are seconds since 1970; ``why`` is a sentence where it ended badly."""

    state: State = "waiting"
    pid: int = 0
    began: float = 0.0
    ended: float = 0.0
    code: int | None = None
    why: str = ""


def new_key() -> str:
    """A key that sorts by time."""
    return f"{int(time.time() * 1000):013d}-{secrets.token_hex(3)}"


def _code(name: str, data: bytes) -> str:
    """The code of a record, for its name too, so that it cannot be copied to another."""
    return hmac.new(_user_key(), name.encode() + b"\0" + data, hashlib.sha256).hexdigest()


def _user_key() -> bytes:
    """32 random bytes in the user's settings, made when first needed."""
    path = config_home() / "serve.key"
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_bytes(32))
        return path.read_bytes()


class JobRecord:
    """One job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def key(self) -> str:
        """Its name."""
        return self.folder.name

    @classmethod
    def create(cls, jobs: Path, job: Job) -> JobRecord:
        """Writes a new job, which then waits.

        Raises:
            StorageError: writing failed.
        """
        record = cls(jobs / new_key())
        write_text(record.folder / STATE, json.dumps(dataclasses.asdict(JobState())) + "\n")
        text = json.dumps(dataclasses.asdict(job), indent=2) + "\n"
        write_text(record.folder / CODE, _code(record.key, text.encode()))
        write_text(record.folder / JOB, text)
        return record

    def job(self) -> Job:
        """What it does.

        Raises:
            RunError: the file is damaged, or was not written by a page of this user.
        """
        hint = "remove the folder of the job"
        data = read_bytes(self.folder / JOB, _MAX_BYTES, error=RunError, hint=hint)
        code = read_bytes(self.folder / CODE, 1 << 10, error=RunError, hint=hint)
        if not hmac.compare_digest(code, _code(self.key, data).encode()):
            raise RunError("this job is from somebody else's page, or was changed", hint=hint)
        return decode_json(data, Job, self.folder / JOB, error=RunError, hint=hint)

    def state(self) -> JobState:
        """How far it is.

        Raises:
            RunError: the file is damaged.
        """
        return read_json(self.folder / STATE, JobState, _MAX_BYTES, error=RunError, hint="remove the folder of the job")

    def change(self, **values: Any) -> JobState:
        """Replaces parts of its state.

        Raises:
            StorageError: writing failed.
        """
        state = dataclasses.replace(self.state(), **values)
        write_text(self.folder / STATE, json.dumps(dataclasses.asdict(state)) + "\n")
        return state

    def progress(self) -> dict[str, Any]:
        """What the command told last: ``what``, ``done``, ``total``, ``unit``, ``note``; empty before."""
        with suppress(AssayError):
            return read_json(self.folder / PROGRESS, dict, _MAX_BYTES, error=RunError)
        return {}

    def output(self) -> str:
        """The end of what it printed."""
        try:
            with (self.folder / OUTPUT).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                return visible(file.read().decode("utf-8", "replace").replace("\r", ""))
        except OSError:
            return ""

    def shown(self) -> dict[str, Any]:
        """Plain values for the page.

        Raises:
            RunError: a file is damaged.
        """
        job, state = self.job(), self.state()
        seconds = (state.ended or time.time()) - state.began if state.began else 0.0
        told = self.progress() if state.state in ("running", "stopped", "failed") else {}
        return {
            "key": self.key, "kind": job.kind, "title": job.title, "about": job.about, "state": state.state,
            "why": state.why, "seconds": round(seconds, 1), "progress": told, "created": int(self.key[:13]) / 1000,
        }  # fmt: skip


def records(jobs: Path) -> list[JobRecord]:
    """All jobs in the folder ``jobs``, the oldest first."""
    try:
        names = sorted(path.name for path in jobs.iterdir() if _KEY.fullmatch(path.name))
    except OSError:
        return []
    return [JobRecord(jobs / name) for name in names if (jobs / name / JOB).is_file()]


def record(jobs: Path, key: str) -> JobRecord:
    """The job of that key.

    Raises:
        RunError: there is none.
    """
    if not _KEY.fullmatch(key) or not (jobs / key / JOB).is_file():
        raise RunError("there is no such job", hint="go back to the list")
    return JobRecord(jobs / key)
