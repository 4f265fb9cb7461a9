"""Registry of swapper families. Filled by the families listed in ``forge/models/__init__.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from shared.registry import Registry

if TYPE_CHECKING:
    from forge.models.contract import Option, Swapper  # noqa: F401 - named in quotes below

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True)
class FamilyNote:
    """Facts of a family beside its factory.

    Convention:
        source: the project that published the architecture
        tiny: options of the smallest valid model, which trains on one CPU core in seconds; ``width`` among them
        recipe: the name of the training recipe that suits it, empty where the default does
    """

    source: str
    tiny: Mapping[str, Option] = field(default_factory=lambda: {"width": 0.03})
    recipe: str = ""


class SwapperRegistry(Registry["Swapper"]):
    """A registry that also holds a :class:`FamilyNote` for each family."""

    def __init__(self) -> None:
        super().__init__("swapper")
        self._notes: dict[str, FamilyNote] = {}

    def register(
        self, name: str, *, source: str = "", tiny: Mapping[str, Option] | None = None, recipe: str = ""
    ) -> Callable[[F], F]:
        """A decorator that registers a factory under ``name`` with its :class:`FamilyNote`.

        ``tiny`` may omit ``width``, which is then 0.03.

        Raises:
            ValueError: ``name`` is taken.
        """
        inner = super().register(name)

        def register_factory(factory: F) -> F:
            filed = inner(factory)
            self._notes[name] = FamilyNote(source, {"width": 0.03, **(tiny or {})}, recipe)
            return filed

        return register_factory

    def note(self, name: str) -> FamilyNote:
        """The :class:`FamilyNote` of the family ``name``.

        Raises:
            UnknownNameError: with the nearest names as a hint.
        """
        self.get(name)
        return self._notes[name]


swappers = SwapperRegistry()
