from __future__ import annotations

import numpy as np
import pytest

from shared.faces.align import MEAN_FACE
from shared.faces.track import TrackConfig, Tracker, smooth_landmarks
from shared.types import Face

ANN, BOB = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def face(x: float, y: float = 100, size: float = 60, who: np.ndarray | None = None) -> Face:
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    landmarks = ((MEAN_FACE - 0.5) * size * 0.8 + [x, y]).astype(np.float32)
    return Face(box=box, landmarks=landmarks, confidence=1.0, identity_embedding=who)


def numbers(faces: list[Face]) -> list[int | None]:
    return [found.track for found in faces]


def test_two_people_walking_keep_their_numbers_whatever_the_order():
    tracker = Tracker()
    for step in range(20):
        left, right = face(50 + 3 * step), face(400 - 3 * step)
        if step % 2:
            assert numbers(tracker.update([right, left])) == [1, 0]
        else:
            assert numbers(tracker.update([left, right])) == [0, 1]


def test_a_short_gap_is_bridged_a_long_one_is_not():
    for missing, wanted in ((5, 0), (6, 1)):
        tracker = Tracker(TrackConfig(max_gap=5))
        tracker.update([face(100)])
        for _ in range(missing):
            assert tracker.update([]) == []
        assert numbers(tracker.update([face(104)])) == [wanted]


def test_a_moving_face_is_expected_where_it_will_be():
    tracker = Tracker(TrackConfig(max_gap=10))
    for step in range(10):
        tracker.update([face(100 + 12 * step)])
    for _ in range(5):
        tracker.update([])
    # 72 px further on, where the last box overlaps nothing.
    assert numbers(tracker.update([face(100 + 12 * 15)])) == [0]


def test_far_away_is_somebody_else():
    tracker = Tracker()
    tracker.update([face(100)])
    assert numbers(tracker.update([face(400)])) == [1]


def test_newcomers_are_numbered_from_left_to_right():
    assert numbers(Tracker(first=7).update([face(500), face(100), face(300)])) == [9, 7, 8]


def test_embedding_overrules_place():
    tracker = Tracker()
    tracker.update([face(100, who=ANN)])
    assert numbers(tracker.update([face(100, who=BOB)])) == [1]


def test_a_person_comes_back_as_the_old_track():
    tracker = Tracker(TrackConfig(max_gap=2))
    tracker.update([face(100, who=ANN)])
    for _ in range(10):
        tracker.update([])
    assert numbers(tracker.update([face(400, who=ANN), face(100, who=BOB)])) == [0, 1]


def test_after_a_cut_place_says_nothing():
    tracker = Tracker()
    tracker.update([face(100), face(400, who=ANN)])
    tracker.cut()
    assert numbers(tracker.update([face(100), face(200, who=ANN)])) == [2, 1]


def test_memory_of_ended_tracks_is_bounded():
    tracker = Tracker(TrackConfig(max_gap=0, max_remembered=2))
    people = np.eye(4, dtype=np.float32)
    for who in people:
        tracker.update([face(100, who=who)])
        tracker.cut()
    assert numbers(tracker.update([face(100, who=people[3])])) == [3]
    tracker.cut()
    assert numbers(tracker.update([face(100, who=people[0])])) == [4]


def performance(seconds: np.ndarray, size: float = 150.0) -> np.ndarray:
    """Landmarks of a head that is still (to 2 s), speaks (to 4 s), then nods and turns; it blinks at 1 and 5 s."""
    lids = ((37, 41), (38, 40), (43, 47), (44, 46))
    frames = []
    for now in seconds:
        face_now = MEAN_FACE - 0.5
        if 2 < now < 4:
            opening = 0.06 * (1 - np.cos(2 * np.pi * 4 * (now - 2)))
            face_now[[*range(55, 60), 65, 66, 67], 1] += opening
        for blink in (1.0, 5.0):
            closed = 0.8 * np.exp(-0.5 * ((now - blink) / 0.05) ** 2)
            for upper, lower in lids:
                face_now[upper, 1] += closed * (face_now[lower, 1] - face_now[upper, 1])
        x, y, angle = 300.0, 250.0, 0.0
        if now > 4:
            x += 40 * np.sin(2 * np.pi * (now - 4))
            y += 12 * np.sin(2 * np.pi * 2 * (now - 4))
            angle = 0.2 * np.sin(2 * np.pi * 0.7 * (now - 4))
        c, s = size * np.cos(angle), size * np.sin(angle)
        frames.append(face_now @ np.array([[c, s], [-s, c]]) + [x, y])
    return np.array(frames)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


class TestSmoothing:
    @pytest.fixture(scope="class")
    def clip(self):
        seconds = np.arange(200) / 25
        truth = performance(seconds)
        noisy = truth + np.random.default_rng(3).normal(0, 0.7, truth.shape)
        return seconds, truth, noisy, smooth_landmarks(noisy, seconds)

    def test_jitter_of_a_still_head_drops_to_less_than_half(self, clip):
        seconds, truth, noisy, smooth = clip
        still = (seconds < 0.6) | ((seconds > 1.4) & (seconds < 1.8))
        assert rms(np.diff(smooth[still] - truth[still], axis=0)) < 0.45 * rms(
            np.diff(noisy[still] - truth[still], axis=0)
        )

    def test_every_part_is_nearer_to_the_truth_than_before(self, clip):
        seconds, truth, noisy, smooth = clip
        for part in (seconds < 2, (seconds > 2) & (seconds < 4), seconds > 4):
            assert rms((smooth - truth)[part]) < 0.85 * rms((noisy - truth)[part])

    def test_the_mouth_keeps_its_reach(self, clip):
        seconds, truth, _noisy, smooth = clip
        speaks = (seconds > 2) & (seconds < 4)
        wanted, got = (points[speaks, 66, 1] - points[speaks, 62, 1] for points in (truth, smooth))
        assert 0.9 < np.polyfit(wanted, got, 1)[0] < 1.05

    def test_a_blink_still_closes_the_eye(self, clip):
        seconds, truth, _noisy, smooth = clip
        for blink in (1.0, 5.0):
            near = np.abs(seconds - blink) < 0.4
            wanted, got = (points[near, 41, 1] - points[near, 37, 1] for points in (truth, smooth))
            open_eye = wanted.max()
            assert open_eye - got.min() > 0.7 * (open_eye - wanted.min())

    def test_nothing_lags(self, clip):
        seconds, truth, _noisy, smooth = clip
        moves = seconds > 4.2
        wanted, got = (points[:, 27:36].mean(1)[moves] for points in (truth, smooth))
        error = {lag: rms(np.roll(got, lag, 0)[2:-2] - wanted[2:-2]) for lag in (-1, 0, 1)}
        assert error[0] < 0.1 * min(error[-1], error[1])

    def test_a_clean_track_stays_as_it_is(self, clip):
        seconds, truth, _noisy, _smooth = clip
        assert rms(smooth_landmarks(truth, seconds) - truth) < 0.25

    def test_time_runs_backwards_alike(self, clip):
        seconds, _truth, noisy, smooth = clip
        backwards = smooth_landmarks(noisy[::-1], -seconds[::-1])[::-1]
        np.testing.assert_allclose(backwards, smooth, atol=1e-2)


def test_uneven_times_do_not_bend_a_straight_walk(rng):
    seconds = np.cumsum(rng.uniform(0.01, 0.09, 60))
    walk = (MEAN_FACE * 100)[None] + (seconds[:, None] * [80.0, -30.0])[:, None]
    np.testing.assert_allclose(smooth_landmarks(walk, seconds), walk, atol=1e-2)


def test_a_gap_parts_the_track():
    seconds = np.concatenate([np.arange(10), np.arange(10) + 500]) / 25
    still = np.repeat((MEAN_FACE * 100)[None], 20, axis=0)
    still[10:] += 200
    np.testing.assert_allclose(smooth_landmarks(still, seconds), still, atol=1e-2)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_short_to_smooth_is_returned_as_it_is(frames, rng):
    landmarks = rng.normal(size=(frames, 68, 2))
    np.testing.assert_allclose(smooth_landmarks(landmarks, np.arange(frames)), landmarks, rtol=1e-6)


def test_bad_input_is_refused():
    good = np.zeros((3, 68, 2))
    with pytest.raises(ValueError, match="ascend"):
        smooth_landmarks(good, np.array([0.0, 2.0, 1.0]))
    with pytest.raises(ValueError, match="68"):
        smooth_landmarks(good[:, :5], np.arange(3))
