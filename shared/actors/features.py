"""Facial features as analytic relief: eye sockets and lids, nose, lips, cheeks and chin.

Every function takes positions in millimetres (see :mod:`shared.actors.lattice`) and works on both halves at once
through ``|x|``. Forms are unions of rounded bodies by a smooth maximum, so that creases arise where bodies meet, as
beside the wings of a real nose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from shared.actors.shape import Shape

EYEBALL_RADIUS = 12.8
LID_THICKNESS = 1.1


@dataclass(frozen=True, eq=False)
class FeatureLayout:
    """Positions of the features of one face, in millimetres, right half.

    Convention:
        eye: (3,) centre of the eyeball
        eye_inner, eye_outer: (2,) canthi
        mouth_corner: (2,); mouth_y: height of the slit on the midline
        nose_root_y, nose_tip_y, nose_base_y: heights on the midline
    """

    eye: np.ndarray
    eye_inner: np.ndarray
    eye_outer: np.ndarray
    mouth_corner: np.ndarray
    mouth_y: float
    nose_root_y: float
    nose_tip_y: float
    nose_base_y: float


def smooth_max(a: np.ndarray, b: np.ndarray, softness: float) -> np.ndarray:
    """The larger of both, rounded over a width of about ``softness`` where they meet."""
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + softness * softness)) - 0.25 * softness * np.exp(
        -np.abs(a - b) / softness
    )


def bump(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], spread: tuple[float, float]) -> np.ndarray:
    """A Gaussian hill of height 1."""
    return np.exp(-0.5 * (((x - centre[0]) / spread[0]) ** 2 + ((y - centre[1]) / spread[1]) ** 2))


def smooth_step(value: np.ndarray, start: float | np.ndarray, stop: float | np.ndarray) -> np.ndarray:
    """0 before ``start``, 1 after ``stop``, a symmetric S curve between."""
    t = np.clip((value - start) / (stop - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _ball(
    x: np.ndarray, y: np.ndarray, centre: tuple[float, float, float], radius: tuple[float, float, float]
) -> np.ndarray:
    """Height of an ellipsoid's front, continued as a paraboloid beyond its outline."""
    d2 = ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2
    return centre[2] + radius[2] * (1.0 - d2)


def socket_relief(x: np.ndarray, y: np.ndarray, shape: Shape, plan: FeatureLayout) -> np.ndarray:
    """(…) millimetres along z: hollows round the eye, brow ridge."""
    ax = np.abs(x)
    ex, ey = float(plan.eye[0]), float(plan.eye[1])
    out = -(5.0 + 0.6 * shape.eye_depth) * bump(ax, y, (ex - 14.0, ey + 3.5), (6.5, 8.0))
    out -= (4.6 + 1.3 * shape.eye_depth) * bump(ax, y, (ex + 1.0, ey + 10.5), (13.0, 4.8))
    out -= 2.0 * bump(ax, y, (ex + 15.0, ey - 1.0), (6.0, 7.0))
    out -= 2.4 * bump(ax, y, (ex - 3.0, ey - 9.0), (12.0, 5.0))
    out += (1.2 + 1.6 * shape.brow_ridge) * bump(ax, y, (ex - 8.0, ey + 19.0), (17.0, 5.5))
    out += 0.7 * shape.brow_ridge * bump(ax, y, (0.0, ey + 21.0), (11.0, 8.0))
    return out


def over_eyeball(x: np.ndarray, y: np.ndarray, z: np.ndarray, plan: FeatureLayout) -> np.ndarray:
    """``z`` lifted to where lids slide over the eyeball."""
    radius = EYEBALL_RADIUS + LID_THICKNESS
    d2 = (np.abs(x) - plan.eye[0]) ** 2 + (y - plan.eye[1]) ** 2
    dome = plan.eye[2] + np.sqrt(np.maximum(radius * radius - d2, 0.0))
    near = (d2 < radius * radius) & (z > -40.0)
    return np.where(near, smooth_max(z, dome, 1.4), z)


def nose_height(x: np.ndarray, y: np.ndarray, z: np.ndarray, shape: Shape, plan: FeatureLayout) -> np.ndarray:
    """``z`` with the nose on it: bridge, tip and wings."""
    ax = np.abs(x)
    root, tip, base = plan.nose_root_y, plan.nose_tip_y, plan.nose_base_y
    span = root - tip
    wide = 1.0 + 0.17 * shape.nose_width
    high = 1.6 * shape.nose_bridge
    out_by = 1.9 * shape.nose_projection
    knots = np.array(
        [root + 18, root + 9, root, root - 0.28 * span, root - 0.6 * span, tip + 2, tip - 6, base - 2, base - 9]
    )
    hump = shape.nose_hump
    crest = np.array(
        [
            10.0, 15.0, 16.5 + 0.7 * high, 22.0 + high + 1.2 * hump, 29.0 + 0.8 * high + 0.8 * hump + 0.5 * out_by,
            34.5 + out_by, 29.5 + out_by, 18.0, 2.0,
        ]
    )  # fmt: skip
    flank = np.array([11.0, 9.0, 7.6, 7.8, 8.4, 9.0, 8.6, 7.0, 7.0]) * (0.5 + 0.5 * wide)
    order = np.argsort(knots)
    near = (y > knots[-1]) & (y < knots[0]) & (ax < 45.0) & (z > -40.0)
    yy = np.clip(y, knots[-1], knots[0])
    height = PchipInterpolator(knots[order], crest[order])(yy)
    half = PchipInterpolator(knots[order], flank[order])(yy)
    off = ax / half
    ridge = height - 7.0 * off**2.4 / (1.0 + 0.3 * off**1.4)
    out = np.where(near, smooth_max(z, ridge, 5.0), z)
    size = 1.0 + 0.14 * shape.nose_tip_size
    tip_ball = _ball(ax, y, (0.0, tip, 24.5 + out_by), (10.5 * size, 9.5 * size, 14.0))
    out = np.where(near, smooth_max(out, tip_ball, 4.0), out)
    wing = _ball(ax, y, (11.8 * wide, tip - 3.6, 14.5 + 0.6 * out_by), (7.0 * (0.6 + 0.4 * wide), 7.6, 10.0))
    out = np.where(near, smooth_max(out, wing, 2.2), out)
    hole = bump(ax, y, (6.6 * wide, base + 2.0), (3.2 * wide, 1.9))
    return np.where(near, out - 4.0 * hole, z)


def cheeks_and_chin(x: np.ndarray, y: np.ndarray, shape: Shape, plan: FeatureLayout) -> np.ndarray:
    """Millimetres outwards: cheekbones, fullness, folds, philtrum, chin."""
    ax = np.abs(x)
    base, mouth, corner = plan.nose_base_y, plan.mouth_y, float(plan.mouth_corner[0])
    out = (1.2 + 1.9 * shape.cheekbone) * bump(ax, y, (50.0, plan.eye[1] - 21.0), (13.0, 9.0))
    out += (0.6 + 2.8 * shape.cheek_fullness) * bump(ax, y, (42.0, base - 2.0), (16.0, 17.0))
    out += 0.9 * bump(ax, y, (30.0, base + 14.0), (12.0, 10.0))
    out -= 1.6 * bump(ax, y, (64.0, 24.0), (9.0, 16.0))
    fold_y = base - 1.0 - (ax - 17.0) * (base - mouth + 2.0) / (corner + 6.0 - 17.0)
    along = smooth_step(ax, 14.0, 19.0) * (1.0 - smooth_step(ax, corner + 3.0, corner + 11.0))
    across = (y - fold_y) * 0.55
    out -= np.clip(0.35 + 0.6 * shape.age, 0.1, None) * along * np.exp(-0.5 * (across / 1.9) ** 2)
    out += np.clip(0.5 + 0.5 * shape.age, 0.2, None) * along * np.exp(-0.5 * ((across - 3.2) / 2.4) ** 2)
    out -= 0.9 * bump(ax, y, (0.0, base - 6.0), (2.1, 5.0))
    out += 0.6 * bump(ax, y, (4.6, base - 6.0), (1.6, 5.0))
    out += (2.6 + 1.0 * shape.chin_projection) * bump(ax, y, (0.0, mouth - 36.0), (12.5, 9.5))
    out -= 1.8 * bump(ax, y, (0.0, mouth - 20.5), (15.0, 3.8))
    out -= 0.9 * shape.chin_cleft * bump(ax, y, (0.0, mouth - 37.0), (1.8, 6.0))
    out -= 1.3 * bump(ax, y, (corner + 4.0, mouth - 2.0), (4.0, 5.0))
    return out


def lip_heights(s: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Millimetres from the slit to the outer border of the upper and of the lower lip.

    Args:
        s: ``|x|`` over the half width of the mouth, 0 on the midline, 1 at the corner.
        shape: the identity's form.
    """
    s = np.clip(s, 0.0, 1.0)
    fall = np.clip(1.0 - s**1.7, 0.0, 1.0) ** 0.85
    bow = 1.0 + 0.16 * np.exp(-0.5 * ((s - 0.27) / 0.15) ** 2) - 0.10 * np.exp(-0.5 * (s / 0.12) ** 2)
    upper = (6.6 + 1.7 * shape.upper_lip) * fall * bow
    lower = (8.8 + 1.8 * shape.lower_lip) * np.clip(1.0 - s**2.1, 0.0, 1.0) ** 0.7
    return np.maximum(upper, 0.0), np.maximum(lower, 0.0)


def lip_relief(x: np.ndarray, above: np.ndarray, shape: Shape, plan: FeatureLayout) -> np.ndarray:
    """Millimetres along z.

    Args:
        x: positions.
        above: millimetres above the slit (negative below).
        shape: the identity's form.
        plan: where the mouth lies.
    """
    s = np.abs(x) / float(plan.mouth_corner[0])
    upper, lower = lip_heights(s, shape)
    inside = 1.0 - smooth_step(s, 0.86, 1.12)
    height = np.where(above >= 0, upper, lower) + 1e-3
    t = np.abs(above) / np.maximum(height, 2.2)
    full_upper, full_lower = 3.6 + 0.8 * shape.upper_lip, 4.8 + 0.9 * shape.lower_lip
    tubercle = 0.8 * np.exp(-0.5 * (s / 0.16) ** 2) * np.exp(-0.5 * ((t - 0.25) / 0.3) ** 2)
    up = full_upper * np.exp(-0.5 * ((t - 0.5) / 0.38) ** 2) + tubercle
    down = full_lower * np.exp(-0.5 * ((t - 0.52) / 0.36) ** 2)
    crease = -2.2 * np.exp(-0.5 * (t / 0.13) ** 2)
    return inside * (np.where(above >= 0, up, down) * (0.35 + 0.65 * np.sqrt(np.clip(1 - s * s, 0, 1))) + crease)
