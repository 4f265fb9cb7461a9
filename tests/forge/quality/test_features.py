from __future__ import annotations

import cv2
import numpy as np
import pytest
import timm
import torch

from forge.quality.features import FEATURES, FeatureBank, FeatureNet, Lpips, load_features, load_lpips
from forge.training.losses.perceptual import FeatureStages, PerceptualNet
from shared.errors import WeightsError
from shared.weights import imagenet as pretrained


@pytest.fixture(scope="module")
def net() -> FeatureNet:
    """With random weights: what is tested holds for any."""
    torch.manual_seed(0)
    return FeatureNet(timm.create_model(FEATURES, pretrained=False, num_classes=0), "random")


@pytest.fixture
def crop(rng) -> np.ndarray:
    return cv2.GaussianBlur(rng.integers(0, 256, (96, 96, 3)).astype(np.uint8), (0, 0), 2.0)


def test_equal_crops_are_no_distance_apart_and_the_distance_goes_both_ways(net, crop):
    other = cv2.GaussianBlur(crop, (0, 0), 3.0)
    assert net.distance(crop, crop) == pytest.approx(0, abs=1e-6)
    assert net.distance(crop, other) == pytest.approx(net.distance(other, crop), rel=1e-4)
    assert net.distance(crop, other) > 0


def test_every_crop_has_a_vector_whatever_the_batch(net, crop):
    crops = [np.roll(crop, i, axis=1) for i in range(3)]
    together = net.pooled(crops)
    assert together.shape == (3, 1280)
    assert np.allclose(together[1], net.pooled([crops[1]])[0], atol=1e-4)
    assert net.pooled([]).shape == (0, 1280)


def test_a_bank_gives_pairs_with_their_clusters():
    bank = FeatureBank()
    for name, count in (("a", 2), ("b", 1), ("failed", 1)):
        clip = bank.of(name)
        clip.fake += [np.full(3, float(count))] * count
        clip.target += [np.zeros(3)] * count
    fakes, targets, clusters = bank.pairs({"a": 7, "b": 9, "never measured": 1})
    assert fakes[:, 0].tolist() == [2.0, 2.0, 1.0]
    assert targets.shape == (3, 3)
    assert clusters.tolist() == [7, 7, 9]
    assert len(bank.pairs({})[0]) == 0
    assert bank.of("a").fake == []


def test_lpips_is_not_there_without_its_weights_and_nothing_takes_its_name(monkeypatch):
    def refuse(*_args: object) -> None:
        raise WeightsError("none here")

    monkeypatch.setattr("forge.quality.features.perceptual_net", refuse)
    assert load_lpips() is None


def test_lpips_of_equal_crops_is_none(crop):
    torch.manual_seed(0)
    small = PerceptualNet(FeatureStages(timm.create_model("test_efficientnet", pretrained=False)))
    lpips = Lpips(small)
    assert lpips.distance(crop, crop) == pytest.approx(0, abs=1e-6)
    assert lpips.distance(crop, np.roll(crop, 9, axis=0)) > 0


def test_no_weights_no_network(monkeypatch):
    def refuse(*_args: object, **_named: object) -> str:
        raise WeightsError("none here")

    monkeypatch.setattr("forge.quality.features.load_pretrained", refuse)
    assert load_features() is None


@pytest.mark.skipif(
    pretrained.package_path("tf_efficientnet_lite0") is None, reason="the weights' package is not installed"
)
def test_a_blurred_picture_is_farther_off_than_one_a_little_darker(crop):
    net = FeatureNet.load()
    darker = (crop * 0.95).astype(np.uint8)
    assert "sha256:" in net.source
    assert net.distance(crop, darker) < net.distance(crop, cv2.GaussianBlur(crop, (0, 0), 4.0))
