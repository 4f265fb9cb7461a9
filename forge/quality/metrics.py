"""Frame metrics of fakes: classes that are updated frame by frame.

Each takes a :class:`Sample` and returns values by name; :mod:`forge.quality.measure` summarises them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from typing_extensions import override

from forge.image_metrics import landmark_distance, seam_ratio, sharpness_ratio, ssim
from forge.models.predictor import SwapPredictor
from forge.quality.boundary import around, color_step, flicker_compensated, flows, inside_replaced, ssim_outside
from forge.quality.features import FEATURE_PX, ClipFeatures, FeatureNet, Lpips
from forge.quality.landmarks import expression_error, eye_openness, motion_correlation, mouth_openness, pose_error
from forge.swapping.flicker import CropPair, FaceCrops, flickers
from shared.faces.align import align, cut, frame_to_crop, map_points, resized
from shared.faces.identity import IdentityEmbedder
from shared.faces.mask import hull_mask
from shared.types import AlignedFace, Face, Framing

_SELF_BATCH = 32
_HEAD_PX = 256
_FEATURE_FRAMING: Framing = "full"


@dataclass(frozen=True, eq=False)
class Person:
    """A person to compare faces with: name and mean embedding (D,) of their faces."""

    name: str
    embedding: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame of the fake beside the same frame of its target.

    Convention:
        target, fake: (H, W, 3) uint8
        face: the target's detected face; smoothed: the same with smoothed landmarks, for aligned crops
        again: the face detected in the fake at the same position; None if there is none
        alpha: (H, W) uint8; None without an alpha mask
        picked: whether this is one of the few evenly spaced frames for slow metrics
    """

    index: int
    target: np.ndarray
    fake: np.ndarray
    face: Face
    smoothed: Face
    again: Face | None
    alpha: np.ndarray | None
    picked: bool = False


Values = Iterable[tuple[str, float]]


class FrameMetric(Protocol):
    """Base of frame metrics."""

    def update(self, sample: Sample) -> Values:
        """Values by name from this frame and earlier ones."""
        ...

    def compute(self) -> Values:
        """Values that are complete after the last frame; default none."""
        return ()


class LandmarkMetric(FrameMetric):
    """``landmark_distance``, ``expression_error``, ``pose_error``: mouth, eyes and head against the target."""

    @override
    def update(self, sample: Sample) -> Values:
        if sample.again is None:
            return
        found, wanted = sample.again.landmarks, sample.face.landmarks
        height, width = sample.target.shape[:2]
        yield "landmark_distance", landmark_distance(found, wanted)
        yield "expression_error", expression_error(found, wanted)
        yield "pose_error", pose_error(found, wanted, width=width, height=height)


class MotionMetric(FrameMetric):
    """``blink_correlation``, ``mouth_correlation``: correlation of lids and lips with the target's; one value each.

    ``blink_swing``, ``mouth_swing`` are the target's standard deviations: for a still face r is not informative.
    ``blink_swing_ratio``, ``mouth_swing_ratio`` are the fake's over the target's: below 1 the face moves less.
    """

    def __init__(self) -> None:
        self._motions = {"blink": eye_openness, "mouth": mouth_openness}
        self._own: dict[str, list[float]] = {name: [] for name in self._motions}
        self._wanted: dict[str, list[float]] = {name: [] for name in self._motions}

    @override
    def update(self, sample: Sample) -> Values:
        if sample.again is not None:
            for name, openness in self._motions.items():
                self._own[name].append(openness(sample.again.landmarks))
                self._wanted[name].append(openness(sample.face.landmarks))
        return ()

    @override
    def compute(self) -> Values:
        for name in self._motions:
            follows = motion_correlation(self._own[name], self._wanted[name])
            if follows is not None:
                yield f"{name}_correlation", follows
                swing = float(np.nanstd(self._wanted[name]))
                yield f"{name}_swing", swing
                if swing > 0:
                    yield f"{name}_swing_ratio", float(np.nanstd(self._own[name])) / swing


class IdentityMetric(FrameMetric):
    """Similarity of the fake's face to people.

    ``identity_to_source``, ``identity_to_target``: Euclidean distances; ``cosine_to_source``, ``cosine_to_target``:
    cosine similarities; ``nearer_to_source``: 1 or 0; ``top1``: 1 if the nearest of all people is the source.
    """

    def __init__(self, embedder: IdentityEmbedder, source: Person, target: Person, cast: Mapping[str, Person]) -> None:
        self._embedder = embedder
        self._pair = {"source": source, "target": target}
        self._cast = {**cast, source.name: source, target.name: target}

    @override
    def update(self, sample: Sample) -> Values:
        if sample.again is None:
            return
        embedding = self._embedder.embed(sample.fake, [sample.again])[0]
        away = {name: float(np.linalg.norm(embedding - who.embedding)) for name, who in self._cast.items()}
        for role, who in self._pair.items():
            yield f"identity_to_{role}", away[who.name]
            yield f"cosine_to_{role}", cosine(embedding, who.embedding)
        source, target = (who.name for who in self._pair.values())
        yield "nearer_to_source", float(away[source] < away[target])
        yield "top1", float(min(away, key=away.__getitem__) == source)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors; NaN if one has length zero."""
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else math.nan


class SeamMetric(FrameMetric):
    """``seam_ratio``, ``color_step``, ``ssim_outside``: visibility of the mask's border, and changes outside it."""

    @override
    def update(self, sample: Sample) -> Values:
        if sample.alpha is not None:
            yield "seam_ratio", seam_ratio(sample.fake, sample.target, sample.alpha)
            yield "color_step", color_step(sample.fake, sample.target, sample.alpha)
            yield "ssim_outside", ssim_outside(sample.fake, sample.target, sample.alpha)


class HeadMetric(FrameMetric):
    """``mask_ssim``: SSIM of the head region, face and hair, of the fake and its target.

    Celeb-DF's metric (Li et al., CVPR 2020, section 3.3, after Ma et al., NeurIPS 2017). The region is the square
    crop of framing ``head``, aligned by the target's landmarks at 256 px.
    """

    @override
    def update(self, sample: Sample) -> Values:
        matrix = frame_to_crop(sample.smoothed.landmarks, px=_HEAD_PX, framing="head")
        yield "mask_ssim", ssim(cut(sample.fake, matrix, _HEAD_PX), cut(sample.target, matrix, _HEAD_PX))


class FeatureMetric(FrameMetric):
    """``features_outside``, ``lpips_outside``: distances outside the mask; features of faces for ``kept``.

    On the picked frames only. Crops have the framing ``full``, aligned by the target's landmarks.
    """

    def __init__(self, net: FeatureNet, kept: ClipFeatures, lpips: Lpips | None = None) -> None:
        self._net = net
        self._kept = kept
        self._lpips = lpips

    @override
    def update(self, sample: Sample) -> Values:
        if not sample.picked:
            return
        matrix = frame_to_crop(sample.smoothed.landmarks, px=FEATURE_PX, framing=_FEATURE_FRAMING)
        fake, target = self._net.pooled([cut(picture, matrix, FEATURE_PX) for picture in (sample.fake, sample.target)])
        self._kept.fake.append(fake)
        self._kept.target.append(target)
        part = around(sample.alpha) if sample.alpha is not None else None
        if part is not None and sample.alpha is not None:
            without = inside_replaced(sample.fake[part], sample.target[part], sample.alpha[part])
            yield "features_outside", self._net.distance(without, sample.target[part])
            if self._lpips is not None:
                yield "lpips_outside", self._lpips.distance(without, sample.target[part])


class CropMetric(FrameMetric):
    """Metrics of crops of both clips, aligned by the target's landmarks.

    ``sharpness_ratio``; ``flicker`` and ``flicker_target``; ``flicker_compensated`` and ``flicker_compensated_target``,
    the same after compensating the target's optical flow.
    """

    def __init__(self, px: int, framing: Framing) -> None:
        self._crops = FaceCrops(px, framing)

    @override
    def update(self, sample: Sample) -> Values:
        run = self._crops.take(sample.index, sample.fake, sample.target, sample.smoothed.landmarks)
        yield "sharpness_ratio", sharpness_ratio(run[-1].fake, run[-1].target, run[-1].mask)
        if len(run) == 3:
            yield from zip(("flicker", "flicker_target"), flickers(*run), strict=True)
            yield from _compensated(*run)


def _compensated(before: CropPair, now: CropPair, after: CropPair) -> Values:
    moved = flows(before.target, now.target, after.target)
    fake = flicker_compensated(before.fake, now.fake, after.fake, now.mask, moved)
    yield "flicker_compensated", fake
    target = flicker_compensated(before.target, now.target, after.target, now.mask, moved)
    yield "flicker_compensated_target", target


class SelfMetric(FrameMetric):
    """``self_ssim``, ``self_ssim_face``: self-reconstruction of the target person by the swapper."""

    def __init__(self, predictor: SwapPredictor, identity: str) -> None:
        self._predictor = predictor
        self._identity = identity
        self._faces: list[AlignedFace] = []
        self._wanted: list[np.ndarray] = []

    @override
    def update(self, sample: Sample) -> Values:
        spec = self._predictor.spec
        face = align(sample.target, sample.smoothed, px=spec.input_px, framing=spec.framing, frame=sample.index)
        self._faces.append(face)
        to_output = resized(face.frame_to_crop, spec.input_px, spec.output_px)
        self._wanted.append(cut(sample.target, to_output, spec.output_px))
        return self.compute() if len(self._faces) >= _SELF_BATCH else ()

    @override
    def compute(self) -> Values:
        faces, wanted = self._faces, self._wanted
        self._faces, self._wanted = [], []
        for face, crop, decoded in zip(faces, wanted, self._predictor.swap(faces, self._identity), strict=True):
            landmarks = map_points(decoded.frame_to_crop, face.landmarks)
            yield "self_ssim", ssim(decoded.crop, crop)
            yield "self_ssim_face", ssim(decoded.crop, crop, hull_mask(landmarks, len(crop), kind="facehull"))
