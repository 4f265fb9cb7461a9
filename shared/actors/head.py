"""The head of one identity: the lattice shaped by its traits, with lids at any opening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.actors import features
from shared.actors.features import FeatureLayout, bump, smooth_step
from shared.actors.lattice import (
    EYE_INNER,
    EYE_OUTER,
    MOUTH_CORNER,
    Grid,
    head_grid,
    lattice_points,
    spline_surface,
)
from shared.actors.shape import Shape

_UPPER_REACH, _LOWER_REACH = 17.0, 15.0  # millimetres over which the skin beside a lid gives way


def shaped_lattice(shape: Shape) -> np.ndarray:
    """(15, 9, 3): the control points of this identity: widths, heights and depths of the head as a whole."""
    points = lattice_points()
    height = points[:, :1, 1]  # of each row on the midline
    wide = 1.0 + 0.030 * shape.head_width * _bell(height, 45.0, 50.0)
    wide += 0.042 * shape.cheek_width * _bell(height, -25.0, 28.0)
    wide += 0.070 * shape.jaw_width * _bell(height, -88.0, 30.0)
    points[:, :, 0] *= wide
    columns = np.arange(9)[None, :]
    points[9:14, :, 0] *= 1.0 + 0.05 * shape.chin_width * np.exp(-0.5 * ((columns - 1.5) / 1.2) ** 2)
    points[9:14, :, 1] -= 3.2 * shape.jaw_angle * np.exp(-0.5 * ((columns - 4.5) / 1.4) ** 2)
    below, above = np.clip(-points[..., 1], 0, None), np.clip(points[..., 1] - 15.0, 0, None)
    points[..., 1] += 0.042 * shape.forehead_height * above - 0.040 * shape.face_length * below
    low = smooth_step(-points[..., 1], 68.0, 112.0) * np.exp(-0.5 * (columns / 3.2) ** 2)
    points[..., 1] -= 4.0 * shape.chin_length * low
    points[..., 2] += 2.2 * shape.chin_projection * low
    return points


def _bell(value: np.ndarray, centre: float, spread: float) -> np.ndarray:
    return np.exp(-0.5 * ((value - centre) / spread) ** 2)


def plan_warp(x: np.ndarray, y: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Positions warped in the plane of the face, which sets position, width and tilt of the features."""
    side, ax = np.sign(x), np.abs(x)
    eye = bump(ax, y, (31.5, 2.0), (17.0, 13.0))
    dx = 2.0 * shape.eye_spacing * eye + 0.065 * shape.eye_width * (ax - 31.5) * eye
    dy = 0.062 * shape.eye_tilt * (ax - 27.0) * eye
    mouth = bump(ax, y, (0.0, -67.0), (34.0, 13.0))
    dx += 0.10 * shape.mouth_width * ax * mouth
    dy += 2.5 * shape.mouth_height * bump(ax, y, (0.0, -67.0), (40.0, 17.0))
    dy -= 3.2 * shape.nose_length * bump(ax, y, (0.0, -42.0), (26.0, 13.0))
    dy += 2.8 * shape.brow_height * bump(ax, y, (32.0, 22.0), (34.0, 9.0))
    return x + side * dx, y + dy


@dataclass(frozen=True, eq=False)
class Head:
    """The neutral head of one identity.

    Convention:
        shape: the traits; plan: where the features lie
        flat: (R, C, 3) float64, the surface before lids, nose and lips
        slit_above: (R, C) millimetres above the mouth's slit
        lid_s: (C,), 0 at the inner and 1 at the outer canthus, outside that range beyond them
    """

    shape: Shape
    plan: FeatureLayout
    grid: Grid
    flat: np.ndarray
    lid_s: np.ndarray

    @classmethod
    def build(cls, shape: Shape) -> Head:
        """The head of ``shape``."""
        grid = head_grid()
        flat = spline_surface(shaped_lattice(shape), grid.row, grid.column)
        flat[..., 0], flat[..., 1] = _plane(flat, shape)
        flat[..., 1] += _slit_bow(flat, grid)
        column = np.abs(grid.column)
        lid_s = (column - EYE_INNER) / (EYE_OUTER - EYE_INNER)
        return cls(shape, _plan(flat, grid, shape), grid, flat, lid_s)

    def surface(self, closed: float = 0.0) -> np.ndarray:
        """(R, C, 3) float64: the skin at rest.

        Args:
            closed: 0 for the eyes open as this identity's are, 1 for closed lids.
        """
        points = self.flat.copy()
        points[..., 1] += self._lid_travel(closed)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        front = smooth_step(z, -75.0, -45.0)
        relief = features.cheeks_and_chin(x, y, self.shape, self.plan) * front
        turn = np.clip((np.abs(x) - 15.0) / 60.0, 0.0, 1.0) * 0.9
        x = x + np.sign(x) * np.sin(turn) * relief
        z = z + np.cos(turn) * relief + front * features.socket_relief(x, y, self.shape, self.plan)
        mouth_row = self.grid.mouth_rows[0]
        z = z + front * features.lip_relief(x, y - y[mouth_row][None], self.shape, self.plan)
        z = features.nose_height(x, y, z, self.shape, self.plan)
        z = self._lid_crease(x, y, z, closed)
        z = features.over_eyeball(x, y, z, self.plan)
        return np.stack([x, y, z], axis=-1)

    def lid_edges(self, closed: float) -> tuple[np.ndarray, np.ndarray]:
        """(C,), (C,): how far the upper and the lower lid stand from the slit, in millimetres."""
        s = np.clip(self.lid_s, 0.0, 1.0)
        opening = 1.0 + 0.16 * self.shape.eye_opening
        upper = 5.3 * opening * np.sin(np.pi * s**0.90) ** 0.66
        lower = 4.1 * (0.6 + 0.4 * opening) * np.sin(np.pi * s**1.10) ** 0.70
        meet = -lower * 0.72  # a closing upper lid does most of the way
        return upper * (1 - closed) + meet * closed, -lower * (1 - closed) + meet * closed

    def _lid_travel(self, closed: float) -> np.ndarray:
        eye_upper, eye_lower = self.grid.eye_rows
        upper, lower = self.lid_edges(closed)
        above = self.flat[..., 1] - self.flat[eye_upper, :, 1][None]
        travel = np.zeros_like(above)
        share = np.clip(1.0 - above[: eye_upper + 1] / _UPPER_REACH, 0.0, 1.0)
        travel[: eye_upper + 1] = upper[None] * share * share * (3 - 2 * share)
        share = np.clip(1.0 + above[eye_lower:] / _LOWER_REACH, 0.0, 1.0)
        travel[eye_lower:] = lower[None] * share * share * (3 - 2 * share)
        return travel

    def _lid_crease(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, closed: float) -> np.ndarray:
        """The fold above the upper lid, and the bag's edge below the lower one."""
        eye_upper, eye_lower = self.grid.eye_rows
        s = np.clip(self.lid_s, -0.1, 1.1)
        inside = smooth_step(s, -0.05, 0.25) * (1 - smooth_step(s, 0.8, 1.1))
        gap = y - y[eye_upper][None] - (3.6 - 0.5 * self.shape.lid_crease) * (1 - 0.3 * closed)
        depth = (1.5 + 0.7 * self.shape.lid_crease) * inside[None]
        fold = -depth * np.exp(-0.5 * (gap / 0.95) ** 2) + 0.8 * depth * np.exp(-0.5 * ((gap - 2.6) / 1.6) ** 2)
        rows = np.arange(z.shape[0])[:, None]
        z = z + np.where(rows <= eye_upper, fold, 0.0)
        bag = y - y[eye_lower][None] + 6.0
        edge = -(0.35 + 0.35 * max(self.shape.age, 0.0)) * np.exp(-0.5 * (bag / 1.4) ** 2) * inside[None]
        return z + np.where(rows >= eye_lower, edge, 0.0)


def _plane(flat: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    front = smooth_step(flat[..., 2], -70.0, -35.0)
    x, y = plan_warp(flat[..., 0], flat[..., 1], shape)
    return flat[..., 0] + front * (x - flat[..., 0]), flat[..., 1] + front * (y - flat[..., 1])


def _slit_bow(flat: np.ndarray, grid: Grid) -> np.ndarray:
    """The curve of the closed mouth: a dip in the middle, corners slightly lower."""
    ax = np.abs(flat[..., 0])
    near = np.exp(-0.5 * ((flat[..., 1] + 67.0) / 9.0) ** 2)
    bow = -0.8 * np.exp(-0.5 * (ax / 5.0) ** 2) + 0.7 * np.exp(-0.5 * ((ax - 11.0) / 6.0) ** 2)
    return near * bow


def _plan(flat: np.ndarray, grid: Grid, shape: Shape) -> FeatureLayout:
    """Positions of the features on the warped grid, so that lids, lips and eyeballs fit it exactly."""
    eye_row, mouth_row = grid.eye_rows[0], grid.mouth_rows[0]
    column = grid.column
    inner, outer, corner = (int(np.argmin(np.abs(column - at))) for at in (EYE_INNER, EYE_OUTER, MOUTH_CORNER))
    eye_inner, eye_outer = flat[eye_row, inner, :2], flat[eye_row, outer, :2]
    centre = 0.5 * (eye_inner + eye_outer)
    eye = np.array([centre[0], centre[1] + 0.8, -6.8 - 0.9 * shape.eye_depth])
    middle = int(np.argmin(np.abs(column)))
    tip = -32.5 - 3.2 * shape.nose_length + 1.2 * shape.nose_tip_up
    return FeatureLayout(
        eye, eye_inner, eye_outer, flat[mouth_row, corner, :2], float(flat[mouth_row, middle, 1]),
        nose_root_y=3.5, nose_tip_y=tip, nose_base_y=-45.0 - 3.2 * shape.nose_length,
    )  # fmt: skip
