"""Number of fakes of a manipulation, and settings that give about a wanted number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from forge.building.choices import sample_size
from forge.building.pieces import Model
from forge.building.sampling import pairs_of
from forge.building.spec import ManipulationConfig

_CLOSE = 0.1


@dataclass(frozen=True)
class FakeCounts:
    """Counts the fakes of manipulations from models and the number of pieces of each person."""

    models: tuple[Model, ...]
    shots: dict[str, int]

    def count(self, one: ManipulationConfig, seed: int) -> int:
        """Number of fakes of a manipulation, without self-swaps and renditions."""
        variants = min(_grid(one), sample_size(one.combine) or _grid(one))
        total = 0
        for model in self.models:
            if model.config.name == one.swapper:
                clips = sum(min(self.shots[target], one.clips or self.shots[target])
                            for _, target in pairs_of(one, model.people, seed))  # fmt: skip
                total += clips * variants * self._exports(one, model)
        return total

    def most_pairs(self, one: ManipulationConfig) -> int:
        """Number of ordered pairs of the largest model that the manipulation uses."""
        sizes = [len(model.people) for model in self.models if model.config.name == one.swapper]
        return max((size * (size - 1) for size in sizes), default=0)

    @staticmethod
    def _exports(one: ManipulationConfig, model: Model) -> int:
        if model.run is not None:
            return 1
        return len([step for step in model.config.ladder if not one.steps or step in one.steps])


def shares_of(missed: Sequence[float], floor: float) -> list[float]:
    """Shares that sum to one: ``floor`` of it equally, the rest by ``missed``; equal if nothing is missed."""
    total = sum(missed)
    equal = 1.0 / len(missed)
    return [floor * equal + (1 - floor) * (equal if total <= 0 else one / total) for one in missed]


def fitted(
    one: ManipulationConfig, wanted: float, most_pairs: int, most_clips: int, count: Callable[[ManipulationConfig], int]
) -> ManipulationConfig:
    """``one`` with about ``wanted`` fakes: by pairs, then factor combinations, then clips per person.

    Each setting is changed only if those before it did not suffice. Pairs listed by name are kept.
    """
    knobs: list[tuple[int, Callable[[ManipulationConfig, int], ManipulationConfig]]] = []
    if isinstance(one.pairs, str):
        knobs.append((most_pairs, lambda m, n: replace(m, pairs=f"sample:{n}")))
    if one.factors:
        knobs.append((_grid(one), lambda m, n: replace(m, combine=f"sample:{n}")))
    knobs.append((most_clips, lambda m, n: replace(m, clips=n)))
    for most, turn in knobs:
        if most < 1 or reached(count(one), wanted):
            continue
        number = _bisected(most, wanted, lambda n, turn=turn, one=one: count(turn(one, n)))
        turned = turn(one, number)
        if abs(count(turned) - wanted) < abs(count(one) - wanted):
            one = turned
    return one


def reached(count: int, wanted: float) -> bool:
    """Whether a count is within a tenth, or half a fake, of ``wanted``."""
    return abs(count - wanted) <= max(0.5, _CLOSE * wanted)


def _bisected(most: int, wanted: float, count: Callable[[int], int]) -> int:
    """The number from 1 to ``most`` whose count is nearest to ``wanted``; counts grow with it."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if count(middle) < wanted:
            low = middle + 1
        else:
            high = middle
    return min((n for n in (low - 1, low) if n >= 1), key=lambda n: (abs(count(n) - wanted), n))


def _grid(one: ManipulationConfig) -> int:
    return prod(len(values) for values in one.factors.values())
