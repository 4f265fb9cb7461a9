"""Smoothing over time of each track's landmarks and of the colours of its face.

Two methods for both: *zero-phase* uses the same window before and after, so nothing lags; *One-Euro* uses only the
past, as a live swap has to (Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input
in Interactive Systems", CHI 2012).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from forge.swapping.color import ColorMap, mean_map
from forge.swapping.config import TemporalConfig
from forge.swapping.stages import DecodedFace, SwappedFrame
from shared.faces.track import smooth_landmarks

_HELD_BYTES = 256 << 20
# Two sigma, and a little more for the rounding of times, so that the window is symmetric.
_WINDOW_SIGMAS = 2.0 + 1e-6


@dataclass
class OneEuro:
    """A One-Euro filter of one series of vectors, fed one value after another.

    Attributes:
        cutoff_hz: least cut-off frequency: lower removes more jitter of a still face.
        beta: how much the cut-off rises with speed: higher lags less behind a moving face.
        derivative_hz: cut-off of the speed's own low-pass.
    """

    cutoff_hz: float
    beta: float
    derivative_hz: float = 1.0
    _value: np.ndarray | None = field(default=None, init=False)
    _slope: np.ndarray = field(default_factory=lambda: np.zeros(1), init=False)
    _seconds: float = field(default=0.0, init=False)

    def __call__(self, value: np.ndarray, seconds: float) -> np.ndarray:
        """``value`` (D,) of the moment ``seconds``, filtered; moments ascend. The first comes back as it is.

        Raises:
            ValueError: ``seconds`` does not come after the moment before.
        """
        if self._value is None:
            self._value, self._slope = np.array(value, np.float64), np.zeros_like(value, np.float64)
            self._seconds = seconds
            return self._value
        step = seconds - self._seconds
        if step <= 0:
            raise ValueError(f"moments ascend, got {seconds} s after {self._seconds} s")
        speed = (value - self._value) / step
        self._slope = self._slope + _share(self.derivative_hz, step) * (speed - self._slope)
        cutoff = self.cutoff_hz + self.beta * np.abs(self._slope)
        self._value = self._value + _share(cutoff, step) * (value - self._value)
        self._seconds = seconds
        return self._value


def _share(cutoff_hz: float | np.ndarray, step: float) -> float | np.ndarray:
    """How much of a new value a first-order low-pass takes: ``1 / (1 + tau / step)`` with tau = 1 / (2 pi cutoff)."""
    return 1.0 / (1.0 + 1.0 / (2 * math.pi * cutoff_hz * step))


def stabilize_landmarks(landmarks: np.ndarray, seconds: np.ndarray, config: TemporalConfig) -> np.ndarray:
    """The landmarks (T, 68, 2) of one track at ``seconds`` (T,) without their jitter: (T, 68, 2) float32.

    Raises:
        ValueError: the shapes do not fit or the times do not ascend.
    """
    if config.landmarks == "none":
        return landmarks.astype(np.float32)
    if config.landmarks == "zero-phase":
        return smooth_landmarks(landmarks, seconds)
    # In face sizes, so that the settings mean the same for a face of 60 and one of 600 pixels.
    size = float(np.median(np.ptp(landmarks, axis=1).max(axis=1)))
    one_euro = OneEuro(config.cutoff_hz, config.beta, config.derivative_hz)
    moments = zip(landmarks.reshape(len(landmarks), -1) / size, seconds, strict=True)
    filtered = np.array([one_euro(points, float(second)) for points, second in moments])
    return (filtered * size).reshape(landmarks.shape).astype(np.float32)


def stabilize_color(frames: Iterable[SwappedFrame], config: TemporalConfig) -> Iterator[SwappedFrame]:
    """The same frames, each face's colour map smoothed over its track as ``config.color`` says.

    Transfers that are no affine map (``histogram``, ``idt``, ``sot``) cannot be averaged and are left
    unchanged.
    """
    if config.color == "one-euro":
        return _filtered(frames, config.color_hz)
    if config.color == "none" or config.color_seconds == 0:
        return iter(frames)
    return _averaged(frames, config.color_seconds)


def _filtered(frames: Iterable[SwappedFrame], cutoff_hz: float) -> Iterator[SwappedFrame]:
    filters: dict[int, OneEuro] = {}
    for one in frames:
        faces: list[DecodedFace] = []
        for face in one.faces:
            if face.color is not None:
                numbers = np.concatenate([face.color.matrix.reshape(-1), face.color.offset])
                smooth = filters.setdefault(face.track, OneEuro(cutoff_hz, 0.0))
                numbers = smooth(numbers, one.frame.time.seconds)
                face = replace(face, color=ColorMap(face.color.space, numbers[:9].reshape(3, 3), numbers[9:]))
            faces.append(face)
        yield replace(one, faces=tuple(faces))


def _averaged(frames: Iterable[SwappedFrame], seconds: float) -> Iterator[SwappedFrame]:
    """Each map replaced by the mean of its track's maps around it.

    Gaussian weights of sigma ``seconds``, as far ahead as back (two sigma), so that a change of light is followed
    without lag. Holds the frames of four sigma, or 512 MiB of them where those are more.
    """
    past: deque[SwappedFrame] = deque()
    ahead: deque[SwappedFrame] = deque()
    for one in frames:
        ahead.append(one)
        most = max(2, _HELD_BYTES // one.frame.image.nbytes)
        while _gap(ahead[0], one) > _WINDOW_SIGMAS * seconds or len(ahead) > most:
            yield _next_averaged(past, ahead, seconds, most)
    while ahead:
        yield _next_averaged(past, ahead, seconds, len(ahead))


def _next_averaged(past: deque[SwappedFrame], ahead: deque[SwappedFrame], seconds: float, most: int) -> SwappedFrame:
    """The first of ``ahead``, averaged; it moves to ``past``, which drops frames outside the next one's window."""
    current = ahead[0]
    averaged = _averaged_frame(current, (*past, *ahead), seconds)
    past.append(ahead.popleft())
    upcoming = ahead[0] if ahead else current
    while past and (_gap(past[0], upcoming) > _WINDOW_SIGMAS * seconds or len(past) > most):
        past.popleft()
    return averaged


def _gap(earlier: SwappedFrame, later: SwappedFrame) -> float:
    return later.frame.time.seconds - earlier.frame.time.seconds


def _averaged_frame(one: SwappedFrame, window: Iterable[SwappedFrame], seconds: float) -> SwappedFrame:
    return replace(one, faces=tuple(_averaged_face(face, one, window, seconds) for face in one.faces))


def _averaged_face(face: DecodedFace, one: SwappedFrame, window: Iterable[SwappedFrame], seconds: float) -> DecodedFace:
    if face.color is None:
        return face
    maps: list[ColorMap] = []
    weights: list[float] = []
    for other in window:
        away = abs(_gap(other, one)) / seconds
        if away > _WINDOW_SIGMAS:
            continue
        for neighbour in other.faces:
            if neighbour.track == face.track and neighbour.color is not None:
                maps.append(neighbour.color)
                weights.append(float(np.exp(-0.5 * away**2)))
    return replace(face, color=mean_map(maps, weights))
