"""Updates a measured table in a page of the documentation, between two markers."""

from __future__ import annotations

from pathlib import Path

from shared.errors import UsageError
from shared.storage import write_bytes


def markers(name: str) -> tuple[str, str]:
    """The marker lines around the table ``name``."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def put_between(path: Path, text: str, *, name: str) -> Path:
    """Replaces the text between the markers of ``name`` in the file at ``path``.

    Raises:
        UsageError: the file does not have both markers, in order, once each.
    """
    begin, end = markers(name)
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise UsageError(f"{path} has no place for the table", hint=f"put the lines {begin} and {end} where it goes")
    before, after = page.split(begin)[0], page.split(end)[1]
    write_bytes(path, f"{before}{begin}\n{text}{end}{after}".encode())
    return path
