"""Registries of factories by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.errors import UnknownNameError

T = TypeVar("T")

_MOST_LISTED = 30
F = TypeVar("F", bound=Callable[..., object])


class Registry(Generic[T]):
    """The factories of one kind (finder, swapper, detector) by name.

    It is filled by explicit imports in the package of the families, so that one file lists all of them.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """A decorator that registers a factory as ``name``.

        Raises:
            ValueError: ``name`` is taken.
        """

        def file_it(factory: F) -> F:
            if name in self._factories:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._factories[name] = factory  # type: ignore[assignment]
            return factory

        return file_it

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._factories)

    def get(self, name: str) -> Callable[..., T]:
        """The factory registered as ``name``.

        Raises:
            UnknownNameError: with the nearest names as a hint.
        """
        if name not in self._factories:
            raise UnknownNameError(f"no {self.kind} is named {name!r}", hint=near_matches(name, self.names()))
        return self._factories[name]

    def create(self, name: str, **settings: object) -> T:
        """Calls the factory registered as ``name`` with ``settings``."""
        return self.get(name)(**settings)


def near_matches(name: str, known: list[str], *, listed_by: str = "") -> str:
    """A hint with near names, else all known names; of many known names the nearest.

    ``listed_by`` is the command that lists them all, where they are many.
    """
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if not close and len(known) <= _MOST_LISTED:
        return f"known names: {', '.join(sorted(known)) or 'none'}"
    nearest = close or difflib.get_close_matches(name, known, n=5, cutoff=0.0)
    hint = f"did you mean {' or '.join(close)}?" if close else f"the nearest names: {', '.join(nearest)};"
    if len(known) <= _MOST_LISTED:
        return hint
    return f"{hint} {listed_by} lists all {len(known):,}" if listed_by else f"{hint} {len(known):,} are known"
