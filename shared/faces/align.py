"""Alignment: square, upright crops of faces, with the affine map of each.

Convention:
    points: (N, 2), (x, y), pixel centres at integers, origin at the centre of the top left pixel; so an image of
        width W covers -0.5 to W - 0.5
    matrix: (2, 3) float64, an affine map between two pixel planes, its direction in its name
    mean face: (68, 2), the inner points (17 to 67) in the unit box, same aspect in x and y, y down

The matrix is the least-squares similarity of Umeyama, "Least-squares estimation of transformation parameters between
two point patterns", PAMI 1991. In the plane and without reflection it is a linear problem in complex numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from shared.errors import UsageError
from shared.registry import near_matches
from shared.types import NUM_LANDMARKS, AlignedFace, Face, Framing

INNER = slice(17, NUM_LANDMARKS)
"""The points used by the alignment: all but the jaw line, which slides over the head as it turns."""

# fmt: off
MEAN_FACE: np.ndarray = np.array([
    [-0.1128, 0.283], [-0.105, 0.443], [-0.09, 0.6003], [-0.0679, 0.7589], [-0.0172, 0.9093],
    [0.0735, 1.0391], [0.1955, 1.1466], [0.3363, 1.2313], [0.5, 1.2561], [0.6637, 1.2313],
    [0.8045, 1.1466], [0.9265, 1.0391], [1.0172, 0.9093], [1.0679, 0.7589], [1.09, 0.6003],
    [1.105, 0.443], [1.1128, 0.283], [0.0, 0.1754], [0.0707, 0.0958], [0.18, 0.0691],
    [0.2926, 0.083], [0.4003, 0.1234], [0.5997, 0.1234], [0.7074, 0.083], [0.82, 0.0691],
    [0.9293, 0.0958], [1.0, 0.1754], [0.5, 0.2342], [0.5, 0.337], [0.5, 0.4392],
    [0.5, 0.5459], [0.3717, 0.6107], [0.4332, 0.6314], [0.5, 0.652], [0.5668, 0.6314],
    [0.6283, 0.6107], [0.1301, 0.2615], [0.194, 0.2218], [0.2696, 0.2222], [0.3374, 0.2701],
    [0.2658, 0.282], [0.191, 0.2827], [0.6626, 0.2701], [0.7304, 0.2222], [0.806, 0.2218],
    [0.8699, 0.2615], [0.809, 0.2827], [0.7342, 0.282], [0.2331, 0.8016], [0.3322, 0.7728],
    [0.428, 0.7594], [0.5, 0.7738], [0.572, 0.7594], [0.6678, 0.7728], [0.7669, 0.8016],
    [0.6718, 0.8854], [0.5769, 0.9231], [0.5, 0.9309], [0.4231, 0.9231], [0.3282, 0.8854],
    [0.2709, 0.807], [0.427, 0.8043], [0.5, 0.8119], [0.573, 0.8043], [0.7291, 0.807],
    [0.5742, 0.8511], [0.5, 0.8599], [0.4258, 0.8511],
])
# fmt: on
MEAN_FACE.setflags(write=False)
"""Our own mean of real faces: generalised Procrustes analysis (translation, rotation and scale removed, fitted on the
inner points) over the 68 points that dlib's predictor finds in 431 frontal portraits (Face Research Lab London set
and official portraits of the 118th US Congress), of which the 323 with the least sideways nose tip entered the mean;
averaged with its mirror image; scaled so that the inner points span 0 to 1 in x and are centred on 0.5 in y."""

_PADDING: dict[Framing, float] = {"half": 0.0, "midface": 0.0675, "full": 0.2109, "whole": 0.40, "head": 0.70}
FRAMING_UP: dict[Framing, float] = {"half": 0.0, "midface": 0.0, "full": 0.0, "whole": 0.07, "head": 0.25}
"""How far a crop's centre lies above that of the mean face's unit box, over the side of that box."""

FRAMING_RATIO: dict[Framing, float] = {name: 1 + 2 * math.sqrt(2) * pad for name, pad in _PADDING.items()}
"""Side of a crop over the side of the mean face's unit box. The paddings are the field's common ones, so that crops
of one name are comparable. ``whole`` is shifted by 7 % and ``head`` by 25 % of the box side upwards, towards the
forehead and hair; the others are centred on the box. (The field shifts ``head`` by 50 % with its own wider mean face;
25 % centres the head, chin to crown, of ours.)"""

_LEAST_TO_REFLECT = 16
_SAME_SIZE = 1 - 1e-6
"""A scale slightly below 1 is a rounding error, not a reduction: a pure shift stays a copy."""


def mean_in_crop(px: int, framing: Framing) -> np.ndarray:
    """(68, 2) float64: the mean face in a crop of side ``px``, in crop pixels.

    Raises:
        UsageError: ``framing`` is unknown or ``px`` is not positive.
    """
    if framing not in FRAMING_RATIO:
        raise UsageError(f"no framing is named {framing!r}", hint=near_matches(framing, list(FRAMING_RATIO)))
    if px < 1:
        raise UsageError(f"a crop has a size, got {px} px", hint="a usual size is 256")
    return mean_in_square(px, FRAMING_RATIO[framing], FRAMING_UP[framing])


def mean_in_square(px: int, ratio: float, up: float) -> np.ndarray:
    """(68, 2) float64: the mean face in a crop of ``px`` whose side is ``ratio`` and whose centre lies ``up`` boxes up.

    The box is the mean face's unit box; ``ratio`` and ``up`` are over its side.
    """
    return (MEAN_FACE - np.array([0.5, 0.5 - up])) / ratio * px + (px - 1) / 2


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3) float64: the rotation, uniform scale and shift that map ``source`` (N, 2) nearest to ``target`` (N, 2).

    Least squares, without reflection (Umeyama 1991, eq. 40 to 43).

    Raises:
        ValueError: fewer than two points, or all ``source`` points coincide.
    """
    if source.shape != target.shape or source.ndim != 2 or len(source) < 2:
        raise ValueError(f"need two equal lists of two points or more, got {source.shape} and {target.shape}")
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    s, t = source - source_mean, target - target_mean
    power = float((s * s).sum())
    if power < 1e-12:
        raise ValueError("all points coincide: no scale or rotation fits them")
    a = float((s * t).sum()) / power
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / power
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def frame_to_crop(landmarks: np.ndarray, *, px: int, framing: Framing) -> np.ndarray:
    """(2, 3) float64 from frame pixels to the pixels of a ``px`` square crop of ``framing``, face upright.

    ``landmarks`` are (68, 2) in frame pixels; the fit uses the 51 inner points.

    Raises:
        ValueError: the landmarks are not (68, 2), or collapse to one point.
        UsageError: ``framing`` is unknown or ``px`` is not positive.
    """
    if landmarks.shape != (NUM_LANDMARKS, 2):
        raise ValueError(f"landmarks must be ({NUM_LANDMARKS}, 2), got {landmarks.shape}")
    return similarity(landmarks[INNER], mean_in_crop(px, framing)[INNER])


def map_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``points`` (N, 2) through ``matrix`` (2, 3): (N, 2) float64."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """(2, 3) float64, the inverse map.

    Raises:
        ValueError: ``matrix`` maps the plane to a line or a point.
    """
    linear = matrix[:, :2]
    determinant = float(linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0])
    if abs(determinant) < 1e-12:
        raise ValueError("the matrix has no inverse")
    back = np.array([[linear[1, 1], -linear[0, 1]], [-linear[1, 0], linear[0, 0]]]) / determinant
    return np.column_stack([back, -back @ matrix[:, 2]])


def compose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(2, 3) float64: ``a`` after ``b``."""
    return np.column_stack([a[:, :2] @ b[:, :2], a[:, :2] @ b[:, 2] + a[:, 2]])


def scale_of(matrix: np.ndarray) -> float:
    """The scale factor of lengths: the square root of the area ratio."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def resized(matrix: np.ndarray, from_px: int, to_px: int) -> np.ndarray:
    """``matrix`` into a crop of ``from_px``, rescaled to the same crop at ``to_px``, by pixel centres."""
    factor = to_px / from_px
    scaled = matrix * factor
    scaled[:, 2] += (factor - 1) / 2
    return scaled


def cut(image: np.ndarray, matrix: np.ndarray, px: int) -> np.ndarray:
    """The crop (``px``, ``px``, ...) of ``image`` (H, W, ...) under the frame-to-crop ``matrix``; dtype is kept.

    Beyond its edge the image is reflected: a black border would leave a seam after pasting. Reduction averages the
    area of each crop pixel; enlargement is cubic.
    """
    if scale_of(matrix) < _SAME_SIZE:
        image, matrix = _shrunk(image, matrix, px)
    if scale_of(matrix) >= _SAME_SIZE:
        return _warp(image, matrix, px, cv2.INTER_CUBIC)
    with_four = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if with_four:  # OpenCV warps four channels more than twice as fast as three, to the same values
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    fine = _warp(image, resized(matrix, px, 2 * px), 2 * px, cv2.INTER_LINEAR)
    crop = cv2.resize(fine, (px, px), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB) if with_four else crop


def _shrunk(image: np.ndarray, matrix: np.ndarray, px: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of ``image`` in the crop, with the integer part of the reduction done by averaging blocks.

    Returns:
        The part and the map from it to the crop.
    """
    height, width = image.shape[:2]
    factor = max(1, min(int(1 / max(scale_of(matrix), 1e-9) + 1e-6), width, height))
    margin = 2 * factor
    x0, y0, x1, y1 = paste_bounds(matrix, px, width, height)
    x0, y0, x1, y1 = x0 - margin, y0 - margin, x1 + margin, y1 + margin
    if min(x0, y0) < 0 or x1 > width or y1 > height:
        # The crop may reach outside; reflected pixels can come from anywhere in the image.
        x0, y0, x1, y1 = 0, 0, width, height
    part = image[y0:y1, x0:x1]
    if factor == 1:
        return part, compose(matrix, np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]]))
    part = cv2.copyMakeBorder(part, 0, -(y1 - y0) % factor, 0, -(x1 - x0) % factor, cv2.BORDER_REFLECT)
    small = cv2.resize(part, (part.shape[1] // factor, part.shape[0] // factor), interpolation=cv2.INTER_AREA)
    middle = (factor - 1) / 2
    return small, compose(matrix, np.array([[factor, 0, middle + x0], [0, factor, middle + y0]], np.float64))


def _warp(image: np.ndarray, matrix: np.ndarray, px: int, interpolation: int) -> np.ndarray:
    return cv2.warpAffine(image, matrix, (px, px), flags=interpolation, borderMode=border_of(image))


def border_of(image: np.ndarray) -> int:
    """OpenCV border mode for ``image`` (H, W, ...): reflection; for tiny images replication.

    Reflection is about the outer edge of the last pixel, not its centre, so that it agrees at every scale. OpenCV
    computes reflections in a loop, which for a frame of two lines under a large crop takes minutes.
    """
    return cv2.BORDER_REFLECT if min(image.shape[:2]) >= _LEAST_TO_REFLECT else cv2.BORDER_REPLICATE


def align(
    image: np.ndarray,
    face: Face,
    *,
    px: int,
    framing: Framing,
    frame: int,
    warp: Callable[[np.ndarray, np.ndarray, int], np.ndarray] = cut,
) -> AlignedFace:
    """``face`` of ``image`` (H, W, 3) as a ``px`` square crop, cut by ``warp``, with the matrix that made it.

    Raises:
        ValueError: the landmarks collapse to one point.
        UsageError: ``framing`` is unknown or ``px`` is not positive.
    """
    matrix = frame_to_crop(face.landmarks, px=px, framing=framing)
    return AlignedFace(crop=warp(image, matrix, px), landmarks=face.landmarks, frame_to_crop=matrix, frame=frame)


def paste_bounds(matrix: np.ndarray, px: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Half-open (x0, y0, x1, y1) of the frame pixels within the crop; x0 == x1 for none.

    ``matrix`` maps frame to crop.
    """
    low, high = -0.5, px - 0.5
    corners = map_points(invert(matrix), np.array([[low, low], [high, low], [high, high], [low, high]]))
    x0, y0 = np.floor(corners.min(0)).astype(int)
    x1, y1 = np.ceil(corners.max(0)).astype(int) + 1
    x0, y0 = int(np.clip(x0, 0, width)), int(np.clip(y0, 0, height))
    return x0, y0, int(np.clip(x1, x0, max(width, x0))), int(np.clip(y1, y0, max(height, y0)))
