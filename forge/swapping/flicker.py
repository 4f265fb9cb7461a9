"""How much a fake flickers beside its own target, measured while it is made, before any codec.

The measure is :func:`forge.image_metrics.flicker` on crops of both, cut under the same landmarks; of every run of three
frames with the face swapped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from forge.image_metrics import flicker
from forge.swapping.stages import CompositedFrame, DecodedFace
from shared.faces.align import cut, frame_to_crop, map_points
from shared.faces.mask import hull_mask

_PX = 96
_FRAMING = "full"


@dataclass(frozen=True)
class Flicker:
    """Mean flicker of the swapped face and of the target's own, in grey levels, over ``frames`` runs of three."""

    fake: float
    target: float
    frames: int

    @property
    def ratio(self) -> float:
        """The fake's over the target's; 1 is as calm as life."""
        return self.fake / max(self.target, 1e-6)

    def factors(self) -> dict[str, str]:
        """As a clip's record holds it."""
        return {
            "flicker": f"{self.fake:.3f}",
            "flicker_target": f"{self.target:.3f}",
            "flicker_ratio": f"{self.ratio:.3f}",
        }


@dataclass(frozen=True, eq=False)
class _Crops:
    index: int
    fake: np.ndarray
    target: np.ndarray
    mask: np.ndarray


class FlickerMeter:
    """Fed finished frames in order; each track is measured by itself."""

    def __init__(self) -> None:
        self._recent: dict[int, deque[_Crops]] = {}
        self._fake: list[float] = []
        self._target: list[float] = []

    def take(self, done: CompositedFrame) -> None:
        """The next frame."""
        for face in done.faces:
            recent = self._recent.setdefault(face.track, deque(maxlen=3))
            recent.append(_crops(done, face))
            index = done.frame.index
            if [one.index for one in recent] == [index - 2, index - 1, index]:
                before, now, after = recent
                self._fake.append(flicker(before.fake, now.fake, after.fake, now.mask))
                self._target.append(flicker(before.target, now.target, after.target, now.mask))

    def result(self) -> Flicker | None:
        """What was found; None without three frames in a row."""
        pairs = np.array([self._fake, self._target])
        pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
        if not pairs.shape[1]:
            return None
        fake, target = pairs.mean(axis=1)
        return Flicker(float(fake), float(target), pairs.shape[1])


def _crops(done: CompositedFrame, face: DecodedFace) -> _Crops:
    matrix = frame_to_crop(face.landmarks, px=_PX, framing=_FRAMING)
    mask = hull_mask(map_points(matrix, face.landmarks), _PX, kind="facehull")
    return _Crops(done.frame.index, cut(done.image, matrix, _PX), cut(done.frame.image, matrix, _PX), mask)
