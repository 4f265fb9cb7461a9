from __future__ import annotations

import pytest
import torch

from forge.models.amp import AmpSwapper
from forge.models.contract import Swap
from shared.errors import ConfigError, UsageError

PEOPLE = ("ann", "bob", "eve")


@pytest.fixture
def swapper() -> AmpSwapper:
    torch.manual_seed(3)
    return AmpSwapper(PEOPLE, resolution=64, width=0.05).eval()


@pytest.fixture
def latent(swapper: AmpSwapper) -> torch.Tensor:
    return swapper.encode(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))


class Listener(torch.nn.Module):
    """Stands in for the decoder and keeps what it is given, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, latent: torch.Tensor) -> Swap:
        self.seen.append(latent.detach())
        return Swap(latent, None)


def maps_read(swapper: AmpSwapper) -> list[torch.Tensor]:
    """What the decoder is given from now on; it draws nothing any more."""
    listener = Listener()
    swapper.decoder = listener  # type: ignore[assignment]
    return listener.seen


def label_inters(swapper: AmpSwapper) -> None:
    """Makes the inter of the n-th person give n everywhere, so that a map tells whose its channels are."""
    with torch.no_grad():
        for number, inter in enumerate(swapper.inters):
            inter.widen.weight.zero_()
            inter.widen.bias.fill_(float(number))


def test_the_ends_of_a_morph_are_the_identities(swapper, latent):
    for share, who in ((1.0, "bob"), (0.0, "eve")):
        between, plain = swapper.decode_between(latent, "bob", "eve", share), swapper.decode(latent, who)
        assert torch.equal(between.rgb, plain.rgb)
        assert torch.equal(between.mask, plain.mask)


def test_a_share_takes_that_many_channels_from_the_source(swapper, latent):
    label_inters(swapper)
    seen = maps_read(swapper)
    count = swapper.inters[0].out
    swapper.decode_between(latent, "bob", "eve", 0.25)
    of_bob = seen[0][0, :, 0, 0] == 1
    assert of_bob.sum() == count // 4
    assert of_bob[: count // 4].all()
    assert (seen[0][0, count // 4 :, 0, 0] == 2).all()
    swapper.decode_between(latent, "bob", "eve", 0.5 / count)
    assert seen[1][0, :2, 0, 0].tolist() == [1.5, 2.0]


@torch.no_grad()
def test_a_morph_has_no_jump_where_one_channel_ends_and_the_next_begins(swapper, latent):
    def drawn(share: float) -> torch.Tensor:
        return swapper.decode_between(latent, "ann", "eve", share).rgb

    count = swapper.inters[0].out
    whole = float((drawn(0.0) - drawn(1.0)).abs().max())
    assert whole > 0
    for channel in range(4, count, 8):
        border = channel / count
        assert float((drawn(border - 1e-5) - drawn(border + 1e-5)).abs().max()) < 1e-3 * whole


def test_a_morph_that_cannot_be_is_refused(swapper, latent):
    with pytest.raises(UsageError, match="from 0 to 1"):
        swapper.decode_between(latent, "ann", "bob", -0.1)
    with pytest.raises(UsageError, match="no identity 'bo'"):
        swapper.decode_between(latent, "ann", "bo", 0.5)


def test_training_mixes_channels_of_one_other_person_into_most_of_the_own(swapper, latent):
    label_inters(swapper)
    seen = maps_read(swapper)
    swapper.train()
    torch.manual_seed(5)
    many = latent[:1].expand(64, -1)
    for _ in range(12):
        swapper.decode(many, "bob")
    count = swapper.inters[0].out
    others = [set(channels.unique().tolist()) - {1.0} for channels in seen]
    assert {0.0} in others
    assert {2.0} in others
    assert all(len(each) <= 1 for each in others)
    own = torch.cat([(channels[:, :, 0, 0] == 1).float().mean(1) for channels in seen])
    assert own.min() >= round(0.75 * count) / count
    assert own.max() == 1
    assert own.mean() == pytest.approx(0.875, abs=0.02)
    # Any channel may be the other's, not only the last ones.
    kept = torch.cat([(channels[:, :, 0, 0] == 1).float() for channels in seen]).mean(0)
    assert kept.min() > 0.8


def test_training_draws_from_the_global_generator_only(swapper, latent):
    swapper.train()
    state = torch.get_rng_state()
    first = swapper.decode(latent, "ann").rgb
    assert not torch.equal(first, swapper.decode(latent, "ann").rgb)
    torch.set_rng_state(state)
    assert torch.equal(first, swapper.decode(latent, "ann").rgb)


def test_inters_are_trained(swapper):
    swapper.train()
    swapper(torch.rand(2, 3, 64, 64), "bob").rgb.mean().backward()
    assert swapper.inters[1].widen.weight.grad.any()


def test_parts_name_each_inter(swapper):
    assert set(swapper.parts()) == {"encoder", "inter.ann", "inter.bob", "inter.eve", "decoder"}
    assert swapper.spec.can_morph
    assert swapper.spec.framing == "whole"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resolution": 100}, "96"),
        ({"resolution": 672}, "640"),
        ({"morph_factor": 1.0}, "0.9"),
        ({"ae_dims": 8}, "32"),
        ({"inter_dims": 4096}, "2048"),
        ({"mask_dims": 8}, "16"),
        ({"framing": "hole"}, "whole"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_nearest(options, told):
    with pytest.raises(ConfigError) as caught:
        AmpSwapper(PEOPLE, **options)
    assert told in caught.value.hint
