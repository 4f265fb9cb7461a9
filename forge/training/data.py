"""Training data: each faceset is one tensor on the training device, where batches are rendered too.

Convention:
    planes of a stored face: red, green, blue, face mask, eyes, mouth; uint8, 255 is full
    stored image: the model's crop with a margin around it, so that rotation and shifts show real pixels
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from forge.models.contract import SwapSpec
from forge.training.augment import (
    ColorCast,
    color_cast,
    combined,
    random_affine,
    random_shades,
    render,
    shade,
    still_affine,
)
from forge.training.augment_config import AugmentConfig
from forge.training.warp import jittered, landmark_field, nearest_shapes, random_field, send, through
from shared.console import console, counted
from shared.errors import FacesetError
from shared.faces.align import FRAMING_RATIO, compose, cut, frame_to_crop, map_points
from shared.faces.facesets.reader import Faceset
from shared.faces.mask import feather, hull_mask
from shared.sampling import evenly_spaced

PLANES = 6
MIN_FACES = 8
"""Minimum number of faces of an identity for training."""

_YAW_BIN_DEGREES = 5.0
_LOOKALIKES = 256
_STATISTICS_PX = 48
_MARGIN = 1.25
_OVERSAMPLE = 2
_EYES = (slice(36, 42), slice(42, 48))
_MOUTH = slice(48, 60)
_EYE_GROWTH = 1.6
_MOUTH_GROWTH = 1.25


class Batch(NamedTuple):
    """The batch of one identity in a step. All float32 in [0, 1].

    ``input`` (B, 3, input_px, input_px) is warped, the rest is not: ``target`` (B, 3, output_px, output_px), ``mask``,
    ``eyes``, ``mouth`` (B, 1, output_px, output_px).
    """

    input: Tensor
    target: Tensor
    mask: Tensor
    eyes: Tensor
    mouth: Tensor


@dataclass(frozen=True, eq=False)
class FaceBank:
    """One identity's faces.

    Convention:
        planes: (N, 6, W, W) uint8, see the module
        extent: side of the model's crop over W
        points: (N, 68, 2) float32 landmarks in the stored image's plane (-1 to 1), on the device of ``planes``; None
            where no warp needs landmarks
        yaw_degrees: (N,) float32 on the CPU; None where all faces are sampled uniformly
    """

    identity: str
    planes: Tensor
    extent: float
    points: Tensor | None = None
    yaw_degrees: Tensor | None = None

    def __len__(self) -> int:
        return len(self.planes)

    def batch(
        self,
        count: int,
        spec: SwapSpec,
        config: AugmentConfig,
        generator: torch.Generator,
        *,
        warp: float = 1.0,
        other: FaceBank | None = None,
    ) -> Batch:
        """``count`` faces sampled with replacement and augmented by ``config``.

        ``warp`` scales the warp's strength. ``other`` gives the shapes and colours of another identity where ``config``
        needs them.
        """
        indices = self._sample_indices(count, config, generator)
        theta = send(random_affine(count, self.extent, config, generator), self.planes.device)
        place = self.planes.device
        morph = random_field(count, spec.output_px, config.morph, generator, place) if config.morph > 0 else None
        field = self._warp(indices, theta, spec.input_px, config, generator, warp, other)
        shades = random_shades(count, config, generator)
        batch = _render_batch(self._stored(indices), theta, spec, morph=morph, warp=field)
        cast = None
        if other is not None and config.color_transfer > 0:
            cast = other.color_cast(batch, config, generator)
        target = shade(batch.target, shades, cast)
        same = batch.input is batch.target
        return batch._replace(target=target, input=target if same else shade(batch.input, shades, cast))

    def still(self, indices: Sequence[int], spec: SwapSpec) -> Batch:
        """The faces at ``indices`` without augmentation."""
        theta = still_affine(len(indices), self.extent)
        return _render_batch(self._stored(torch.tensor(list(indices))), theta, spec)

    def color_cast(self, batch: Batch, config: AugmentConfig, generator: torch.Generator) -> ColorCast:
        """A change, with ``config``'s probability, to the colours of random faces of this bank."""
        count = len(batch.target)
        indices = torch.randint(len(self), (count,), generator=generator)
        chosen = torch.rand(count, generator=generator) < config.color_transfer
        # Means and deviations do not need every pixel.
        step = max(1, self.planes.shape[-1] // _STATISTICS_PX)
        small = self.planes[send(indices, self.planes.device), :4, ::step, ::step].float() / 255
        chosen = send(chosen, self.planes.device)
        return color_cast(batch.target, batch.mask, small[:, :3], small[:, 3:], chosen)

    def _sample_indices(self, count: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
        if config.uniform_yaw and self.yaw_degrees is not None:
            return torch.multinomial(self._yaw_weights, count, replacement=True, generator=generator)
        return torch.randint(len(self), (count,), generator=generator)

    @functools.cached_property
    def _yaw_weights(self) -> Tensor:
        return yaw_weights(torch.zeros(len(self)) if self.yaw_degrees is None else self.yaw_degrees)

    def _warp(
        self,
        indices: Tensor,
        theta: Tensor,
        px: int,
        config: AugmentConfig,
        generator: torch.Generator,
        strength: float,
        other: FaceBank | None,
    ) -> Tensor | None:
        sigma = config.warp * strength
        if config.warp_kind != "landmarks":
            kind = config.warp_kind
            return random_field(len(indices), px, sigma, generator, theta.device, kind=kind) if sigma > 0 else None
        if strength <= 0 or other is None or other.points is None or self.points is None:
            return None
        picked = torch.randint(len(other), (_LOOKALIKES,), generator=generator)
        choice = send(torch.rand(len(indices), generator=generator), theta.device)
        own = self.points[send(indices, theta.device)]
        goals = nearest_shapes(own, other.points[send(picked, theta.device)], choice)
        goals = jittered(goals, sigma, generator)
        return landmark_field(through(own, theta), through(goals, theta), px, strength=strength)

    def _stored(self, indices: Tensor) -> Tensor:
        return self.planes[send(indices, self.planes.device)].float() / 255


def yaw_weights(yaw_degrees: Tensor) -> Tensor:
    """(N,) positive: sampling weights that make all directions equally likely.

    Directions are bins of 5 degrees; empty ones are ignored (DeepFaceLab's ``uniform_yaw`` has 128 bins over 2.4
    radians).
    """
    bins = (yaw_degrees / _YAW_BIN_DEGREES).floor()
    _, where, counts = torch.unique(bins, return_inverse=True, return_counts=True)
    return 1.0 / (counts[where].float() * len(counts))


def _render_batch(
    stored: Tensor, theta: Tensor, spec: SwapSpec, *, morph: Tensor | None = None, warp: Tensor | None = None
) -> Batch:
    seen = render(stored, theta, spec.output_px, field=morph, times=_OVERSAMPLE)
    target, mask, eyes, mouth = seen.split((3, 1, 1, 1), 1)
    if warp is None and spec.input_px == spec.output_px:
        return Batch(target, target, mask, eyes, mouth)
    # The input is sampled once per pixel: four times cheaper, and slight aliasing does not harm an encoder.
    shown = render(stored[:, :3], theta, spec.input_px, field=combined(morph, warp, spec.input_px))
    return Batch(shown, target, mask, eyes, mouth)


class Banks(NamedTuple):
    """Training and held-out faces; one bank for each identity, none held out if not configured."""

    train: list[FaceBank]
    held: list[FaceBank]


def load_banks(
    facesets: Sequence[Faceset], spec: SwapSpec, device: torch.device, *, max_faces: int, holdout: float
) -> Banks:
    """Reads the kept faces of ``facesets``, one for each identity in ``spec`` and in its order.

    Raises:
        FacesetError: a faceset has fewer than :data:`MIN_FACES` usable faces.
    """
    inner = stored_crop_px(facesets, spec)
    banks = Banks([], [])
    for identity, faceset in zip(spec.identities, facesets, strict=True):
        rows = faceset.rows()
        clips = faceset.table.column("clip").to_numpy()
        train, held = split_by_time(clips[rows].tolist(), rows, holdout)
        need_enough(identity, len(train))
        chosen = [train[i] for i in evenly_spaced(len(train), max_faces)]
        if len(chosen) < len(train):
            console.print(f"{identity}: training on {len(chosen)} of {len(train)} faces, evenly spaced")
        banks.train.append(_read_bank(identity, faceset, chosen, inner, spec, device))
        if held:
            some = [held[i] for i in evenly_spaced(len(held), 256)]
            banks.held.append(_read_bank(identity, faceset, some, inner, spec, device))
    return banks


def need_enough(identity: str, faces: int) -> None:
    """Refuses an identity with too few faces.

    Raises:
        FacesetError: with advice on what to do.
    """
    if faces < MIN_FACES:
        raise FacesetError(
            f"{identity} has {counted(faces, 'usable face')}, training needs at least {MIN_FACES}",
            hint="extract from a longer clip or from more clips; a few hundred faces in varied poses work well",
        )


def split_by_time(clips: Sequence[int], rows: Sequence[int], holdout: float) -> tuple[list[int], list[int]]:
    """``rows`` split into training rows and the last fraction ``holdout`` of every clip.

    ``clips`` gives the clip of each row; rows of a clip are in temporal order.
    """
    train: list[int] = []
    held: list[int] = []
    for clip in dict.fromkeys(clips):
        of_clip = [row for row, its in zip(rows, clips, strict=True) if its == clip]
        kept = len(of_clip) - math.floor(len(of_clip) * holdout)
        train += of_clip[:kept]
        held += of_clip[kept:]
    return train, held


def stored_crop_px(facesets: Sequence[Faceset], spec: SwapSpec) -> int:
    """Side at which the model's crop is stored: twice the output, at most the highest of the facesets."""
    ratio = FRAMING_RATIO[spec.framing]
    resolved = max(faceset.info.px * ratio / FRAMING_RATIO[faceset.info.framing] for faceset in facesets)
    return min(_OVERSAMPLE * spec.output_px, max(spec.output_px, round(resolved)))


def face_planes(crop: np.ndarray, landmarks: np.ndarray, inner_px: int, spec: SwapSpec) -> np.ndarray:
    """(6, W, W) uint8: one face reframed for ``spec``, with a margin, and its region masks.

    ``crop`` is (S, S, 3) uint8 of any framing, ``landmarks`` (68, 2) in its pixels; the model's crop is ``inner_px``
    of the W pixels, in the centre. Where the crop does not cover the margin it is reflected.
    """
    side = stored_side_px(inner_px)
    matrix = _stored_matrix(landmarks, inner_px, spec)
    points = map_points(matrix, np.asarray(landmarks, np.float64))
    regions = [hull_mask(points, side, "extended"), _eyes(points, side), _region(points[_MOUTH], side, _MOUTH_GROWTH)]
    image = cut(crop, matrix, side).transpose(2, 0, 1)
    return np.concatenate([image, np.rint(255 * np.stack(regions)).astype(np.uint8)])


def stored_side_px(inner_px: int) -> int:
    """W for a model's crop of ``inner_px``: with equal margins on all sides."""
    return inner_px + 2 * math.ceil(inner_px * (_MARGIN - 1) / 2)


def _eyes(points: np.ndarray, side: int) -> np.ndarray:
    return np.maximum(*(_region(points[eye], side, _EYE_GROWTH) for eye in _EYES))


def _region(points: np.ndarray, side: int, growth: float) -> np.ndarray:
    """(side, side) float32: the convex hull of ``points`` scaled about its centre, with a soft edge."""
    centre = points.mean(0)
    # An eye is far wider than high; dilating by a share of its width on all sides includes the lids.
    reach = (growth - 1) * np.ptp(points[:, 0]) / 2
    outward = points - centre
    grown = points + outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6) * reach
    mask = np.zeros((side, side), np.float32)
    hull = cv2.convexHull(np.rint(np.clip(grown, -side, 2 * side)).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1.0)
    return feather(mask, side / 100)


def _read_bank(
    identity: str, faceset: Faceset, rows: Sequence[int], inner: int, spec: SwapSpec, device: torch.device
) -> FaceBank:
    side = stored_side_px(inner)
    planes = np.empty((len(rows), PLANES, side, side), np.uint8)
    landmarks = faceset.landmarks_in_crop()

    def read(place: int) -> None:
        planes[place] = face_planes(faceset.crop(rows[place]), landmarks[rows[place]], inner, spec)

    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        for _ in console.track(pool.map(read, range(len(rows))), f"reading {identity}", len(rows), unit="face"):
            pass
    points = torch.from_numpy(_plane_points(landmarks[list(rows)], inner, spec)).to(device)
    yaw = torch.from_numpy(faceset.table.column("yaw_degrees").to_numpy().astype(np.float32)[list(rows)])
    return FaceBank(identity, torch.from_numpy(planes).to(device), inner / side, points, yaw)


def _plane_points(landmarks: np.ndarray, inner_px: int, spec: SwapSpec) -> np.ndarray:
    """(N, 68, 2) float32: ``landmarks`` (N, 68, 2), in pixels of their crops, in the plane of the stored images."""
    side = stored_side_px(inner_px)
    pixels = [map_points(_stored_matrix(points, inner_px, spec), points) for points in landmarks.astype(np.float64)]
    return ((2 * np.stack(pixels) + 1) / side - 1).astype(np.float32)


def _stored_matrix(landmarks: np.ndarray, inner_px: int, spec: SwapSpec) -> np.ndarray:
    """(2, 3): from a crop's pixels, in which ``landmarks`` (68, 2) are, to pixels of the stored image."""
    pad = (stored_side_px(inner_px) - inner_px) // 2
    matrix = frame_to_crop(np.asarray(landmarks, np.float64), px=inner_px, framing=spec.framing)
    return compose(np.array([[1.0, 0.0, pad], [0.0, 1.0, pad]]), matrix)
