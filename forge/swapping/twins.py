"""Twins that are pasted: a face's own crop with the decoder's picture in it, as a compositor of fakes puts it there.

Each face gets a paste of its own, drawn from presets of public tools (:mod:`shared.faces.pastes.presets`), and all
settings of a swap: colour transfer, sharpening, restoring, opacity. So twins carry the traces of whole pipelines, and a
detector cannot learn the one paste that a set was made with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from forge.models.predictor import SwapPredictor
from forge.swapping.config import SwapConfig
from forge.swapping.pastes import over_preset
from forge.swapping.render import OpenedSwap, composite, swap_faces
from forge.swapping.stages import AlignedFrame, TargetFace
from shared.config import from_mapping
from shared.faces.pastes.presets import draw_paste, preset_named
from shared.types import AlignedFace, Frame, Timestamp

_STILL = np.zeros(2, np.float32)


@dataclass(frozen=True)
class TwinPaste:
    """How twins are pasted.

    Attributes:
        pastes: presets with their weights; each face gets one of them, with settings drawn from its ranges.
        settings: of a swap (groups color, mask, blend, degrade, square, restore), over those of the preset.
        seed: of the draws; a face's draw does not depend on which others are redrawn.
    """

    pastes: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.pastes:
            preset_named(name)
        from_mapping(SwapConfig, self.settings, where="twins")

    def config_of(self, row: int) -> SwapConfig:
        """The settings for the face in ``row`` of its faceset."""
        if not self.pastes:
            return from_mapping(SwapConfig, self.settings, where="twins")
        name, drawn = draw_paste(self.pastes, np.random.default_rng((self.seed, row)))
        return from_mapping(SwapConfig, over_preset(name, drawn, self.settings), where=name)

    @property
    def title(self) -> str:
        """A short name for what is written into the faceset."""
        return ", ".join(self.pastes) or "own settings"


def pasted_crops(
    crops: Sequence[np.ndarray],
    faces: Sequence[AlignedFace],
    rows: Sequence[int],
    predictor: SwapPredictor,
    source: str,
    paste: TwinPaste,
) -> Iterator[np.ndarray | None]:
    """Each of ``crops``, (S, S, 3) uint8, with its face decoded as ``source`` and pasted; None where nothing changed.

    ``faces`` are the faces aligned for ``predictor``, ``rows`` their rows in the faceset.

    Raises:
        CheckpointError: a restorer is asked for and its weights are missing.
        UsageError: the file that enlarges crops cannot be used.
    """
    for crop, face, row in zip(crops, faces, rows, strict=True):
        config = paste.config_of(row)
        swap = OpenedSwap.of(predictor, config, source, source)
        frame = AlignedFrame(Frame(row, Timestamp(row, Fraction(1, 25)), crop), (TargetFace(0, face, _STILL),))
        [done] = composite(swap_faces([frame], swap), swap.config)
        yield done.image if done.masks.any_changed else None
