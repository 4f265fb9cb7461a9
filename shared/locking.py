"""A lock that two processes respect: whoever writes into a folder holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import StorageError, storage_errors

_POLL_SECONDS = 0.02


@contextmanager
def folder_lock(path: Path, *, timeout_seconds: float = 60.0) -> Iterator[None]:
    """Holds the lock file ``path`` (made when absent, never removed) while the block runs.

    The operating system lets go of it when the process ends, however it ends, so a killed writer blocks nobody.
    It is advisory: readers do not need it, because every write under it is whole or absent.

    Raises:
        StorageError: somebody else held it for ``timeout_seconds``, or the folder cannot be written.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(handle, path, timeout_seconds)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise StorageError(
                    f"{path.parent} is being written by another process",
                    hint="wait for it to end, then run the command again",
                ) from error
        time.sleep(_POLL_SECONDS)
