"""Settings of the local page, and the folder of its own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.errors import UsageError


@dataclass(frozen=True)
class ServeConfig:
    """Limits of the local page.

    Attributes:
        port: on the loopback address; 0 takes a free one.
        max_upload_gb: largest file that can be handed in.
        job_memory_gb: memory of one job, all its processes together.
        inspect_minutes: longest time of one inspection, comparison or other short job.
        train_hours: longest time of one training.
        at_once: inspections that run at a time; trainings have one place of their own.
    """

    port: int = 0
    max_upload_gb: float = 4.0
    job_memory_gb: float = 8.0
    inspect_minutes: float = 120.0
    train_hours: float = 72.0
    at_once: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port} does not exist", hint="choose one from 1024 to 65535, or 0 for any")
        if min(self.max_upload_gb, self.job_memory_gb, self.inspect_minutes, self.train_hours) <= 0 or self.at_once < 1:
            raise UsageError("limits of the local page are above 0", hint="leave the option out for its default")

    @property
    def max_upload_bytes(self) -> int:
        """The same in bytes."""
        return int(self.max_upload_gb * 1e9)


@dataclass(frozen=True)
class WorkFolder:
    """The folder that the page shows, and what the page itself writes below ``serve/`` in it."""

    root: Path

    @property
    def own(self) -> Path:
        """Everything that the page writes, but for new runs."""
        return self.root / "serve"

    @property
    def files(self) -> Path:
        """Files that were handed in, each in a folder of its own."""
        return self.own / "files"

    @property
    def cases(self) -> Path:
        """Cases that the page had made."""
        return self.own / "cases"

    @property
    def jobs(self) -> Path:
        """Records of jobs with their output."""
        return self.own / "jobs"

    @property
    def indices(self) -> Path:
        """Frame indices of clips."""
        return self.own / "indices"

    @property
    def audits(self) -> Path:
        """Audits that the page had made, each in a folder named by the key of its set."""
        return self.own / "audits"

    @property
    def boards(self) -> Path:
        """Scoreboards that the page had made, likewise."""
        return self.own / "boards"

    @property
    def runs(self) -> Path:
        """Trainings that were started from the page."""
        return self.root / "runs"

    @property
    def log(self) -> Path:
        """Refused requests, one a line."""
        return self.own / "refused.log"

    @property
    def lock(self) -> Path:
        """Held by the one server of the folder."""
        return self.own / "server.lock"

    @property
    def places(self) -> tuple[Path, ...]:
        """All that the page writes to by itself."""
        made = (self.files, self.cases, self.jobs, self.indices, self.audits, self.boards)
        return (self.own, *made, self.runs, self.lock)
