from __future__ import annotations

from fractions import Fraction

import numpy as np

from shared.actors.motion import Liveliness, perform_track

RATE = Fraction(25)


def _track(seed: int, frames: int = 250):
    return perform_track(frames, RATE, np.random.default_rng(seed))


def test_actors_talk_pause_and_blink():
    for seed in range(8):
        track = _track(seed)
        lids = np.array([moment.blink[0] for moment in track.expressions])
        assert 0.1 < (track.speech > 0.3).mean() < 0.9
        assert (track.speech < 0.05).any()
        assert lids.max() > 0.8
        assert np.median(lids) < 0.3


def test_the_first_blink_comes_early_enough_for_short_clips():
    for seed in range(20):
        assert max(moment.blink[0] for moment in _track(seed, 50).expressions) > 0.6


def test_heads_move_smoothly_and_stay_in_view():
    for seed in range(8):
        poses = _track(seed).poses
        yaw = np.array([pose.yaw for pose in poses])
        assert np.abs(yaw).max() < 20
        assert yaw.max() - yaw.min() > 4
        assert np.abs(np.diff(yaw)).max() < 2.5


def test_stillness_can_be_asked_for():
    track = perform_track(100, RATE, np.random.default_rng(1), Liveliness(yaw=0, pitch=0, roll=0, speech=0))
    assert max(abs(pose.yaw) for pose in track.poses) == 0
    assert track.speech.max() == 0


def test_no_frames_is_a_performance_too():
    track = _track(1, 0)
    assert track.expressions == []
    assert track.poses == []
