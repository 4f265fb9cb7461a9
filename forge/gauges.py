"""What is measured on the frames of a fake: one small class a measure, fed one frame after another.

Each gauge takes a :class:`Sample` and gives its values by name; :mod:`forge.quality` gathers their spreads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forge.measures import flicker, landmark_distance, seam_ratio, sharpness_ratio, ssim
from forge.swap import SwapPredictor
from shared.faces.align import align, cut, frame_to_crop, map_points, resized
from shared.faces.identity import IdentityEmbedder
from shared.faces.mask import hull_mask
from shared.types import AlignedFace, Face, Framing

_SELF_BATCH = 32


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody to compare faces with: a name, and the mean embedding (D,) of faces known to be theirs."""

    name: str
    embedding: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame of the fake beside the same frame of its target.

    Convention:
        target, fake: (H, W, 3) uint8
        face: the target's face as it was found; steady: the same with smoothed landmarks, for cutting crops
        again: the fake's face as it was found there, None where none was
        alpha: (H, W) uint8, None when there is no alpha mask
    """

    index: int
    target: np.ndarray
    fake: np.ndarray
    face: Face
    steady: Face
    again: Face | None
    alpha: np.ndarray | None


Values = Iterable[tuple[str, float]]


class Gauge(Protocol):
    """Measures frame after frame."""

    def take(self, sample: Sample) -> Values:
        """Names and values that this frame, or frames before it, gave."""
        ...

    def rest(self) -> Values:
        """What was still held back when the last frame has come."""
        ...


class LandmarkGauge:
    """``landmark_distance``: whether mouth and eyes follow."""

    def take(self, sample: Sample) -> Values:
        """See :class:`Gauge`."""
        if sample.again is not None:
            yield "landmark_distance", landmark_distance(sample.again.landmarks, sample.face.landmarks)

    def rest(self) -> Values:
        """See :class:`Gauge`."""
        return ()


class IdentityGauge:
    """``identity_to_source``, ``identity_to_target``: distances to both people; ``nearer_to_source``: 1 or 0."""

    def __init__(self, embedder: IdentityEmbedder, source: Person, target: Person) -> None:
        self._embedder = embedder
        self._people = {"identity_to_source": source, "identity_to_target": target}

    def take(self, sample: Sample) -> Values:
        """See :class:`Gauge`."""
        if sample.again is None:
            return
        embedding = self._embedder.embed(sample.fake, [sample.again])[0]
        away = {name: float(np.linalg.norm(embedding - who.embedding)) for name, who in self._people.items()}
        yield from away.items()
        yield "nearer_to_source", float(away["identity_to_source"] < away["identity_to_target"])

    def rest(self) -> Values:
        """See :class:`Gauge`."""
        return ()


class SeamGauge:
    """``seam_ratio``: whether the mask's edge shows."""

    def take(self, sample: Sample) -> Values:
        """See :class:`Gauge`."""
        if sample.alpha is not None:
            yield "seam_ratio", seam_ratio(sample.fake, sample.target, sample.alpha)

    def rest(self) -> Values:
        """See :class:`Gauge`."""
        return ()


@dataclass(frozen=True, eq=False)
class _Crops:
    index: int
    target: np.ndarray
    fake: np.ndarray
    mask: np.ndarray


class CropGauge:
    """``sharpness_ratio``, ``flicker`` and ``flicker_target``: crops of both clips, cut by the target's landmarks."""

    def __init__(self, px: int, framing: Framing) -> None:
        self._px = px
        self._framing: Framing = framing
        self._recent: deque[_Crops] = deque(maxlen=3)

    def take(self, sample: Sample) -> Values:
        """See :class:`Gauge`."""
        crops = self._cut(sample)
        yield "sharpness_ratio", sharpness_ratio(crops.fake, crops.target, crops.mask)
        self._recent.append(crops)
        indices = [one.index for one in self._recent]
        if indices == [crops.index - 2, crops.index - 1, crops.index]:
            before, now, after = self._recent
            yield "flicker", flicker(before.fake, now.fake, after.fake, now.mask)
            yield "flicker_target", flicker(before.target, now.target, after.target, now.mask)

    def rest(self) -> Values:
        """See :class:`Gauge`."""
        return ()

    def _cut(self, sample: Sample) -> _Crops:
        matrix = frame_to_crop(sample.steady.landmarks, px=self._px, framing=self._framing)
        return _Crops(
            sample.index,
            cut(sample.target, matrix, self._px),
            cut(sample.fake, matrix, self._px),
            hull_mask(map_points(matrix, sample.steady.landmarks), self._px, kind="facehull"),
        )


class SelfGauge:
    """``self_ssim``, ``self_ssim_face``: how well the swapper draws the target person as themselves."""

    def __init__(self, predictor: SwapPredictor, identity: str) -> None:
        self._predictor = predictor
        self._identity = identity
        self._faces: list[AlignedFace] = []
        self._wanted: list[np.ndarray] = []

    def take(self, sample: Sample) -> Values:
        """See :class:`Gauge`."""
        spec = self._predictor.spec
        face = align(sample.target, sample.steady, px=spec.input_px, framing=spec.framing, frame=sample.index)
        self._faces.append(face)
        to_output = resized(face.frame_to_crop, spec.input_px, spec.output_px)
        self._wanted.append(cut(sample.target, to_output, spec.output_px))
        return self.rest() if len(self._faces) >= _SELF_BATCH else ()

    def rest(self) -> Values:
        """See :class:`Gauge`."""
        faces, wanted = self._faces, self._wanted
        self._faces, self._wanted = [], []
        for face, crop, drawn in zip(faces, wanted, self._predictor.swap(faces, self._identity), strict=True):
            landmarks = map_points(drawn.frame_to_crop, face.landmarks)
            yield "self_ssim", ssim(drawn.crop, crop)
            yield "self_ssim_face", ssim(drawn.crop, crop, hull_mask(landmarks, len(crop), kind="facehull"))
