"""Vertex grids of all parts of a person except the head's skin: eyes, teeth, ears, neck, lids' rims.

A sheet's rows run down and its columns to the viewer's right as seen from outside, so that ``cross(down, across)``
points outwards.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from shared.actors.features import EYEBALL_RADIUS, FeatureLayout, smooth_step
from shared.actors.shape import Shape

EYE_ARC_DEGREES = 100.0


def eyeball(rings: int = 13, spokes: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An eye at the origin that looks along z.

    Returns:
        (rings, spokes + 1, 3) points with the cornea's bulge, the same of unit normals, and (…, 2) tile coordinates.
    """
    bend = np.deg2rad(np.concatenate([np.linspace(0, 30, 7), np.linspace(42, EYE_ARC_DEGREES, rings - 7)]))
    angle = np.linspace(0.0, 2 * np.pi, spokes + 1)
    rho, phi = np.meshgrid(bend, angle, indexing="ij")
    normal = np.stack([np.sin(rho) * np.cos(phi), np.sin(rho) * np.sin(phi), np.cos(rho)], axis=-1)
    bulge = 0.9 * np.clip(1 - (rho / np.deg2rad(31.0)) ** 2, 0, 1)
    far = rho / np.deg2rad(EYE_ARC_DEGREES)
    uv = np.stack([0.5 + 0.5 * far * np.cos(phi), 0.5 - 0.5 * far * np.sin(phi)], axis=-1)
    return normal * (EYEBALL_RADIUS + bulge)[..., None], normal, uv


def teeth(plan: FeatureLayout, lip_z: float, *, upper: bool) -> np.ndarray:
    """(5, 27, 3): a row of teeth on the dental arch; gums at the far side from the bite."""
    # The lower row is short: at the sides it would intersect the cheeks when the jaw drops.
    arc = np.linspace(-1.3, 1.3, 27) if upper else np.linspace(-0.72, 0.72, 27)
    half = 0.94 * float(plan.mouth_corner[0])
    back = 5.2 if upper else 7.6
    x = half * np.sin(arc)
    z = lip_z - back - 27.0 * (1 - np.cos(arc))
    heights = np.linspace(0.0, 1.0, 5)
    start, stop = (10.5, -1.4) if upper else (-13.5, -2.4)
    y = plan.mouth_y + start + (stop - start) * heights
    lean = (1.4 if upper else 1.0) * (heights - 1.0)
    points = np.empty((5, 27, 3))
    points[..., 0], points[..., 1] = x[None], y[:, None]
    points[..., 2] = z[None] + lean[:, None]
    return points


def tongue(plan: FeatureLayout, lip_z: float) -> np.ndarray:
    """(8, 11, 3): a rounded tongue behind the lower teeth."""
    across = np.linspace(-1, 1, 11)
    along = np.linspace(1, 0, 8)
    u, v = np.meshgrid(across, along)
    x = 16.5 * u * np.sqrt(np.clip(1 - 0.45 * (1 - v) ** 3, 0, 1))
    z = lip_z - 12.0 - 30.0 * v
    y = plan.mouth_y - 5.0 + 8.0 * v * (1 - 0.5 * v) * (1 - 0.7 * u * u) - 4.0 * (1 - v) ** 4 - 3.0 * u**4
    return np.stack([x, y, z], axis=-1)


def mouth_bag(upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(6, N, 3) twice: the lips' inner sides, run back to where they close the mouth's inside.

    Args:
        upper: (N, 3), the edge of the upper lip.
        lower: (N, 3), of the lower lip.
    """
    narrow = np.array([1.0, 1.0, 0.98, 0.88, 0.7, 0.45])
    back = np.array([0.0, -2.0, -6.5, -13.0, -27.0, -36.0])
    lifts = np.array([[0.0, 0.9, 3.2, 10.0, 9.0, 0.0], [0.0, -1.0, -4.5, -10.0, -9.0, 0.0]])
    # Both halves meet at the corners, so that there is no gap.
    open_by = np.sqrt(np.sin(np.linspace(0.0, np.pi, len(upper))).clip(0.0))
    halves = []
    for edge, lift in zip((upper, lower), lifts, strict=True):
        sheet = np.empty((6, *edge.shape))
        sheet[..., 0] = edge[:, 0] * narrow[:, None]
        sheet[..., 1] = edge[:, 1] + lift[:, None] * open_by
        sheet[..., 2] = edge[:, 2] + back[:, None]
        halves.append(sheet)
    halves[0][5] = halves[1][5] = 0.5 * (halves[0][5] + halves[1][5])
    return halves[0], halves[1]


def ear(
    side_x: float, shape: Shape, *, left: bool, covered: bool = False, rings: int = 10, spokes: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """One ear as a polar sheet with helix, antihelix, bowl and lobe.

    Args:
        side_x: where the head's side is, in millimetres from the midline.
        shape: the identity's form.
        left: on the viewer's left.
        covered: pressed to the head by long hair.
        rings: rows from the middle to the rim.
        spokes: columns round it.

    Returns:
        (rings, spokes + 1, 3) points and (…, 2) tile coordinates.
    """
    size = 1.0 + 0.09 * shape.ear_size
    rho, phi = np.meshgrid(np.linspace(0, 1, rings), np.linspace(0, 2 * np.pi, spokes + 1), indexing="ij")
    flare = np.deg2rad(6.0 if covered else 33.0 + 6.0 * shape.ear_size)
    backwards = np.array([np.sin(flare), 0.0, -np.cos(flare)])
    upwards = np.array([0.05, 0.985, -0.17])
    outwards = np.cross(upwards, -backwards)
    c, s = np.cos(phi), np.sin(phi)
    width = 16.5 * (1 + 0.20 * s) * (1 - 0.22 * np.clip(-s, 0, 1) ** 2)
    height = 30.5 + 1.5 * s
    helix = 4.2 * np.exp(-0.5 * ((rho - 0.9) / 0.075) ** 2) * smooth_step(c + 0.9 * s, -0.55, 0.1)
    inner = 3.0 * np.exp(-0.5 * ((rho - 0.60) / 0.10) ** 2) * smooth_step(c, -0.35, 0.3)
    bowl = -6.5 * np.exp(-0.5 * (rho / 0.33) ** 2)
    tragus = 3.0 * np.exp(-0.5 * ((rho - 0.55) / 0.14) ** 2) * np.exp(-0.5 * ((phi - np.pi) / 0.45) ** 2)
    relief = helix + inner + bowl + tragus - 2.5 * smooth_step(-c, 0.2, 1.0) * rho - 1.5 * rho**6
    centre = np.array([side_x + 5.5 * size, -14.0, -93.0])
    points = centre + size * (
        (width * rho * c)[..., None] * backwards
        + (height * rho * s)[..., None] * upwards
        + relief[..., None] * outwards
    )
    uv = np.stack([phi / (2 * np.pi), rho], axis=-1)
    if left:
        points = points * np.array([-1.0, 1.0, 1.0])
    return points, uv


# Rings of neck and shoulders: how far down, height, half width, front, back, squareness.
_RINGS = np.array([
    (0.00, -76.0, 53.0, -56.0, -117.0, 1.0), (0.10, -90.0, 56.0, -42.0, -119.0, 1.0),
    (0.22, -110.0, 57.5, -32.0, -123.0, 1.0), (0.34, -134.0, 60.0, -31.0, -129.0, 1.0),
    (0.43, -150.0, 70.0, -26.0, -136.0, 1.0), (0.51, -161.0, 100.0, -16.0, -141.0, 0.92),
    (0.60, -172.0, 146.0, -6.0, -145.0, 0.85), (0.72, -194.0, 188.0, 4.0, -148.0, 0.78),
    (0.86, -270.0, 218.0, 15.0, -152.0, 0.75), (1.00, -390.0, 220.0, 19.0, -152.0, 0.75),
])  # fmt: skip


def torso(shape: Shape, rows: int = 44, columns: int = 57) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neck and shoulders.

    Returns:
        (rows, columns, 3) points, (…, 2) tile coordinates, and (rows,) how much each row follows the head, 1 to 0.
    """
    t = np.linspace(0, 1, rows)
    y, half, front, back, square = (PchipInterpolator(_RINGS[:, 0], _RINGS[:, k])(t)[:, None] for k in range(1, 6))
    neck = 1 - smooth_step(t, 0.42, 0.6)[:, None]
    half = half * (
        1 + neck * (0.055 * shape.neck_width + 0.03 * shape.jaw_width) + (1 - neck) * 0.05 * shape.neck_width
    )
    angle = np.linspace(-np.pi, np.pi, columns)[None]
    s, c = np.sin(angle), np.cos(angle)
    x = half * np.sign(s) * np.abs(s) ** square
    z = 0.5 * (front + back) + 0.5 * (front - back) * np.sign(c) * np.abs(c) ** square
    cords = np.exp(-0.5 * ((np.abs(angle) - 0.5 + 0.25 * smooth_step(t, 0.1, 0.4)[:, None]) / 0.14) ** 2)
    throat = np.exp(-0.5 * (angle / 0.16) ** 2)
    bulge = (
        neck
        * smooth_step(t, 0.05, 0.2)[:, None]
        * (2.6 * cords + 2.2 * throat * np.exp(-0.5 * ((t[:, None] - 0.26) / 0.05) ** 2))
    )
    z = z + bulge
    sag = 9.0 * (1 - neck) * np.cos(angle) * smooth_step(t, 0.45, 0.6)[:, None]
    y = y - 0.35 * sag + np.zeros_like(angle)
    uv = np.stack(np.broadcast_arrays((angle / np.pi + 1) / 2, t[:, None]), axis=-1)
    return np.stack([x, y, z], axis=-1), uv, 1 - smooth_step(t, 0.08, 0.42)
