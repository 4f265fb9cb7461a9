"""The region of the crop that is pasted: a mask learned by the swapper, a hull of landmarks, both, or a plain shape.

:func:`shared.faces.pastes.mask.soften` makes the compositor's mask of it.

Convention:
    mask, region: (S, S) float32 in [0, 1]
"""

from __future__ import annotations

import numpy as np

from shared.errors import UsageError
from shared.faces.align import map_points
from shared.faces.mask import hull_mask
from shared.faces.pastes.config import MaskChoice, MaskConfig
from shared.faces.pastes.mask import plain_region
from shared.types import SwappedFace

_NEEDS_TARGET: tuple[MaskChoice, ...] = ("learned-target", "learned-product", "learned-sum")


def is_learned(choice: MaskChoice) -> bool:
    """Whether this kind of mask needs a swapper with a mask."""
    return choice.startswith("learned")


def needs_target_mask(choice: MaskChoice) -> bool:
    """Whether the mask of the *target's* decoder is part of it."""
    return choice in _NEEDS_TARGET


def resolved(config: MaskConfig, *, has_mask: bool) -> tuple[MaskChoice, bool]:
    """``config.kind`` with ``auto`` resolved, and whether the hull cuts it.

    Raises:
        UsageError: a learned mask is asked of a swapper that has none.
    """
    if config.kind == "auto":
        return ("learned-source", True) if has_mask else ("hull", False)
    if is_learned(config.kind) and not has_mask:
        raise UsageError(f"mask {config.kind!r} needs a swapper that learned a mask", hint="choose hull or full")
    return config.kind, config.inside_hull and is_learned(config.kind)


def face_region(
    swapped: SwappedFace,
    landmarks: np.ndarray,
    config: MaskConfig = MaskConfig(),  # noqa: B008 - frozen
    *,
    target_mask: np.ndarray | None = None,
) -> np.ndarray:
    """(S, S) float32 in [0, 1]: where in the swapped crop the face is; all ones for ``full``.

    ``landmarks`` are (68, 2) in frame pixels; ``target_mask`` (S, S) is the mask of the target's decoder.

    Raises:
        UsageError: a learned mask is asked of a swapper that has none.
        ValueError: ``config`` needs ``target_mask`` and it is not given.
    """
    kind, inside_hull = resolved(config, has_mask=swapped.mask is not None)
    px = swapped.crop.shape[0]
    in_crop = map_points(swapped.frame_to_crop, landmarks)
    if not is_learned(kind):
        return plain_region(config, in_crop, px)
    learned = _learned(kind, swapped.mask, target_mask)
    return learned * hull_mask(in_crop, px, config.hull) if inside_hull else learned


def _learned(kind: MaskChoice, source: np.ndarray | None, target: np.ndarray | None) -> np.ndarray:
    if needs_target_mask(kind) and target is None:
        raise ValueError(f"mask {kind!r} needs the mask of the target's decoder")
    match kind, source, target:
        case "learned-target", _, np.ndarray():
            return target
        case "learned-product", np.ndarray(), np.ndarray():
            return source * target
        case "learned-sum", np.ndarray(), np.ndarray():
            return np.minimum(source + target, 1.0)
        case _, np.ndarray(), _:
            return source
        case _:
            raise ValueError(f"mask {kind!r} needs a learned mask")
