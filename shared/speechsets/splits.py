"""Speakers to train, val and test: all recordings of a speaker in one split, and so all that was made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from shared.errors import LeakError, UsageError
from shared.speechsets.layout import SpeechRecord
from shared.types import SPLITS, Split

FRACTIONS = (0.6, 0.2, 0.2)


def speaker_splits(
    speakers: Iterable[str],
    *,
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int,
    known: Mapping[str, Split] | None = None,
) -> dict[str, Split]:
    """The split of each speaker: as near to ``fractions`` as whole speakers allow, at least one in each split.

    Args:
        speakers: by name.
        fractions: of speakers in train, val and test.
        seed: of the choice.
        known: splits of some people, which their voices are in too; then a split may stay empty.

    Raises:
        UsageError: fractions that do not sum to one, or fewer speakers than splits.
    """
    names = sorted(set(speakers))
    wanted: list[Split] = [split for split, share in zip(SPLITS, fractions, strict=True) if share > 0]
    if any(share < 0 for share in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError("the parts of a split are not negative and sum to one", hint="for example .6, .2 and .2")
    found: dict[str, Split] = {name: known[name] for name in names if name in known} if known else {}
    free = [name for name in names if name not in found]
    if not found and len(free) < len(wanted):
        raise UsageError(f"{len(free)} speakers cannot be split into {len(wanted)} parts", hint="name more voicesets")
    order = [free[place] for place in np.random.default_rng(seed).permutation(len(free))]
    empty = [split for split in wanted if split not in found.values()]
    found |= dict(zip(order, empty, strict=False))
    counts = Counter(found.values())
    shares = dict(zip(SPLITS, fractions, strict=True))
    for name in order[len(empty) :]:
        total = counts.total() + 1
        split = max(wanted, key=lambda each: shares[each] * total - counts[each])
        found[name] = split
        counts[split] += 1
    return found


def need_disjoint(records: Iterable[SpeechRecord]) -> None:
    """Refuses records with one speaker in two splits.

    Raises:
        LeakError: with the first of them.
    """
    found: dict[str, Split] = {}
    for record in records:
        if found.setdefault(record.speaker, record.split) != record.split:
            raise LeakError(
                f"the speaker {record.speaker} is in {found[record.speaker]} and in {record.split}",
                hint="put all recordings of a speaker into one split",
            )
