"""Runs what pages show: their blocks of code, with the numbers of a listed table in place of their own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.actors import cast, film

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = ("ann", "bob", "cleo", "dan", "eve", "fay")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Replacements:
    """Texts of a page with what stands for them in a test; :meth:`all_used` says that none is left over.

    Args:
        pairs: text of the page, and what is run in its place.
    """

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = pairs
        self._used: set[str] = set()

    def __call__(self, text: str) -> str:
        for old, new in self._pairs:
            if old in text:
                self._used.add(old)
                text = text.replace(old, new)
        return text

    def all_used(self) -> bool:
        """Whether the page still holds every text of the table."""
        return self._used == {old for old, _ in self._pairs}


def blocks(page: Path) -> Iterator[tuple[str, int, str]]:
    """Language, first line's number and text of every fenced block of a Markdown page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield found[1], text.count("\n", 0, found.start(2)) + 1, found[2]


def command_lines(block: str) -> list[list[str]]:
    """The words of each line of a shell block, without comments and empty lines."""
    joined = block.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def run_code(text: str, page: Path, line: int, names: dict[str, object]) -> None:
    """Runs Python with the variables ``names``; a traceback shows the page's own lines."""
    exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)


def film_people(folder: Path, names: Sequence[str] = (*PEOPLE, "suspect")) -> None:
    """Clips of procedural actors called like the people of the pages: twelve frames of 128 pixels."""
    for name, actor in zip(names, cast(len(names), 5), strict=True):
        film(actor, folder / f"{name}.mp4", seconds=0.48, px=128, seed=1)
