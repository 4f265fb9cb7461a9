from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from forge.models.contract import Swap, SwapSpec
from forge.training.data import Batch
from forge.training.loss_config import CROSSED, RECONSTRUCTION, AdversarialConfig, LossConfig
from forge.training.losses import objective as module
from forge.training.losses.objective import CROSSED_TERMS, TERMS, Objective
from shared.errors import ConfigError, UsageError, WeightsError

CPU = torch.device("cpu")
SPEC = SwapSpec("small", 32, 32, "full", ("ann", "bob"), has_mask=True)
BARE = dataclasses.replace(SPEC, has_mask=False)
NOTHING = {
    field.name: 0.0
    for field in dataclasses.fields(LossConfig)
    if isinstance(field.default, float) and field.name not in ("eyes", "mouth", "background")
}
NO_TERMS = {"eyes", "mouth", "background", "true_face"}


def only(**weights: float) -> LossConfig:
    return LossConfig(**{**NOTHING, "mae": 1e-9, **weights})  # type: ignore[arg-type]


def noise(seed: int, channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(seed))


def flat_batch(value: float = 0.2, side: int = 32) -> Batch:
    target, one = torch.full((2, 3, side, side), value), torch.ones(2, 1, side, side)
    return Batch(target, target, one, torch.zeros_like(one), torch.zeros_like(one))


def noise_batch() -> Batch:
    batch = flat_batch()
    mask = torch.zeros_like(batch.mask)
    mask[..., 4:-4, 4:-4] = 1
    eyes, mouth = torch.zeros_like(mask), torch.zeros_like(mask)
    eyes[..., 8:12, 8:24] = 1
    mouth[..., 22:26, 12:20] = 1
    return Batch(noise(1), noise(1), mask, eyes, mouth)


def flat_swap(value: float, **others: Any) -> Swap:
    return Swap(torch.full((2, 3, 32, 32), value), **{"mask": None, **others})


def test_every_weight_of_the_settings_is_a_term_and_every_term_a_weight():
    weights = {name for name in NOTHING if name not in NO_TERMS}
    assert weights == TERMS.keys() | CROSSED_TERMS.keys()
    assert set(CROSSED) == CROSSED_TERMS.keys()
    assert set(RECONSTRUCTION) <= TERMS.keys()


def test_total_by_hand():
    config = only(mae=3, mse=5, dssim=2, mask=4)
    losses = Objective(config, SPEC, CPU)(flat_swap(0.6, mask=torch.full((2, 1, 32, 32), 0.5)), flat_batch())
    structure = (1 - 0.2401 / 0.4001) / 2
    assert losses.terms.keys() == {"mae", "mse", "dssim", "mask"}
    assert losses.terms["mae"].item() == pytest.approx(0.4, abs=1e-6)
    assert losses.terms["mask"].item() == pytest.approx(0.25, abs=1e-6)
    assert losses.total.item() == pytest.approx(3 * 0.4 + 5 * 0.16 + 2 * structure + 4 * 0.25, abs=1e-3)


def test_what_does_not_count_is_not_computed(monkeypatch):
    def never(*_args: object) -> torch.Tensor:
        raise AssertionError("computed")

    for name in TERMS.keys() - {"mae"}:
        monkeypatch.setitem(module.TERMS, name, never)
    assert Objective(only(mae=1), SPEC, CPU)(flat_swap(0.6), flat_batch()).terms.keys() == {"mae"}


def test_the_phase_says_what_counts():
    objective = Objective(only(mae=1), SPEC, CPU)
    phase = only(mse=1)
    assert objective(flat_swap(0.6), flat_batch(), config=phase).terms["mse"].item() == pytest.approx(0.16)


def test_outside_the_mask_nothing_counts_without_background():
    batch = noise_batch()
    wrong = torch.where(batch.mask > 0, batch.target, 1 - batch.target)
    config = dataclasses.replace(only(mae=1), background=0.0)
    assert Objective(config, SPEC, CPU)(Swap(wrong, None), batch).total.item() == pytest.approx(0, abs=1e-7)


def test_eyes_and_mouth_by_hand():
    batch = noise_batch()
    losses = Objective(only(eyes_mouth=300), SPEC, CPU)(Swap(batch.target + 0.1, None), batch)
    # Off by 0.1 everywhere: what counts is the share of the picture that eyes and mouth take.
    share = (4 * 16 + 4 * 8) / 32**2
    assert losses.total.item() == pytest.approx(300 * 0.1 * share, rel=1e-4)


def test_means_over_the_picture_weigh_the_face_by_its_share_by_hand():
    # The face is the middle quarter of the picture, wrong by 0.2; the mask is wrong by 0.5 everywhere, eyes are a 32nd.
    batch = flat_batch()
    mask, eyes = torch.zeros_like(batch.mask), torch.zeros_like(batch.mask)
    mask[..., 8:24, 8:24] = 1
    eyes[..., 10:12, 8:24] = 1
    batch = batch._replace(mask=mask, eyes=eyes)
    swap = flat_swap(0.4, mask=(mask - 0.5).abs())
    over_face = LossConfig(**{**NOTHING, "mse": 10.0, "mask": 10.0, "eyes_mouth": 300.0}, eyes=1, mouth=1, background=0)  # type: ignore[arg-type]
    over_picture = dataclasses.replace(over_face, mean="picture")
    of_face, of_picture = (Objective(each, SPEC, CPU)(swap, batch) for each in (over_face, over_picture))
    assert of_face.terms["mse"].item() == pytest.approx(0.2**2, rel=1e-4)
    assert of_picture.terms["mse"].item() == pytest.approx(0.2**2 / 4, rel=1e-4)
    assert of_picture.total.item() == pytest.approx(10 * 0.04 / 4 + 10 * 0.25 + 300 * 0.2 / 32, rel=1e-4)
    assert of_face.total.item() == pytest.approx(10 * 0.04 + 10 * 0.25 + 300 * 0.2 / 32, rel=1e-4)


@pytest.mark.parametrize(("window", "share"), [("gaussian11", 16**2 / 32**2), ("dfl", 16**2 / 30**2)])
def test_structure_over_the_picture_is_a_mean_of_all_windows_by_hand(window, share):
    # Flat pictures: every window has the same value. DeepFaceLab's of 3 px has 30 positions in 32 px.
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    config = dataclasses.replace(only(dssim=1), background=0.0, dssim_window=window)
    over_face, over_picture = (
        Objective(each, SPEC, CPU)(flat_swap(0.6), flat_batch()._replace(mask=mask)).terms["dssim"].item()
        for each in (config, dataclasses.replace(config, mean="picture"))
    )
    assert over_face == pytest.approx((1 - 0.2401 / 0.4001) / 2, abs=1e-3)
    assert over_picture == pytest.approx(share * over_face, rel=1e-4)


def test_coarser_outputs_are_compared_at_their_size():
    coarse = Swap(torch.full((2, 3, 16, 16), 0.5), torch.full((2, 1, 16, 16), 0.5))
    coarser = Swap(torch.full((2, 3, 8, 8), 0.3), None)
    swap = flat_swap(0.2, smaller=(coarse, coarser))
    found = Objective(only(smaller=1), SPEC, CPU)(swap, flat_batch(0.2)).terms["smaller"]
    assert found.item() == pytest.approx(((0.3 + 0.25) + 0.1) / 2, abs=1e-6)


def test_a_mask_is_asked_to_be_small_and_smooth():
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :8] = 1
    losses = Objective(only(mask_size=1, mask_variation=1), SPEC, CPU)(flat_swap(0.2, mask=mask), flat_batch())
    assert losses.terms["mask_size"].item() == pytest.approx(0.25)
    assert losses.terms["mask_variation"].item() == pytest.approx(1 / 31)


def test_crossed_faces_cost_style_and_nothing_else():
    objective = Objective(only(face_style=2, background_style=3), SPEC, CPU)
    assert objective.wants_crossed()
    assert not Objective(only(mae=1), SPEC, CPU).wants_crossed()
    losses = objective.crossed(flat_swap(0.7), flat_batch(0.4))
    assert losses.terms["face_style"].item() == pytest.approx(0.09, abs=1e-5)
    assert losses.terms["background_style"].item() == 0  # the mask is all of the picture
    assert losses.total.item() == pytest.approx(0.18, abs=1e-5)


@pytest.mark.parametrize("name", [*TERMS, *CROSSED_TERMS])
def test_every_term_is_finite_and_teaches_under_autocast(name):
    torch.manual_seed(0)
    config = only(**{name: 1.0})
    layer, mask_layer, small_layer = (torch.nn.Conv2d(3, out, 1) for out in (3, 1, 3))
    batch = noise_batch()
    with torch.autocast("cpu", torch.bfloat16):
        rgb = torch.sigmoid(layer(batch.input))
        small = Swap(torch.sigmoid(small_layer(batch.input[..., ::2, ::2])), None)
        swap = Swap(rgb, torch.sigmoid(mask_layer(batch.input)), (small,))
        objective = Objective(config, SPEC, CPU)
        losses = objective.crossed(swap, batch) if name in CROSSED_TERMS else objective(swap, batch)
    assert rgb.dtype == torch.bfloat16
    assert name in losses.terms
    assert losses.total.dtype == torch.float32
    losses.total.backward()
    special = {"mask": mask_layer, "mask_size": mask_layer, "mask_variation": mask_layer, "smaller": small_layer}
    weight = special.get(name, layer).weight
    assert weight.grad is not None
    assert torch.isfinite(weight.grad).all()
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", [name for name in TERMS if not name.startswith(("mask", "smaller", "total_var"))])
def test_every_term_is_nothing_for_a_perfect_face(name):
    batch = noise_batch()
    found = Objective(only(**{name: 1.0}), SPEC, CPU)(Swap(batch.target, batch.mask), batch).terms[name]
    assert found.item() == pytest.approx(0, abs=2e-4)


def test_gradient_moves_the_picture_to_its_target():
    objective, batch = Objective(LossConfig(), SPEC, CPU), noise_batch()
    picture = noise(5).requires_grad_()
    before = objective(Swap(picture, None), batch).total
    (slope,) = torch.autograd.grad(before, picture)
    assert objective(Swap(picture - 20 * slope, None), batch).total < before


@pytest.mark.parametrize("changes", [{"mask_size": 0.1}, {"mask_variation": 0.1}, {"mask": 2.0}])
def test_a_mask_cannot_be_asked_of_a_model_without_one(changes):
    with pytest.raises(UsageError, match="small learns none"):
        Objective(LossConfig(**changes), BARE, CPU)
    with pytest.raises(UsageError, match="small learns none"):
        Objective(LossConfig(), BARE, CPU, later=[LossConfig(**changes)])
    losses = Objective(LossConfig(), BARE, CPU)(flat_swap(0.6), flat_batch())
    assert "mask" not in losses.terms


def test_frozen_nets_that_cannot_be_had_are_refused_before_training():
    wanted = LossConfig(perceptual=1, perceptual_net="test_resnet")
    with pytest.raises(WeightsError, match="test_resnet"):
        Objective(LossConfig(), SPEC, CPU, later=[wanted])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LossConfig(dssim=-1), "dssim -1 is outside"),
        (lambda: LossConfig(dssim=0, mae=0), "no reconstruction term"),
        (lambda: AdversarialConfig(weight=-1), "weight -1"),
        (lambda: AdversarialConfig(patch=-1), "patch -1"),
        (lambda: AdversarialConfig(channels=999), "channels 999"),
        (lambda: AdversarialConfig(rate_factor=0), "rate_factor 0"),
    ],
)
def test_weights_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_an_adversary_counts_when_it_has_a_kind_and_a_weight():
    assert not AdversarialConfig().active
    assert AdversarialConfig(kind="hinge").active
    assert not AdversarialConfig(kind="hinge", weight=0).active
