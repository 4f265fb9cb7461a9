"""One clip opened for stepping: its index, and the encoded frames around the position.

The file is decoded in a process of its own (:mod:`shared.video.child`). The index is made in the background while the
first frames are already shown, and kept beside the other files of the page.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from shared.console import counted
from shared.errors import AssayError, MediaError
from shared.storage import decode_json, read_json, write_text
from shared.types import VideoInfo
from shared.video.child import Child, ChildLimits, decoded
from shared.video.images import is_still, picture_info
from shared.video.reader import probe
from shared.video.seeking import FrameIndex, read_index, send_frames, send_index, send_still

_AHEAD = 12
_BACK = 7
"""Frames before a wanted one that are kept too when stepping backwards: they were decoded anyway."""
_BEHIND_LEAST, _BEHIND_MOST = 24, 60
"""Frames that are decoded in the background: forwards, and backwards by the length of the way from the keyframe."""
_MOST_INDEX_BYTES = 256 << 20
_SMALL_BYTES = 1 << 20
"""A file of this size is indexed at once, in the process that decodes its frames."""
_WAIT_SECONDS = 120.0
_LIMITS = ChildLimits(memory_gb=6.0)


@dataclass(frozen=True)
class ClipState:
    """What is known of a clip so far: its ``frames`` indexed, whether that is ``whole``, and ``why`` it stopped."""

    frames: int
    whole: bool
    why: str = ""


@dataclass(frozen=True)
class _StoredIndex:
    numerator: int
    denominator: int
    pts: list[int]
    keys: list[int]
    seekable: bool


class OpenClip:
    """Frames of one file as encoded pictures. Safe for several threads. Close it at the end.

    Args:
        path: of a video or a still picture.
        index_file: where the index is kept.
        gray: whether it is a video of masks; its frames are PNG.
        most_bytes: of encoded frames that are kept.

    Raises:
        MediaError: the file cannot be read.
    """

    def __init__(self, path: Path, index_file: Path, *, gray: bool = False, most_bytes: int = 64 << 20) -> None:
        self.path, self.gray = path, gray
        self._index_file, self._most_bytes = index_file, most_bytes
        self._child, self._ahead, self._indexing = (Child(path, _LIMITS) for _ in range(3))
        self._decoding, self._changed = threading.Lock(), threading.Condition()
        self._closed = False
        try:
            self.still = self._child.call(is_still)
            self.info: VideoInfo = self._child.call(picture_info if self.still else probe)
        except BaseException:
            self.close()
            raise
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._wanted: tuple[int, bool] | None = None
        self._pending = range(0)
        self._prefetching: threading.Thread | None = None
        self._parts: list[tuple[list[int], list[int]]] = []
        self._counted, self._why, self._last = 0, "", -1
        self._index: FrameIndex | None = None
        self._begin_index()

    def close(self) -> None:
        """Ends the child processes."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        for child in (self._child, self._ahead, self._indexing):
            child.__exit__(None, None, None)

    @property
    def mark(self) -> str:
        """Another one for another file, and for the same one after it changed."""
        return self._index_file.stem

    def state(self) -> ClipState:
        """How much of the clip is indexed."""
        with self._changed:
            return ClipState(self._counted, self._index is not None, self._why)

    def times(self, start: int, stop: int) -> list[float]:
        """Seconds of the frames from ``start`` to ``stop``, as far as they are indexed."""
        with self._changed:
            pts = [tick for ticks, _ in self._parts for tick in ticks] if self._index is None else self._index.pts
            return [float(tick * self.info.time_base) for tick in pts[start:stop]]

    def picture(self, index: int) -> bytes:
        """The encoded picture of a frame: JPEG, or PNG of a mask.

        Raises:
            MediaError: there is no such frame, or it cannot be decoded.
        """
        with self._changed:
            forwards, self._last = index >= self._last, index
            while index in self._pending and index not in self._kept and not self._closed:
                self._changed.wait(1.0)  # the background is about to deliver it
        kept = self._from_kept(index)
        if kept is None:
            with self._decoding:
                first = index if forwards else max(0, index - _BACK)
                kept = self._from_kept(index) or self._ask(self._child, first, index - first + 1)[index]
        self._prefetch_around(index, forwards=forwards)
        return kept

    def exact(self, index: int) -> bytes:
        """The picture of a frame as PNG, without loss.

        Raises:
            MediaError: as for :meth:`picture`.
        """
        with self._decoding:
            return self._ask(self._child, index, 1, exact=True)[index]

    def _begin_index(self) -> None:
        if self.still:
            self._parts, self._counted = [([0], [0])], 1
            self._index = FrameIndex(Fraction(1, 25), (0,), (0,), True)
            return
        with suppress(AssayError):
            stored = read_json(self._index_file, _StoredIndex, _MOST_INDEX_BYTES, error=MediaError)
            base = Fraction(stored.numerator, stored.denominator)
            self._index = read_index([(stored.pts, stored.keys)], base, seekable=stored.seekable)
            self._counted = len(stored.pts)
            return
        if self.path.stat().st_size <= _SMALL_BYTES:
            self._make_index(self._child)
        else:
            threading.Thread(target=self._make_index, args=(self._indexing,), daemon=True).start()

    def _make_index(self, child: Child) -> None:
        try:
            with closing(child.stream(send_index)) as messages:
                for kind, value, _ in messages:
                    if kind == "part":
                        part = decoded(value, tuple[list[int], list[int]], self.path)
                        with self._changed:
                            self._parts.append(part)
                            self._counted += len(part[0])
                            self._changed.notify_all()
                    elif kind == "whole":
                        self._finish_index(seekable=decode_json(value, bool, "the index", error=MediaError))
            self._indexing.__exit__(None, None, None)
        except (AssayError, OSError):
            if not self._closed:
                with suppress(AssayError):  # what was indexed before can be stepped through, but is not kept
                    self._finish_index(seekable=False, keep=False)
        finally:
            with self._changed:
                if self._index is None:
                    self._why = "the file could not be read to its end"
                self._changed.notify_all()

    def _finish_index(self, *, seekable: bool, keep: bool = True) -> None:
        index = read_index(self._parts, self.info.time_base, seekable=seekable)
        stored = {"numerator": index.time_base.numerator, "denominator": index.time_base.denominator}
        text = json.dumps(stored | {"pts": index.pts, "keys": index.keys, "seekable": seekable})
        if keep:
            with suppress(AssayError):  # the page works without it
                write_text(self._index_file, text)
        with self._changed:
            self._index = index
            self._changed.notify_all()

    def _from_kept(self, index: int) -> bytes | None:
        with self._changed:
            found = self._kept.get(index)
            if found is not None:
                self._kept.move_to_end(index)
            return found

    def _prefetch_around(self, index: int, *, forwards: bool) -> None:
        """Has the background decode what follows in the direction of stepping."""
        with self._changed:
            self._wanted = (index, forwards)
            self._changed.notify_all()
            if self._prefetching is None and not self.still:
                self._prefetching = threading.Thread(target=self._prefetch, daemon=True)
                self._prefetching.start()

    def _prefetch(self) -> None:
        while True:
            with self._changed:
                while self._wanted is None and not self._closed:
                    self._changed.wait()
                if self._closed or self._wanted is None:
                    return
                (index, forwards), self._wanted = self._wanted, None
                self._pending = self._missing_near(index, forwards=forwards)
                todo = self._pending
            if todo:
                with suppress(AssayError, OSError):
                    self._ask(self._ahead, todo.start, len(todo))
                with self._changed:
                    self._pending = range(0)
                    self._changed.notify_all()

    def _missing_near(self, index: int, *, forwards: bool) -> range:
        """The frames to decode next, if fewer than half of those in the direction of stepping are there."""
        if forwards:
            ahead = range(index + 1, min(index + 1 + _AHEAD, self._counted))
            missing = next((one for one in ahead if one not in self._kept), None)
            near = missing is not None and missing <= index + _AHEAD // 2
            return range(missing, min(missing + _AHEAD, self._counted)) if near and missing is not None else range(0)
        key = None if self._index is None else self._index.key_before(index)
        count = min(_BEHIND_MOST, max(_BEHIND_LEAST, (index - (key or 0)) // 2))
        missing = next(
            (one for one in range(index - 1, max(-1, index - 1 - count // 2), -1) if one not in self._kept), None
        )
        return range(0) if missing is None else range(max(0, missing + 1 - count), missing + 1)

    def _wait_for(self, index: int) -> None:
        until = time.monotonic() + _WAIT_SECONDS
        with self._changed:
            while self._counted <= index and self._index is None and not self._why and not self._closed:
                if not self._changed.wait(until - time.monotonic()):
                    break
            if self._counted <= index or self._closed:
                raise MediaError(
                    f"{self.path.name} has no frame {index}, as far as it was read: {counted(self._counted, 'frame')}",
                    hint="choose an earlier frame",
                )

    def _ask(self, child: Child, first: int, count: int, *, exact: bool = False) -> dict[int, bytes]:
        """Decodes and keeps ``count`` frames, fewer at the end; the first one is there."""
        self._wait_for(first + count - 1 if count <= _BACK + 1 else first)
        if self.still:
            return self._collect(child, send_still, (int(exact),), keep=not exact)
        with self._changed:
            index = self._index
            pts = index.pts if index else tuple(tick for ticks, _ in self._parts for tick in ticks)
        ticks = ",".join(str(tick) for tick in pts[first : first + count])
        key = index.key_before(first) if index else None
        for start in dict.fromkeys((key, None)):
            start_pts = None if start is None else pts[start]
            arguments = (first, ticks, start, start_pts, int(self.gray), int(exact))
            found = self._collect(child, send_frames, arguments, keep=not exact)
            if first in found:
                return found
        raise MediaError(f"frame {first} of {self.path.name} cannot be decoded", hint="the file may have changed")

    def _collect(
        self, child: Child, function: Callable[..., None], arguments: tuple[str | int | None, ...], *, keep: bool
    ) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with closing(child.stream(function, *arguments)) as messages:
            for kind, value, body in messages:
                if kind == "picture":
                    index = decoded(value, int, self.path)
                    found[index] = bytes(body)
                    if keep:
                        self._keep(index, found[index])
        return found

    def _keep(self, index: int, data: bytes) -> None:
        with self._changed:
            self._kept_bytes += len(data) - len(self._kept.pop(index, b""))
            self._kept[index] = data
            while self._kept_bytes > self._most_bytes and len(self._kept) > 1:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
            self._changed.notify_all()


def facts_of_clip(clip: OpenClip) -> dict[str, object]:
    """Size, rate and state of an open clip, as plain values for the page."""
    rate = clip.info.frame_rate
    return {
        "width": clip.info.width,
        "height": clip.info.height,
        "rate": float(rate) if rate else 25.0,
        "codec": clip.info.codec,
        "still": clip.still,
        **asdict(clip.state()),
    }
