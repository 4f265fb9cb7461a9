"""What shows between the lips of a driven mouth, and between the lids of a driven eye.

A warp of skin cannot make teeth. Between lips that are opened wider than they were lies the inside of the mouth of
another frame of the same target, in which the mouth was open. If the target never opens its mouth it is the driver's,
in the target's colours, and a dark colour if neither does.

The inside hangs from the upper lip, as upper teeth hang from the skull: a mouth that opens shows more of it below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from forge.reenacting.mesh import places_in, polygon, sampled
from forge.reenacting.shape import EYES, INNER_LIPS, Placement
from shared.faces.align import map_points, similarity

Bounds = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Layer:
    """What is laid over a part of the driven picture.

    Convention:
        bounds: half-open (x0, y0, x1, y1) in frame pixels
        levels: (h, w, 3) float32; cover: (h, w) float32 in [0, 1]
    """

    bounds: Bounds
    levels: np.ndarray
    cover: np.ndarray


_UPPER, _LOWER = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)
_LEAST_OPENING = 0.025
"""Face units from which another frame's mouth is open enough to take its inside."""
_SHUT = 0.012
_DARK = 0.22
_GAIN = (0.5, 2.0)
_OWN_FROM, _OWN_FULL = 0.35, 0.8
_FEATHER = 0.008


@dataclass(frozen=True, eq=False)
class OpenMouth:
    """A frame with an open mouth.

    Convention:
        image: (H, W, 3) uint8; landmarks: (68, 2) frame pixels
    """

    frame: int
    image: np.ndarray
    landmarks: np.ndarray
    placement: Placement

    @property
    def lips(self) -> np.ndarray:
        """(68, 2) in face units after the turn."""
        return map_points(self.placement.frame_to_posed, self.landmarks)


def in_colours_of(donor: OpenMouth, image: np.ndarray, landmarks: np.ndarray) -> OpenMouth:
    """``donor`` with its colours scaled so that its lips are as those of ``image`` (H, W, 3), uint8.

    ``landmarks`` are (68, 2), of ``image``.
    """
    gain = np.clip(_lip_color(image, landmarks) / np.maximum(_lip_color(donor.image, donor.landmarks), 1.0), *_GAIN)
    return replace(donor, image=np.clip(donor.image * gain, 0, 255).astype(np.uint8))


def can_give(opening: float) -> bool:
    """Whether a mouth that is open so far, in face units, has an inside to take."""
    return opening >= _LEAST_OPENING


def mouth_inside(
    image: np.ndarray,
    source: np.ndarray,
    drive: np.ndarray,
    placement: Placement,
    bounds: Bounds,
    donor: OpenMouth | None,
) -> Layer | None:
    """The inside of the driven mouth; None for a mouth that is shut, or outside.

    Args:
        image: (H, W, 3) uint8, the target's frame.
        source: (68, 2) frame pixels, where the landmarks are.
        drive: (68, 2) frame pixels, where they are to be.
        placement: of the head.
        bounds: the part of the frame in which it may lie.
        donor: the frame whose open mouth gives the inside; None for a dark colour.
    """
    lips = map_points(placement.frame_to_posed, drive)
    wanted = _heights(lips).max()
    if wanted < _SHUT:
        return None
    feather_px = _FEATHER / placement.units_per_px
    part = _around(drive[list(INNER_LIPS)], 3 * feather_px + 1, bounds)
    if part is None:
        return None
    cover = polygon(drive[list(INNER_LIPS)], part, feather_px)
    own = OpenMouth(-1, image, source, placement)
    share = _smooth_step(_heights(own.lips).max() / wanted, _OWN_FROM, _OWN_FULL)
    if donor is None:
        other = np.broadcast_to(_dark(image, source), (*cover.shape, 3)).astype(np.float32)
    else:
        other = _hung(donor, lips, placement, part)
    if share > 0:
        inside = _hung(own, lips, placement, part)
        other = share * inside + (1 - share) * other
    cover = cover * _smooth_step(wanted, _SHUT, 2 * _SHUT)
    return Layer(part, other, cover)


def _hung(donor: OpenMouth, lips: np.ndarray, placement: Placement, bounds: Bounds) -> np.ndarray:
    """(h, w, 3): the inside of the donor's mouth, between ``lips`` (68, 2) in face units after the turn."""
    x0, y0, x1, y1 = bounds
    xs, ys = np.meshgrid(np.arange(x0, x1, dtype=np.float64), np.arange(y0, y1, dtype=np.float64))
    here = map_points(placement.frame_to_posed, np.stack([xs.ravel(), ys.ravel()], axis=1))
    theirs = donor.lips
    along = (here[:, 0] - lips[60, 0]) / max(float(lips[64, 0] - lips[60, 0]), 1e-6)
    upper, lower = (_edge(lips, points, along) for points in (_UPPER, _LOWER))
    upper_there, lower_there = (_edge(theirs, points, along) for points in (_UPPER, _LOWER))
    height, there = np.maximum(lower - upper, 1e-4), np.maximum(lower_there - upper_there, 0.0)
    y = upper_there + (here[:, 1] - upper) * np.minimum(1.0, there / height)
    x = theirs[60, 0] + along * (theirs[64, 0] - theirs[60, 0])
    places = donor.placement.to_frame(np.stack([x, y], axis=1)).reshape(y1 - y0, x1 - x0, 2)
    return sampled(donor.image, places)


def _edge(lips: np.ndarray, points: tuple[int, ...], along: np.ndarray) -> np.ndarray:
    """Height of a lip's edge at shares ``along`` of the mouth's width."""
    edge = lips[list(points)]
    shares = (edge[:, 0] - edge[0, 0]) / max(float(edge[-1, 0] - edge[0, 0]), 1e-6)
    return np.interp(along, np.maximum.accumulate(shares), edge[:, 1])


def _heights(lips: np.ndarray) -> np.ndarray:
    return lips[[67, 66, 65], 1] - lips[[61, 62, 63], 1]


def _dark(image: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(3,): a share of the mean colour of the target's lips."""
    return _DARK * _lip_color(image, source)


def _lip_color(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(3,): the mean colour within the outline of the lips."""
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(landmarks[48:60]).astype(np.int32)), 1)
    inside = image[mask > 0]
    return inside.mean(axis=0) if len(inside) else np.full(3, 128.0)


def _around(points: np.ndarray, margin_px: float, bounds: Bounds) -> Bounds | None:
    """The box about ``points`` (N, 2) with a margin, as far as it lies in ``bounds``; None where it does not."""
    low, high = np.floor(points.min(0) - margin_px).astype(int), np.ceil(points.max(0) + margin_px).astype(int) + 1
    x0, y0 = max(bounds[0], int(low[0])), max(bounds[1], int(low[1]))
    x1, y1 = min(bounds[2], int(high[0])), min(bounds[3], int(high[1]))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def eyeballs(image: np.ndarray, source: np.ndarray, drive: np.ndarray, bounds: Bounds) -> list[Layer]:
    """For each eye whose lids come together, what stays visible of it.

    Lids slide over an eyeball: what is between them is not squeezed.
    """
    layers: list[Layer] = []
    for eye in EYES:
        points = list(eye)
        before, after = _opening(source[points]), _opening(drive[points])
        share = 1 - _smooth_step(after / max(before, 1e-6), 0.9, 1.0)
        part = _around(drive[points], 3.0, bounds)
        if share <= 0 or after <= 0 or part is None:
            continue
        places = places_in(part)
        corners = [eye[0], eye[3]]
        back = similarity(drive[corners], source[corners])
        flat = map_points(back, places.reshape(-1, 2).astype(np.float64)).reshape(places.shape)
        layers.append(Layer(part, sampled(image, flat), share * polygon(drive[points], part, 0.5)))
    return layers


def _opening(eye: np.ndarray) -> float:
    return float(np.hypot(*(eye[[5, 4]] - eye[[1, 2]]).mean(0)))


def _smooth_step(value: float, low: float, high: float) -> float:
    share = float(np.clip((value - low) / (high - low), 0.0, 1.0))
    return share * share * (3 - 2 * share)
