from __future__ import annotations

import pytest
import torch
from torch import nn

from detect.models import build_detector
from detect.models.pooled import PooledDetector, TextureLogit, early_and_middle, texture
from shared.errors import ConfigError

FAMILIES = ["pooled", "pooled-multitask"]


def test_texture_by_hand():
    """One channel of 1 and 3, one of 5 throughout: means 2 and 5, deviations 1 and (nearly) 0."""
    maps = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])
    found = texture([maps, 2 * maps])
    assert found.shape == (1, 8)
    torch.testing.assert_close(found[0], torch.tensor([2.0, 5, 1, 0, 4, 10, 2, 0]), atol=4e-3, rtol=0)


def test_a_flat_map_has_a_gradient():
    flat = torch.ones(2, 3, 4, 4, requires_grad=True)
    texture([flat]).sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_texture_is_where_it_may_be():
    """Pixels of a map in another order: the same statistics."""
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 6, 6)
    moved = maps.flatten(2)[..., torch.randperm(36)].view_as(maps)
    torch.testing.assert_close(texture([moved]), texture([maps]))


def test_layers_are_the_last_of_each_stride_but_the_coarsest():
    net = build_detector("tf_efficientnet_lite0", family="pooled").net
    info = net.feature_info  # type: ignore[union-attr]
    assert isinstance(net, nn.Module)
    layers = early_and_middle(net, "lite0")
    assert [info[layer]["reduction"] for layer in layers] == [2, 4, 8, 16]  # type: ignore[index, operator]
    vit = build_detector("test_vit", family="pooled", input_px=64)
    assert isinstance(vit, PooledDetector)
    assert len(vit.layers) >= 2
    with pytest.raises(ConfigError, match="does not give the feature maps"):
        early_and_middle(nn.Linear(1, 1), "linear")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logit_is_a_sum_over_depths(family: str):
    """Without its texture head the detector gives the logit of the family it adds to."""
    torch.manual_seed(0)
    detector = build_detector("test_efficientnet", family=family, input_px=64).eval()
    plain = build_detector("test_efficientnet", family="frame" if family == "pooled" else "multitask", input_px=64)
    own = {name: tensor for name, tensor in detector.state_dict().items() if not name.startswith("texture.")}
    plain.load_state_dict(own)
    x = torch.randn(2, 3, 64, 64)
    texture_head = detector.texture
    assert isinstance(texture_head, TextureLogit)
    assert not torch.allclose(detector(x).logit, plain.eval()(x).logit)
    nn.init.zeros_(texture_head.head.weight)
    torch.testing.assert_close(detector(x).logit, plain(x).logit)
    assert (detector(x).mask is None) == (family == "pooled")


@pytest.mark.parametrize("family", FAMILIES)
def test_texture_alone_is_learned(family: str):
    """Noise of two strengths, equal in colour and place: a few steps of the texture head with a frozen backbone."""
    torch.manual_seed(0)
    detector = build_detector("test_efficientnet", family=family, input_px=64).train()
    detector.requires_grad_(False)
    head = detector.texture
    assert isinstance(head, TextureLogit)
    head.requires_grad_(True)
    wanted = torch.tensor([1.0, 0.0] * 8)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(20):
        x = torch.randn(16, 3, 64, 64) * (0.5 + 0.2 * wanted).view(-1, 1, 1, 1)
        loss = nn.functional.binary_cross_entropy_with_logits(detector(x).logit, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    logits = detector(torch.randn(16, 3, 64, 64) * (0.5 + 0.2 * wanted).view(-1, 1, 1, 1)).logit
    assert ((logits > 0) == (wanted > 0.5)).float().mean() > 0.85
