"""The base class of networks of re-enactment, what they are trained on, and their registry.

A network sees moments of one person: *sources*, which say what the person looks like, and a *driving* moment, of which
it gets landmarks and is to make the picture. In training both are of one clip; in use the landmarks are a driver's,
carried over to the target (:mod:`forge.reenacting.transfer`). What else of the driving moment a network sees, and how
its picture is laid into a frame, is the family's own affair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from forge.models.contract import Option
from shared.faces.align import INNER, mean_in_square, similarity
from shared.registry import Registry


@dataclass(frozen=True)
class ReenactorSpec:
    """Inputs and options of a network.

    Convention:
        px: side of all crops; ratio, up: side of a crop, and how far its centre lies above that of the mean face's unit
            box, both over the side of that box; ``FRAMING_RATIO`` and ``FRAMING_UP`` of :mod:`shared.faces.align` have
            those of the named framings
        sources: how many moments beside the driving one a network sees
        options: of the family, so that ``reenactors.create(name, **options)`` makes the same module again
    """

    name: str
    px: int
    ratio: float
    up: float
    sources: int = 1
    options: tuple[tuple[str, Option], ...] = ()

    @property
    def mean(self) -> np.ndarray:
        """(68, 2) float64: the mean face in a crop."""
        return mean_in_square(self.px, self.ratio, self.up)

    def frame_to_crop(self, landmarks: np.ndarray) -> np.ndarray:
        """(2, 3) float64 from frame pixels to a crop's, of a face with ``landmarks`` (68, 2) in frame pixels.

        Raises:
            ValueError: the landmarks collapse to one point.
        """
        return similarity(landmarks[INNER], self.mean[INNER])


class Reenactor(nn.Module):
    """Base of all families. A family sets ``spec`` and implements its own ``forward``; it does no I/O.

    Its constructor refuses options that are out of bounds: they also come from files.
    """

    spec: ReenactorSpec
    one_shot: bool = False
    """Whether a person whom it never saw is driven as well as one of its training."""


reenactors: Registry[Reenactor] = Registry("network of re-enactment")
"""Factories of untrained networks; they take the options of the family."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """B driving moments with K sources each, of the same person in the same clip, at other times.

    Convention:
        driving: (B, 3, S, S) float32 in [0, 1], RGB; driving_landmarks: (B, 68, 2) float32 crop pixels
        sources: (B, K, 3, S, S); source_landmarks: (B, K, 68, 2)
    """

    driving: Tensor
    driving_landmarks: Tensor
    sources: Tensor
    source_landmarks: Tensor

    def to(self, device: torch.device) -> Pairs:
        """The same on ``device``."""
        return Pairs(*(each.to(device) for each in (self.driving, self.driving_landmarks, self.sources,
                                                    self.source_landmarks)))  # fmt: skip
