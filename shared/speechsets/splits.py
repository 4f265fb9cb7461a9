"""Speakers to train, val and test: all recordings of a speaker in one split, and so all that was made from them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shared.errors import LeakError, UsageError
from shared.speechsets.layout import SpeechRecord
from shared.types import SPLITS, Split

FRACTIONS = (0.6, 0.2, 0.2)


def speaker_splits(
    speakers: Iterable[str], *, fractions: tuple[float, float, float] = FRACTIONS, seed: int
) -> dict[str, Split]:
    """The split of each speaker: as near to ``fractions`` as whole speakers allow, at least one in each split.

    Raises:
        UsageError: fractions that do not sum to one, or fewer speakers than splits.
    """
    names = sorted(set(speakers))
    wanted = [split for split, share in zip(SPLITS, fractions, strict=True) if share > 0]
    if any(share < 0 for share in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError("the parts of a split are not negative and sum to one", hint="for example .6, .2 and .2")
    if len(names) < len(wanted):
        raise UsageError(f"{len(names)} speakers cannot be split into {len(wanted)} parts", hint="name more voicesets")
    order = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    found: dict[str, Split] = dict(zip(order, wanted, strict=False))
    counts = dict.fromkeys(SPLITS, 0) | dict.fromkeys(wanted, 1)
    shares = dict(zip(SPLITS, fractions, strict=True))
    for name in order[len(wanted) :]:
        total = sum(counts.values()) + 1
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
