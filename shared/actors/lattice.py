"""The head's base shape: a control lattice of the right half, mirrored and splined to a grid with slits.

Convention:
    millimetres; x to the viewer's right, y up, z towards the viewer; the origin lies between the eyes
    grid: R rows (crown to neck) by C columns (round the head, the face in the middle), both odd about the midline
    a row of the grid is doubled at the eyes and at the mouth; between the two copies the skin can open
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

# Rows from the crown to the neck; columns from the midline of the face over the ear to the back of the head.
# Sizes follow adult anthropometric means (head 152 mm wide, 230 mm high, pupils 62 mm apart).
_LATTICE: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((0, 122, -80),) * 9,
    ((0, 114, -34), (12, 114, -36), (22, 113, -42), (32, 111.5, -51), (39, 110, -62), (44, 108.5, -77),
     (45, 108.5, -97), (28, 109.5, -124), (0, 110, -133)),
    ((0, 93, -8), (15, 92.5, -9.5), (30, 91, -15), (44, 88.5, -27), (54.5, 86, -43), (62, 83, -65), (65, 81.5, -94),
     (44, 80, -146), (0, 81, -164)),
    ((0, 64, 9), (15, 64, 8), (30, 63, 3), (45, 61, -8), (58, 58, -26), (69, 54, -54), (75, 50, -91),
     (52, 48, -156), (0, 48, -178)),
    ((0, 40, 16.5), (15, 40, 15.5), (30, 40, 11), (45, 39, 0), (58, 37, -17), (69, 33, -48), (77, 28, -88),
     (54, 25, -158), (0, 25, -181)),
    ((0, 19, 18.5), (14, 20, 17.8), (29, 21, 13.5), (44, 20, 3.5), (57, 18, -13), (68, 13, -44), (76, 8, -87),
     (54, 5, -157), (0, 5, -179)),
    ((0, 0, 12), (15.5, 0, 9), (30, 0, 6.5), (46, 0, -2), (59, -1, -16), (69, -4, -45), (74, -8, -86),
     (53, -12, -152), (0, -12, -172)),
    ((0, -22, 12), (15.5, -22, 11), (31, -22, 9), (48, -22, 1), (61, -22, -15), (69.5, -22, -43), (71, -24, -85),
     (50, -28, -142), (0, -28, -160)),
    ((0, -45, 16.5), (15, -45, 14), (30, -44, 8.5), (46, -42, -3), (58.5, -40, -20), (67.5, -38, -47), (69, -40, -84),
     (46, -46, -130), (0, -46, -144)),
    ((0, -67, 18.5), (14, -67, 14.5), (27, -66, 6), (42, -63, -8), (55, -59, -26), (64.5, -54, -51), (66, -54, -84),
     (44, -62, -120), (0, -62, -130)),
    ((0, -86, 13), (13.5, -86, 10), (26, -84, 1.5), (40, -80, -12), (52, -74, -29), (61, -67, -54), (63, -64, -84),
     (43, -76, -115), (0, -76, -122)),
    ((0, -103, 13), (13, -102, 9.5), (25, -98, 0), (37.5, -91, -14), (49, -83, -31), (58, -74, -56), (60, -68, -83),
     (42.5, -82, -113), (0, -82, -119)),
    ((0, -114, 6), (12.5, -113, 3), (23.5, -108, -6), (35.5, -100, -19), (46.5, -91, -35), (55.5, -80, -58),
     (57, -73, -82), (42, -85, -112), (0, -86, -118)),
    ((0, -115, -9), (12, -114, -11), (22, -109.5, -17), (32.5, -102, -28), (42.5, -93, -42), (51, -84, -61),
     (54, -78, -82), (41.5, -87, -110), (0, -89, -116)),
    ((0, -108, -33), (12, -107.5, -34), (22, -105, -38), (31.5, -101, -46), (40, -97, -56), (48, -91, -69),
     (51, -86, -84), (40, -93, -107), (0, -96, -113)),
)  # fmt: skip

EYE_ROW, MOUTH_ROW = 6.0, 9.0
EYE_INNER, EYE_OUTER, MOUTH_CORNER = 1.14, 3.0, 1.76

# Number of grid steps between the knots: most where the face moves.
_COLUMN_KNOTS = (0.0, EYE_INNER, MOUTH_CORNER, EYE_OUTER, 4.0, 5.0, 6.0, 8.0)
_COLUMN_STEPS = (14, 9, 15, 10, 9, 6, 9)
_ROW_KNOTS = (0.0, 3.0, 5.0, EYE_ROW, 7.0, 8.0, MOUTH_ROW, 10.0, 12.0, 14.0)
_ROW_STEPS = (12, 12, 14, 15, 16, 16, 14, 18, 8)


@dataclass(frozen=True, eq=False)
class Grid:
    """The lattice's parameters at the grid's lines.

    Convention:
        row: (R,) float64, lattice row; EYE_ROW and MOUTH_ROW appear twice, upper copy first
        column: (C,) float64, lattice column, negative on the viewer's left
        eye_rows, mouth_rows: indices (upper, lower) of the two copies
        triangles: (T, 3) int32 over vertices ``row * C + column``; none spans an opening
    """

    row: np.ndarray
    column: np.ndarray
    eye_rows: tuple[int, int]
    mouth_rows: tuple[int, int]
    triangles: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(R, C)."""
        return len(self.row), len(self.column)


def _steps(knots: tuple[float, ...], steps: tuple[int, ...]) -> np.ndarray:
    pieces = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(knots[:-1], knots[1:], steps, strict=True)]
    return np.append(np.concatenate(pieces), knots[-1])


def grid_triangles(rows: int, columns: int, skip_rows: tuple[int, ...] = ()) -> np.ndarray:
    """(T, 3) int32: two triangles per grid cell, none between rows ``r`` and ``r + 1`` for r in ``skip_rows``."""
    corner = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    keep = [r for r in range(rows - 1) if r not in skip_rows]
    a, b = corner[keep, :-1].ravel(), corner[keep, 1:].ravel()
    below = [r + 1 for r in keep]
    c, d = corner[below, :-1].ravel(), corner[below, 1:].ravel()
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


@lru_cache(maxsize=1)
def head_grid() -> Grid:
    """The one grid all heads share."""
    half = _steps(_COLUMN_KNOTS, _COLUMN_STEPS)
    column = np.concatenate([-half[:0:-1], half])
    row = _steps(_ROW_KNOTS, _ROW_STEPS)
    eye = int(np.searchsorted(row, EYE_ROW))
    row = np.insert(row, eye, EYE_ROW)
    mouth = int(np.searchsorted(row, MOUTH_ROW))
    row = np.insert(row, mouth, MOUTH_ROW)
    triangles = grid_triangles(len(row), len(column), skip_rows=(eye, mouth))
    return Grid(row, column, (eye, eye + 1), (mouth, mouth + 1), triangles)


def head_normals(points: np.ndarray, grid: Grid) -> np.ndarray:
    """(R, C, 3) unit normals, outwards. The two copies of a slit's row share theirs where the slit is shut."""
    eye, mouth = grid.eye_rows, grid.mouth_rows
    across = np.gradient(points, axis=1)
    down = np.empty_like(points)
    for start, stop in ((0, eye[0]), (eye[1], mouth[0]), (mouth[1], len(grid.row) - 1)):
        down[start : stop + 1] = np.gradient(points[start : stop + 1], axis=0)
    for upper, lower in (eye, mouth):
        shut = np.abs(points[upper] - points[lower]).max(axis=-1) < 1e-3
        down[upper, shut] = down[lower, shut] = 0.5 * (down[upper, shut] + down[lower, shut])
    return unit(np.cross(down, across))


def turned(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Vectors along the last axis times ``matrix`` (3, 3).

    Not ``@``: a linear-algebra library may round differently with another number of threads.
    """
    return np.einsum("...k,jk->...j", vectors, matrix)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors along the last axis, scaled to length one; zero stays zero."""
    length = np.sqrt(np.einsum("...k,...k->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-9)[..., None]


def lattice_points() -> np.ndarray:
    """(15, 9, 3) float64: a fresh copy of the control points of the right half, to be shaped by an identity."""
    return np.array([list(line) for line in _LATTICE], dtype=np.float64)


def spline_surface(lattice: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """(R, C, 3): the smooth surface through mirrored control points at the lattice parameters given.

    Args:
        lattice: (15, 9, 3), the right half.
        row: (R,), in [0, 14].
        column: (C,), in [-8, 8].
    """
    mirrored = lattice[:, :0:-1] * np.array([-1.0, 1.0, 1.0])
    ring = np.concatenate([mirrored, lattice], axis=1)
    ring[:, -1] = ring[:, 0]  # both sides of the seam at the back coincide
    places = np.arange(-8, 9, dtype=np.float64)
    across = CubicSpline(places, ring, axis=1, bc_type="periodic")(column)
    return CubicSpline(np.arange(lattice.shape[0]), across, axis=0, bc_type="natural")(row)
