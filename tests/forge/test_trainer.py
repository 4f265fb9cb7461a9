from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from forge.augment_config import AugmentConfig
from forge.config import TrainConfig
from forge.data import FaceBank
from forge.loss_config import LossConfig
from forge.models import build_swapper
from forge.trainer import SwapTrainer
from shared.device import Device, pick_device
from shared.errors import CheckpointError

CONFIG = TrainConfig(width=0.05, batch=2, steps=20, warmup_steps=2, learning_rate=1e-3, ema=0.9)
CPU = pick_device("cpu", "float32")


def banks(people: int = 2, faces: int = 9) -> list[FaceBank]:
    made = []
    for person in range(people):
        chance = torch.Generator().manual_seed(person)
        small = torch.rand(faces, 6, 5, 5, generator=chance) * (0.4 + 0.2 * person)
        planes = torch.nn.functional.interpolate(small, size=80, mode="bilinear")
        planes[:, 3] = 1
        made.append(FaceBank(f"p{person}", (planes * 255).to(torch.uint8), 0.8))
    return made


def trainer(config: TrainConfig = CONFIG, *, people: int = 2, device: Device = CPU) -> SwapTrainer:
    torch.manual_seed(config.seed)
    names = [f"p{number}" for number in range(people)]
    swapper = build_swapper(config.model, names, width=config.width)
    return SwapTrainer(swapper, banks(people), device, config)


def run(subject: SwapTrainer, steps: int) -> list[float]:
    return [
        sum(loss.total.item() for loss in subject.train_step(subject.step / subject.config.steps).values())
        for _ in range(steps)
    ]


def weights(subject: SwapTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in subject.swapper.state_dict().items()}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_restored_training_goes_on_bit_for_bit(precision):
    device = pick_device("cpu", precision)
    straight = trainer(device=device)
    expected = run(straight, 5)
    first = trainer(device=device)
    begun = run(first, 2)
    tensors, meta = first.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    second = trainer(dataclasses.replace(CONFIG, seed=77), device=device)
    run(second, 1)
    second.restore(tensors, meta)
    assert begun + run(second, 3) == expected
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(second)[name]), name
    with straight.shipped() as one, second.shipped() as two:
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            assert torch.equal(a, b)


def test_training_makes_the_loss_smaller():
    config = dataclasses.replace(CONFIG, learning_rate=3e-3, augment=AugmentConfig(lightness=0.05))
    losses = run(trainer(config), 20)
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_the_rate_follows_the_schedule():
    subject = trainer()
    run(subject, 1)
    _, meta = subject.state()
    assert meta["optimizer"]["groups"][0]["lr"] == pytest.approx(5e-4)
    subject.train_step(1.0)
    _, meta = subject.state()
    assert meta["optimizer"]["groups"][0]["lr"] == pytest.approx(1e-3 * CONFIG.decay_to)


def test_the_average_is_shipped_and_training_goes_on_with_the_weights():
    subject = trainer()
    start = weights(subject)
    run(subject, 1)
    after = weights(subject)
    decay = min(0.9, 2 / 11)
    with subject.shipped() as swapper:
        for name, value in swapper.state_dict().items():
            assert torch.allclose(value, decay * start[name] + (1 - decay) * after[name], atol=1e-6)
    for name, value in weights(subject).items():
        assert torch.equal(value, after[name])


def test_without_an_average_the_weights_are_shipped():
    subject = trainer(dataclasses.replace(CONFIG, ema=0.0))
    run(subject, 1)
    with subject.shipped() as swapper:
        assert torch.equal(next(swapper.parameters()), next(subject.swapper.parameters()))


def test_many_identities_take_turns():
    config = dataclasses.replace(CONFIG, identities_per_step=2)
    subject = trainer(config, people=5)
    assert subject.faces_per_step == 4
    turns = [sorted(subject.train_step(0.0)) for _ in range(5)]
    assert turns == [["p0", "p1"], ["p2", "p3"], ["p0", "p4"], ["p1", "p2"], ["p3", "p4"]]


def test_each_identity_has_its_own_loss():
    losses = trainer(dataclasses.replace(CONFIG, loss=LossConfig(mask=0, detail=2))).train_step(0.0)
    assert set(losses) == {"p0", "p1"}
    for loss in losses.values():
        assert loss.total.item() == pytest.approx(
            loss.dssim.item() + loss.mae.item() + 2 * loss.detail.item(), rel=1e-5
        )


def test_a_weight_that_is_no_number_is_noticed():
    subject = trainer()
    assert subject.all_finite()
    with torch.no_grad():
        subject.swapper.get_parameter("encoder.narrow.bias")[0] = math.inf
    assert not subject.all_finite()


def test_the_state_of_another_training_is_refused():
    subject = trainer()
    run(subject, 1)
    tensors, meta = subject.state()
    with pytest.raises(CheckpointError, match="does not fit"):
        trainer(people=3).restore(tensors, meta)
    with pytest.raises(CheckpointError, match="does not fit"):
        trainer().restore({name: value for name, value in tensors.items() if "average.0" not in name}, meta)
    with pytest.raises(CheckpointError):
        trainer().restore(tensors, {})
