"""The network and the warps of its input."""

import dataclasses

import pytest
import torch

from forge.speaking.conversion.augment import Stretch, retimed, warped
from forge.speaking.conversion.config import VoiceConfig
from forge.speaking.conversion.network import VoiceSpec, VoiceSwapper, count_parameters, tracks_of
from shared.errors import ConfigError

SPEC = VoiceSpec(width=12, code=4, rank=2, voices=3, identities=2)
STILL = VoiceConfig(formant=1.0, pitch=1.0, tempo=1.0, noise=0.0)


def inputs(batch=2, frames=20):
    chance = torch.Generator().manual_seed(0)
    mel = torch.randn(batch, frames, 80, generator=chance)
    pitch = torch.full((batch, frames), 5.0)
    pitch[:, ::3] = 0
    return mel, pitch, mel.mean(2)


def test_shapes():
    model = VoiceSwapper(SPEC)
    mel, pitch, energy = inputs()
    code = model.encode(mel)
    assert code.shape == (2, 10, 4)
    assert model.decode(code, pitch, energy, torch.tensor([0, 1])).shape == (2, 20, 80)
    assert model.decode(code, pitch, energy, torch.tensor([2, 2]), own=False).shape == (2, 20, 80)


def test_the_code_has_no_constant_of_the_voice():
    model = VoiceSwapper(SPEC)
    mel, _, _ = inputs()
    coloured = mel + torch.linspace(-1, 1, 80)
    code = model.encode(mel)
    assert code.mean(1).abs().max() < 1e-4
    inner = slice(3, -3)  # the ends see the padding
    assert (model.encode(coloured) - code)[:, inner].abs().mean() < 0.25 * code.abs().mean()


def test_each_identity_has_a_part_of_its_own():
    model = VoiceSwapper(SPEC)
    mel, pitch, energy = inputs()
    code = model.encode(mel)
    one = model.decode(code, pitch, energy, torch.tensor([0, 0]))
    assert torch.equal(one, model.decode(code, pitch, energy, torch.tensor([0, 0]), own=False))
    torch.nn.init.normal_(model.own_out)
    assert not torch.allclose(one, model.decode(code, pitch, energy, torch.tensor([0, 0])))
    model.decode(code, pitch, energy, torch.tensor([1, 1])).sum().backward()
    assert model.own_in.grad is not None
    assert model.own_in.grad[0].abs().sum() == 0
    assert model.own_in.grad[1].abs().sum() > 0


def test_parameters_are_counted():
    shared, own = count_parameters(SPEC)
    assert shared == sum(each.numel() for each in VoiceSwapper(SPEC).shared_parameters())
    assert own == 64 + 2 * 5 * 2 * 12


def test_tracks_show_the_harmonics_of_voiced_frames():
    _, pitch, energy = inputs()
    tracks = tracks_of(pitch, energy)
    assert tracks.shape == (2, 20, 82)
    assert tracks[0, 0, :81].abs().sum() == 0
    assert tracks[0, 1, 80] == 1
    low, high = (tracks_of(torch.full((1, 1), value), torch.zeros(1, 1))[0, 0, :80] for value in (4.6, 5.6))
    places = [torch.nonzero((each[1:-1] > each[:-2]) & (each[1:-1] > each[2:]))[:4, 0] for each in (low, high)]
    assert places[0][0] < places[1][0]  # the fundamental
    assert (places[0].diff() < places[1].diff()).all()  # and the distances of its harmonics


def test_no_warp_leaves_the_spectrogram_but_for_the_gain():
    mel, _, _ = inputs()
    out = warped(mel, STILL, torch.Generator().manual_seed(1))
    gain = out - mel
    assert torch.allclose(gain, gain[:, :1].expand_as(gain), atol=1e-4)


def test_the_vocal_tract_moves_peaks():
    peak = torch.exp(-0.5 * ((torch.arange(80) - 40) / 6.0) ** 2).expand(64, 10, 80)
    config = dataclasses.replace(STILL, formant=1.3)
    places = warped(peak, config, torch.Generator().manual_seed(2))[:, 0].argmax(1)
    assert places.min() < 37
    assert places.max() > 43


def test_another_tempo_keeps_the_pitch():
    mel, pitch, energy = inputs(frames=21)
    made = retimed(Stretch(mel, pitch, energy), 30)
    assert made.mel.shape == (2, 30, 80)
    assert set(made.pitch.flatten().tolist()) == {0.0, 5.0}
    same = retimed(Stretch(mel, pitch, energy), 21)
    assert torch.allclose(same.mel, mel, atol=1e-5)


@pytest.mark.parametrize(
    "bad", [{"frames": 33}, {"width": 4}, {"population_share": 1.0}, {"formant": 0.9}, {"keep": 0}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ConfigError):
        VoiceConfig(**bad)
