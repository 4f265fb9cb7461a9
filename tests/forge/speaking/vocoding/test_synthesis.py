"""Sound by a trained vocoder: blocks leave no trace, twins are in step, and commands say what made the sound."""

import json

import numpy as np
import pytest

from forge.speaking.conversion.features import features_of
from forge.speaking.conversion.training import train_voices
from forge.speaking.vocoders import vocoded
from forge.speaking.vocoding import synthesis
from forge.speaking.vocoding.checkpoint import load_vocoder
from forge.speaking.vocoding.synthesis import sound_by
from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.errors import UsageError
from shared.provenance.read import read_provenance
from tests.forge.speaking.conversion.conftest import RATE, SMALL, hum
from tests.forge.speaking.test_vocoders import envelope, syllables


def test_blocks_leave_no_trace(vocoder_run, monkeypatch):
    network = load_vocoder(vocoder_run).network
    features = features_of(hum(4.01, 120))
    samples = round(4.01 * RATE)
    whole = sound_by(network, features.mel, features.pitch, samples, seed=2).samples
    assert len(whole) == samples
    monkeypatch.setattr(synthesis, "_BLOCK_FRAMES", 100)
    parts = sound_by(network, features.mel, features.pitch, samples, seed=2).samples
    assert parts == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_a_twin_is_in_step_with_its_recording(vocoder_run, rate):
    model = load_vocoder(vocoder_run)
    sound = syllables(rate=rate)
    twin = vocoded(sound, "istft", seed=1, model=model)
    assert (len(twin), twin.rate) == (len(sound), rate)
    lags = np.arange(-400, 401, 10)
    base, other = envelope(sound.samples), envelope(twin.samples)
    match = [float(np.corrcoef(base[1000:-1000], np.roll(other, lag)[1000:-1000])[0, 1]) for lag in lags]
    assert max(match) > 0.9
    # Less than a period: where in it the pulses lie is for a training to learn.
    assert abs(int(lags[int(np.argmax(match))])) < rate / 140
    assert np.mean(twin.samples**2) == pytest.approx(np.mean(sound.samples**2), rel=0.1)
    assert np.array_equal(vocoded(sound, "istft", seed=1, model=model).samples, twin.samples)


def test_very_short_and_silent_sound_is_vocoded(vocoder_run):
    model = load_vocoder(vocoder_run)
    assert len(vocoded(Sound(np.zeros(50, np.float32), RATE), "istft", model=model)) == 50
    assert not vocoded(Sound(np.zeros(4000, np.float32), RATE), "istft", model=model).samples.any()
    with pytest.raises(UsageError, match="of which run"):
        vocoded(syllables(), "istft")
    with pytest.raises(UsageError, match="griffin-lim has no run"):
        vocoded(syllables(), "griffin-lim", model=model)


def test_a_twin_by_the_command_names_the_model(vocoder_run, tmp_path, capsys):
    write_sound(tmp_path / "ann.wav", syllables())
    arguments = ["forge", "vocode", str(tmp_path / "ann.wav"), "--rights", "consent", "--out", str(tmp_path / "x.wav")]
    assert run([*arguments, "--vocoder", "istft", "--run", str(vocoder_run)]) == 0
    known = read_provenance(tmp_path / "x.wav")
    assert known is not None
    assert known.says_fake
    assert known.record["vocoder"] == "istft"
    assert known.record["vocoder_weights_sha256"] == load_vocoder(vocoder_run).weights_sha256
    (tmp_path / "x.wav").unlink()
    for more, code, why in (
        (["--vocoder", "istft"], 2, "of which run"),
        (["--run", str(vocoder_run)], 2, "griffin-lim has no run"),
        (["--vocoder", "istft", "--run", str(tmp_path)], 1, "vocoder.json"),
    ):
        assert run([*arguments, *more]) == code
        assert why in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x.wav").exists()


def test_a_conversion_by_the_vocoder(vocoder_run, voicesets, tmp_path, capsys):
    train_voices(voicesets[:2], tmp_path / "run", SMALL, steps=2)
    write_sound(tmp_path / "ann.wav", hum(2.0, 120))
    arguments = ["--json", "forge", "convert", str(tmp_path / "run"), str(tmp_path / "ann.wav"), "--to", "r1"]
    made = []
    for name, more in (("a.wav", []), ("b.wav", ["--vocoder-run", str(vocoder_run)])):
        assert run([*arguments, "--rights", "consent", "--out", str(tmp_path / name), *more]) == 0
        record = json.loads(capsys.readouterr().out)["record"]
        made.append((record["vocoder"], record["vocoder_weights_sha256"] is None, read_sound(tmp_path / name)))
    assert [each[:2] for each in made] == [("griffin-lim", True), ("istft", False)]
    assert len(made[0][2]) == len(made[1][2]) == 2 * RATE
    assert not np.array_equal(made[0][2].samples, made[1][2].samples)
