"""Flicker of a fake compared with its target, measured while it is made, before encoding.

The measure is :func:`forge.image_metrics.flicker` on crops of both, cut under the same landmarks; of every run of three
frames with the face swapped. :mod:`forge.quality.metrics` measures the same of finished files.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from forge.image_metrics import flicker
from forge.swapping.stages import CompositedFrame
from shared.faces.align import cut, frame_to_crop, map_points
from shared.faces.mask import hull_mask
from shared.types import Framing

_PX = 96


@dataclass(frozen=True)
class Flicker:
    """Mean flicker of the swapped face and of the target's own, in grey levels, over ``frames`` runs of three."""

    fake: float
    target: float
    frames: int

    @property
    def ratio(self) -> float:
        """The fake's over the target's; 1 is as little as in the target."""
        return self.fake / max(self.target, 1e-6)

    def factors(self) -> dict[str, str]:
        """As a clip's record holds it."""
        return {
            "flicker": f"{self.fake:.3f}",
            "flicker_target": f"{self.target:.3f}",
            "flicker_ratio": f"{self.ratio:.3f}",
        }


@dataclass(frozen=True, eq=False)
class CropPair:
    """A face in frame ``index`` of a fake and of its target, cut under the same landmarks.

    Convention:
        fake, target: (S, S, 3) uint8
        mask: (S, S) float32 in [0, 1], the hull of the face
    """

    index: int
    fake: np.ndarray
    target: np.ndarray
    mask: np.ndarray


class FaceCrops:
    """One face of a fake and of its target, frame after frame; ``px`` and ``framing`` of the crops."""

    def __init__(self, px: int, framing: Framing) -> None:
        self._px = px
        self._framing: Framing = framing
        self._run: deque[CropPair] = deque(maxlen=3)

    def take(self, index: int, fake: np.ndarray, target: np.ndarray, landmarks: np.ndarray) -> list[CropPair]:
        """The crops of frame ``index`` of both, after those of the frames right before it: three at most."""
        if self._run and self._run[-1].index != index - 1:
            self._run.clear()
        px, matrix = self._px, frame_to_crop(landmarks, px=self._px, framing=self._framing)
        mask = hull_mask(map_points(matrix, landmarks), px, kind="facehull")
        self._run.append(CropPair(index, cut(fake, matrix, px), cut(target, matrix, px), mask))
        return list(self._run)


def flickers(before: CropPair, now: CropPair, after: CropPair) -> tuple[float, float]:
    """Flicker of the fake and of its target, in grey levels."""
    fake = flicker(before.fake, now.fake, after.fake, now.mask)
    return fake, flicker(before.target, now.target, after.target, now.mask)


class FlickerMeter:
    """Measures finished frames in order, each track separately."""

    def __init__(self) -> None:
        self._crops: dict[int, FaceCrops] = {}
        self._values: list[tuple[float, float]] = []

    def take(self, done: CompositedFrame) -> None:
        """The next frame."""
        for face in (*done.faces, *done.outlines):
            crops = self._crops.setdefault(face.track, FaceCrops(_PX, "full"))
            run = crops.take(done.frame.index, done.image, done.frame.image, face.landmarks)
            if len(run) == 3:
                self._values.append(flickers(*run))

    def result(self) -> Flicker | None:
        """The flicker over all frames; None without three frames in a row."""
        values = np.array(self._values).reshape(-1, 2)
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            return None
        fake, target = values.mean(axis=0)
        return Flicker(float(fake), float(target), len(values))
