"""Files that could not be read: counted and named, while the others are processed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from shared.console import console
from shared.errors import AssayError, MediaError

_SHOWN = 5


class Unread:
    """The files of one command that could not be read, with reasons, in order.

    Attributes:
        kinds: errors that concern one file only; any other error ends the command.
    """

    def __init__(self, *kinds: type[AssayError]) -> None:
        self.kinds = kinds or (MediaError,)
        self.reasons: dict[str, str] = {}
        self._paths: set[Path] = set()
        self._first: AssayError | None = None

    @contextmanager
    def passing_over(self, path: Path) -> Iterator[None]:
        """Records an error about ``path``; the block ends there, and execution continues after it."""
        try:
            yield
        except self.kinds as error:
            self._first = self._first or error
            self.note(path, str(error))

    def __contains__(self, path: Path) -> bool:
        return path in self._paths

    def note(self, path: Path, why: str) -> None:
        """Adds a file; the second of two files with the same name is listed by its path."""
        self._paths.add(path)
        name = path.name if path.name not in self.reasons else str(path)
        self.reasons[name] = why.removeprefix(f"{path} ").removeprefix(f"{path}: ").removeprefix("is ")

    def need_some(self, done: int) -> None:
        """Refuses to continue when no file was read.

        Raises:
            AssayError: ``done`` is 0: the error of the first file, or that none of several could be read.
        """
        if done or self._first is None:
            return
        if len(self.reasons) == 1:
            raise self._first
        raise MediaError(outcome(0, self.reasons), hint=self._first.hint)

    def words(self, done: int) -> str:
        """See :func:`outcome`."""
        return outcome(done, self.reasons)

    def say(self, done: int) -> None:
        """Warns on standard error how many files were read and which were not; silent if all were."""
        if self.reasons:
            console.warn(outcome(done, self.reasons))


def outcome(done: int, unread: Mapping[str, str]) -> str:
    """How many of several files were read, as text: ``2 of 3; 1 could not be read: c.jpg: it is cut off``."""
    if not unread:
        return f"{done} of {done}"
    shown = [f"{name}: {why}" for name, why in list(unread.items())[:_SHOWN]]
    more = f"; and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
    return f"{done} of {done + len(unread)}; {len(unread)} could not be read: {'; '.join(shown)}{more}"


def frames_found(declared: int | None, found: int) -> str:
    """Frames read of those declared, if they differ: ``38 of 60``; else the number alone."""
    return str(found) if declared is None or declared == found else f"{found} of {declared}"


def frames_note(declared: int | None, found: int) -> dict[str, str]:
    """:func:`frames_found` as a factor of a record; empty if the numbers agree."""
    return {} if declared is None or declared == found else {"source_frames": f"{found} of {declared} declared"}


def say_others(folder: Path, known: Sequence[Path], kind: str) -> None:
    """Warns of files in ``folder`` that are not among the ``known`` ones; hidden files and sidecars do not count."""
    names, stems = {path.name for path in known}, {path.stem for path in known}
    others = sorted(
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if path.name not in names and not path.name.startswith(".") and not _is_sidecar(path, stems)
    )
    if others:
        shown = ", ".join(others[:_SHOWN]) + (" ..." if len(others) > _SHOWN else "")
        files = "1 file is" if len(others) == 1 else f"{len(others)} files are"
        console.warn(f"{folder}: {files} left out, by name no {kind}: {shown}")


def _is_sidecar(path: Path, stems: Iterable[str]) -> bool:
    return path.name.removesuffix(".landmarks.parquet") in stems or (path.suffix == ".c2pa" and path.stem in stems)
