"""Plain English sentences for engines to read: many, harmless, about nobody."""

from __future__ import annotations

import numpy as np

_WHO = (
    "the gardener", "a young baker", "my neighbour", "the night train", "an old sailor", "the second team",
    "her brother", "the librarian", "a quiet visitor", "the whole village", "our teacher", "the tall nurse",
    "a farmer", "the pilot", "the youngest child", "a tired clerk", "the museum guide", "his grandmother",
    "the carpenter", "a careful driver",
)  # fmt: skip
_DID = (
    "carried", "repaired", "painted", "forgot", "measured", "opened", "described", "bought", "cleaned", "followed",
    "counted", "returned", "borrowed", "noticed", "finished", "moved", "studied", "covered", "weighed", "sold",
)  # fmt: skip
_WHAT = (
    "a wooden box", "the garden gate", "three silver spoons", "the winter coats", "an empty bottle",
    "the blue bicycle", "seven letters", "the broken window", "a heavy basket", "the long bridge", "a jar of honey",
    "the kitchen table", "both maps", "a pair of shoes", "the church bell", "fresh bread", "the narrow path",
    "a small engine", "the red boat", "two dozen eggs",
)  # fmt: skip
_WHERE = (
    "near the harbour", "behind the school", "in the market", "under the stairs", "across the river",
    "at the station", "beside the well", "above the valley", "on the north side", "outside the theatre",
    "by the old mill", "in the yard",
)  # fmt: skip
_WHEN = (
    "early in the morning", "after the rain", "before supper", "late last night", "on a cold Tuesday",
    "during the storm", "at half past nine", "a week ago", "just in time", "every other day", "while it was dark",
    "in the first light",
)  # fmt: skip
_LINKS = ("and then", "because", "although", "while", "so that", "and", "until", "but later")


def sentence(rng: np.random.Generator, *, words: int) -> str:
    """One sentence of about ``words`` words; clauses are joined until it is long enough."""
    parts: list[str] = []
    while True:
        parts.append(_clause(rng, words - sum(len(part.split()) for part in parts)))
        if sum(len(part.split()) for part in parts) >= words:
            break
        parts.append(str(rng.choice(_LINKS)))
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def phrase(rng: np.random.Generator) -> str:
    """A few words that can stand in the middle of a sentence."""
    return f"{rng.choice(_WHAT)} {rng.choice(_WHERE)}"


def _clause(rng: np.random.Generator, room: int) -> str:
    clause = f"{rng.choice(_WHO)} {rng.choice(_DID)} {rng.choice(_WHAT)}"
    if room > 7:
        clause += f" {rng.choice(_WHERE)}"
    if room > 10:
        clause += f" {rng.choice(_WHEN)}"
    return clause
