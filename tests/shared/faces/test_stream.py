from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest

from shared.errors import ConfigError, MediaError
from shared.faces.align import MEAN_FACE
from shared.faces.boxes import box_around
from shared.faces.stream import FollowConfig, follow
from shared.types import Face, Frame, Timestamp

WIDTH, HEIGHT = 320, 240


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("assay-")]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    deadline = time.monotonic() + 30
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert our_threads() == []


def landmarks_at(x: float, y: float, size: float = 60.0) -> np.ndarray:
    return ((MEAN_FACE - 0.5) * size + [x, y]).astype(np.float32)


class Stage:
    """People whose places are known, as pictures, and a finder that looks at those pictures' places.

    Every person is a patch of own texture, so that what follows looks alike and others do not.
    """

    def __init__(self, *people: dict[int, tuple[float, float]], backdrops: dict[int, int] | None = None) -> None:
        self.people = people
        self.backdrops = backdrops or {}
        self.found: list[int] = []
        self.refined: list[int] = []
        self.blind: set[int] = set()

    def picture(self, index: int) -> np.ndarray:
        backdrop = max((grey for start, grey in self.backdrops.items() if start <= index), default=0)
        image = np.full((HEIGHT, WIDTH, 3), backdrop, np.uint8)
        for number, places in enumerate(self.people):
            if index in places:
                texture = np.random.default_rng(number).integers(40, 250, (11, 11)).repeat(8, 0).repeat(8, 1)
                x, y = (round(value) - 44 for value in places[index])
                y0, x0 = max(0, y), max(0, x)
                part = texture[y0 - y : HEIGHT - y, x0 - x : WIDTH - x]
                image[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part[..., None]
        image[0, 0] = index % 256, index // 256, 0
        return image

    def frames(self, count: int) -> Iterator[Frame]:
        for index in range(count):
            yield Frame(index, Timestamp(index, Fraction(1, 25)), self.picture(index))

    # The finder's side.
    name = "stage"

    @staticmethod
    def _index(image: np.ndarray) -> int:
        return int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])

    def _faces(self, index: int) -> list[Face]:
        points = [landmarks_at(*places[index]) for places in self.people if index in places]
        return [Face(box_around(p), p, 1.5) for p in points]

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        indices = [self._index(image) for image in frames]
        self.found += indices
        return [[] if index in self.blind else self._faces(index) for index in indices]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        index = self._index(image)
        self.refined.append(index)
        return [self._in(box, index) for box in boxes]

    def _in(self, box: np.ndarray, index: int) -> Face:
        centre = (box[:2] + box[2:]) / 2
        for face in self._faces(index):
            if np.abs((face.box[:2] + face.box[2:]) / 2 - centre).max() < 12:
                return Face(face.box, face.landmarks, 0.9)
        nowhere = landmarks_at(*centre)
        return Face(box_around(nowhere), nowhere, 0.1)

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


def walk(frames: Sequence[int], x: float, step: float, y: float = 120.0) -> dict[int, tuple[float, float]]:
    return {index: (x + step * index, y) for index in frames}


def tracks(result: list[tuple[Frame, list[Face]]]) -> list[list[int | None]]:
    return [[face.track for face in faces] for _frame, faces in result]


def test_a_walking_face_is_detected_now_and_then_and_followed_between():
    stage = Stage(walk(range(40), 80, 4))
    result = list(follow(stage.frames(40), stage, FollowConfig(detect_every=8)))
    assert [frame.index for frame, _ in result] == list(range(40))
    assert tracks(result) == [[0]] * 40
    assert stage.found == [0, 8, 16, 24, 32]
    for index, (_, faces) in enumerate(result):
        np.testing.assert_allclose(faces[0].landmarks, landmarks_at(80 + 4 * index, 120), atol=1e-3)


def test_confidence_stays_the_detectors():
    stage = Stage(walk(range(6), 100, 1))
    assert {face.confidence for _, (face,) in follow(stage.frames(6), stage)} == {1.5}


def test_every_frame_comes_also_those_without_a_face():
    stage = Stage(walk(range(10, 20), 100, 0))
    result = list(follow(stage.frames(30), stage, FollowConfig(detect_every=5)))
    assert [len(faces) for _, faces in result] == [0] * 10 + [1] * 10 + [0] * 10


def test_no_frames_give_nothing():
    assert list(follow(iter([]), Stage())) == []


def test_a_lost_face_is_looked_for_at_once():
    # It jumps at frame 5, too far to be followed.
    places = {index: (80.0, 120.0) if index < 5 else (220.0, 120.0) for index in range(12)}
    stage = Stage(places)
    result = list(follow(stage.frames(12), stage, FollowConfig(detect_every=100)))
    assert 5 in stage.found
    assert [len(faces) for _, faces in result] == [1] * 12
    assert result[5][1][0].landmarks[:, 0].mean() > 150


def test_a_face_that_comes_back_is_found_in_the_next_frame():
    stage = Stage({index: (100.0, 120.0) for index in (*range(6), *range(9, 20))})
    result = list(follow(stage.frames(20), stage, FollowConfig(detect_every=10)))
    assert [len(faces) for _, faces in result] == [1] * 6 + [0] * 3 + [1] * 11
    assert tracks(result)[19] == [0]


def test_what_the_detector_misses_is_followed_on_for_a_while():
    stage = Stage(walk(range(30), 100, 1))
    stage.blind = set(range(1, 30))
    result = list(follow(stage.frames(30), stage, FollowConfig(detect_every=5, max_misses=3)))
    # Missed at 5, 10 and 15; at 20 it is let go.
    assert [len(faces) for _, faces in result] == [1] * 20 + [0] * 10


def test_a_cut_forces_a_detection_and_ends_the_tracks():
    stage = Stage(walk(range(7), 100, 0), walk(range(7, 20), 100, 0), backdrops={0: 20, 7: 200})
    result = list(follow(stage.frames(20), stage, FollowConfig(detect_every=100)))
    assert stage.found == [0, 7]
    assert tracks(result) == [[0]] * 7 + [[1]] * 13


def test_a_flash_is_no_cut():
    stage = Stage(walk(range(20), 100, 0), backdrops={0: 20, 7: 200})
    result = list(follow(stage.frames(20), stage, FollowConfig(detect_every=100)))
    assert stage.found == [0, 7]
    assert tracks(result) == [[0]] * 20


def test_another_person_in_the_same_place_is_noticed_without_a_cut():
    stage = Stage(walk(range(7), 100, 0), walk(range(7, 20), 100, 0))
    list(follow(stage.frames(20), stage, FollowConfig(detect_every=100)))
    assert 7 in stage.found


def test_two_people_cross_without_changing_numbers():
    stage = Stage(walk(range(40), 60, 4, y=70), walk(range(40), 240, -4, y=170))
    result = list(follow(stage.frames(40), stage, FollowConfig(detect_every=6)))
    assert tracks(result) == [[0, 1]] * 40
    for index, (_, (first, _second)) in enumerate(result):
        assert first.landmarks[:, 0].mean() == pytest.approx(60 + 4 * index, abs=2)


def test_small_faces_are_dropped_and_the_largest_kept():
    stage = Stage(walk(range(3), 60, 0), walk(range(3), 250, 0))
    assert all(not faces for _, faces in follow(stage.frames(3), stage, FollowConfig(min_face_px=500)))
    assert [len(faces) for _, faces in follow(stage.frames(3), stage, FollowConfig(max_faces=1))] == [1, 1, 1]


def test_batches_give_the_same_faces_with_fewer_calls():
    one, many = Stage(walk(range(50), 60, 3)), Stage(walk(range(50), 60, 3))
    calls: list[int] = []
    find = many.find
    many.find = lambda frames: calls.append(len(frames)) or find(frames)  # type: ignore[method-assign]
    a = list(follow(one.frames(50), one, FollowConfig(detect_every=2)))
    b = list(follow(many.frames(50), many, FollowConfig(detect_every=2, batch=4)))
    assert calls == [4, 4, 4, 4, 4, 4, 1]
    assert [frame.index for frame, _ in b] == list(range(50))
    assert tracks(a) == tracks(b)
    for (_, (left,)), (_, (right,)) in zip(a, b, strict=True):
        np.testing.assert_array_equal(left.landmarks, right.landmarks)


def test_a_finder_that_knows_frames_by_number_is_asked_for_every_frame():
    class Known(Stage):
        def find_indexed(self, frames: Sequence[Frame]) -> list[list[Face]]:
            return [self._faces(frame.index) for frame in frames]

    stage = Known(walk(range(0, 20, 2), 60, 3))
    frames = (frame for frame in stage.frames(20) if frame.index % 2 == 0)
    result = list(follow(frames, stage))
    assert tracks(result) == [[0]] * 10
    assert stage.found == stage.refined == []


def test_an_error_while_decoding_reaches_the_caller_after_the_frames_before_it():
    stage = Stage(walk(range(9), 60, 3))

    def broken() -> Iterator[Frame]:
        yield from stage.frames(4)
        raise MediaError("the file ends here")

    seen: list[int] = []
    with pytest.raises(MediaError, match="ends here"):
        seen.extend(frame.index for frame, _faces in follow(broken(), stage))
    assert seen == [0, 1, 2, 3]


def test_an_error_of_the_finder_reaches_the_caller():
    stage = Stage(walk(range(9), 60, 3))
    stage.refine = lambda image, boxes: 1 / 0  # type: ignore[method-assign, return-value]
    with pytest.raises(ZeroDivisionError):
        list(follow(stage.frames(9), stage))


def test_stopping_early_ends_the_threads_and_closes_the_source():
    stage = Stage(walk(range(10**6), 60, 0))
    closed = threading.Event()

    def endless() -> Iterator[Frame]:
        try:
            yield from stage.frames(10**6)
        finally:
            closed.set()

    faces = follow(endless(), stage)
    next(faces)
    assert len(our_threads()) == 2
    faces.close()
    assert closed.is_set()
    assert our_threads() == []


def test_frames_read_ahead_are_bounded():
    stage = Stage(walk(range(500), 60, 0))
    read = 0

    def counted() -> Iterator[Frame]:
        nonlocal read
        for frame in stage.frames(500):
            read += 1
            yield frame

    faces = follow(counted(), stage, FollowConfig(queue_frames=3))
    for _ in itertools.islice(faces, 5):
        time.sleep(0.02)
    time.sleep(0.1)
    # Two queues of three, one frame in the hands of each thread, five given out.
    assert read <= 5 + 2 * 3 + 2 + 1
    faces.close()


@pytest.mark.parametrize("setting", [{"detect_every": 0}, {"batch": 0}, {"max_faces": 0}, {"queue_frames": 0}])
def test_settings_below_one_are_refused(setting):
    with pytest.raises(ConfigError):
        FollowConfig(**setting)


def test_a_detector_on_a_gpu_detects_in_every_frame_and_one_on_the_cpu_does_not_whatever_the_device_is():
    from shared.faces.finders.finder import make_finder

    finder = make_finder("dlib", device="cuda:0")
    assert FollowConfig.suited_to(finder) == FollowConfig()
    finder.device = "cuda:0"
    assert FollowConfig.suited_to(finder).detect_every == 1


def test_a_finder_that_can_use_them_gets_the_landmarks_a_face_should_have():
    class Following(Stage):
        asked: list[np.ndarray] = []  # noqa: RUF012 - one instance

        def refine_followed(self, image, boxes, expected):
            self.asked += list(expected)
            return self.refine(image, boxes)

    stage = Following(walk(range(12), 60, 4))
    list(follow(stage.frames(12), stage))
    # From the third frame on the step is known, and the face stands where it was expected.
    expected = [landmarks_at(60 + 4 * index, 120) for index in range(2, 8)]
    assert np.abs(np.stack(stage.asked[1:7]) - np.stack(expected)).max() < 0.01


@pytest.mark.needs_media
def test_a_real_clip_is_followed_as_well_as_it_is_detected(media):
    from shared.faces.finders.finder import make_finder
    from shared.video import VideoReader

    finder = make_finder("dlib")
    frames = list(VideoReader(media / "video_grid" / "bbaf2n.mpg").frames(stop=30))
    dense = [finder.find([frame.image])[0][0].landmarks for frame in frames]
    result = list(follow(frames, finder))
    assert tracks(result) == [[0]] * 30
    eyes = np.linalg.norm(dense[0][36:42].mean(0) - dense[0][42:48].mean(0))
    errors = [np.linalg.norm(f[0].landmarks - d, axis=1).mean() / eyes for (_, f), d in zip(result, dense, strict=True)]
    assert np.median(errors) < 0.01
    assert max(errors) < 0.03
