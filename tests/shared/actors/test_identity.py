from __future__ import annotations

import numpy as np
import pytest

from shared.actors import Actor, cast
from shared.actors.identity import vector_of
from shared.actors.look import skin_colour


def test_a_seed_is_one_person():
    assert Actor.from_seed(7).traits == Actor.from_seed(7).traits
    assert Actor.from_seed(7).traits != Actor.from_seed(8).traits
    assert Actor.from_seed(7).name == "actor-007"


def test_neighbouring_seeds_cover_the_range_of_skin():
    tones = sorted(Actor.from_seed(seed).traits.look.tone for seed in range(10))
    assert tones[0] < 0.15
    assert tones[-1] > 0.85
    assert np.diff(tones).max() < 0.25


def test_skin_darkens_with_tone():
    light = [sum(skin_colour(tone, 0.0)) for tone in np.linspace(0, 1, 30)]
    assert (np.diff(light) < 0).all()


def test_a_cast_differs_more_than_actors_in_a_row():
    def closest(actors: list[Actor]) -> float:
        vectors = np.stack([vector_of(actor.traits) for actor in actors])
        apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
        return float(apart[np.triu_indices(len(actors), 1)].min())

    chosen = cast(8, 3)
    assert len({actor.seed for actor in chosen}) == 8
    assert [actor.seed for actor in cast(8, 3)] == [actor.seed for actor in chosen]
    assert closest(chosen) > closest([Actor.from_seed(seed) for seed in range(30_000, 30_008)])
    tones = [actor.traits.look.tone for actor in chosen]
    assert max(tones) - min(tones) > 0.6


@pytest.mark.parametrize(("count", "seed"), [(0, 1), (-2, 1), (3, -1)])
def test_impossible_casts_are_refused(count: int, seed: int):
    with pytest.raises(ValueError, match="need count"):
        cast(count, seed)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="not negative"):
        Actor.from_seed(-1)
