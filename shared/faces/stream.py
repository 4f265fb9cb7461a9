"""Face detection and tracking over a stream of frames, shared by extraction, swapping, scoring and inspection."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import cv2
import numpy as np

from shared.errors import ConfigError
from shared.faces.align import INNER, border_of, compose, frame_to_crop
from shared.faces.boxes import overlap
from shared.faces.finders.contract import LOST_BELOW
from shared.faces.finders.finder import FaceFinder, FollowingFinder, IndexedFinder
from shared.faces.track import Tracker
from shared.pipeline import ahead
from shared.types import Face, Frame

_MAX_WAITING_BYTES = 256 << 20
_PATCH_PX = 32
_SAME_PLACE = 0.3
_SAME_FACE = 0.6


@dataclass(frozen=True)
class FollowConfig:
    """Settings of face tracking over frames.

    Attributes:
        detect_every: a full detection on every n-th frame; between them landmarks are refined in moved boxes.
        batch: frames per detection batch. More than one helps on a GPU and costs memory.
        min_face_px: a detected face with a narrower box is dropped.
        max_faces: of one frame, the largest are kept.
        queue_frames: maximum number of frames waiting before and after the finder; fewer for huge frames.
        cut_difference: mean difference of successive frames, in grey levels, from which a scene cut is suspected.
        min_likeness: minimum correlation of a tracked face with its appearance in the previous frame.
        max_misses: number of consecutive detections in which a tracked face may be missed.
    """

    detect_every: int = 8
    batch: int = 1
    min_face_px: float = 24.0
    max_faces: int = 16
    queue_frames: int = 8
    cut_difference: float = 24.0
    min_likeness: float = 0.5
    max_misses: int = 10

    def __post_init__(self) -> None:
        for name in ("detect_every", "batch", "max_faces", "queue_frames"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}", hint="leave it out")

    @classmethod
    def suited_to(cls, finder: FaceFinder) -> FollowConfig:
        """Settings for ``finder``: one that detects on a GPU does so on every frame, in batches; else the defaults."""
        return cls() if finder.device == "cpu" else cls(detect_every=1, batch=16)


def follow(
    frames: Iterable[Frame], finder: FaceFinder, config: FollowConfig | None = None
) -> Generator[tuple[Frame, list[Face]], None, None]:
    """Yields all ``frames`` in order with their faces, which have track numbers; an empty list for no face.

    ``frames`` are read in one thread and faces found in another, in parallel with the caller; buffered frames are
    limited in number and bytes. A full detection runs on every ``detect_every``-th frame, when the image changes
    abruptly, and when a tracked face is lost, then on each of the next ``detect_every`` frames.

    Raises:
        Any error of reading ``frames`` or of the finder, in the caller's thread.
    """
    config = config or FollowConfig()
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    depth = min(config.queue_frames, max(1, _MAX_WAITING_BYTES // max(1, first.image.nbytes)))
    decoded = ahead(_again(first, source), depth=depth, name="assay-decode")
    found = ahead(_Follower(finder, config).run(decoded), depth=depth, name="assay-find")
    with closing(found):
        yield from found


def _again(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    try:
        yield first
        yield from rest
    finally:
        close = getattr(rest, "close", None)
        if callable(close):
            close()


class SceneChange:
    """Finds abrupt changes in a series of images, called with one after another.

    ``difference`` is the mean difference of successive images, in grey levels, from which it is one.
    """

    def __init__(self, difference: float = FollowConfig.cut_difference) -> None:
        self._difference = difference
        self._thumbnail: np.ndarray | None = None

    def __call__(self, image: np.ndarray) -> bool:
        """Whether ``image`` (H, W, 3) uint8 differs abruptly from the one before; False for the first of its size."""
        stride = max(1, min(image.shape[:2]) // 48)
        thumbnail = image[::stride, ::stride].astype(np.int16)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None or before.shape != thumbnail.shape:
            return False
        return float(np.abs(thumbnail - before).mean()) >= self._difference


class _Follower:
    """The tracking state of one pass: last appearance, position and motion."""

    def __init__(self, finder: FaceFinder, config: FollowConfig) -> None:
        self._finder = finder
        self._config = config
        self._tracker = Tracker()
        self._until_due = 0
        self._search_left = 0
        self._change = SceneChange(config.cut_difference)
        self._looks: dict[int, np.ndarray] = {}
        self._misses: dict[int, int] = {}
        self._faces: list[Face] = []
        self._steps: dict[int, np.ndarray] = {}

    def run(self, frames: Generator[Frame, None, None]) -> Generator[tuple[Frame, list[Face]], None, None]:
        with closing(frames):
            for chunk in self._chunks(frames):
                yield from self._indexed(chunk) if isinstance(self._finder, IndexedFinder) else self._followed(chunk)

    def _chunks(self, frames: Iterable[Frame]) -> Iterator[list[Frame]]:
        """Frames in groups that hold about one batch of detections; one by one where the batch is one."""
        size = 1 if self._config.batch == 1 else self._config.batch * self._config.detect_every
        chunk: list[Frame] = []
        for frame in frames:
            chunk.append(frame)
            if len(chunk) >= min(size, max(1, _MAX_WAITING_BYTES // max(1, frame.image.nbytes))):
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _indexed(self, chunk: list[Frame]) -> Iterator[tuple[Frame, list[Face]]]:
        assert isinstance(self._finder, IndexedFinder)
        for frame, faces in zip(chunk, self._finder.find_indexed(chunk), strict=True):
            yield frame, self._tracker.update(self._usable(faces))

    def _followed(self, chunk: list[Frame]) -> Iterator[tuple[Frame, list[Face]]]:
        cuts = [self._change(frame.image) for frame in chunk]
        due = [index for index, cut in enumerate(cuts) if self._is_due(cut)]
        detected = dict(zip(due, self._finder.find([chunk[i].image for i in due]), strict=True)) if due else {}
        for index, frame in enumerate(chunk):
            if cuts[index] and not self._still_there(frame.image):
                self._tracker.cut()
                self._faces = []
            if index in detected:
                self._take_detected(frame.image, detected[index], self._faces)
            else:
                self._follow_on(frame.image)
            yield frame, self._faces

    def _is_due(self, cut: bool) -> bool:
        due = cut or self._until_due <= 0 or self._search_left > 0
        self._search_left -= 1
        self._until_due = self._config.detect_every if due else self._until_due
        self._until_due -= 1
        return due

    def _take_detected(self, image: np.ndarray, found: Sequence[Face], followed: Sequence[Face]) -> None:
        """Takes the detected faces, and the ``followed`` ones that the detector missed but that are still there.

        Single misses of a detector are common; a face missed several times in a row is dropped.
        """
        usable = self._usable(found)
        missed = [face for face in followed if self._may_be_missed(face) and not _seen(face, usable)]
        kept = [face for face in self._refined(image, missed) if face is not None and not _seen(face, usable)]
        self._misses = {_number(face): self._misses.get(_number(face), 0) + 1 for face in kept}
        self._see([*usable, *kept])
        for face in self._faces[: len(usable)]:
            self._looks[_number(face)] = appearance(image, face.landmarks)
        self._looks = {_number(face): self._looks[_number(face)] for face in self._faces}

    def _may_be_missed(self, face: Face) -> bool:
        return self._misses.get(_number(face), 0) < self._config.max_misses

    def _follow_on(self, image: np.ndarray) -> None:
        refined = self._refined(image, self._faces)
        alive = [face for face in refined if face is not None]
        if len(alive) == len(refined) and not _meet(alive):
            self._see(alive)
            return
        self._until_due = self._config.detect_every - 1
        there = [old for old, now in zip(self._faces, refined, strict=True) if now is not None]
        self._take_detected(image, self._finder.find([image])[0], there)

    def _refined(self, image: np.ndarray, faces: Sequence[Face]) -> list[Face | None]:
        """Each of ``faces`` in the next ``image``; None if lost."""
        if not faces:
            return []
        refined = self._refine(image, faces)
        # The confidence of a tracked face stays the detector's: that of refining has another scale.
        return [
            replace(now, track=old.track, confidence=old.confidence) if self._is_there(image, old, now) else None
            for old, now in zip(faces, refined, strict=True)
        ]

    def _refine(self, image: np.ndarray, faces: Sequence[Face]) -> list[Face]:
        """The finder's refinement of ``faces``, where their motion leads."""
        steps = [self._expected_step(face) for face in faces]
        boxes = [(face.box + np.tile(step, 2)).astype(np.float32) for face, step in zip(faces, steps, strict=True)]
        if isinstance(self._finder, FollowingFinder):
            expected = [face.landmarks + step for face, step in zip(faces, steps, strict=True)]
            return self._finder.refine_followed(image, boxes, expected)
        return self._finder.refine(image, boxes)

    def _is_there(self, image: np.ndarray, old: Face, now: Face) -> bool:
        if now.confidence < LOST_BELOW or not _has_extent(now.landmarks):
            return False
        # Compared with the previous frame, so that a turn is no change but another person is.
        before, self._looks[_number(old)] = self._looks[_number(old)], appearance(image, now.landmarks)
        return likeness(before, self._looks[_number(old)]) >= self._config.min_likeness

    def _see(self, faces: Sequence[Face]) -> None:
        before = {_number(face): face for face in self._faces}
        self._faces = self._tracker.update(faces)
        if len(self._faces) < len(before):
            # A lost face often reappears at once: detection runs on every frame for one interval.
            self._search_left = self._config.detect_every
        self._steps = {
            _number(face): (face.landmarks - before[_number(face)].landmarks).mean(0)
            for face in self._faces
            if _number(face) in before
        }

    def _usable(self, faces: Sequence[Face]) -> list[Face]:
        large = [face for face in faces if face.width_px >= self._config.min_face_px and _has_extent(face.landmarks)]
        ranked = sorted(range(len(large)), key=lambda i: (-large[i].width_px, i))[: self._config.max_faces]
        return [large[i] for i in sorted(ranked)]

    def _expected_step(self, face: Face) -> np.ndarray:
        """How far the face should move by its motion, (2,) pixels, which is limited to half of the box."""
        half = (face.box[2:] - face.box[:2]) / 2
        return np.clip(self._steps.get(_number(face), np.zeros(2)), -half, half)

    def _still_there(self, image: np.ndarray) -> bool:
        """Whether a face looks as before at the same position: then the light changed (a flash), not the scene."""
        return any(
            likeness(self._looks[_number(face)], appearance(image, face.landmarks)) >= self._config.min_likeness
            for face in self._faces
        )


def _number(face: Face) -> int:
    assert face.track is not None
    return face.track


def _seen(face: Face, among: Sequence[Face]) -> bool:
    return any(overlap(face.box, other.box) > _SAME_PLACE for other in among)


def _meet(faces: Sequence[Face]) -> bool:
    """Whether two tracked faces have merged."""
    return any(overlap(a.box, b.box) > _SAME_FACE for a, b in itertools.combinations(faces, 2))


def _has_extent(landmarks: np.ndarray) -> bool:
    return bool(np.ptp(landmarks[INNER], axis=0).min() >= 2)


def appearance(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(32, 32) float32: the face at ``landmarks``, upright and small, of zero mean and unit length."""
    # Supersampled by two: enough against aliasing, and the cost does not grow with the face.
    double = compose(
        np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]]), frame_to_crop(landmarks, px=_PATCH_PX, framing="half")
    )
    side = 2 * _PATCH_PX
    fine = cv2.warpAffine(image, double, (side, side), flags=cv2.INTER_LINEAR, borderMode=border_of(image))
    small = cv2.resize(fine, (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA).astype(np.float32).mean(2)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two results of :func:`appearance`, -1 to 1."""
    return float((a * b).sum())
