"""From a sound to driven lips: in step with the sound, in the target's proportions, nothing before or after it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from forge.reenacting.config import ReenactConfig
from forge.reenacting.lipsync.checkpoint import load_lipsync_model
from forge.reenacting.lipsync.drive import HeardMouth, cut_driving_sound, driving_sound, heard_mouth, plan_speech
from forge.reenacting.lipsync.mouth import parameters_of
from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.errors import MediaError, UsageError
from tests.forge.reenacting.conftest import FRAMES, performance, syllables

CONFIG = ReenactConfig(family="lipsync", sound="driver", fade_seconds=0)


def _ramp(*, width: float, start: float = 0.0) -> HeardMouth:
    """A mouth that opens by 0.01 face units every 20 ms and widens half as much, for half a second."""
    motion = np.zeros((26, 68, 2))
    motion[:, [65, 66, 67], 1] = 0.01 * np.arange(26)[:, None]
    motion[:, 54, 0] = 0.005 * np.arange(26)
    return HeardMouth(start, motion, width)


def _shapes(target, plan) -> dict[int, np.ndarray]:
    return {index: one.placement.frontal(one.drive) for index, one in plan.frames.items()}


def test_lips_are_where_the_sound_has_them_at_the_time_of_the_frame():
    target = performance()
    plan = plan_speech(target, _ramp(width=0.3), range(FRAMES), CONFIG)
    rest = target.steady_shapes[target.place_of(plan.target_neutral)]
    moved = parameters_of(np.stack([shape - rest for _, shape in sorted(_shapes(target, plan).items())]))
    steps = np.array([plan.frames[index].driver for index in sorted(plan.frames)])
    assert np.allclose(steps, 2 * np.arange(len(steps)))
    assert np.allclose(moved[:, 0], 0.01 * steps, atol=0.02)
    assert plan.outside == FRAMES - len(plan.frames) == FRAMES - 14
    assert plan.factors().keys() == {"target_neutral", "frames_outside_drive"}


def test_the_width_follows_the_targets_mouth():
    target = performance()
    own = float(np.hypot(*(target.steady_shapes[0][54] - target.steady_shapes[0][48])))
    narrow, same = (
        parameters_of(np.stack(list(_shapes(target, plan_speech(target, _ramp(width=width), [10], CONFIG)).values())))
        for width in (own / 0.75, own)
    )
    assert narrow[0, 1] < same[0, 1] - 0.01


def test_frames_beyond_the_sound_stay_as_they_are():
    target = performance()
    late = plan_speech(target, _ramp(width=0.3, start=0.4), range(FRAMES), CONFIG)
    assert min(late.frames) == 10
    moved = plan_speech(target, _ramp(width=0.3), range(FRAMES), replace(CONFIG, offset_seconds=0.4))
    assert max(moved.frames) == 3
    with pytest.raises(UsageError, match="has ended"):
        plan_speech(target, _ramp(width=0.3), range(FRAMES), replace(CONFIG, offset_seconds=60))


def test_a_sound_is_heard_as_the_mouth_that_it_was_learned_with(model):
    mouth = heard_mouth(syllables(seed=7), load_lipsync_model(model))
    opening = parameters_of(mouth.at(np.arange(FRAMES) / 25))[:, 0]
    shapes = performance().shapes
    assert np.corrcoef(opening, parameters_of(shapes - shapes[0])[:, 0])[0, 1] > 0.7


def test_silence_and_a_moment_of_sound_are_refused(model):
    for samples in (np.zeros(16_000, np.float32), syllables().samples[:4000]):
        with pytest.raises(MediaError, match="silent, or too short"):
            heard_mouth(Sound(samples, 16_000), load_lipsync_model(model))


@pytest.mark.parametrize("late", [0.0, 0.4])
def test_a_sound_is_placed_where_the_lips_are(tmp_path, late):
    path = tmp_path / "speech.wav"
    write_sound(path, syllables(2.0))
    times = [late + frame / 25 for frame in range(10)]
    for moment in (0.0, 0.2, 1.0):
        heard = read_sound(cut_driving_sound(path, tmp_path, moment=moment, times=times))
        first = round((late + 0.2 - float(heard.start)) * heard.rate)
        given = syllables(2.0).samples[round((moment + 0.2) * 16_000) :][:2000]
        assert np.corrcoef(heard.samples[first : first + 2000], given)[0, 1] > 0.99
    with pytest.raises(UsageError, match="has ended before"):
        cut_driving_sound(path, tmp_path, moment=9.0, times=times)


def test_a_file_without_pictures_begins_with_its_sound(tmp_path):
    path = tmp_path / "speech.wav"
    write_sound(path, syllables())
    sound, begins = driving_sound(path)
    assert begins == sound.start == Fraction(0)
    assert len(sound) == len(syllables())
