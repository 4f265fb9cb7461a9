"""The state of a file in question at intake and at exit: two hashes, size and times. The file is only ever read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from shared.console import visible
from shared.errors import MediaError

_BLOCK_BYTES = 1 << 20


class FileStatement(TypedDict):
    """What a report says of the inspected file itself."""

    path_name: str
    sha256_intake: str
    sha256_exit: str
    sha512_intake: str
    size_bytes: int


@dataclass(frozen=True)
class FileState:
    """What identifies the content of a file at one moment.

    Attributes:
        sha256, sha512: of its bytes, in hex.
        size_bytes: number of bytes.
        modified, status_changed: times that the file system states, ISO 8601 in UTC.
    """

    sha256: str
    sha512: str
    size_bytes: int
    modified: str
    status_changed: str

    def same_content(self, other: FileState) -> bool:
        """Whether hashes, size and time of modification are equal."""
        mine, its = (self.sha256, self.sha512, self.size_bytes), (other.sha256, other.sha512, other.size_bytes)
        return mine == its and self.modified == other.modified


def read_state(path: Path) -> FileState:
    """The state of ``path``, read once, in constant memory.

    Raises:
        MediaError: it cannot be read.
    """
    short, long, size = hashlib.sha256(), hashlib.sha512(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                short.update(block)
                long.update(block)
                size += len(block)
        facts = path.stat()
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}", hint="check the path and permissions") from error
    return FileState(short.hexdigest(), long.hexdigest(), size, _moment(facts.st_mtime), _moment(facts.st_ctime))


def file_statement(path: Path, intake: FileState, state: FileState) -> FileStatement:
    """The statement on the file at ``path``, in its states at intake and at exit."""
    return FileStatement(
        path_name=visible(path.name),
        sha256_intake=intake.sha256,
        sha256_exit=state.sha256,
        sha512_intake=intake.sha512,
        size_bytes=intake.size_bytes,
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
