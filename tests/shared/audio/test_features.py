"""Features of speech against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shared.audio.features import (
    FLOOR,
    Framing,
    filterbank,
    frames_of,
    high_pass,
    lfcc,
    log_f0,
    log_mel,
    log_spectrogram,
    power_spectrogram,
    slopes,
)

RATE = 16_000


def _sine(hertz: float, seconds: float = 0.5, level: float = 1.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def test_a_frame_is_centred_on_each_hop():
    framing = Framing(rate=10, window=4, hop=3)
    frames = frames_of(np.arange(7.0), framing)
    assert frames.tolist() == [[2, 1, 0, 1], [1, 2, 3, 4], [4, 5, 6, 5]]
    assert len(frames) == framing.count(7) == 3
    assert frames_of(np.zeros(0), framing).tolist() == [[0, 0, 0, 0]]
    assert framing.hop_seconds == pytest.approx(0.3)


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.array([0.0, np.nan])])
def test_samples_of_another_shape_or_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        frames_of(bad, Framing())
    with pytest.raises(ValueError, match="positive"):
        Framing(hop=0)


def test_a_full_scale_sine_has_a_power_of_one_in_its_bin():
    power = power_spectrogram(_sine(1000))[10:-10]  # 1000 Hz is bin 32 of 512 at 16 kHz
    assert power.shape[1] == 257
    assert power.argmax(1).tolist() == [32] * len(power)
    assert power[:, 32] == pytest.approx(1, abs=1e-3)
    assert power[:, 31] == pytest.approx(0.25, abs=1e-3)  # the Hann window halves the neighbours' amplitude
    assert log_spectrogram(np.zeros(1600, np.float32)).max() == pytest.approx(np.log(FLOOR), abs=1e-3)


def test_triangles_are_evenly_spaced_and_overlap_by_half():
    framing = Framing(rate=16, window=16, hop=4)  # bins at 0, 1, ... 8 Hz
    linear = filterbank(3, framing, mel=False)
    assert linear[:, 0].tolist() == [0, 0.5, 1, 0.5, 0, 0, 0, 0, 0]
    assert linear[:, 2].tolist() == [0, 0, 0, 0, 0, 0.5, 1, 0.5, 0]
    mel = filterbank(40, Framing(), mel=True)
    peaks = mel.argmax(0)
    assert (np.diff(peaks.astype(int)) >= 0).all()
    assert peaks[-1] - peaks[-2] > 3 * (peaks[10] - peaks[9])
    with pytest.raises(ValueError, match="low end"):
        filterbank(3, framing, mel=False, low_hz=8)


def test_log_mel_is_highest_in_the_band_of_a_tone():
    bands = log_mel(_sine(3000), filters=40)
    edges = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42)
    expected = np.abs(700 * (10 ** (edges[1:-1] / 2595) - 1) - 3000).argmin()
    assert set(bands[10:-10].argmax(1)) <= {expected, expected - 1, expected + 1}


def test_cepstra_of_equal_bands_have_only_their_first_coefficient():
    features = lfcc(np.zeros(1600, np.float32), filters=20, coefficients=20)
    assert features.shape == (11, 60)
    assert features[:, 0] == pytest.approx(np.sqrt(20) * np.log(FLOOR), rel=1e-5)
    assert np.abs(features[:, 1:]).max() < 1e-3
    louder = lfcc(_sine(500, level=0.5))[20], lfcc(_sine(500, level=1.0))[20]
    assert louder[1][0] - louder[0][0] > 0
    assert lfcc(np.zeros(160, np.float32), coefficients=7, differences=0).shape == (2, 7)
    with pytest.raises(ValueError, match="between 1 and 20"):
        lfcc(np.zeros(160, np.float32), coefficients=21)


def test_the_slope_of_a_line_is_its_rise_a_frame():
    line = np.stack([3.0 * np.arange(9), np.full(9, 5.0)], axis=1)
    found = slopes(line)
    assert found[2:-2].tolist() == [[3.0, 0.0]] * 5
    assert found[0].tolist() == [pytest.approx((1 * 3 + 2 * 6) / 10), 0.0]


def test_the_residual_keeps_the_highest_and_removes_the_lowest_frequency():
    highest = np.tile([1.0, -1.0], 50).astype(np.float32)
    assert np.abs(high_pass(highest)[2:-2]) == pytest.approx(1)
    slow = np.linspace(-1, 1, 100).astype(np.float32)
    assert np.abs(high_pass(slow)[2:-2]).max() < 1e-6
    assert len(high_pass(slow)) == 100
    assert len(high_pass(np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize("hertz", [80.0, 123.4, 240.0, 400.0])
def test_the_pitch_of_a_buzz_is_found_and_noise_has_none(hertz):
    buzz = sum(_sine(hertz * n, level=0.3 / n) for n in range(1, 9))
    pitch = log_f0(buzz)
    assert np.exp(pitch[8:-8]) == pytest.approx(hertz, rel=0.01)
    noise = np.random.default_rng(0).normal(0, 0.1, RATE // 2).astype(np.float32)
    assert np.isnan(log_f0(noise)).mean() > 0.95
    assert np.isnan(log_f0(np.zeros(1000, np.float32))).all()


def test_a_window_too_short_for_the_lowest_pitch_is_refused():
    with pytest.raises(ValueError, match="too short for 60 Hz"):
        log_f0(np.zeros(1000), Framing(window=512))
