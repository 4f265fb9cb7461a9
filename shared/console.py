"""The one console: tables and progress for people, JSON for programs, silence when asked.

In JSON mode standard output carries one JSON document and nothing else; everything for people goes to standard
error. No other module prints.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

# Controls but tab and newline, C1 controls, marks that change the direction of writing, halves of surrogate pairs
# (bytes of a file name that are not UTF-8): a terminal or a reader would obey them or fail on them.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""``text`` with its control and direction-changing characters written out: ``\x1b``, ``\u202e``."""
    return _UNSAFE.sub(_written_out, text)


def visible_json(text: str) -> str:
    """JSON ``text`` with such characters escaped: it means the same, and shows them."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Tick(Protocol):
    """Reports work done: ``tick()`` for one unit, ``tick(8)`` for eight, ``note`` for a word beside the bar."""

    def __call__(self, amount: int = 1, *, note: str | None = None) -> None:
        """Advances the bar."""
        ...


ShowProgress = Callable[[str, int | None], AbstractContextManager[Tick]]
"""Makes a progress bar from a description and a total, as ``console.progress`` does."""


@contextmanager
def silent(_description: str, _total: int | None) -> Iterator[Tick]:
    """A :data:`ShowProgress` that shows nothing."""

    def tick(amount: int = 1, *, note: str | None = None) -> None:
        del amount, note

    yield tick


class _RateColumn(ProgressColumn):
    """Units a second, with the unit's name."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "it")
        return Text("" if speed is None else f"{speed:.1f} {unit}/s", style="progress.data.speed")


class Console:
    """Where everything a person or a program reads from Assay goes through."""

    def __init__(self) -> None:
        self.quiet = False
        self.json_mode = False
        self._kept: list[str] | None = None
        self._rich = RichConsole(stderr=False, highlight=False)
        self._error = RichConsole(stderr=True, highlight=False)

    def configure(self, *, quiet: bool = False, json_mode: bool = False) -> None:
        """Sets how much is said, and to whom. Makes new consoles, so that redirected streams are seen."""
        self.quiet = quiet
        self.json_mode = json_mode
        self._rich = RichConsole(stderr=json_mode, highlight=False)
        self._error = RichConsole(stderr=True, highlight=False)

    def print(self, *parts: object, markup: bool = False, wrap: bool = True) -> None:
        """Says something to a person. Text is shown as it is unless ``markup`` asks for Rich's tags.

        Without ``wrap`` long lines stay whole, so that a command line can be copied.
        """
        if not self.quiet:
            shown = [visible(part) if isinstance(part, str) else part for part in parts]
            self._rich.print(*shown, markup=markup, soft_wrap=not wrap)

    def warn(self, message: str) -> None:
        """Says something a person should not miss, on standard error, also when quiet."""
        if self._kept is not None:
            self._kept.append(message)
            return
        self._error.print(f"[yellow]warning:[/] {escape(visible(message))}", markup=True, soft_wrap=True)

    @contextmanager
    def warnings_kept(self) -> Iterator[list[str]]:
        """Warnings go into the list this yields and are not shown: for work on a machine whose output nobody sees."""
        before, said = self._kept, []
        self._kept = said
        try:
            yield said
        finally:
            self._kept = before

    def fail(self, message: str, hint: str | None) -> None:
        """Says why the command ends, on standard error."""
        self._error.print(f"[bold red]error:[/] {escape(visible(message))}", markup=True, soft_wrap=True)
        if hint:
            self._error.print(f"[bold]hint:[/] {escape(visible(hint))}", markup=True, soft_wrap=True)

    def table(self, title: str, columns: list[str], rows: Iterable[Iterable[object]]) -> None:
        """A table of plain values."""
        table = Table(title=Text(visible(title)), title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text(visible(str(cell))) for cell in row))
        self.print(table)

    def result(self, document: Mapping[str, object]) -> None:
        """The command's result for a program: one JSON document on standard output, in JSON mode only."""
        if self.json_mode:
            sys.stdout.write(visible_json(json.dumps(document, indent=2, default=str, ensure_ascii=False)) + "\n")

    @contextmanager
    def progress(self, description: str, total: int | None, *, unit: str = "it", done: int = 0) -> Iterator[Tick]:
        """A bar with count, rate and time left, for anything that may take more than two seconds.

        Yields a function to call as work is done. ``done`` starts the bar part of the way, for resumed work.
        """
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        bar = Progress(*columns, console=self._error, disable=self.quiet, speed_estimate_period=30)
        with bar:
            task = bar.add_task(escape(visible(description)), total=total, completed=done, unit=unit, note="")

            def tick(amount: int = 1, *, note: str | None = None) -> None:
                if note is None:
                    bar.advance(task, amount)
                else:
                    bar.update(task, advance=amount, note=escape(visible(note)))

            yield tick

    def track(self, items: Iterable[T], description: str, total: int | None, *, unit: str = "it") -> Iterator[T]:
        """``items`` again, with a bar."""
        with self.progress(description, total, unit=unit) as tick:
            for item in items:
                yield item
                tick()


console = Console()
