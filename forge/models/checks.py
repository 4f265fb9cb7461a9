"""Checks of a family's options; errors name the nearest valid choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from forge.models.contract import Option, SwapSpec
from shared.errors import ConfigError
from shared.registry import near_matches
from shared.types import Framing

_MAX_WIDTH = 4.0


def need_between(name: str, value: float, low: float, high: float) -> None:
    """Refuses a ``value`` outside ``low`` to ``high``.

    Raises:
        ConfigError: with the end that is nearer.
    """
    if not low <= value <= high:
        nearest = low if value < low else high
        raise ConfigError(f"{name} must be {low:g} to {high:g}, got {value}", hint=f"try {nearest:g}")


def need_share(name: str, value: float, high: float) -> None:
    """Refuses a multiplier that is not above 0 and at most ``high``.

    Raises:
        ConfigError: 1 is the full size.
    """
    if not 0 < value <= high:
        raise ConfigError(f"{name} must be above 0 and at most {high:g}, got {value}", hint="1.0 is the full size")


def need_multiple(name: str, value: int, multiple: int, low: int, high: int) -> None:
    """Refuses a size that is not a multiple of ``multiple`` from ``low`` to ``high``.

    Raises:
        ConfigError: with the nearest one that is.
    """
    if value % multiple or not low <= value <= high:
        nearest = min(max(round(value / multiple) * multiple, low), high)
        raise ConfigError(
            f"{name} must be a multiple of {multiple} from {low} to {high}, got {value}", hint=f"try {nearest}"
        )


def need_size(name: str, value: int, sizes: Sequence[int]) -> None:
    """Refuses a size that is not one of ``sizes``.

    Raises:
        ConfigError: with the nearest one that is.
    """
    if value not in sizes:
        listed = ", ".join(str(size) for size in sizes)
        raise ConfigError(
            f"{name} must be one of {listed}, got {value}", hint=f"try {min(sizes, key=lambda size: abs(size - value))}"
        )


def need_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a ``value`` that is not one of ``choices``.

    Raises:
        ConfigError: with the nearest ones, or all.
    """
    if value not in choices:
        raise ConfigError(
            f"{name} must be one of {', '.join(choices)}, got {value!r}", hint=near_matches(value, list(choices))
        )


def checked_spec(
    name: str,
    identities: Sequence[str],
    *,
    px: int | tuple[int, int],
    width: float,
    framing: Framing,
    options: Mapping[str, Option],
    mask: bool | None = None,
    can_morph: bool = False,
) -> SwapSpec:
    """The spec of a family with the given ``options``, then ``mask``, then ``framing``.

    ``px`` is the side of input and output, or of each. ``mask`` is None where the mask is no option: always learned.

    Raises:
        ConfigError: ``width`` is out of range, or ``framing`` is unknown.
        UsageError: fewer than two identities, or one twice.
    """
    need_choice("framing", framing, get_args(Framing))
    need_share("width", width, _MAX_WIDTH)
    input_px, output_px = (px, px) if isinstance(px, int) else px
    chosen: dict[str, Option] = {**options, **({} if mask is None else {"mask": mask}), "framing": framing}
    return SwapSpec(
        name=name,
        input_px=input_px,
        output_px=output_px,
        framing=framing,
        identities=tuple(identities),
        has_mask=mask is not False,
        width=float(width),
        options=tuple(chosen.items()),
        can_morph=can_morph,
    )
