"""Traits of actors: correlated shape, colours and hair sampled from a seed; and casts of clearly different actors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from shared.actors.look import Colour, Hair, Look
from shared.actors.shape import Shape

_SALT = 40_961
_LIMIT = 2.4  # standard deviations
# Effect of sex on each shape parameter, in standard deviations between its extremes.
_DIMORPHISM: dict[str, float] = {
    "jaw_width": 1.1, "jaw_angle": 0.9, "brow_ridge": 1.4, "chin_width": 0.9, "chin_projection": 0.4,
    "nose_width": 0.3, "nose_projection": 0.5, "upper_lip": -0.5, "lower_lip": -0.4, "brow_height": -0.9,
    "eye_opening": -0.5, "neck_width": 1.6, "face_length": 0.6, "cheek_fullness": -0.4, "head_width": 0.4,
    "eye_depth": 0.6, "ear_size": 0.5, "chin_cleft": 0.4, "mouth_width": 0.4,
}  # fmt: skip
# Weight of each shape trait in telling two people apart: from a regression of dlib's embedding distances between 70
# actors on the differences of their traits.
_TELLING: dict[str, float] = {
    "eye_spacing": 1.6, "nose_width": 1.55, "nose_length": 1.25, "cheek_width": 1.15, "forehead_height": 1.0,
    "head_width": 1.0, "mouth_width": 1.0, "nose_projection": 0.95, "face_length": 0.9, "brow_ridge": 0.85,
    "eye_depth": 0.85, "brow_height": 0.8,
    "neck_width": 0.2, "ear_size": 0.3, "nose_tip_size": 0.3, "eye_opening": 0.4, "chin_projection": 0.3,
}  # fmt: skip
_IRISES: tuple[Colour, ...] = (
    (0.20, 0.11, 0.06), (0.27, 0.16, 0.08), (0.36, 0.24, 0.12), (0.33, 0.36, 0.20), (0.26, 0.36, 0.46),
    (0.36, 0.42, 0.46),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (0.055, 0.045, 0.042), (0.10, 0.07, 0.055), (0.20, 0.125, 0.08), (0.34, 0.21, 0.125), (0.46, 0.225, 0.11),
    (0.62, 0.45, 0.27), (0.74, 0.60, 0.40),
)  # fmt: skip
_CLOTHS: tuple[Colour, ...] = (
    (0.16, 0.22, 0.34), (0.45, 0.14, 0.14), (0.17, 0.30, 0.24), (0.28, 0.28, 0.30), (0.78, 0.77, 0.73),
    (0.09, 0.09, 0.11), (0.52, 0.42, 0.24), (0.36, 0.46, 0.58), (0.40, 0.25, 0.40), (0.62, 0.36, 0.26),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """All traits of an actor."""

    shape: Shape
    look: Look


def sample_traits(seed: int, *, tone: float | None = None) -> Traits:
    """The traits of ``seed``; ``tone`` overrides the skin's, in [0, 1].

    Neighbouring seeds get skin tones far apart, by the golden ratio's sequence.

    Raises:
        ValueError: a negative seed.
    """
    if seed < 0:
        raise ValueError(f"a seed is not negative, got {seed}")
    rng = np.random.default_rng([seed, _SALT])
    male = float(np.clip(rng.beta(0.45, 0.45), 0.0, 1.0))
    age = float(np.clip(rng.normal(0.25, 0.75), -1.0, 2.0))
    tone = float(np.mod(0.13 + seed * 0.618033988749895, 1.0)) if tone is None else tone
    return Traits(_sample_shape(rng, male, age), _sample_look(rng, male, age, tone))


def _sample_shape(rng: np.random.Generator, male: float, age: float) -> Shape:
    values: dict[str, float] = {}
    for entry in fields(Shape):
        value = 1.45 * rng.standard_normal() + _DIMORPHISM.get(entry.name, 0.0) * (male - 0.5)
        values[entry.name] = float(np.clip(value, -_LIMIT, _LIMIT))
    values["age"] = age
    values["chin_cleft"] = max(0.0, values["chin_cleft"])
    values["neck_width"] = float(np.clip(values["neck_width"], -1.0, 1.6))
    return Shape(**values)


def _sample_look(rng: np.random.Generator, male: float, age: float, tone: float) -> Look:
    hair_colour = _hair_colour(rng, tone, age)
    dark = np.clip((tone - 0.25) / 0.4, 0.0, 1.0)
    iris = _IRISES[int(rng.integers(0, 2))] if rng.random() < dark else _IRISES[int(rng.integers(1, len(_IRISES)))]
    bearded = male > 0.55 and rng.random() < 0.45
    beard, moustache = (float(rng.choice([0.0, 0.85, 1.0])), 1.0) if bearded else (0.0, 0.0)
    cloth, second = rng.choice(len(_CLOTHS), size=2, replace=False)
    brow = tuple(float(channel) * 0.62 + 0.02 for channel in hair_colour)
    return Look(
        tone=tone,
        undertone=float(rng.uniform(-1, 1)),
        redness=float(rng.uniform(0.1, 0.9)),
        freckles=float(max(0.0, rng.uniform(-0.8, 1.0)) * (1 - dark)),
        moles=int(rng.integers(0, 4)),
        hair=_sample_hair(rng, male, age, tone),
        hair_colour=hair_colour,
        brow_colour=(brow[0], brow[1], brow[2]),
        brow_weight=float(np.clip(rng.normal(0.80 + 0.45 * male, 0.3), 0.35, 1.8)),
        brow_arch=float(rng.normal(0.35 - 0.6 * male, 0.4)),
        iris=iris,
        lip_colour=float(np.clip(rng.normal(0.75 - 0.55 * male, 0.2), 0.0, 1.0)),
        lashes=float(np.clip(rng.normal(0.75 - 0.45 * male, 0.15), 0.1, 1.0)),
        stubble=float(np.clip(rng.normal(0.45, 0.3), 0.0, 1.0) * (male > 0.5)),
        beard=beard,
        moustache=moustache,
        beard_length=float(rng.uniform(1.5, 5.0)) if bearded else 0.0,
        cloth=_CLOTHS[int(cloth)],
        cloth_second=_CLOTHS[int(second)],
        neckline=int(rng.integers(0, 3)),
    )


def _hair_colour(rng: np.random.Generator, tone: float, age: float) -> Colour:
    lightest = 1.0 - np.clip((tone - 0.12) / 0.35, 0.0, 0.88)
    place = rng.uniform(0.0, 1.0) * lightest * (len(_HAIRS) - 1)
    low = min(int(place), len(_HAIRS) - 2)
    share = place - low
    colour = [a + share * (b - a) for a, b in zip(_HAIRS[low], _HAIRS[low + 1], strict=True)]
    grey = float(np.clip((age - 0.9 + rng.normal(0, 0.4)) / 1.2, 0.0, 0.9))
    r, g, b = (channel * (1 - grey) + level * grey for channel, level in zip(colour, (0.60, 0.59, 0.57), strict=True))
    return r, g, b


def _sample_hair(rng: np.random.Generator, male: float, age: float, tone: float) -> Hair:
    curl = float(np.clip(rng.beta(0.8, 2.0) + 0.75 * (tone > 0.62) * rng.uniform(0.3, 1.0), 0.0, 1.0))
    part = float(rng.choice([-1.0, 0.0, 1.0]))
    hairline = float(np.clip(rng.normal(-0.15 + 0.35 * male + 0.25 * max(age, 0) * male, 0.4), -1.0, 1.3))
    style = rng.random()
    if male > 0.5:
        if style < 0.14:  # shaved
            return Hair(0.0, 0.0, 0.0, hairline, 0.0, curl, 0.0, float(rng.choice([0.02, 0.25])))
        if style < 0.40:  # cropped
            return Hair(float(rng.uniform(4, 8)), float(rng.uniform(1.5, 4)), 0.0, hairline, 0.0, curl, 0.0, 0.95)
        top, sides = float(rng.uniform(12, 28)), float(rng.uniform(4, 10))
        return Hair(top, sides, 0.0, hairline, part, curl, float(rng.choice([0.0, 0.0, 0.5, 0.9])), 1.0)
    if curl > 0.6:  # round and full
        full = float(rng.uniform(16, 36))
        return Hair(full, full * 0.9, 0.0, hairline, 0.0, 1.0, 0.0, 1.0)
    if style < 0.3:  # short
        top, sides = float(rng.uniform(16, 28)), float(rng.uniform(8, 13))
        return Hair(top, sides, 0.0, hairline, part, curl, float(rng.choice([0.0, 0.6, 1.0])), 1.0)
    length = float(rng.uniform(80, 175))
    fringe = float(rng.choice([0.0, 0.0, 0.7, 1.0]))
    return Hair(float(rng.uniform(11, 20)), float(rng.uniform(9, 15)), length, hairline, part, curl, fringe, 1.0)


def vector_of(traits: Traits) -> np.ndarray:
    """(K,) float64: the traits, scaled to about equal discriminative weight."""
    shape = [getattr(traits.shape, entry.name) * _TELLING.get(entry.name, 0.7) for entry in fields(Shape)]
    look, hair = traits.look, traits.look.hair
    other = [
        7.0 * look.tone, hair.length / 45, hair.top / 12, 1.5 * hair.hairline, 2.0 * hair.curl, 1.5 * hair.fringe,
        3.0 * look.beard + look.moustache, 3.0 * (hair.density > 0.5), *(4.0 * c for c in look.hair_colour),
        5.0 * look.brow_weight,
    ]  # fmt: skip
    return np.array(shape + other)


def cast_seeds(count: int, seed: int) -> list[int]:
    """``count`` seeds of actors that differ clearly: chosen greedily, each the farthest from the previous ones.

    Raises:
        ValueError: fewer than one actor, or a negative seed.
    """
    if count < 1 or seed < 0:
        raise ValueError(f"need count >= 1 and seed >= 0, got {count=} and {seed=}")
    pool = [seed * 10_000 + k for k in range(max(12 * count, 48))]
    vectors = np.stack([vector_of(sample_traits(candidate)) for candidate in pool])
    chosen = [0]
    nearest = np.linalg.norm(vectors - vectors[0], axis=1)
    while len(chosen) < count:
        following = int(nearest.argmax())
        chosen.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(vectors - vectors[following], axis=1))
    return [pool[index] for index in chosen]
