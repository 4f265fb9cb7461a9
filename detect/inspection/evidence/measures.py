"""Measures of one face in one frame, inside the face and around it. Pure functions of pixels and landmarks.

Convention:
    image: (H, W, 3) uint8 RGB; landmarks: (68, 2), (x, y), pixel centres at integers
    inside: the hull of the landmarks, shrunk; ring: around the hull, as wide as a quarter of the face
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MEASURES = ("noise", "sharpness", "colour", "spectrum")
"""Measures that :func:`measure_face` gives, each with its own reference."""

_LEAST_PX, _MOST_PX = 48, 640
_NOISE_FLOOR = 0.2
_QUIET_SHARE = 0.3


@dataclass(frozen=True)
class FaceMeasures:
    """Measures of one face; each is about 0 where face and surroundings agree, but for ``spectrum``.

    Attributes:
        noise: log2 of the noise of flat pixels inside the face over that in the ring around it.
        sharpness: log2 of fine over coarse detail inside the face, minus the same in the ring.
        colour: distance in the a b plane of CIE Lab between cheeks and forehead.
        spectrum: slope of the log power spectrum of the face over log frequency, 0.1 to 0.45 cycles a pixel.
    """

    noise: float
    sharpness: float
    colour: float
    spectrum: float

    def of(self, name: str) -> float:
        """The measure of that name."""
        return float(getattr(self, name))


def measure_face(image: np.ndarray, landmarks: np.ndarray) -> FaceMeasures | None:
    """The measures of the face with ``landmarks``; None if it is too small, or too near to the edge of the frame."""
    width = float(np.ptp(landmarks[:17, 0]))
    cut = _region(image, landmarks, width)
    if cut is None:
        return None
    pixels, points = cut
    width = float(np.ptp(points[:17, 0]))
    hull = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    inside = cv2.erode(hull, _disk(0.06 * width)) > 0
    ring = _near(hull, round(0.28 * width)) & (cv2.dilate(hull, _disk(0.05 * width)) == 0)
    if inside.sum() < 400 or ring.sum() < 400:
        return None
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    colour = _cheeks_to_forehead(pixels, points)
    if colour is None:
        return None
    return FaceMeasures(
        noise=_noise(luma, inside) - _noise(luma, ring),
        sharpness=_fineness(luma, inside) - _fineness(luma, ring),
        colour=colour,
        spectrum=spectrum_slope(luma, points),
    )


def _region(image: np.ndarray, landmarks: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray] | None:
    """The part of the frame around a face, reduced if it is very large, and the landmarks in it."""
    if width < _LEAST_PX:
        return None
    (left, top), (right, bottom) = landmarks.min(0) - 0.4 * width, landmarks.max(0) + 0.4 * width
    x0, y0 = max(0, int(left)), max(0, int(top))
    x1, y1 = min(image.shape[1], int(right) + 1), min(image.shape[0], int(bottom) + 1)
    if (x1 - x0) * (y1 - y0) < 0.6 * (right - left) * (bottom - top):
        return None
    pixels, points = image[y0:y1, x0:x1], landmarks - (x0, y0)
    step = int(np.ceil(width / _MOST_PX))
    return (pixels, points) if step == 1 else (np.ascontiguousarray(pixels[::step, ::step]), points / step)


def _disk(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _near(mask: np.ndarray, px: int) -> np.ndarray:
    """(H, W) bool: pixels at most ``px`` from ``mask``, as dilation by a large disk gives them, in far less time."""
    return cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= px + 0.25


def _noise(luma: np.ndarray, chosen: np.ndarray) -> float:
    """log2 of the robust deviation of the noise in the flattest pixels.

    The filter is Immerkaer's ("Fast noise variance estimation", 1996), which cancels linear and quadratic shading.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    residue = np.abs(cv2.filter2D(luma, -1, kernel))[chosen]
    smooth = cv2.GaussianBlur(luma, (0, 0), 2)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))[chosen]
    quiet = residue[slope <= np.quantile(slope, _QUIET_SHARE)]
    return float(np.log2(quiet.mean() * np.sqrt(np.pi / 2) + _NOISE_FLOOR))


def _fineness(luma: np.ndarray, chosen: np.ndarray) -> float:
    """log2 of the energy of detail of about 2 pixels over that of about 4, which contrast does not change."""
    one, two, four = luma, cv2.GaussianBlur(luma, (0, 0), 1.0), cv2.GaussianBlur(luma, (0, 0), 2.0)
    fine, coarse = (one - two)[chosen], (two - four)[chosen]
    return float(np.log2((fine**2).mean() + 0.05) - np.log2((coarse**2).mean() + 0.05))


def _cheeks_to_forehead(pixels: np.ndarray, points: np.ndarray) -> float | None:
    """Distance of the median colours (a, b) of cheeks and forehead; None if the forehead is not in the picture."""
    brows, chin = points[17:27], points[8]
    up = (brows.mean(0) - chin) * 0.16
    forehead = np.vstack([brows[2:8] + 0.35 * up, brows[2:8] + 1.3 * up])
    cheeks = [points[[1, 2, 3, 48, 31]], points[[15, 14, 13, 54, 35]]]
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    mean = []
    for polygons in ([forehead], cheeks):
        mask = np.zeros(pixels.shape[:2], np.uint8)
        for polygon in polygons:
            cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(polygon).astype(np.int32)), 1)
        if mask.sum() < 60:
            return None
        mean.append(np.median(lab[mask > 0][:, 1:], axis=0))
    return float(np.hypot(*(mean[0] - mean[1])))


def face_profile(luma: np.ndarray, points: np.ndarray, bins: int = 24) -> np.ndarray:
    """(bins,) float64: log10 of the mean power of the face over frequency, from 0 to 0.5 cycles a pixel."""
    center, half = points[17:].mean(0), int(max(16, 0.42 * np.ptp(points[:17, 0])))
    x0, y0 = max(0, int(center[0]) - half), max(0, int(center[1]) - half)
    square = luma[y0 : y0 + 2 * half, x0 : x0 + 2 * half].astype(np.float64)
    side = min(square.shape)
    square = square[:side, :side]
    window = np.hanning(side)
    power = np.abs(np.fft.fft2((square - square.mean()) * np.outer(window, window))) ** 2 / side**2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    which = np.minimum((frequency * 2 * bins).astype(int), bins)
    sums = np.bincount(which.ravel(), power.ravel(), minlength=bins + 1)[:bins]
    counts = np.bincount(which.ravel(), minlength=bins + 1)[:bins]
    return np.log10(sums / np.maximum(counts, 1) + 1e-3)


def spectrum_slope(luma: np.ndarray, points: np.ndarray, bins: int = 24) -> float:
    """Slope of :func:`face_profile` over the log of frequency, 0.1 to 0.45 cycles a pixel."""
    profile = face_profile(luma, points, bins)
    frequency = (np.arange(bins) + 0.5) / (2 * bins)
    chosen = (frequency >= 0.1) & (frequency <= 0.45)
    return float(np.polyfit(np.log10(frequency[chosen]), profile[chosen], 1)[0])


def eye_opening(landmarks: np.ndarray) -> np.ndarray:
    """(N,) height over width of the eyes, mean of both, of (N, 68, 2) landmarks (Soukupova and Cech, 2016)."""
    return (_aspect(landmarks, 36) + _aspect(landmarks, 42)) / 2


def _aspect(landmarks: np.ndarray, first: int) -> np.ndarray:
    def distance(one: int, other: int) -> np.ndarray:
        return np.linalg.norm(landmarks[:, first + one] - landmarks[:, first + other], axis=1)

    return (distance(1, 5) + distance(2, 4)) / (2 * np.maximum(distance(0, 3), 1e-6))


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """(N,) distance of the inner lips over the distance of the outer eye corners, of (N, 68, 2) landmarks."""
    gaps = np.mean(
        [np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=1) for a, b in ((61, 67), (62, 66), (63, 65))], 0
    )
    return gaps / np.maximum(np.linalg.norm(landmarks[:, 36] - landmarks[:, 45], axis=1), 1e-6)
