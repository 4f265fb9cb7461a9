"""A triangle rasteriser in NumPy: every candidate pixel of every triangle in one batch, one depth buffer.

Triangles are small (a face mesh has one every two pixels), so the work is vectorised over the scan lines of all
triangles, then over their pixels, instead of looping over triangles. Deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CRACK = np.float32(2e-3)  # pixels
_THIN = 1e-7  # square pixels; thinner triangles cover nothing


@dataclass(frozen=True, eq=False)
class Fragments:
    """Visible fragments, one entry per covered pixel.

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
        """(N, K) float32: ``values`` (V, K), given at vertices, interpolated at the fragments."""
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
        width: of the image.
        height: of the image.
        two_sided: keep triangles that face away.
    """
    kept, corners, area = _facing(points, triangles, two_sided=two_sided)
    low, high = _least(corners[:, :, 1]), -_least(-corners[:, :, 1])
    first = np.clip(np.ceil(low), 0, height).astype(np.int32)
    lines = np.clip(np.floor(high) + 1, 0, height).astype(np.int32) - first
    some = lines > 0
    kept, corners, area, first, lines = kept[some], corners[some], area[some], first[some], lines[some]
    # One entry per scan line of a triangle, and the range of pixel centres it covers there.
    owner = np.repeat(np.arange(len(kept), dtype=np.int32), lines)
    line = first[owner] + _count_up(lines)
    slopes, values = _weights_along(corners, area, owner, line)
    start, stop = _stretch(slopes, values, width)
    lengths = np.maximum(stop - start, 0)
    z = corners[owner, :, 2]
    depth_slope, depth_value = np.einsum("nk,nk->n", z, slopes), np.einsum("nk,nk->n", z, values)
    # One entry per covered pixel; weights are computed only for visible ones.
    span = np.repeat(np.arange(len(owner), dtype=np.int32), lengths)
    column = start[span] + _count_up(lengths)
    depth = depth_value[span] + depth_slope[span] * column.astype(np.float32)
    pixel = line[span] * np.int32(width) + column
    chosen = _nearest(pixel, depth, width * height)
    span, at = span[chosen], column[chosen].astype(np.float32)[:, None]
    weights = np.clip(values[span] + slopes[span] * at, 0.0, 1.0)
    return Fragments(pixel[chosen].astype(np.int64), kept[owner[span]], weights, depth[chosen])


def _facing(points: np.ndarray, triangles: np.ndarray, *, two_sided: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    keep = np.abs(area) > _THIN if two_sided else area < -_THIN
    kept = np.flatnonzero(keep).astype(np.int32)
    return kept, np.stack([a[kept], b[kept], c[kept]], axis=1), area[kept]


def _least(values: np.ndarray) -> np.ndarray:
    """(N,): the minimum of three columns; far faster than NumPy's reduction over a short axis."""
    return np.minimum(np.minimum(values[:, 0], values[:, 1]), values[:, 2])


def _count_up(lengths: np.ndarray) -> np.ndarray:
    """0, 1, ... for each length in turn: ``[2, 3]`` gives ``[0, 1, 0, 1, 2]``."""
    before = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    return np.arange(total, dtype=np.int32) - np.repeat(before.astype(np.int32), lengths)


def _weights_along(
    corners: np.ndarray, area: np.ndarray, owner: np.ndarray, line: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(L, 3), (L, 3) float32: each barycentric weight on a line of pixels as slope over x and value at x = 0."""
    x, y = corners[:, :, 0].astype(np.float64), corners[:, :, 1].astype(np.float64)
    over = 1.0 / area.astype(np.float64)
    following, last = [1, 2, 0], [2, 0, 1]
    across = (y[:, following] - y[:, last]) * over[:, None]
    down = (x[:, last] - x[:, following]) * over[:, None]
    # The weight of corner k is 0 on the edge from the following corner to the last one.
    at_zero = -(across * x[:, following] + down * y[:, following])
    values = at_zero[owner] + down[owner] * line[:, None]
    return across[owner].astype(np.float32), values.astype(np.float32)


def _stretch(slopes: np.ndarray, values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(L,), (L,) int32: first and one past the last pixel of each line inside its triangle."""
    flat = np.abs(slopes) < 1e-9
    zero = -values / np.where(flat, np.float32(1.0), slopes)
    out = flat & (values < -_CRACK)
    outside = out[:, 0] | out[:, 1] | out[:, 2]
    low = -_least(np.where((slopes > 0) & ~flat, -zero, np.float32(1.0)))
    high = _least(np.where((slopes < 0) & ~flat, zero, np.float32(width)))
    # The tolerance closes cracks between neighbours that rounding would leave.
    start = np.clip(np.ceil(low - _CRACK), 0, width).astype(np.int32)
    stop = np.clip(np.floor(high + _CRACK) + 1, 0, width).astype(np.int32)
    return start, np.where(outside, start, stop)


def _nearest(pixel: np.ndarray, depth: np.ndarray, pixels: int) -> np.ndarray:
    """Indices of the visible entries, one per covered pixel, in order of the pixel."""
    buffer = np.full(pixels, -np.inf, dtype=np.float32)
    np.maximum.at(buffer, pixel, depth)
    winners = np.flatnonzero(depth == buffer[pixel])
    # Where two triangles share an edge exactly on a pixel centre, the later one is taken.
    entry = np.full(pixels, -1, dtype=np.int32)
    entry[pixel[winners]] = winners
    return entry[entry >= 0]
