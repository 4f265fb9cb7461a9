"""The clips that are open for stepping: few at a time, the one looked at longest ago is closed first."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from shared.errors import AssayError, MediaError
from shared.web.frames.clip import OpenClip

_MOST_OPEN = 8


class ClipShelf:
    """Open clips by file. Safe for several threads.

    Args:
        folder: receives the indices of their frames.
        most_bytes: of encoded frames that each clip keeps.
    """

    def __init__(self, folder: Path, *, most_bytes: int = 64 << 20) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._open: OrderedDict[str, OpenClip] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def clip(self, path: Path, *, gray: bool = False) -> OpenClip:
        """The clip at ``path``, opened if it is not, and anew if the file changed.

        Raises:
            MediaError: it cannot be read.
        """
        try:
            facts = path.stat()
        except OSError as error:
            raise MediaError(
                f"{path.name} is not there any more", hint="put it back, then load the page again"
            ) from error
        text = f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\0{gray}"
        key = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        with self._lock:
            opening = self._opening.setdefault(key, threading.Lock())
        with opening:  # others open other clips meanwhile
            with self._lock:
                found = self._open.get(key)
            if found is None:
                found = OpenClip(path, self._folder / f"{key}.json", gray=gray, most_bytes=self._most_bytes)
            with self._lock:
                self._open[key] = found
                self._open.move_to_end(key)
                closed = [self._open.popitem(last=False) for _ in range(len(self._open) - _MOST_OPEN)]
                for name, _ in closed:
                    self._opening.pop(name, None)
        for _, clip in closed:
            clip.close()
        return found

    def close(self) -> None:
        """Closes all clips."""
        with self._lock:
            clips, self._open = list(self._open.values()), OrderedDict()
        for clip in clips:
            with suppress(AssayError, OSError):
                clip.close()
