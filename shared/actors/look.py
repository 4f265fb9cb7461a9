"""Appearance of an identity except shape: colours, hair and clothes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

Colour = tuple[float, float, float]

# Skin in sRGB from the lightest to the darkest human tones.
_SKIN: tuple[tuple[float, Colour], ...] = (
    (0.00, (0.915, 0.775, 0.700)),
    (0.15, (0.900, 0.745, 0.650)),
    (0.30, (0.880, 0.705, 0.580)),
    (0.45, (0.795, 0.600, 0.455)),
    (0.60, (0.670, 0.470, 0.335)),
    (0.75, (0.525, 0.355, 0.245)),
    (0.88, (0.390, 0.260, 0.185)),
    (1.00, (0.285, 0.190, 0.145)),
)


@dataclass(frozen=True, slots=True)
class Hair:
    """A hairstyle.

    Convention:
        length: millimetres the hair hangs below the ears' tops; 0 ends at the hairline
        top, sides: millimetres the hair stands off the skull
        hairline: -1 low to 1 receded; part: -1 left, 0 none, 1 right
        curl: 0 straight to 1 tight curls; fringe: 0 none to 1 over the forehead
        density: 0 bald to 1 full
    """

    top: float
    sides: float
    length: float
    hairline: float
    part: float
    curl: float
    fringe: float
    density: float


@dataclass(frozen=True, slots=True)
class Look:
    """Colours, hair and clothes. Colours are sRGB in [0, 1].

    Convention:
        tone: 0 lightest to 1 darkest skin; undertone: -1 cool to 1 warm
        redness, freckles, stubble, beard, moustache: 0 to 1; moles: their number
        beard_length: millimetres; brow_weight: 1 is the mean; lashes: 0 to 1
    """

    tone: float
    undertone: float
    redness: float
    freckles: float
    moles: int
    hair: Hair
    hair_colour: Colour
    brow_colour: Colour
    brow_weight: float
    brow_arch: float
    iris: Colour
    lip_colour: float
    lashes: float
    stubble: float
    beard: float
    moustache: float
    beard_length: float
    cloth: Colour
    cloth_second: Colour
    neckline: int


def skin_colour(tone: float, undertone: float) -> Colour:
    """SRGB of plain skin of ``tone``, shifted by ``undertone``."""
    tone = min(max(tone, 0.0), 1.0)
    for (t0, low), (t1, high) in pairwise(_SKIN):
        if tone <= t1:
            share = (tone - t0) / (t1 - t0)
            r, g, b = (a + share * (c - a) for a, c in zip(low, high, strict=True))
            break
    else:
        r, g, b = _SKIN[-1][1]
    return r * (1 - 0.010 * undertone), g * (1 + 0.018 * undertone), b * (1 - 0.045 * undertone)
