"""What is learned from: clips and phones, changed at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forge.reenacting.lipsync.lessons import Lessons, SpeakingClip, changed, phone_lessons
from forge.reenacting.lipsync.visemes import TimedPhone
from shared.errors import UsageError
from tests.forge.reenacting.conftest import FRAMES, QUICK, lessons, performance, speaking, syllables


def test_a_clip_is_known_where_its_face_is_seen():
    lesson = SpeakingClip("ann", syllables(2.0), speaking()).lesson()
    assert len(lesson.mouth) == len(lesson.spectrum) == 101
    assert lesson.known.sum() == round((FRAMES - 1) / 25 * 50) + 1
    assert np.isclose(lesson.mouth[lesson.known][:, 0].std(), 1, atol=0.1)


def test_a_mouth_that_does_not_move_teaches_nothing_and_is_refused():
    still = performance()
    still.landmarks[:] = still.landmarks[0]
    with pytest.raises(UsageError, match="does not move"):
        SpeakingClip("ann", syllables(), still).lesson()
    with pytest.raises(UsageError, match="clips or phones"):
        Lessons.of([], [])


def test_phones_count_in_units_of_their_spread():
    phones = [TimedPhone(symbol, n / 8, (n + 1) / 8) for n, symbol in enumerate("pɑmibu")]
    (lesson,) = phone_lessons([(syllables(), phones)])
    assert np.allclose(lesson.mouth.std(axis=0), 1)
    assert lesson.known.all()
    assert Lessons.of([], [lesson]).basis.max() == 0


def test_another_tempo_moves_the_mouth_with_the_sound():
    lesson = lessons().clips[0]
    plain = replace(QUICK, tract=1.0, tempo=1.0, noise=0.0, stretch=200)
    features, mouth, known = changed(lesson, plain, np.random.default_rng(0))
    assert features.shape == (200, 40)
    assert np.allclose(mouth[: len(lesson.mouth)], lesson.mouth)
    assert known.sum() == lesson.known.sum()
    slow = [changed(lesson, replace(plain, tempo=1.5), np.random.default_rng(seed))[2].sum() for seed in range(6)]
    assert min(slow) < 0.9 * lesson.known.sum()
    assert max(slow) > 1.1 * lesson.known.sum()


def test_a_batch_is_the_same_for_the_same_generator():
    one, two = (lessons().batch(QUICK, np.random.default_rng(3)) for _ in range(2))
    assert all(bool((a == b).all()) for a, b in zip(one, two, strict=True))
    assert one[0].shape == (2, 40, 40)
