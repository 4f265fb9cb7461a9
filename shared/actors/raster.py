"""A triangle rasteriser in NumPy: every candidate pixel of every triangle in one batch, one depth buffer.

Small triangles are the rule here (a face mesh has one every two pixels), so work is laid out over the pixels of all
bounding boxes together instead of looping over triangles. The result is exact and the same on every run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CRACK = 1e-5


@dataclass(frozen=True, eq=False)
class Fragments:
    """What is seen, one entry a covered pixel.

    Convention:
        pixel: (N,) int64, flat index ``row * width + column``, ascending
        triangle: (N,) int32, index into the triangles given
        weights: (N, 3) float32, barycentric, of the triangle's vertices
        depth: (N,) float32, larger is nearer
    """

    pixel: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    def interpolate(self, triangles: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(N, K) float32: ``values`` (V, K), given at vertices, at the seen points."""
        corners = triangles[self.triangle]
        out = values[corners[:, 0]] * self.weights[:, :1]
        out += values[corners[:, 1]] * self.weights[:, 1:2]
        out += values[corners[:, 2]] * self.weights[:, 2:]
        return out


def rasterise(
    points: np.ndarray, triangles: np.ndarray, *, width: int, height: int, two_sided: bool = False
) -> Fragments:
    """The nearest triangle at every pixel centre.

    Args:
        points: (V, 3) float32; x and y in pixels (pixel centres at integers), z depth, larger is nearer.
        triangles: (T, 3) int vertex indices, anticlockwise as seen with y pointing down when facing the viewer.
        width: of the picture.
        height: of the picture.
        two_sided: keep triangles that face away.
    """
    kept, corners, area = _facing(points, triangles, width, height, two_sided=two_sided)
    x0, y0, across, down = _pixel_boxes(corners, width, height)
    some = (across > 0) & (down > 0)
    kept, corners, area = kept[some], corners[some], area[some]
    x0, y0, across, down = x0[some], y0[some], across[some], down[some]
    # One row a candidate pixel: which triangle, and where in its bounding box.
    counts = across * down
    owner = np.repeat(np.arange(len(kept), dtype=np.int32), counts)
    first = np.cumsum(counts) - counts
    within = np.arange(len(owner), dtype=np.int32) - np.repeat(first.astype(np.int32), counts)
    wide = across[owner]
    down_by = within // wide
    column = x0[owner] + (within - down_by * wide)
    line = y0[owner] + down_by
    planes = _edge_planes(corners, area, x0, y0)[owner]
    px, py = (within - down_by * wide).astype(np.float32), down_by.astype(np.float32)
    w1 = planes[:, 0] * px + planes[:, 1] * py + planes[:, 2]
    w2 = planes[:, 3] * px + planes[:, 4] * py + planes[:, 5]
    w0 = 1.0 - w1 - w2
    # The tolerance closes cracks between neighbours that rounding would leave.
    inside = np.flatnonzero((w0 >= -_CRACK) & (w1 >= -_CRACK) & (w2 >= -_CRACK))
    weights = np.stack([w0[inside], w1[inside], w2[inside]], axis=1)
    return _nearest(
        line[inside].astype(np.int64) * width + column[inside], kept, owner[inside], corners, weights, width * height
    )


def _facing(
    points: np.ndarray, triangles: np.ndarray, width: int, height: int, *, two_sided: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    keep = np.abs(area) > 1e-9 if two_sided else area < -1e-9
    kept = np.flatnonzero(keep).astype(np.int32)
    return kept, np.stack([a[kept], b[kept], c[kept]], axis=1), area[kept]


def _pixel_boxes(corners: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    low, high = corners[:, :, :2].min(axis=1), corners[:, :, :2].max(axis=1)
    limit = np.array([width, height])
    start = np.clip(np.ceil(low), 0, limit).astype(np.int32)
    stop = np.clip(np.floor(high) + 1, 0, limit).astype(np.int32)
    size = stop - start
    return start[:, 0], start[:, 1], size[:, 0], size[:, 1]


def _edge_planes(corners: np.ndarray, area: np.ndarray, x0: np.ndarray, y0: np.ndarray) -> np.ndarray:
    """(T, 6): the second and third barycentric weights as planes over the offset from (x0, y0)."""
    origin = np.stack([x0, y0], axis=1).astype(np.float64)
    a, b, c = (corners[:, k, :2] - origin for k in range(3))
    over = 1.0 / area.astype(np.float64)
    p1x, p1y = (c[:, 1] - a[:, 1]) * over, (a[:, 0] - c[:, 0]) * over
    p2x, p2y = (a[:, 1] - b[:, 1]) * over, (b[:, 0] - a[:, 0]) * over
    p1 = -(p1x * a[:, 0] + p1y * a[:, 1])
    p2 = -(p2x * a[:, 0] + p2y * a[:, 1])
    return np.stack([p1x, p1y, p1, p2x, p2y, p2], axis=1).astype(np.float32)


def _nearest(
    pixel: np.ndarray, kept: np.ndarray, owner: np.ndarray, corners: np.ndarray, weights: np.ndarray, pixels: int
) -> Fragments:
    z = corners[:, :, 2]
    depth = np.einsum("nk,nk->n", z[owner], weights)
    buffer = np.full(pixels, -np.inf, dtype=np.float32)
    np.maximum.at(buffer, pixel, depth)
    winners = np.flatnonzero(depth == buffer[pixel])
    # Where two triangles share an edge exactly on a pixel centre, the later one is taken.
    entry = np.full(pixels, -1, dtype=np.int64)
    entry[pixel[winners]] = winners
    seen = np.flatnonzero(entry >= 0)
    chosen = entry[seen]
    return Fragments(seen, kept[owner[chosen]], weights[chosen], depth[chosen])
