"""The vocoder's source, its network and its losses."""

import numpy as np
import pytest
import torch

from forge.speaking.conversion.features import FRAMING, features_of, scaled, work_form
from forge.speaking.vocoding.config import VocoderConfig
from forge.speaking.vocoding.losses import log_mel_of, mel_loss, spectral_loss
from forge.speaking.vocoding.network import VocoderNetwork, VocoderSpec, brought_to, count_parameters
from forge.speaking.vocoding.source import pulses
from shared.audio.features import log_mel
from tests.forge.speaking.conversion.conftest import RATE, hum


def test_pulses_are_all_harmonics_at_one_level():
    made = pulses(np.full(81, np.log(200.0), np.float32), RATE)
    spectrum = np.abs(np.fft.rfft(made)) * 2 / RATE
    assert spectrum[200:7900:200] == pytest.approx(1.0, abs=0.02)
    between = np.delete(spectrum[1:7900], np.arange(199, 7899, 200))
    assert between.max() < 0.02


def test_pulses_are_where_speech_is_voiced():
    pitch = np.full(81, np.nan, np.float32)
    assert not pulses(pitch, RATE).any()
    pitch[40:] = np.log(100.0)
    made = pulses(pitch, RATE)
    assert not made[: 39 * FRAMING.hop].any()
    assert made[41 * FRAMING.hop :].std() > 1
    assert pulses(np.array([np.log(100.0)], np.float32), 200, start=0.0).max() == pytest.approx(80, rel=0.05)


def test_a_source_is_brought_to_the_spectrogram_that_is_wanted():
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 8000), np.float32))
    wanted = torch.full((1, 41, 80), -10.0) + torch.linspace(0, 3, 80)
    window = torch.hann_window(FRAMING.window)
    made = torch.istft(brought_to(wanted, noise, -9.0), FRAMING.window, FRAMING.hop, window=window, length=8000)
    difference = (log_mel_of(made) - wanted)[:, 4:-4]
    assert float(difference.mean().abs()) < 0.3
    assert float(difference.abs().mean()) < 0.4
    silent = brought_to(wanted, torch.zeros(1, 8000), -9.0)
    assert float(silent.abs().max()) == 0


def test_the_network_gives_as_many_samples_as_its_source_has():
    torch.manual_seed(0)
    network = VocoderNetwork(VocoderSpec(8, 2))
    mel, pitch = torch.zeros(2, 21, 80), torch.full((2, 21), 5.0)
    source = torch.randn(2, 4050)
    made = network(mel, pitch, source, source)
    assert made.shape == (2, 4050)
    assert torch.isfinite(made).all()
    made.sum().backward()
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in network.parameters())


def test_the_default_size_is_small():
    config = VocoderConfig()
    assert 1e6 < count_parameters(VocoderSpec(config.width, config.blocks)) < 3e6


def test_the_losses_mean_what_they_say():
    sound = torch.from_numpy(np.random.default_rng(1).normal(0, 0.1, (1, RATE)).astype(np.float32))
    assert float(spectral_loss(sound, sound)) == 0
    assert float(mel_loss(sound, sound)) == 0
    assert float(mel_loss(0.5 * sound, sound)) == pytest.approx(2 * np.log(2), rel=0.01)
    # Half the amplitude: convergence is .5, and the log magnitudes differ by log 2.
    assert float(spectral_loss(0.5 * sound, sound)) == pytest.approx(0.5 + np.log(2), rel=0.01)


def test_the_spectrogram_of_the_loss_is_that_of_the_features():
    samples = work_form(hum(1.0, 120))
    made = log_mel_of(torch.from_numpy(samples)[None])[0].numpy()
    assert made == pytest.approx(np.maximum(log_mel(samples, FRAMING), -18), abs=0.02)
    assert scaled(made) == pytest.approx(features_of(hum(1.0, 120)).mel, abs=0.02)
