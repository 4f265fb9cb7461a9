"""Sentences to learn from: many plain English words in many orders, so that all neighbours of a phone are heard.

Grammar serves the engine's melody alone; what a sentence says does not matter. Nobody is named.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from shared.config import read_toml

_FILE = Path(__file__).with_name("words.toml")


@lru_cache(maxsize=1)
def word_lists() -> dict[str, list[str]]:
    """The words of ``words.toml`` by what they are in a sentence."""
    return {name: str(words).split() for name, words in read_toml(_FILE).items()}


def lesson(rng: np.random.Generator) -> str:
    """One sentence of about five to fifteen words."""
    kind = float(rng.random())
    if kind < 0.12:
        text = f"{_one(rng, 'questions')} {_one(rng, 'helps')} {_thing(rng)} {_one(rng, 'places')} {_thing(rng)}?"
    elif kind < 0.45:
        text = f"{_clause(rng)}."
    elif kind < 0.75:
        text = f"{_clause(rng)}, {_one(rng, 'links')} {_clause(rng)}."
    elif kind < 0.9:
        text = f"{_one(rng, 'how')}, {_clause(rng)} {_one(rng, 'how')}."
    else:
        things = [_one(rng, kind) for kind in ("nouns", "qualities", "nouns", "deeds")]
        text = f"{', '.join(things[:3])} and {things[3]}."
    return f"{text[0].upper()}{text[1:]}"


def _clause(rng: np.random.Generator) -> str:
    who = _one(rng, "who") if rng.random() < 0.3 else _thing(rng)
    clause = f"{who} {_one(rng, 'deeds')} {_thing(rng)}"
    return f"{clause} {_one(rng, 'places')} {_thing(rng)}" if rng.random() < 0.6 else clause


def _thing(rng: np.random.Generator) -> str:
    quality = f"{_one(rng, 'qualities')} " if rng.random() < 0.5 else ""
    return f"{_one(rng, 'owners')} {quality}{_one(rng, 'nouns')}"


def _one(rng: np.random.Generator, kind: str) -> str:
    words = word_lists()[kind]
    return words[int(rng.integers(len(words)))]
