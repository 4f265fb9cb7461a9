from __future__ import annotations

import pytest
import torch

from forge.training.adversarial.networks import (
    PatchDiscriminator,
    SelfAttention,
    UNetDiscriminator,
    patch_strides,
    receptive_field,
)


@pytest.mark.parametrize("side", [32, 64, 96, 128])
def test_patch_verdicts_are_one_a_patch(side):
    verdicts = PatchDiscriminator(side, 6, 4)(torch.rand(2, 6, side, side))
    assert len(verdicts) == 1
    assert verdicts[0].shape[:2] == (2, 1)
    assert 7 <= verdicts[0].shape[-1] < 15


def test_patch_discriminator_is_as_large_as_published():
    parameters = sum(each.numel() for each in PatchDiscriminator(64, 6, 64).parameters())
    assert parameters == pytest.approx(0.75e6, rel=0.01)


def test_attention_changes_nothing_at_first_and_is_a_weighted_mean_of_values():
    torch.manual_seed(0)
    attention = SelfAttention(8)
    x = torch.rand(1, 8, 2, 2)
    assert torch.equal(attention(x), x)
    attention.share.data.fill_(1)
    for part in (attention.query, attention.key):
        part.weight.data.zero_()
        part.bias.data.zero_()
    # Nothing is told apart: every place sees the mean value of all.
    mean = attention.value(x).mean((2, 3), keepdim=True)
    assert torch.allclose(attention(x), x + mean, atol=1e-6)


def test_receptive_field_by_hand():
    assert receptive_field(()) == 1
    assert receptive_field((1, 1)) == 5
    assert receptive_field((2, 2)) == 7
    assert receptive_field((2, 2, 2, 1)) == 31


@pytest.mark.parametrize(("patch", "strides"), [(3, (2,)), (8, (2, 2)), (16, (2, 2, 2)), (12, (2, 1, 1))])
def test_strides_come_closest_to_the_patch(patch, strides):
    assert patch_strides(patch) == strides


def test_a_patch_verdict_sees_its_patch_and_no_more():
    net = UNetDiscriminator(16, 1, 2)
    for parameter in net.parameters():
        parameter.data.fill_(0.1)
    picture = torch.ones(1, 1, 64, 64, requires_grad=True)
    patches, pixels = net(picture)
    assert patches.shape == (1, 1, 8, 8)
    assert pixels.shape == (1, 1, 64, 64)
    patches[0, 0, 4, 4].backward()
    assert picture.grad is not None
    seen = picture.grad[0, 0].abs().sum(0) > 0
    assert int(seen.sum()) == 15


def test_unet_takes_sides_that_do_not_halve_evenly():
    patches, pixels = UNetDiscriminator(9, 3, 2)(torch.rand(1, 3, 45, 45))
    assert pixels.shape[-1] == 45
    assert patches.shape[-1] == 12
