"""Codecs, bits, rates and rooms leave times and lengths as they are."""

import numpy as np
import pytest

from shared.audio.codecs import CODECS, telephone_band, through_codec, with_bits, with_rate_history
from shared.audio.rooms import in_room, room_response
from shared.audio.sound import Sound
from shared.errors import UnknownNameError

RATE = 16_000


def chirps(seconds=1.5):
    time = np.arange(round(seconds * RATE)) / RATE
    gate = np.sin(2 * np.pi * 4 * time) > 0
    return Sound((0.3 * gate * np.sin(2 * np.pi * (500 + 400 * time) * time)).astype(np.float32), RATE)


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_length_and_times(name):
    sound = chirps()
    back = through_codec(sound, name)
    assert (len(back), back.rate) == (len(sound), RATE)
    base, other = sound.samples[2000:-2000], back.samples
    match = [float(np.dot(base, other[2000 + lag : len(other) - 2000 + lag])) for lag in range(-300, 301)]
    assert abs(int(np.argmax(match)) - 300) <= 1
    assert float(np.corrcoef(base, other[2000:-2000])[0, 1]) > 0.9
    assert (name == "none") == np.array_equal(back.samples, sound.samples)
    with pytest.raises(UnknownNameError, match="no codec"):
        through_codec(sound, "mp3-33k")


def test_the_telephone_takes_high_and_low_away():
    noise = np.random.default_rng(1).normal(size=RATE).astype(np.float32) * 0.1
    power = np.abs(np.fft.rfft(telephone_band(noise, RATE))) ** 2
    assert power[:150].mean() < 0.01 * power[500:3000].mean()
    assert power[5000:].mean() < 0.01 * power[500:3000].mean()


def test_a_stay_at_a_lower_rate_leaves_its_mark():
    noise = Sound(np.random.default_rng(1).normal(size=RATE).astype(np.float32).clip(-3, 3) / 4, RATE)
    power = np.abs(np.fft.rfft(with_rate_history(noise, 8000).samples)) ** 2
    assert power[4500:].mean() < 0.01 * power[:3500].mean()
    assert with_rate_history(noise, 22_050) is noise


def test_bits_are_counted():
    rng = np.random.default_rng(1)
    eight = with_bits(chirps(), 8, rng)
    assert np.allclose(eight.samples * 128, np.round(eight.samples * 128))
    assert 0.002 < np.std(eight.samples - chirps().samples) < 0.008
    with pytest.raises(ValueError, match="bits"):
        with_bits(chirps(), 2, rng)


def test_a_room_decays_and_does_not_move_the_sound():
    response = room_response(RATE, 0.4, 6.0, np.random.default_rng(1))
    assert np.argmax(np.abs(response)) == 0
    assert np.sum(response**2) == pytest.approx(1)
    assert response[0] ** 2 / np.sum(response[1:] ** 2) == pytest.approx(10**0.6, rel=1e-6)
    early, late = np.sum(response[500:1500] ** 2), np.sum(response[5000:6000] ** 2)
    assert late < 0.01 * early
    heard = in_room(chirps(), 0.4, 6.0, np.random.default_rng(1))
    assert len(heard) == len(chirps())
    with pytest.raises(ValueError, match="reverberation"):
        room_response(RATE, 0, 6.0, np.random.default_rng(1))
