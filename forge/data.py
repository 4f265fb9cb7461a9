"""Faces for training: every faceset one tensor on the training device, batches made there, no loader to wait for.

Convention:
    planes of a stored face: red, green, blue, face mask, eyes, mouth; uint8, 255 is full
    stored picture: the model's crop with a margin around it, so that turning and shifting shows what was there
"""

from __future__ import annotations

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

from forge.augment import combined, random_affine, random_field, random_shades, render, shade, still_affine
from forge.augment_config import AugmentConfig
from forge.models.contract import SwapSpec
from shared.console import console
from shared.errors import FacesetError
from shared.faces.align import FRAMING_RATIO, compose, cut, frame_to_crop, map_points
from shared.faces.faceset import Faceset
from shared.faces.mask import feather, hull_mask
from shared.sampling import evenly_spaced

PLANES = 6
MIN_FACES = 8
"""Fewer faces than this do not make a swapper."""

_MARGIN = 1.25
_OVERSAMPLE = 2
_EYES = (slice(36, 42), slice(42, 48))
_MOUTH = slice(48, 60)
_EYE_GROWTH = 1.6
_MOUTH_GROWTH = 1.25


class Batch(NamedTuple):
    """What one identity contributes to a step. All float32 in [0, 1].

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
    """

    identity: str
    planes: Tensor
    extent: float

    def __len__(self) -> int:
        return len(self.planes)

    def batch(
        self, count: int, spec: SwapSpec, config: AugmentConfig, generator: torch.Generator, *, warp: float = 1.0
    ) -> Batch:
        """``count`` faces drawn with replacement, varied as ``config`` says; ``warp`` scales the warp's strength."""
        indices = torch.randint(len(self), (count,), generator=generator)
        theta = random_affine(count, self.extent, config, generator)
        place = self.planes.device
        morph = random_field(count, spec.output_px, config.morph, generator, place) if config.morph > 0 else None
        sigma = config.warp * warp
        field = random_field(count, spec.input_px, sigma, generator, place) if sigma > 0 else None
        shades = random_shades(count, config, generator)
        stored = self._stored(indices)
        batch = _render_batch(stored, theta, spec, morph=morph, warp=field)
        both = shade(batch.target, shades), shade(batch.input, shades)
        return batch._replace(target=both[0], input=both[1])

    def still(self, indices: Sequence[int], spec: SwapSpec) -> Batch:
        """The faces at ``indices`` as they are."""
        theta = still_affine(len(indices), self.extent)
        return _render_batch(self._stored(torch.tensor(list(indices))), theta, spec)

    def _stored(self, indices: Tensor) -> Tensor:
        return self.planes[indices.to(self.planes.device)].float() / 255


def _render_batch(
    stored: Tensor, theta: Tensor, spec: SwapSpec, *, morph: Tensor | None = None, warp: Tensor | None = None
) -> Batch:
    seen = render(stored, theta, spec.output_px, field=morph, times=_OVERSAMPLE)
    target, mask, eyes, mouth = seen.split((3, 1, 1, 1), 1)
    if warp is None and spec.input_px == spec.output_px:
        return Batch(target, target, mask, eyes, mouth)
    # The input is sampled once a pixel: four times cheaper, and a little grain does an encoder no harm.
    shown = render(stored[:, :3], theta, spec.input_px, field=combined(morph, warp, spec.input_px))
    return Batch(shown, target, mask, eyes, mouth)


class Banks(NamedTuple):
    """What is trained on and, where something was held out, what is measured on; one bank for each identity."""

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
    """Refuses a person with too few faces to learn from.

    Raises:
        FacesetError: with what to do.
    """
    if faces < MIN_FACES:
        raise FacesetError(
            f"{identity} has {faces} usable face{'' if faces == 1 else 's'}, training needs at least {MIN_FACES}",
            hint="extract from a longer clip or from more clips; a few hundred faces in varied poses work well",
        )


def split_by_time(clips: Sequence[int], rows: Sequence[int], holdout: float) -> tuple[list[int], list[int]]:
    """``rows`` in two: for training, and the last ``holdout`` of every clip for measuring.

    ``clips`` says which clip each row is of; rows of a clip are in the order of time.
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
    """Side at which the model's crop is stored: twice the output, or what the sharpest faceset resolves if less."""
    ratio = FRAMING_RATIO[spec.framing]
    resolved = max(faceset.info.px * ratio / FRAMING_RATIO[faceset.info.framing] for faceset in facesets)
    return min(_OVERSAMPLE * spec.output_px, max(spec.output_px, round(resolved)))


def face_planes(crop: np.ndarray, landmarks: np.ndarray, inner_px: int, spec: SwapSpec) -> np.ndarray:
    """(6, W, W) uint8: one face reframed for ``spec``, with a margin, and its regions.

    ``crop`` is (S, S, 3) uint8 of any framing, ``landmarks`` (68, 2) in its pixels; the model's crop is ``inner_px``
    of the W pixels, in the middle. Where the crop does not reach the margin it is reflected.
    """
    side = stored_side_px(inner_px)
    pad = (side - inner_px) // 2
    matrix = frame_to_crop(np.asarray(landmarks, np.float64), px=inner_px, framing=spec.framing)
    matrix = compose(np.array([[1.0, 0.0, pad], [0.0, 1.0, pad]]), matrix)
    points = map_points(matrix, np.asarray(landmarks, np.float64))
    regions = [hull_mask(points, side, "extended"), _eyes(points, side), _region(points[_MOUTH], side, _MOUTH_GROWTH)]
    picture = cut(crop, matrix, side).transpose(2, 0, 1)
    return np.concatenate([picture, np.rint(255 * np.stack(regions)).astype(np.uint8)])


def stored_side_px(inner_px: int) -> int:
    """W for a model's crop of ``inner_px``: with the margin, and as much of it on both sides."""
    return inner_px + 2 * math.ceil(inner_px * (_MARGIN - 1) / 2)


def _eyes(points: np.ndarray, side: int) -> np.ndarray:
    return np.maximum(*(_region(points[eye], side, _EYE_GROWTH) for eye in _EYES))


def _region(points: np.ndarray, side: int, growth: float) -> np.ndarray:
    """(side, side) float32: the hull of ``points`` grown about its centre, with a soft edge."""
    centre = points.mean(0)
    # An eye is far wider than high; growing it by a share of its width on all sides takes in the lids.
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
        for _ in console.track(pool.map(read, range(len(rows))), f"reading {identity}", len(rows), unit="faces"):
            pass
    return FaceBank(identity, torch.from_numpy(planes).to(device), inner / side)
