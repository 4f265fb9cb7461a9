"""Shell completion of the values of options.

``assay --install-completion`` sets it up once; the shell then asks the program at each press of Tab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

from shared.errors import AssayError

Completion = Callable[[str], list[str]]


def offered(names: Callable[[], Iterable[str]]) -> Completion:
    """Completes to those of ``names()`` with the typed prefix; to none if the names cannot be read."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except (AssayError, ImportError, OSError):
            return []

    return complete


def words(*names: str) -> Completion:
    """Completes to these words."""
    return offered(lambda: names)


def values(kind: object) -> Completion:
    """Completes to the values of a ``Literal``."""
    return words(*get_args(kind))


def _finders() -> list[str]:
    from shared.faces.finders.finder import finder_names

    return finder_names()


finders = offered(_finders)
devices = words("auto", "cpu", "cuda", "mps")
splits = words("train", "val", "test", "all")
