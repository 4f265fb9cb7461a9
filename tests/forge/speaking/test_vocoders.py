"""Vocoded twins keep words and times; partial fakes are labelled to the sample."""

import json

import numpy as np
import pytest

from forge.speaking.partial import with_speech, with_twin
from forge.speaking.vocoders import available_vocoders, mel_filters, vocoded, vocoders
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.errors import UnknownNameError, UsageError
from shared.provenance.read import read_provenance

RATE = 16_000


def syllables(seconds=2.0, rate=RATE, pitch=140.0):
    """A voice that stops and starts four times a second."""
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * pitch * order * time + order) / order for order in range(1, 25))
    gate = (np.sin(2 * np.pi * 2 * time) > 0) * (0.5 + 0.5 * np.abs(np.sin(2 * np.pi * 2 * time)))
    return Sound((0.15 * tone * gate).astype(np.float32), rate)


def envelope(samples):
    return np.convolve(np.abs(samples), np.ones(160) / 160, "same")


@pytest.mark.parametrize("name", available_vocoders())
@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_a_twin_is_in_step_with_its_recording(name, rate):
    sound = syllables(rate=rate)
    twin = vocoded(sound, name, seed=1)
    assert len(twin) == len(sound)
    assert twin.rate == rate
    lags = np.arange(-400, 401, 10)
    base, other = envelope(sound.samples), envelope(twin.samples)
    match = [float(np.corrcoef(base[1000:-1000], np.roll(other, lag)[1000:-1000])[0, 1]) for lag in lags]
    assert max(match) > 0.9
    assert abs(int(lags[int(np.argmax(match))])) <= 0.004 * rate
    assert np.mean(twin.samples**2) == pytest.approx(np.mean(sound.samples**2), rel=0.1)
    assert float(np.abs(twin.samples - sound.samples).mean()) > 1e-3
    assert np.array_equal(vocoded(sound, name, seed=1).samples, twin.samples)


def test_very_short_and_silent_sound_is_vocoded(monkeypatch):
    assert len(vocoded(Sound(np.zeros(50, np.float32), RATE), "griffin-lim")) == 50
    assert not vocoded(Sound(np.zeros(4000, np.float32), RATE), "griffin-lim").samples.any()
    with pytest.raises(UnknownNameError, match="no vocoder"):
        vocoded(syllables(), "word")
    assert "griffin-lim" in vocoders.names()


def test_filters_cover_every_frequency():
    filters = mel_filters(1024, RATE)
    assert filters.shape == (80, 513)
    assert (filters.sum(axis=1) > 0).all()
    assert (filters.sum(axis=0)[5:-1] > 0).all()


def test_a_partial_twin_differs_inside_its_segments_only():
    sound = syllables()
    twin = Sound(-sound.samples, RATE)
    fake = with_twin(sound, twin, [(9000, 16000), (2000, 4000)])
    assert fake.segments == ((2000, 4000), (9000, 16000))
    differs = fake.sound.samples != sound.samples
    inside = np.zeros(len(sound), bool)
    for first, stop in fake.segments:
        inside[first:stop] = True
    assert not differs[~inside].any()
    assert differs[inside & (sound.samples != 0)].mean() > 0.99
    assert np.array_equal(fake.sound.samples[10_000:15_000], twin.samples[10_000:15_000])


def test_other_words_move_what_follows():
    sound = syllables()
    said = Sound(syllables(0.5, 24_000, 220).samples * 0.1, 24_000)
    fake = with_speech(sound, [(8000, 12000)], [said])
    ((first, stop),) = fake.segments
    assert (first, stop - first) == (8000, RATE // 2)
    assert np.array_equal(fake.sound.samples[:8000], sound.samples[:8000])
    assert np.array_equal(fake.sound.samples[stop:], sound.samples[12000:])
    inside = fake.sound.samples[first + 400 : stop - 400]
    assert np.abs(inside).max() > 0.3 * np.abs(sound.samples[8000:12000]).max()


@pytest.mark.parametrize("spans", [[], [(0, 100)], [(0, 4000), (3000, 8000)], [(30_000, 40_000)], [(-5, 4000)]])
def test_spans_that_cannot_be_are_refused(spans):
    with pytest.raises(UsageError):
        with_twin(syllables(), syllables(), spans)


def test_commands_sign_what_was_replaced(tmp_path, capsys, monkeypatch):
    from forge.speaking.contract import EngineInfo, Speech

    info = EngineInfo("hibari", "neural", "1", "heart", None, "Apache-2.0")
    monkeypatch.setattr("forge.speaking.contract.say", lambda text, **_: Speech(syllables(0.5), info))
    source = tmp_path / "ann.wav"
    write_sound(source, syllables())
    common = [str(source), "--rights", "consent", "--out"]
    assert run(["--json", "forge", "vocode", *common, str(tmp_path / "a.wav"), "--span", "0.5-1.0"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"] == [[8000, 16000]]
    known = read_provenance(tmp_path / "a.wav")
    assert known.record["segments"] == "8000-16000"
    assert known.record["rights"] == "consent"
    assert known.says_fake
    assert known.ingredients[0].title == "ann.wav"
    assert run(["--json", "forge", "splice", *common, str(tmp_path / "b.mp3"), "--span", "0.5-0.75", "--say", "x"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"] == [[8000, 16000]]
    assert read_provenance(tmp_path / "b.mp3").record["replaced"] == "8000-12000"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["vocode", "ann.wav", "--out", "x.wav"], "--rights"),
        (["vocode", "ann.wav", "--rights", " ", "--out", "x.wav"], "on what basis"),
        (["vocode", "ann.wav", "--rights", "consent", "--out", "ann.wav"], "recording itself"),
        (["vocode", "ann.wav", "--rights", "consent", "--out", "x.wav", "--span", "one"], "no span of seconds"),
        (["vocode", "ann.wav", "--rights", "consent", "--out", "x.wav", "--span", "1-9"], "leaves the recording"),
        (["vocode", "ann.wav", "--rights", "consent", "--out", "x.wav", "--vocoder", "worlds"], "did you mean world"),
        (["splice", "ann.wav", "--rights", "consent", "--out", "x.wav", "--span", "1-1.5", "--say", "a",
          "--say", "b"], "one text"),
    ],
)  # fmt: skip
def test_wrong_usage(tmp_path, monkeypatch, capsys, arguments, why):
    monkeypatch.chdir(tmp_path)
    write_sound(tmp_path / "ann.wav", syllables())
    assert run(["forge", *arguments]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("rate", "most", "why"), [(4000, 10**9, "4000 samples a second"), (RATE, 9000, "32,000 samples")]
)
def test_recordings_that_cannot_be_vocoded_are_refused_before_work(tmp_path, monkeypatch, capsys, rate, most, why):
    monkeypatch.setattr("forge.speaking.output._MOST_SAMPLES", most)
    monkeypatch.setattr("forge.speaking.vocoders.vocoded", lambda *_, **__: pytest.fail("vocoded"))
    write_sound(tmp_path / "ann.wav", syllables(rate=rate))
    out = tmp_path / "x.wav"
    assert run(["forge", "vocode", str(tmp_path / "ann.wav"), "--rights", "consent", "--out", str(out)]) == 1
    assert why in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
