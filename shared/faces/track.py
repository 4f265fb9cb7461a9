"""Tracking of faces over frames, and smoothing of landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import maximum_filter1d

from shared.faces.align import MEAN_FACE, similarity
from shared.faces.boxes import overlap
from shared.types import NUM_LANDMARKS, Face


@dataclass(frozen=True)
class TrackConfig:
    """Settings of matching faces to tracks.

    Attributes:
        min_overlap: minimum intersection over union with the box predicted from the track's motion.
        max_gap: number of updates that a track may be absent and still continue by position.
        same_distance: Euclidean distance of identity embeddings below which two faces are one person (0.6 in dlib's
            model). Where both faces have an embedding, it overrules overlap, and returning people keep their track.
        max_remembered: number of ended tracks kept for that.
    """

    min_overlap: float = 0.25
    max_gap: int = 25
    same_distance: float = 0.6
    max_remembered: int = 64


@dataclass
class _Track:
    number: int
    box: np.ndarray
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    missed: int = 0
    embedding: np.ndarray | None = None

    def predicted(self) -> np.ndarray:
        shift = self.velocity * (self.missed + 1)
        return self.box + np.tile(shift, 2)

    def distance(self, face: Face) -> float | None:
        if self.embedding is None or face.identity_embedding is None:
            return None
        return float(np.linalg.norm(self.embedding - face.identity_embedding))

    def take(self, face: Face) -> None:
        centre, before = _centre(face.box), _centre(self.box)
        # Half of the newest step: robust to jitter, but still follows a moving face.
        self.velocity = 0.5 * self.velocity + 0.5 * (centre - before) / (self.missed + 1)
        self.box = np.asarray(face.box, np.float64)
        self.missed = 0
        if face.identity_embedding is not None:
            old = face.identity_embedding if self.embedding is None else self.embedding
            self.embedding = 0.8 * old + 0.2 * face.identity_embedding


def _centre(box: np.ndarray) -> np.ndarray:
    return np.array([box[0] + box[2], box[1] + box[3]], np.float64) / 2


class Tracker:
    """Assigns track numbers to the faces of successive frames.

    Numbers start at ``first`` and go up in the order in which tracks appear; several that appear in one frame are
    numbered from left to right. Equal input gives equal numbers.
    """

    def __init__(self, config: TrackConfig | None = None, *, first: int = 0) -> None:
        self.config = config or TrackConfig()
        self._next = first
        self._live: list[_Track] = []
        self._ended: list[_Track] = []

    def update(self, faces: Sequence[Face]) -> list[Face]:
        """The ``faces`` of the next frame, in the same order, with their ``track`` set.

        A face that already has the number of an active track, because it was tracked, keeps it.
        """
        chosen = self._already_known(faces)
        self._match_by_place(faces, chosen)
        self._match_by_identity(faces, chosen)
        for track in self._live:
            if track not in chosen.values():
                track.missed += 1
        for index, track in chosen.items():
            track.take(faces[index])
        newcomers = [i for i in range(len(faces)) if i not in chosen]
        for index in sorted(newcomers, key=lambda i: (float(faces[i].box[0]), float(faces[i].box[1]), i)):
            chosen[index] = self._begin(faces[index])
        self._end([track for track in self._live if track.missed > self.config.max_gap])
        return [replace(face, track=chosen[index].number) for index, face in enumerate(faces)]

    def cut(self) -> None:
        """Marks a scene change: tracks continue only by identity, not by position."""
        self._end(list(self._live))

    def _begin(self, face: Face) -> _Track:
        track = _Track(self._next, np.asarray(face.box, np.float64), embedding=face.identity_embedding)
        self._next += 1
        self._live.append(track)
        return track

    def _end(self, tracks: Iterable[_Track]) -> None:
        for track in tracks:
            self._live.remove(track)
            track.velocity = np.zeros(2)
            if track.embedding is not None:
                self._ended.append(track)
        del self._ended[: max(0, len(self._ended) - self.config.max_remembered)]

    def _already_known(self, faces: Sequence[Face]) -> dict[int, _Track]:
        live = {track.number: track for track in self._live}
        return {
            i: live.pop(face.track) for i, face in enumerate(faces) if face.track is not None and face.track in live
        }

    def _match_by_place(self, faces: Sequence[Face], chosen: dict[int, _Track]) -> None:
        pairs: list[tuple[float, int, int]] = []
        taken = {track.number for track in chosen.values()}
        free = {track.number: track for track in self._live if track.number not in taken}
        for number, track in free.items():
            box = track.predicted()
            for index, face in enumerate(faces):
                shared = float(max(overlap(box, face.box), overlap(track.box, face.box)))
                distance = track.distance(face)
                stranger = distance is not None and distance >= self.config.same_distance
                if index not in chosen and shared >= self.config.min_overlap and not stranger:
                    pairs.append((-shared, number, index))
        chosen.update({index: free[number] for number, index in _best_first(pairs)})

    def _match_by_identity(self, faces: Sequence[Face], chosen: dict[int, _Track]) -> None:
        taken = {track.number for track in chosen.values()}
        pool = {track.number: track for track in (*self._ended, *self._live) if track.number not in taken}
        pairs: list[tuple[float, int, int]] = []
        for number, track in pool.items():
            for index, face in enumerate(faces):
                distance = track.distance(face)
                if index not in chosen and distance is not None and distance < self.config.same_distance:
                    pairs.append((distance, number, index))
        for number, index in _best_first(pairs):
            track = pool[number]
            if track in self._ended:
                self._ended.remove(track)
                self._live.append(track)
            chosen[index] = track


def _best_first(pairs: list[tuple[float, int, int]]) -> list[tuple[int, int]]:
    """(track number, face index) pairs taken in ascending order of cost, each track and each face once."""
    tracks: set[int] = set()
    faces: set[int] = set()
    matched: list[tuple[int, int]] = []
    for _cost, number, index in sorted(pairs):
        if number not in tracks and index not in faces:
            tracks.add(number)
            faces.add(index)
            matched.append((number, index))
    return matched


_BONE = [*range(27, 36), 36, 39, 42, 45]
"""Nose and eye corners: the points that expression moves least, used for the head's motion."""

_GROUPS: tuple[slice, ...] = (
    slice(0, 17),
    slice(17, 22),
    slice(22, 27),
    slice(27, 36),
    slice(36, 42),
    slice(42, 48),
    slice(48, 68),
)


@dataclass(frozen=True)
class SmoothConfig:
    """Settings of :func:`smooth_landmarks`.

    Attributes:
        still_seconds: width (sigma) of the time window where the head is still.
        moving_seconds: the same where it moves.
        still_shape_seconds, moving_shape_seconds: the same for the expression (mouth, lids, brows).
        speed: the speed, in face widths per second, at which both windows have equal weight.
    """

    still_seconds: float = 0.16
    moving_seconds: float = 0.04
    still_shape_seconds: float = 0.08
    moving_shape_seconds: float = 0.03
    speed: float = 0.07


def smooth_landmarks(landmarks: np.ndarray, seconds: np.ndarray, config: SmoothConfig | None = None) -> np.ndarray:
    """The landmarks of one track without their jitter: (T, 68, 2) float32.

    ``landmarks`` (T, 68, 2) belong to the ascending times ``seconds`` (T,), which need not be evenly spaced. The motion
    is split into the head's similarity (from nose and eye corners) and the residual shape. Each is smoothed by local
    quadratic fits (Savitzky and Golay 1964, with Gaussian weights), which are symmetric in time and so do not lag. The
    window is wide where a part is still, where jitter is visible, and narrow where it moves, so that blinks and speech
    keep their amplitude.

    Raises:
        ValueError: the shapes do not fit, a value is not finite, or the times do not ascend.
    """
    config = config or SmoothConfig()
    landmarks, seconds = np.asarray(landmarks, np.float64), np.asarray(seconds, np.float64)
    _check_track(landmarks, seconds)
    if len(landmarks) < 3:
        return landmarks.astype(np.float32)
    motion = np.array([_similarity_parts(points) for points in landmarks])
    shape = _apply(motion, landmarks, inverse=True)
    still, moving, brisk = (
        _Smoother(seconds, sigma) for sigma in (config.still_seconds, config.moving_seconds, _SPEED_SECONDS)
    )
    smooth_motion = still.blend(moving, motion, _stillness(brisk.slope(_in_face_widths(motion)), config.speed))
    still, moving = (_Smoother(seconds, s) for s in (config.still_shape_seconds, config.moving_shape_seconds))
    smooth_shape = np.empty_like(shape)
    for group in _GROUPS:
        flat = shape[:, group].reshape(len(shape), -1)
        stillness = _stillness(brisk.slope(flat), config.speed)
        smooth_shape[:, group] = still.blend(moving, flat, stillness).reshape(shape[:, group].shape)
    return _apply(smooth_motion, smooth_shape, inverse=False).astype(np.float32)


_SPEED_SECONDS = 0.05


def _check_track(landmarks: np.ndarray, seconds: np.ndarray) -> None:
    if landmarks.ndim != 3 or landmarks.shape[1:] != (NUM_LANDMARKS, 2) or seconds.shape != landmarks.shape[:1]:
        raise ValueError(f"need (T, 68, 2) landmarks and (T,) times, got {landmarks.shape} and {seconds.shape}")
    if not (np.isfinite(landmarks).all() and np.isfinite(seconds).all() and (np.diff(seconds) > 0).all()):
        raise ValueError("landmarks and times must be finite and times ascend")


def _similarity_parts(points: np.ndarray) -> np.ndarray:
    """(4,): the map from the mean face to ``points`` as cosine and sine times scale, and shift."""
    matrix = similarity(MEAN_FACE[_BONE] - 0.5, points[_BONE])
    return np.array([matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]])


def _in_face_widths(motion: np.ndarray) -> np.ndarray:
    size = np.median(np.hypot(motion[:, 0], motion[:, 1]))
    return motion / max(size, 1e-9)


def _apply(motion: np.ndarray, points: np.ndarray, *, inverse: bool) -> np.ndarray:
    # As complex numbers the similarity is one product and one sum.
    turn, shift = motion[:, 0] + 1j * motion[:, 1], motion[:, 2] + 1j * motion[:, 3]
    flat = points[..., 0] + 1j * points[..., 1]
    mapped = (flat - shift[:, None]) / turn[:, None] if inverse else flat * turn[:, None] + shift[:, None]
    return np.stack([mapped.real, mapped.imag], axis=-1)


def _stillness(slopes: np.ndarray, speed: float) -> np.ndarray:
    """(T,) in 0 to 1 from slopes (T, D): 1 for no motion, one half where their quadratic mean is ``speed``.

    The mean, not the largest, because the largest of many is mostly noise.
    """
    mean = np.sqrt((slopes**2).mean(axis=1))
    around = maximum_filter1d(mean, 5, mode="nearest")
    return 1 / (1 + (around / speed) ** 2)


class _Smoother:
    """Local quadratic fits at every time of a track, as rows of weights."""

    def __init__(self, seconds: np.ndarray, sigma: float) -> None:
        self._rows = [self._row(seconds, index, sigma) for index in range(len(seconds))]

    @staticmethod
    def _row(seconds: np.ndarray, index: int, sigma: float) -> tuple[slice, np.ndarray, np.ndarray]:
        reach = 3.3 * sigma
        low, high = (
            np.searchsorted(seconds, seconds[index] - reach),
            np.searchsorted(seconds, seconds[index] + reach, "right"),
        )
        steps = (seconds[low:high] - seconds[index]) / sigma
        root = np.exp(-0.25 * steps**2)
        order = min(2, len(steps) - 1)
        fit = np.linalg.pinv(root[:, None] * steps[:, None] ** np.arange(order + 1)) * root
        slope = fit[1] / sigma if order else np.zeros_like(steps)
        return slice(int(low), int(high)), fit[0], slope

    def value(self, series: np.ndarray) -> np.ndarray:
        """``series`` (T, D), smoothed."""
        return np.array([weights @ series[window] for window, weights, _ in self._rows])

    def slope(self, series: np.ndarray) -> np.ndarray:
        """The change of ``series`` (T, D) per second."""
        return np.array([weights @ series[window] for window, _, weights in self._rows])

    def blend(self, other: _Smoother, series: np.ndarray, share: np.ndarray) -> np.ndarray:
        """``share`` (T,) of this smoother's result, the rest of the other's."""
        return share[:, None] * self.value(series) + (1 - share[:, None]) * other.value(series)
