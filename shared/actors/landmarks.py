"""The 68 iBUG landmarks as fixed positions on the head's grid, which move with the mesh.

Order as in Sagonas et al., "300 Faces in-the-Wild Challenge" (2013): jaw 0-16 from the viewer's left, brows 17-26,
nose 27-35, eyes 36-47, lips 48-67.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from shared.actors.features import lip_heights
from shared.actors.head import Head
from shared.actors.look import Look
from shared.actors.skin import brow_half, brow_line

# Lattice (row, column) of the contour's points 0 to 8, from the ear to the chin.
_JAW: tuple[tuple[float, float], ...] = (
    (5.6, 5.15), (6.7, 5.15), (7.95, 5.1), (9.25, 5.05), (11.0, 4.95), (12.0, 4.15), (12.05, 2.95), (12.1, 1.55),
    (12.15, 0.0),
)  # fmt: skip
_BROW_X = (54.5, 45.5, 34.0, 22.0, 11.0)
_BROW_EDGE = 0.75  # annotators mark the upper edge rather than the middle
_SLIDING_JAW = 6  # contour points that slide along the visible outline when the head turns
_SLIDE_STEPS = 24


@dataclass(frozen=True, eq=False)
class Anchors:
    """Positions of the landmarks on the grid.

    Convention:
        places: (68, 2) float64, (row, column) index into the grid, fractional
        slides: (2 * 6, 24, 2), positions that the six upper contour points of each side may slide to, ending at the
            point itself; viewer's left side first
    """

    places: np.ndarray
    slides: np.ndarray

    @classmethod
    def build(cls, head: Head, look: Look, rest: np.ndarray) -> Anchors:
        """The anchors of one head; ``rest`` is its neutral surface (R, C, 3)."""
        points = np.zeros((68, 2))
        half = _right_half(head, look, rest)
        middle = (len(head.grid.column) - 1) / 2
        for number, (mirror, place) in half.items():
            points[number] = place
            points[mirror] = (place[0], 2 * middle - place[1])
        order = [points[k] for k in range(_SLIDING_JAW)] + [points[16 - k] for k in range(_SLIDING_JAW)]
        start = _column_index(head, 3.0)
        slides = np.empty((2 * _SLIDING_JAW, _SLIDE_STEPS, 2))
        for k, place in enumerate(order):
            near = start if place[1] > middle else 2 * middle - start
            slides[k, :, 0] = place[0]
            slides[k, :, 1] = np.linspace(near, place[1], _SLIDE_STEPS)
        return cls(points, slides)

    def on(self, skin: np.ndarray, project: np.ndarray, outwards: np.ndarray) -> np.ndarray:
        """(68, 2) float32 pixels of the landmarks.

        Args:
            skin: (R, C, 3), the posed head grid; only its shape is used.
            project: (R, C, 2), the same in pixels.
            outwards: (2,) the head's own rightward direction in the picture.
        """
        del skin
        found = sample(project, self.places)
        paths = sample(project, self.slides.reshape(-1, 2)).reshape(*self.slides.shape[:2], 2)
        reach = np.einsum("pqk,k->pq", paths, outwards)
        reach[:_SLIDING_JAW] *= -1
        farthest = reach.argmax(axis=1)
        picked = paths[np.arange(len(paths)), farthest]
        found[:_SLIDING_JAW] = picked[:_SLIDING_JAW]
        found[16 : 16 - _SLIDING_JAW : -1] = picked[_SLIDING_JAW:]
        return found.astype(np.float32)


def sample(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, K): values (R, C, K) at fractional (row, column) places (N, 2), bilinear."""
    rows, columns = values.shape[:2]
    low = np.clip(np.floor(places).astype(int), 0, [rows - 2, columns - 2])
    part = places - low
    r, c = low[:, 0], low[:, 1]
    fr, fc = part[:, :1], part[:, 1:]
    top = values[r, c] * (1 - fc) + values[r, c + 1] * fc
    bottom = values[r + 1, c] * (1 - fc) + values[r + 1, c + 1] * fc
    # A position exactly on a row uses nothing of the next one, which may be across an open slit.
    return np.where(fr == 0, top, top * (1 - fr) + bottom * fr)


def _column_index(head: Head, column: float) -> float:
    return float(np.interp(column, head.grid.column, np.arange(len(head.grid.column))))


def _row_index(head: Head, row: float) -> float:
    unique, index = np.unique(head.grid.row, return_index=True)
    return float(np.interp(row, unique, index))


def _right_half(head: Head, look: Look, rest: np.ndarray) -> dict[int, tuple[int, tuple[float, float]]]:
    """Landmark number on the viewer's right -> (its mirror's number, (row, column) index)."""
    out: dict[int, tuple[int, tuple[float, float]]] = {}
    for k, (row, column) in enumerate(_JAW):
        out[16 - k] = (k, (_row_index(head, row), _column_index(head, column)))
    brow_x = np.array(_BROW_X)
    above = brow_half(look, brow_x) * _BROW_EDGE
    for k, (x, y) in enumerate(zip(brow_x, brow_line(head, look, brow_x) + above, strict=True)):
        out[26 - k] = (17 + k, locate(rest, head, x, float(y)))
    plan = head.plan
    for k, share in enumerate((0.0, 0.34, 0.67, 1.0)):
        y = plan.nose_root_y - 1.0 + share * (plan.nose_tip_y + 1.5 - plan.nose_root_y + 1.0)
        out[27 + k] = (27 + k, locate(rest, head, 0.0, y))
    wide = 1.0 + 0.17 * head.shape.nose_width
    for number, mirror, x, y in ((35, 31, 13.2 * wide, 3.0), (34, 32, 6.8 * wide, 0.2), (33, 33, 0.0, -1.4)):
        out[number] = (mirror, locate(rest, head, x, plan.nose_base_y + y))
    out |= _eye_places(head)
    out |= _mouth_places(head, rest)
    return out


def _eye_places(head: Head) -> dict[int, tuple[int, tuple[float, float]]]:
    upper, lower = (float(row) for row in head.grid.eye_rows)
    right = head.grid.column > 0
    index = np.flatnonzero(right).astype(float)

    def at(s: float) -> float:
        return float(np.interp(s, head.lid_s[right], index))

    return {
        42: (39, (upper, at(0.0))), 43: (38, (upper, at(0.35))), 44: (37, (upper, at(0.65))),
        45: (36, (upper, at(0.95))), 46: (41, (lower, at(0.65))), 47: (40, (lower, at(0.35))),
    }  # fmt: skip


def _mouth_places(head: Head, rest: np.ndarray) -> dict[int, tuple[int, tuple[float, float]]]:
    row_up, row_low = head.grid.mouth_rows
    right = np.flatnonzero((head.grid.column >= 0) & (head.grid.column < 3.0))
    corner = float(head.plan.mouth_corner[0])

    def column(s: float) -> float:
        return float(np.interp(s * corner, head.flat[row_up, right, 0], right.astype(float)))

    def outer(s: float, *, upper: bool) -> tuple[float, float]:
        at = column(s)
        high, low = lip_heights(np.array([s]), head.shape)
        slit = float(np.interp(at, np.arange(rest.shape[1]), rest[row_up, :, 1]))
        goal = slit + float(high[0]) if upper else slit - float(low[0]) - 0.6
        line = np.array([np.interp(at, np.arange(rest.shape[1]), rest[r, :, 1]) for r in range(rest.shape[0])])
        rows = np.arange(row_low, rest.shape[0]) if not upper else np.arange(row_up, -1, -1)
        return float(np.interp(goal if upper else -goal, line[rows] if upper else -line[rows], rows)), at

    return {
        54: (48, (float(row_up), column(1.0))), 53: (49, outer(0.64, upper=True)), 52: (50, outer(0.27, upper=True)),
        51: (51, outer(0.0, upper=True)), 55: (59, outer(0.64, upper=False)), 56: (58, outer(0.29, upper=False)),
        57: (57, outer(0.0, upper=False)), 64: (60, (float(row_up), column(0.90))),
        63: (61, (float(row_up), column(0.28))), 62: (62, (float(row_up), column(0.0))),
        65: (67, (float(row_low), column(0.28))), 66: (66, (float(row_low), column(0.0))),
    }  # fmt: skip


def locate(rest: np.ndarray, head: Head, x: float, y: float) -> tuple[float, float]:
    """Fractional (row, column) of the front of the face at ``(x, y)`` millimetres, by Newton's method on the grid."""
    del head
    front = np.where(rest[..., 2] > -60.0, 0.0, 1e6)
    apart = (rest[..., 0] - x) ** 2 + (rest[..., 1] - y) ** 2 + front
    row, column = np.unravel_index(int(apart.argmin()), apart.shape)
    place = np.array([float(row), float(column)])
    plane = rest[..., :2]
    for _ in range(8):
        here = sample(plane, place[None])[0]
        ahead_r = sample(plane, place[None] + [0.25, 0.0])[0]
        ahead_c = sample(plane, place[None] + [0.0, 0.25])[0]
        jacobian = np.stack([(ahead_r - here) / 0.25, (ahead_c - here) / 0.25], axis=1)
        step = cv2.solve(jacobian, np.array([[x], [y]]) - here[:, None], flags=cv2.DECOMP_SVD)[1][:, 0]
        place = place + np.clip(step, -1.0, 1.0)
        place = np.clip(place, [row - 2.0, column - 2.0], [row + 2.0, column + 2.0])
    return float(place[0]), float(place[1])
