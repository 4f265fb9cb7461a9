"""Times of phones by dynamic time warping, on sounds whose times are known."""

import re

import numpy as np
import pytest

from benchmarks.text_voice import SENTENCES, cepstra, found_times, warping_path
from forge.speaking.reading.words import word_lists
from tests.forge.speaking.conversion.conftest import RATE, hum


def beads(places, seconds=1.6, pitch=120):
    """A hum with noise bursts at some places, in seconds."""
    rng = np.random.default_rng(0)
    samples = hum(seconds, pitch, seed=int(pitch)).samples.copy()
    for place in places:
        first = round(place * RATE)
        samples[first : first + RATE // 20] = 0.2 * rng.normal(size=RATE // 20)
    return samples.clip(-1, 1)


def test_the_path_of_equal_rows_is_the_diagonal():
    rows = np.random.default_rng(0).normal(size=(30, 4))
    assert warping_path(rows, rows, reach=10).tolist() == [[each, each] for each in range(30)]


def test_a_path_follows_rows_that_are_repeated():
    rows = np.random.default_rng(0).normal(size=(20, 4))
    slow = rows.repeat(2, axis=0)
    path = warping_path(rows, slow, reach=5)
    assert (path[:, 1] // 2 == path[:, 0]).all()


def test_times_are_found_in_another_voice():
    wanted = np.array([0.3, 0.7, 1.2])
    there = np.array([0.36, 0.65, 1.3])
    found = found_times(beads(wanted), beads(there, pitch=150), wanted)
    assert found == pytest.approx(there, abs=0.02)


def test_a_sound_against_itself_and_late():
    samples, times = beads([0.4, 0.9]), np.array([0.4, 0.9])
    assert found_times(samples, samples, times) == pytest.approx(times, abs=0.003)
    late = np.pad(samples, (round(0.08 * RATE), 0))
    assert found_times(samples, late, times) - times == pytest.approx([0.08, 0.08], abs=0.01)


def test_cepstra_do_not_know_the_level():
    samples = beads([0.4])
    assert np.abs(cepstra(samples) - cepstra(0.5 * samples))[:, 1:].mean() < 0.05


def test_sentences_of_the_measurement_are_in_no_training():
    """Each has a word that no sentence of a training has."""
    known = {word for words in word_lists().values() for word in words}
    assert len(set(SENTENCES)) == 30
    assert all(set(re.findall("[a-z']+", each.lower())) - known for each in SENTENCES)
