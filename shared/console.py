"""Output: messages, tables and progress bars for people, JSON for programs.

In JSON mode standard output is one JSON document, and everything else goes to standard error. No other module prints.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol, TypeVar

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn, Task
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

_NARROWEST_BAR, _WIDEST_BAR, _NARROWEST_NOTE = 8, 30, 12
_SPEED_OVER_SECONDS = 3600.0  # of the last thousand reports at most: slow work has a rate too

# Control characters except tab and newline, C1 controls, bidirectional controls, and lone surrogates (bytes of a file
# name that are not UTF-8): a terminal or a reader would interpret them or fail on them.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""``text`` with control and bidirectional characters escaped: ``\x1b``, ``\u202e``."""
    return _UNSAFE.sub(_written_out, text)


def visible_json(text: str) -> str:
    """JSON ``text`` with such characters as JSON escapes, so that its meaning is the same."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Tick(Protocol):
    """Reports progress: ``tick()`` for one unit, ``tick(8)`` for eight; ``note`` is a text beside the bar."""

    def __call__(self, amount: int = 1, *, note: str | None = None) -> None:
        """Advances the bar."""
        ...


ShowProgress = Callable[[str, int | None], AbstractContextManager[Tick]]
"""Makes a progress bar from a description and a total, as ``partial(console.progress, unit="clip")`` does."""


@contextmanager
def silent(_description: str, _total: int | None) -> Iterator[Tick]:
    """A :data:`ShowProgress` that shows nothing."""

    def tick(amount: int = 1, *, note: str | None = None) -> None:
        del amount, note

    yield tick


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 clip``, ``2 clips``, ``1,234 clips``; ``plural`` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size_text(size_bytes: float) -> str:
    """``0 kB``, ``12 MB``, ``3.4 GB``: in decimal units, as disks are sold."""
    if size_bytes < 999_500:
        return f"{math.ceil(size_bytes / 1e3)} kB"
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes < 999_500_000 else f"{size_bytes / 1e9:.1f} GB"


def _clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _one_line(text: str, width: int) -> Text:
    """Text of at most ``width`` columns, after which the line goes on."""
    line = Text(text, end="", no_wrap=True, justify="default")
    line.truncate(width, overflow="ellipsis")
    return line


class _Line(ProgressColumn):
    """All of a bar in one line that is never wider than the terminal."""

    def render(self, task: Task) -> _BarLine:
        return _BarLine(task)


class _BarLine:
    """Description, bar, count, rate, time and note; where it is narrow first the rate goes, then note and bar."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __rich_measure__(self, console: RichConsole, options: ConsoleOptions) -> Measurement:
        return Measurement(options.max_width, options.max_width)

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        task, width = self._task, options.max_width
        head = _one_line(task.description, max(8, width // 3))
        parts = [part for part in (self._count(), self._rate(), self._time()) if part]
        free = width - cell_len(head.plain) - sum(2 + cell_len(part) for part in parts)
        if free < _NARROWEST_BAR + 2 and len(parts) == 3:
            free += 2 + cell_len(parts.pop(1))
        note = _one_line(task.fields["note"], width)
        bar = min(_WIDEST_BAR, max(_NARROWEST_BAR, free - 4 - cell_len(note.plain)))
        yield head
        if free >= bar + 2:
            yield _one_line("  ", 2)
            yield ProgressBar(task.total, task.completed, bar, pulse=task.total is None, animation_time=task.get_time())
            free -= bar + 2
        yield _one_line("".join(f"  {part}" for part in parts), width - cell_len(head.plain))
        if note and free - 2 >= min(_NARROWEST_NOTE, cell_len(note.plain)):
            note.truncate(free - 2, overflow="ellipsis")
            yield _one_line("  ", 2)
            yield note

    def _count(self) -> str:
        task, unit = self._task, self._task.fields["unit"]
        done = round(task.completed)
        if unit == "s":
            return "" if task.total is None else f"{_clock(done)} of {_clock(task.total)}"
        if task.total is None:
            return counted(done, unit)
        return f"{done:,}/{counted(round(task.total), unit)}"

    def _rate(self) -> str:
        speed = self._task.finished_speed or self._task.speed
        if not speed or self._task.fields["unit"] == "s":
            return ""
        return f"{speed:.1f}/s" if speed >= 0.1 else f"{60 * speed:.1f}/min"

    def _time(self) -> str:
        elapsed, left = self._task.elapsed or 0.0, self._task.time_remaining
        if self._task.finished or left is None:
            return _clock(elapsed)
        if self._task.fields["unit"] == "s":
            return f"{_clock(left)} left"
        return f"{_clock(elapsed)}, {_clock(left)} left"


def _filled(text: str, width: int) -> str:
    """``text`` with each of its lines wrapped between words."""
    fill = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
    return "\n".join(fill.fill(line) for line in text.split("\n"))


PROGRESS_FILE = "ASSAY_PROGRESS"
"""Environment variable with the path of a file that tells another process how far the work is."""
_TOLD_EVERY_SECONDS = 0.25


def followed_progress(description: str, total: int | None, unit: str, done: int) -> Tick | None:
    """Writes progress to the file that :data:`PROGRESS_FILE` names, four times a second; None where none is named.

    The file holds one JSON object: ``what``, ``done``, ``total`` (or null), ``unit``, ``note``.
    """
    place = os.environ.get(PROGRESS_FILE)
    if not place:
        return None
    state: dict[str, object] = {"what": visible(description), "done": done, "total": total, "unit": unit, "note": ""}
    count, last = done, 0.0

    def tell(amount: int = 1, *, note: str | None = None) -> None:
        nonlocal count, last
        count += amount
        state.update(done=count, note=state["note"] if note is None else visible(note))
        if time.monotonic() - last < _TOLD_EVERY_SECONDS and count != total:
            return
        last = time.monotonic()
        with suppress(OSError):  # nobody may be there to follow
            draft = f"{place}.{os.getpid()}.part"
            with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would slow down the start
                file.write(visible_json(json.dumps(state)))
            os.replace(draft, place)  # noqa: PTH105

    tell(0)
    return tell


class Console:
    """The output of Assay."""

    def __init__(self) -> None:
        self.quiet = False
        self.json_mode = False
        self._texts = True
        self._kept: list[str] | None = None
        self._rich = RichConsole(stderr=False, highlight=False)
        self._error = RichConsole(stderr=True, highlight=False)

    def configure(self, *, quiet: bool = False, json_mode: bool = False) -> None:
        """Sets quiet and JSON mode. Makes new Rich consoles, so that redirected streams are used."""
        self.quiet = quiet
        self.json_mode = json_mode
        self._rich = RichConsole(stderr=json_mode, highlight=False)
        self._error = RichConsole(stderr=True, highlight=False)

    def print(self, *parts: object, markup: bool = False, wrap: bool = True) -> None:
        """Prints a text for people, literally unless ``markup`` enables Rich's tags.

        Lines are wrapped between words only, and not at all without ``wrap``, so that addresses, paths and command
        lines can be copied.
        """
        if not self.quiet and self._texts:
            shown = [visible(part) if isinstance(part, str) else part for part in parts]
            is_text = not any(hasattr(part, "__rich_console__") for part in parts)
            if wrap and is_text and not markup:
                shown, wrap = [_filled(" ".join(map(str, shown)), self._rich.width)], False
            self._rich.print(*shown, markup=markup, soft_wrap=not wrap)

    def warn(self, message: str) -> None:
        """Prints a warning on standard error, also in quiet mode."""
        if self._kept is not None:
            self._kept.append(message)
            return
        self._error.print(f"[yellow]warning:[/] {escape(visible(message))}", markup=True, soft_wrap=True)

    @contextmanager
    def bars_only(self) -> Iterator[None]:
        """Shows progress, warnings and errors but no text: for a command that another one runs."""
        before, self._texts = self._texts, False
        try:
            yield
        finally:
            self._texts = before

    @contextmanager
    def warnings_kept(self) -> Iterator[list[str]]:
        """Yields a list that collects warnings instead of printing them, for tasks on other machines."""
        before, said = self._kept, []
        self._kept = said
        try:
            yield said
        finally:
            self._kept = before

    def fail(self, message: str, hint: str | None) -> None:
        """Prints an error on standard error."""
        self._error.print(f"[bold red]error:[/] {escape(visible(message))}", markup=True, soft_wrap=True)
        if hint:
            self._error.print(f"[bold]hint:[/] {escape(visible(hint))}", markup=True, soft_wrap=True)

    def table(self, title: str, columns: list[str], rows: Iterable[Iterable[object]]) -> None:
        """Prints a table of plain values."""
        table = Table(title=Text(visible(title)), title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text(visible(str(cell))) for cell in row))
        self.print(table)

    def result(self, document: Mapping[str, object]) -> None:
        """Prints the command's result as one JSON document on standard output, in JSON mode only."""
        if self.json_mode:
            sys.stdout.write(visible_json(json.dumps(document, indent=2, default=str, ensure_ascii=False)) + "\n")

    @contextmanager
    def progress(self, description: str, total: int | None, *, unit: str, done: int = 0) -> Iterator[Tick]:
        """A progress bar with count, rate and time left.

        Yields a function that reports progress. ``unit`` is the singular of the unit of work, such as "clip", or "s"
        for work limited by time; ``done`` is the initial count, for resumed work.
        """
        bar = Progress(_Line(), console=self._error, disable=self.quiet, speed_estimate_period=_SPEED_OVER_SECONDS)
        with bar:
            task = bar.add_task(visible(description), total=total, completed=done, unit=unit, note="")

            followed = followed_progress(description, total, unit, done)

            def tick(amount: int = 1, *, note: str | None = None) -> None:
                if note is None:
                    bar.advance(task, amount)
                else:
                    bar.update(task, advance=amount, note=visible(note))
                if followed is not None:
                    followed(amount, note=note)

            yield tick

    def track(self, items: Iterable[T], description: str, total: int | None, *, unit: str) -> Iterator[T]:
        """Yields ``items``, with a progress bar."""
        with self.progress(description, total, unit=unit) as tick:
            for item in items:
                yield item
                tick()


console = Console()
