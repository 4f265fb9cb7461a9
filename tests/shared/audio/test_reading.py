"""Sound of any file, hostile ones included: exact samples and times, or one sentence."""

import wave
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
import pytest

from shared.audio import reading
from shared.audio.loudness import active_level, levelled, loudness
from shared.audio.rates import change_rate, resampled
from shared.audio.reading import decode_sound, has_sound, read_sound
from shared.audio.sound import Sound, clipped_share, is_silent
from shared.audio.writing import ENCODED, write_sound
from shared.errors import MediaError, UsageError
from shared.video.container import created, opened

RATE = 16_000


def hum(seconds=1.0, rate=RATE, hertz=220.0):
    time = np.arange(round(seconds * rate)) / rate
    envelope = 0.5 + 0.4 * np.sin(2 * np.pi * 3 * time)
    return (0.5 * envelope * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_raw(path, samples, rate, codec, sample_format, layout="mono", starts=None):
    """Frames with given starts, in samples, in a container that keeps them."""
    with created(path) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        for number, block in enumerate(samples):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), sample_format, layout)
            frame.sample_rate = rate
            frame.pts = starts[number] if starts else number * block.shape[-1]
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", sorted(ENCODED))
def test_what_is_written_is_read_at_the_same_place(tmp_path, suffix):
    sound = Sound(np.pad(hum(), (4000, 4000)), RATE)
    path = tmp_path / f"a{suffix}"
    write_sound(path, sound, tags={"comment": "synthetic speech"})
    back = read_sound(path)
    assert back.rate == RATE
    assert has_sound(path)
    count = min(len(back), len(sound))
    assert abs(len(back) - len(sound)) <= (0 if suffix in (".wav", ".flac") else RATE // 8)
    lags = [float(np.dot(back.samples[2000 + lag : count - 2000 + lag], sound.samples[2000 : count - 2000]))
            for lag in range(-200, 201)]  # fmt: skip
    assert abs(int(np.argmax(lags)) - 200) <= 1
    if suffix in (".wav", ".flac"):
        assert np.abs(back.samples - sound.samples).max() <= 1.01 / 32767


def test_a_part_has_its_exact_start(tmp_path):
    write_sound(tmp_path / "a.wav", Sound(hum(2.0), RATE))
    whole = read_sound(tmp_path / "a.wav")
    part = read_sound(tmp_path / "a.wav", start_seconds=0.5, seconds=0.75)
    assert part.start == Fraction(1, 2)
    assert np.array_equal(part.samples, whole.samples[8000:20000])
    assert part.time_of(4000) == Fraction(3, 4)
    with pytest.raises(UsageError, match="has a length"):
        read_sound(tmp_path / "a.wav", seconds=float("nan"))
    with pytest.raises(MediaError, match="ends before"):
        read_sound(tmp_path / "a.wav", start_seconds=5)


def test_a_gap_between_times_is_filled_with_silence(tmp_path):
    block = (hum(0.5)[None] * 32767).astype(np.int16)
    write_raw(tmp_path / "a.mkv", [block, block], RATE, "pcm_s16le", "s16", starts=[800, 800 + 16000])
    sound = read_sound(tmp_path / "a.mkv")
    assert sound.start == Fraction(1, 20)
    assert len(sound) == 24_000
    assert not sound.samples[8000:16000].any()
    assert np.array_equal(sound.samples[:8000], sound.samples[16000:])
    assert sound.source.filled_seconds == 0.5


def test_a_gap_of_years_is_refused(tmp_path):
    block = (hum(0.5)[None] * 32767).astype(np.int16)
    write_raw(tmp_path / "a.mkv", [block, block], RATE, "pcm_s16le", "s16", starts=[0, 16_000 * 3600 * 24 * 900])
    with pytest.raises(MediaError, match="longer than 60 minutes"):
        read_sound(tmp_path / "a.mkv")
    assert len(read_sound(tmp_path / "a.mkv", seconds=2)) == 32_000


@pytest.mark.parametrize("stated", [True, False])
def test_two_hours_are_refused_without_unpacking_them(tmp_path, monkeypatch, stated):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4000)
        file.writeframes(b"\x80" * (4000 * 7200 if stated else 4000 * 400))
    most = 3600 if stated else 300
    if not stated:
        monkeypatch.setattr("shared.audio.reading._Runs._stated_seconds", lambda *_: None)
    with pytest.raises(MediaError, match=f"longer than {most // 60} minutes"):
        read_sound(tmp_path / "a.wav", most_seconds=most)
    assert read_sound(tmp_path / "a.wav", seconds=3).seconds == 3


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    samples = hum()[None].copy()
    samples[0, 700] = np.nan
    write_raw(tmp_path / "a.wav", [samples], RATE, "pcm_f32le", "flt")
    with pytest.raises(MediaError, match="no numbers"):
        read_sound(tmp_path / "a.wav")


def test_floats_beyond_full_scale_are_cut_off(tmp_path):
    write_raw(tmp_path / "a.wav", [4 * hum()[None]], RATE, "pcm_f32le", "flt")
    sound = read_sound(tmp_path / "a.wav")
    assert np.abs(sound.samples).max() == 1.0
    assert clipped_share(sound.samples) > 0.1
    assert clipped_share(hum()) == 0.0


def test_seventeen_channels_are_refused(tmp_path):
    header = b"RIFF\x00\x10\x00\x00WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little")
    header += (17).to_bytes(2, "little") + RATE.to_bytes(4, "little") + (RATE * 34).to_bytes(4, "little")
    header += (34).to_bytes(2, "little") + (16).to_bytes(2, "little") + b"data" + (3400).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(header + bytes(3400))
    for read in (read_sound, decode_sound):
        with pytest.raises(MediaError, match="17 channels"):
            read(tmp_path / "a.wav")


def test_eight_bits_and_4_khz_are_read_and_said(tmp_path):
    block = (hum(1.0, 4000)[None] * 100 + 128).astype(np.uint8)
    write_raw(tmp_path / "a.wav", [block], 4000, "pcm_u8", "u8")
    sound = read_sound(tmp_path / "a.wav")
    assert (sound.source.rate, sound.source.sample_format, sound.rate, len(sound)) == (4000, "u8", RATE, RATE)
    write_raw(tmp_path / "b.wav", [block], 3000, "pcm_u8", "u8")
    with pytest.raises(MediaError, match="3000 samples a second"):
        read_sound(tmp_path / "b.wav")


def test_silence_and_a_wrong_suffix_are_read(tmp_path):
    write_sound(tmp_path / "a.flac", Sound(np.zeros(8000, np.float32), RATE))
    (tmp_path / "a.flac").rename(tmp_path / "a.mp3")
    sound = read_sound(tmp_path / "a.mp3")
    assert is_silent(sound.samples)
    assert loudness(sound) is None
    assert active_level(sound.samples, RATE) is None


def test_text_and_pictures_are_no_sound(tmp_path):
    (tmp_path / "a.wav").write_text("not sound at all, only words\n" * 50)
    with pytest.raises(MediaError):
        read_sound(tmp_path / "a.wav")
    with pytest.raises(UsageError, match=r"not written as \.xyz"):
        write_sound(tmp_path / "a.xyz", Sound(hum(), RATE))


def test_a_damaged_end_gives_what_was_decoded(tmp_path):
    write_sound(tmp_path / "a.flac", Sound(hum(3.0), RATE))
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(data[: len(data) // 2])
    sound = read_sound(tmp_path / "b.flac")
    assert 0.5 < sound.seconds < 3.0


def test_other_rates_keep_times():
    click = np.zeros(RATE, np.float32)
    click[8000] = 0.9
    up = resampled(Sound(click, RATE), 24_000)
    assert int(np.argmax(up.samples)) == 12_000
    back = change_rate(up.samples, 24_000, RATE)
    assert len(back) == RATE
    assert int(np.argmax(back)) == 8000


def test_levels():
    quiet = np.concatenate([np.zeros(RATE, np.float32), 0.01 * hum(2.0)])
    assert active_level(levelled(quiet, RATE), RATE) == pytest.approx(-26, abs=0.1)
    assert np.abs(levelled(hum(), RATE, level_db=0)).max() == pytest.approx(0.97, abs=1e-3)
    assert loudness(Sound(hum(2.0), RATE)) == pytest.approx(-14, abs=4)


def test_a_sound_refuses_other_samples():
    for bad in (hum().astype(np.float64), hum()[None], 2 * hum() + 1, np.full(4, np.nan, np.float32)):
        with pytest.raises(ValueError, match="samples must"):
            Sound(bad, RATE)


def test_a_sound_that_cannot_be_decoded_to_its_end_says_so(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_sound(path, Sound(hum(2.0), RATE))
    whole = read_sound(path)
    assert whole.source is not None
    assert whole.source.stopped == ""

    class Broken:
        """A container whose second frame cannot be decoded."""

        def __init__(self, container):
            self._container = container

        def __getattr__(self, name):
            return getattr(self._container, name)

        def decode(self, stream):
            frames = self._container.decode(stream)
            yield next(frames)
            raise ValueError("invalid data")

    @contextmanager
    def broken(source):
        with opened(source) as container:
            yield Broken(container)

    monkeypatch.setattr(reading, "opened", broken)
    part = read_sound(path)
    assert len(part) < len(whole)
    assert part.source is not None
    assert part.source.stopped == f"after {len(part) / RATE:.1f} s: invalid data"


def test_marks_are_not_looked_for_among_samples_that_are_no_numbers(tmp_path):
    samples = hum()
    samples[500] = np.nan
    write_raw(tmp_path / "a.wav", [samples[None]], RATE, "pcm_f32le", "flt")
    with pytest.raises(MediaError, match="no numbers"):
        decode_sound(tmp_path / "a.wav")
