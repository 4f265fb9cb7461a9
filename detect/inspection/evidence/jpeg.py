"""What JPEG compression left in a still picture: error levels, ghosts, the grid of blocks, counts of coefficients.

A fixed central part of at most 16 million pixels is used, cut along the grid of 8 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shared.errors import MediaError
from shared.video.images import encode_png, opened_picture

GRID = 8
_MOST_PIXELS = 16e6
_MAP_BLOCKS = 96
_QUALITIES = tuple(range(40, 96, 5))
_ELA_QUALITY = 90
_COEFFICIENTS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 1), (1, 2))
_BINS = 200


@dataclass(frozen=True)
class JpegFacts:
    """Traces of JPEG compression in one picture.

    Attributes:
        width, height: of the part that was used.
        tables: quantisers of the luma table in the file, in rows; empty for a picture that is no JPEG.
        quality: that of the standard table (ITU-T T.81, annex K) nearest to these; None without tables.
        ghost: mean squared difference to the picture compressed again at each of ``qualities``.
        qualities: of ``ghost``.
        local: for each cell of a map of ``rows`` x ``columns``, the quality at which it differs least from itself
            compressed again, besides that of the file.
        offset: (x, y) of the grid of blocks that stands out most.
        grid: how strongly each of the 64 offsets stands out, by rows: 1 is as much as all others.
        periods: for each low coefficient, how periodic the counts of its values are, 0 to 1.
        error_png: the error levels as PNG bytes.
    """

    width: int
    height: int
    tables: tuple[int, ...]
    quality: int | None
    qualities: tuple[int, ...]
    ghost: tuple[float, ...]
    rows: int
    columns: int
    local: tuple[int, ...]
    offset: tuple[int, int]
    grid: tuple[float, ...]
    periods: tuple[float, ...]
    error_png: bytes


def read_jpeg(path: Path) -> JpegFacts:
    """The traces in the picture ``path``.

    Raises:
        MediaError: not a readable picture.
    """
    with opened_picture(path) as image:
        try:
            tables = getattr(image, "quantization", None) or {}
            pixels = np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise MediaError(f"{path.name} cannot be decoded: {error}", hint="check that the file is whole") from error
    pixels = _central(pixels)
    if min(pixels.shape[:2]) < 4 * GRID:
        raise MediaError(f"{path.name} is too small for traces of JPEG", hint="hand in the original picture")
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    luma = grey.astype(np.float32)
    table = tuple(int(each) for each in tables.get(0, ()))[:64]
    again = {quality: _again(grey, quality) for quality in _QUALITIES}
    own = nearest_quality(table) if len(table) == 64 else None
    ghost, local, shape = _ghosts(grey, again, own)
    strengths = grid_strengths(luma)
    at = int(np.argmax(strengths))
    return JpegFacts(
        pixels.shape[1],
        pixels.shape[0],
        table,
        own,
        _QUALITIES,
        tuple(round(each, 4) for each in ghost),
        *shape,
        local,
        (at % GRID, at // GRID),
        tuple(round(float(each), 3) for each in strengths.ravel()),
        tuple(round(each, 4) for each in coefficient_periods(luma, table)),
        _error_levels(grey),
    )


def _central(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = min(1.0, float(np.sqrt(_MOST_PIXELS / max(1, height * width))))
    high, wide = int(height * scale) // GRID * GRID, int(width * scale) // GRID * GRID
    top, left = (height - high) // 2 // GRID * GRID, (width - wide) // 2 // GRID * GRID
    return pixels[top : top + high, left : left + wide]


def _again(luma: np.ndarray, quality: int) -> np.ndarray:
    coded = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None  # OpenCV has written it
    return decoded


def _ghosts(
    grey: np.ndarray, again: dict[int, np.ndarray], own: int | None
) -> tuple[list[float], tuple[int, ...], tuple[int, int]]:
    """JPEG ghosts (Farid, "Exposing digital forgeries from JPEG ghosts", 2009), for the picture and for cells of it."""
    side = max(16, GRID * int(np.ceil(max(grey.shape) / _MAP_BLOCKS / GRID)))
    rows, columns = grey.shape[0] // side, grey.shape[1] // side
    cells = []
    for coded in again.values():
        square = ((grey.astype(np.float32) - coded) ** 2)[: rows * side, : columns * side]
        cells.append(square.reshape(rows, side, columns, side).mean((1, 3)))
    stack = np.stack(cells)
    curve = [float(each.mean()) for each in stack]
    dips = _dips(np.log(stack + 0.05))
    for place, quality in enumerate(again):
        if own is not None and quality >= own - 5:
            dips[place] = 0
    best = dips.argmax(0)
    chosen = np.where(dips.max(0) > 0.5, np.array(list(again))[best], 0)
    return curve, tuple(int(each) for each in chosen.ravel()), (rows, columns)


def _dips(curves: np.ndarray) -> np.ndarray:
    """How far each inner point of curves over their first axis lies below the line between its neighbours."""
    dips = np.zeros_like(curves)
    dips[1:-1] = (curves[:-2] + curves[2:]) / 2 - curves[1:-1]
    return dips


def ghost_dips(facts: JpegFacts) -> list[tuple[int, float]]:
    """Qualities at which the picture's curve dips, with the depth of the dip, deepest first; below that of the file.

    At higher ones a picture compressed once has dips too, wherever the quantisers divide its own.
    """
    dips = _dips(np.log(np.array(facts.ghost) + 0.05)[:, None])[:, 0]
    found = [
        (quality, float(dip))
        for quality, dip in zip(facts.qualities, dips, strict=True)
        if facts.quality is None or quality < facts.quality - 5
    ]
    return sorted(found, key=lambda each: -each[1])


def grid_strengths(luma: np.ndarray) -> np.ndarray:
    """(8, 8) float64: how strongly block edges at each offset (row y, column x) stand out; 1 is the mean.

    Second differences across an edge, as in Fan and de Queiroz, "Identification of bitmap compression history", 2003.
    """
    across = np.abs(luma[:, 1:-2] * 3 - luma[:, 2:-1] * 3 - luma[:, :-3] + luma[:, 3:])
    down = np.abs(luma[1:-2] * 3 - luma[2:-1] * 3 - luma[:-3] + luma[3:])
    columns = _by_phase(np.minimum(across, 60).mean(0), 2)
    rows = _by_phase(np.minimum(down, 60).mean(1), 2)
    return np.outer(rows / max(rows.mean(), 1e-9), columns / max(columns.mean(), 1e-9))


def _by_phase(profile: np.ndarray, first: int) -> np.ndarray:
    """Mean over positions that are equal modulo 8; ``first`` is the pixel behind the first difference."""
    phases = (np.arange(len(profile)) + first) % GRID
    return np.bincount(phases, profile, minlength=GRID) / np.bincount(phases, minlength=GRID)


def coefficient_periods(luma: np.ndarray, table: tuple[int, ...]) -> list[float]:
    """How periodic the counts of each low DCT coefficient are, in steps of the file's quantisers: 0 not, 1 wholly.

    A second quantisation with another step empties some values and fills others periodically (Popescu and Farid,
    "Statistical tools for digital forensics", 2004). The share of the spectrum of the counts in its highest peak.
    """
    high, wide = luma.shape[0] // GRID * GRID, luma.shape[1] // GRID * GRID
    blocks = (
        luma[:high, :wide].reshape(high // GRID, GRID, wide // GRID, GRID).transpose(0, 2, 1, 3).reshape(-1, GRID, GRID)
    )
    blocks = blocks[:40_000] - 128
    basis = _dct_basis()
    steps = np.array(table, np.float64).reshape(GRID, GRID) if len(table) == GRID * GRID else np.ones((GRID, GRID))
    steps = np.maximum(steps, 1)  # a crafted table can hold zeros
    found = []
    for row, column in _COEFFICIENTS:
        values = np.einsum("nij,i,j->n", blocks, basis[row], basis[column]) / steps[row, column]
        counts = np.bincount(np.clip(np.rint(np.abs(values)), 0, _BINS - 1).astype(int), minlength=_BINS)[1:_BINS]
        used = counts[: max(12, int(np.flatnonzero(counts >= 3).max(initial=0)) + 1)].astype(np.float64)
        found.append(_periodicity(used))
    return found


def _periodicity(counts: np.ndarray) -> float:
    """The highest peak of the spectrum of detrended counts, as a share of all of it, beyond what one bin would have."""
    if len(counts) < 12 or counts.sum() < 200:
        return 0.0
    logs = np.log1p(counts)
    smooth = np.convolve(np.pad(logs, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    spectrum = np.abs(np.fft.rfft((logs - smooth) * np.hanning(len(logs)))) ** 2
    return float(spectrum[2:].max() / max(spectrum.sum(), 1e-9))


def _dct_basis() -> np.ndarray:
    places = np.arange(GRID)
    basis = np.cos(np.pi * (places[None] + 0.5) * places[:, None] / GRID) * np.sqrt(2 / GRID)
    basis[0] /= np.sqrt(2)
    return basis


def nearest_quality(table: tuple[int, ...]) -> int:
    """The quality (1 to 100) of the standard luma table that is nearest to ``table`` of 64 quantisers."""
    sums = {quality: _standard_sum(quality) for quality in range(1, 101)}
    return min(sums, key=lambda quality: abs(sums[quality] - sum(table)))


def _standard_sum(quality: int) -> float:
    # The sum of the 64 quantisers of table K.1 is 3688; libjpeg scales them by quality and limits them to 1 to 255.
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    return max(64.0, 3688 * scale)


def _error_levels(grey: np.ndarray) -> bytes:
    """Error levels (Krawetz, Black Hat 2007): the difference to the picture coded again, amplified; PNG."""
    difference = np.abs(grey.astype(np.int16) - _again(grey, _ELA_QUALITY)).astype(np.float32)
    scale = min(1.0, 900 / max(difference.shape))
    small = cv2.resize(difference, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top = max(1.0, float(np.quantile(small, 0.995)))
    levels = np.clip(small * (255 / top), 0, 255).astype(np.uint8)
    return encode_png(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB))
