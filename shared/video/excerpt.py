"""A stretch of a clip: how a user names it, which frames it holds, and a reader that gives only those."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from typing_extensions import override

from shared.console import counted
from shared.errors import UsageError
from shared.types import Frame, Timestamp
from shared.video.audio import cut_audio
from shared.video.reader import VideoReader

_FRAME = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?)s")
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{1,9})?)s?")
_LONGEST_TEXT = 64
_HINT = "such as 10s-12s, 1:02-1:10, frames 250-300, or with an open end 10s- or -300"

Moment = int | Fraction
"""The index of a frame, or seconds."""


@dataclass(frozen=True)
class ClipRange:
    """A half-open stretch of a clip: frames from ``start`` on and before ``stop``; None is the clip's begin or end.

    Convention:
        start, stop: indices of frames (int), or seconds in the file's time (Fraction); both of one kind
        text: as the user wrote it
    """

    start: Moment | None
    stop: Moment | None
    text: str

    @classmethod
    def parse(cls, text: str) -> ClipRange:
        """From ``10s-12s``, ``1:02-1:10``, ``0:01:02.5-``, ``250-300`` or ``-300``.

        Raises:
            UsageError: the text is of another form, or the stretch is empty.
        """
        shown = repr(text[:_LONGEST_TEXT])
        sides = text.strip().split("-") if len(text) <= _LONGEST_TEXT else []
        if len(sides) != 2 or not any(sides):
            raise UsageError(f"{shown} is not a range of a clip", hint=_HINT)
        start, stop = (_moment(side.strip(), shown) for side in sides)
        if start is not None and stop is not None:
            if isinstance(start, int) != isinstance(stop, int):
                raise UsageError(f"the range {shown} mixes frames and seconds", hint=_HINT)
            if stop <= start:
                raise UsageError(f"the range {shown} is empty: it ends before it begins", hint=_HINT)
        if stop == 0:
            raise UsageError(f"the range {shown} is empty", hint=_HINT)
        return cls(start, stop, text.strip())

    @property
    def in_frames(self) -> bool:
        """Whether the ends are indices of frames, not seconds."""
        return not isinstance(self.start, Fraction) and not isinstance(self.stop, Fraction)

    def pictures(self, total: int, what: str) -> slice:
        """The range of ``total`` single pictures, which have no time.

        Raises:
            UsageError: it is given in seconds, or no picture lies in it.
        """
        if not self.in_frames:
            raise UsageError(f"pictures have no times, so none lies in {self.text}", hint="count them, such as 250-300")
        start, stop = int(self.start or 0), min(total, total if self.stop is None else int(self.stop))
        if start >= stop:
            raise UsageError(f"{what} has {counted(total, 'picture')}, none of them in {self.text}", hint=_HINT)
        return slice(start, stop)


def _moment(text: str, shown: str) -> Moment | None:
    if not text:
        return None
    if _FRAME.fullmatch(text):
        return int(text)
    found = _SECONDS.fullmatch(text)
    if found:
        return Fraction(found[1])
    found = _CLOCK.fullmatch(text)
    if found is None or Fraction(found[3]) >= 60 or (found[1] and int(found[2]) >= 60):
        raise UsageError(f"{text!r} in the range {shown} is no frame and no time", hint=_HINT)
    return Fraction(found[3]) + 60 * int(found[2]) + 3600 * int(found[1] or 0)


@dataclass(frozen=True)
class Excerpt:
    """Frames ``start`` to ``stop`` (half-open) of a clip.

    Attributes:
        first: time of frame ``start`` in the clip; None if that is frame 0, whose time is kept.
        end: time of frame ``stop``; None if there is none.
    """

    start: int
    stop: int
    first: Timestamp | None
    end: Timestamp | None

    @classmethod
    def of(cls, path: Path, wanted: ClipRange) -> Excerpt:
        """The frames of the clip at ``path`` that lie in ``wanted``; an end after the clip's is the clip's.

        Raises:
            UsageError: none does.
            MediaError: the clip cannot be read.
        """
        with VideoReader(path) as reader, closing(reader.times()) as times:  # type: ignore[type-var]
            return cls.among(times, wanted, path)

    @classmethod
    def among(cls, times: Iterable[Timestamp], wanted: ClipRange, path: Path) -> Excerpt:
        """As :meth:`of`, for a clip at ``path`` whose frames have these ``times``, ascending.

        Raises:
            UsageError: no frame lies in ``wanted``.
        """
        start: int | None = None
        first = end = last = None
        index = -1
        for index, time in enumerate(times):
            place = index if wanted.in_frames else time.exact_seconds
            if wanted.stop is not None and place >= wanted.stop:
                end = time
                break
            if start is None and (wanted.start is None or place >= wanted.start):
                start, first = index, time
            last = time
        if start is None:
            said = f"frame {index}" if last is None else f"frame {index}, at {last.seconds:.2f} s"
            there = "the frames there are farther apart" if end is not None else f"its last is {said}"
            raise UsageError(f"{path} has no frame in {wanted.text}; {there}", hint=_HINT)
        return cls(start, index if end is not None else index + 1, first if start else None, end)

    @property
    def text(self) -> str:
        """``250-300``: the frames, half-open."""
        return f"{self.start}-{self.stop}"

    def moved(self, time: Timestamp) -> Timestamp:
        """A time of the clip as one of the excerpt, which begins at 0 if it begins inside the clip."""
        return Timestamp(time.pts - (self.first.pts if self.first else 0), time.time_base)


class ExcerptReader(VideoReader):
    """Reads the frames of an excerpt as those of a clip of their own, in display order.

    Convention:
        index: counted from 0
        times: from 0 on, as far apart as in the file; those of a clip's begin are kept
    """

    def __init__(self, path: Path, excerpt: Excerpt) -> None:
        super().__init__(path)
        self._excerpt = excerpt
        self.info = replace(self.info, frames_declared=excerpt.stop - excerpt.start, frames_counted=None)

    @override
    def __iter__(self) -> Iterator[Frame]:
        cut = self._excerpt
        with closing(self.frames(start=cut.start, stop=cut.stop)) as frames:  # type: ignore[type-var]
            for frame in frames:
                yield Frame(frame.index - cut.start, cut.moved(frame.time), frame.image)


@contextmanager
def excerpt_sound(path: Path, excerpt: Excerpt) -> Iterator[Path | None]:
    """A file with the sound of the excerpt at its times, there for the length of the block; None without sound.

    Raises:
        MediaError: the file cannot be read or its sound not copied.
    """
    with tempfile.TemporaryDirectory(prefix="assay-sound-") as folder:
        first, end = (time.exact_seconds if time else None for time in (excerpt.first, excerpt.end))
        yield cut_audio(path, Path(folder), start=first, stop=end)
