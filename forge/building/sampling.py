"""Choices of a build for each fake: pairs, settings, pastes and compression; and the seeds of the random ones."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from forge.building.choices import sample_size
from forge.building.reenactments import ReenactmentConfig
from forge.building.spec import ManipulationConfig, SetSpec
from forge.swapping.config import SwapConfig
from forge.swapping.pastes import over_preset, with_paste
from shared.config import from_mapping, need
from shared.faces.pastes.presets import draw_paste
from shared.types import ClipId
from shared.video.renditions import Rendition
from shared.video.still_renditions import StillRendition

Pair = tuple[str, str]
"""Source and target."""


def seed_for(seed: int, *names: object) -> int:
    """A seed derived from ``names``, so that adding a clip changes no other clip's random choices."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def pairs_of(
    manipulation: ManipulationConfig | ReenactmentConfig,
    people: Sequence[str],
    seed: int,
    *,
    targets: Sequence[str] | None = None,
) -> list[Pair]:
    """(source, target) for the ``people`` of one model, in the order of their targets, which are the same people.

    ``ring`` gives each person the face of the next; ``sample:N`` samples N of all ordered pairs, or all if there are
    fewer; a list is restricted to pairs of ``people``. Other ``targets`` than ``people`` get them one after the other.
    """
    others, targets = targets, people if targets is None else targets
    everything = [(source, target) for target in targets for source in people if source != target]
    if not isinstance(manipulation.pairs, str):
        wanted = set(manipulation.pairs)
        return [pair for pair in everything if pair in wanted]
    if manipulation.pairs == "ring":
        return [
            (source, target)
            for place, target in enumerate(targets)
            for source in [one for one in _after(people, target, place) if one != target][:1]
        ]
    size = sample_size(manipulation.pairs)
    if size is None:
        return everything
    rng = np.random.default_rng(seed_for(seed, "pairs", manipulation.name, *sorted(people), *sorted(others or ())))
    chosen = rng.permutation(len(everything))[:size]
    return [everything[index] for index in sorted(chosen)]


def _after(people: Sequence[str], target: str, place: int) -> Sequence[str]:
    """``people`` from the one after ``target`` on; without it among them, from that at ``place``, counted round."""
    begin = people.index(target) + 1 if target in people else place % max(1, len(people))
    return (*people[begin:], *people[:begin])


def variants_of(manipulation: ManipulationConfig, pair: Pair, seed: int) -> list[tuple[int, dict[str, Any]]]:
    """Number and values of each combination of factors of a pair; one empty combination without factors.

    Numbers are indices in the full grid, factors in order of name, so that a combination has a fixed number.
    """
    names = sorted(manipulation.factors)
    grid = [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(manipulation.factors[name] for name in names))
    ]
    size = sample_size(manipulation.combine)
    if size is None:
        return list(enumerate(grid))
    rng = np.random.default_rng(seed_for(seed, "factors", manipulation.name, *pair))
    return [(int(index), grid[index]) for index in sorted(rng.permutation(len(grid))[:size])]


def paste_of(
    manipulation: ManipulationConfig, clip: str, pair: Pair, number: int, seed: int
) -> tuple[str, dict[str, Any]] | None:
    """Name and settings of the paste drawn for the fake of a ``clip``; None for a manipulation that draws none.

    Fakes of one clip, pair and combination of factors ``number`` by swappers of different steps share it.
    """
    if not manipulation.pastes:
        return None
    rng = np.random.default_rng(seed_for(seed, "paste", manipulation.name, clip, *pair, number))
    return draw_paste(manipulation.pastes, rng)


def swap_settings(
    spec: SetSpec,
    manipulation: ManipulationConfig,
    factors: Mapping[str, Any],
    paste: tuple[str, Mapping[str, Any]] | None = None,
) -> SwapConfig:
    """The settings of a swap: the manipulation's, overridden by one combination of its factors.

    ``paste`` is the name and the settings of one that was drawn, which both override.

    Raises:
        ConfigError: one is unknown or out of range.
    """
    merged = _deep_copy(set_settings(spec) | manipulation.settings)
    for name, value in factors.items():
        place = merged
        *groups, last = name.split(".")
        for group in groups:
            place = place.setdefault(group, {})
            need(isinstance(place, dict), f"{manipulation.name}: {name} is no group", "say group.setting")
        place[last] = value
    merged = with_paste(merged) if paste is None else over_preset(*paste, merged)
    return from_mapping(SwapConfig, merged, where=f"manipulation {manipulation.name}")


def set_settings(spec: SetSpec) -> dict[str, Any]:
    """The settings that a set has for every kind of fake."""
    chosen: dict[str, Any] = {
        "finder": spec.set.finder,
        "min_face_px": spec.set.min_face_px,
        "device": spec.set.device,
        "seed": spec.set.seed,
    }
    return chosen if spec.set.detect_every is None else chosen | {"detect_every": spec.set.detect_every}


def encode_of(rendition: Rendition, clip: ClipId, spread: int, seed: int) -> Rendition:
    """``rendition`` for ``clip``: the last encode with a random crf offset of up to ``spread`` levels.

    Both classes have the same range. Bits at a given crf depend on sharpness (about 12 % per level for x264), so file
    sizes at a fixed crf would tell a soft face from its target.
    """
    rng = np.random.default_rng(seed_for(seed, "crf", clip))
    return replace(rendition, encoding=rendition.encoding.moved_by(int(rng.integers(-spread, spread + 1))))


def still_encode_of(rendition: StillRendition, clip: ClipId, spread: int, seed: int) -> StillRendition:
    """``rendition`` for the still ``clip``: as :func:`encode_of`, with a random offset of the last JPEG quality."""
    rng = np.random.default_rng(seed_for(seed, "quality", clip))
    return rendition.moved_by(int(rng.integers(-spread, spread + 1)))


def _deep_copy(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _deep_copy(value) if isinstance(value, Mapping) else value for key, value in mapping.items()}
