"""The text encoder: shapes, padding, and what it can learn."""

import pytest
import torch

from forge.speaking.reading.config import TextConfig
from forge.speaking.reading.network import TextEncoder, TextSpec, count_parameters, normal
from forge.speaking.reading.training import movement_loss
from shared.errors import ConfigError

SPEC = TextSpec(width=12, code=4, symbols=5, voices=2)


def inputs(lengths=(10, 7)):
    chance = torch.Generator().manual_seed(0)
    count = max(lengths)
    symbols = torch.randint(1, 6, (len(lengths), 4), generator=chance)
    inside = torch.arange(count)[None] < torch.tensor(lengths)[:, None]
    places = (torch.arange(count)[None].expand(len(lengths), -1) * 4 // count) * inside
    position = torch.rand(len(lengths), count, 6, generator=chance) * inside[..., None]
    return symbols, places, position, torch.arange(len(lengths)) % 2, inside


def test_shapes_and_the_scale_of_the_code():
    made = TextEncoder(SPEC)(*inputs())
    assert made.code.shape == (2, 10, 4)
    assert made.pitch.shape == made.voiced.shape == made.energy.shape == (2, 20)
    assert made.code[1, 7:].abs().max() == 0
    assert made.code[1, :7].mean(0).detach() == pytest.approx(torch.zeros(4), abs=1e-5)
    assert made.code[1, :7].std(0, unbiased=False).detach() == pytest.approx(torch.ones(4), abs=2e-2)


def test_padding_changes_nothing():
    model = TextEncoder(SPEC).eval()
    symbols, places, position, voice, inside = inputs()
    whole = model(symbols, places, position, voice, inside)
    alone = model(symbols[1:], places[1:, :7], position[1:, :7], voice[1:], inside[1:, :7])
    assert torch.allclose(whole.code[1, :7], alone.code[0], atol=1e-5)
    assert torch.allclose(whole.energy[1, :14], alone.energy[0], atol=1e-5)


def test_the_engines_voice_matters():
    model = TextEncoder(SPEC).eval()
    symbols, places, position, _, inside = inputs()
    one, other = (model(symbols, places, position, torch.full((2,), each), inside).code for each in (0, 1))
    assert not torch.allclose(one, other)


def test_parameters_are_counted():
    assert count_parameters(SPEC) == sum(each.numel() for each in TextEncoder(SPEC).parameters())


def test_normal_is_of_what_is_inside():
    code = torch.tensor([[[1.0, 3.0, 99.0]]])
    assert normal(code, torch.tensor([[True, True, False]])) == pytest.approx(
        torch.tensor([[[-1.0, 1.0, 0.0]]]), abs=1e-4
    )


def test_the_loss_counts_levels_and_slopes_inside():
    wanted = torch.zeros(1, 3, 2)
    made = torch.tensor([[[1.0, 1.0], [1.0, 1.0], [9.0, 9.0]]])
    inside = torch.tensor([[True, True, False]])
    assert float(movement_loss(made, wanted, inside)) == pytest.approx(1.0)
    rising = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]]])
    assert float(movement_loss(rising, wanted, inside)) == pytest.approx(0.5 + 0.5 * 1.0)


@pytest.mark.parametrize(
    "bad", [{"sentences": 1}, {"width": 4}, {"tempo": 0.9}, {"decoded": -1.0}, {"dropout": 1.0}, {"engine": ""}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ConfigError):
        TextConfig(**bad)
