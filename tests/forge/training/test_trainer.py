from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from forge.models import build_swapper
from forge.training.augment_config import AugmentConfig
from forge.training.config import TrainConfig
from forge.training.data import FaceBank
from forge.training.loss_config import AdversarialConfig, LossConfig
from forge.training.optimizers import OptimizerStep
from forge.training.recipe import Phase
from forge.training.trainer import SwapTrainer
from shared.device import Device, pick_device
from shared.errors import CheckpointError, UsageError

CONFIG = TrainConfig(model="lightweight", width=0.05, batch=2, steps=20, warmup_steps=2, learning_rate=1e-3, ema=0.9)
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


ADVERSARY = LossConfig(true_face=0.1, adversarial=AdversarialConfig(kind="lsgan", net="patch", weight=0.1, channels=4))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw"},
        {"optimizer": "adabelief", "lr_dropout": 0.3},
        {"optimizer": "lion", "autoclip": 10.0},
        {"optimizer": "rmsprop", "clip_norm": 1.0, "accumulate": 2},
        {"optimizer": "adam", "loss": ADVERSARY},
        {"population": True, "loss": dataclasses.replace(ADVERSARY, true_face=0.0)},
        {"augment": AugmentConfig(warp_kind="landmarks", color_transfer=0.5, uniform_yaw=True, contrast=0.5)},
    ],
    ids=["adamw", "adabelief", "lion", "rmsprop", "adversaries", "population", "augment"],
)
def test_every_way_of_training_goes_on_bit_for_bit(changes):
    config = dataclasses.replace(CONFIG, **changes)
    straight = trainer(config)
    run(straight, 4)
    first = trainer(config)
    run(first, 2)
    tensors, meta = first.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    second = trainer(dataclasses.replace(config, seed=77))
    run(second, 1)
    second.restore(tensors, json.loads(json.dumps(meta)))
    run(second, 2)
    ours, theirs = straight.state(), second.state()
    assert ours[1] == theirs[1]
    assert set(ours[0]) == set(theirs[0])
    for name, value in ours[0].items():
        assert torch.equal(value, theirs[0][name]), name


def test_an_adversary_learns_beside_the_swapper_and_only_while_it_counts():
    phases = (Phase(2, {}), Phase(4, {"loss.adversarial.weight": 0.0}))
    subject = trainer(dataclasses.replace(CONFIG, steps=4, loss=ADVERSARY, phases=phases))
    before = {name: value.clone() for name, value in subject.state()[0].items() if name.startswith("adversary.")}
    losses = subject.train_step(0.0)
    assert {"adversary", "critic", "true_face"} <= set(losses["p0"].terms)
    terms = losses["p0"].terms
    plain = sum(terms[name] for name in ("dssim", "mae", "detail")) + 0.5 * terms["mask"]
    assert losses["p0"].total.item() == pytest.approx(
        (plain + 0.1 * terms["adversary"] + 0.1 * terms["true_face"]).item(), rel=1e-5
    )
    after = subject.state()[0]
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any("nets.0" in name for name in moved)
    assert any("nets.1" in name for name in moved)
    subject.train_step(0.25)
    rests = subject.train_step(0.5)
    assert "critic" not in rests["p0"].terms


def test_accumulated_batches_are_one_step_of_their_mean(monkeypatch):
    stepped: list[list[torch.Tensor]] = []

    def keep_gradients(step: OptimizerStep, *_: object) -> None:
        """In place of the optimizer, which divides a tiny gradient by itself: what was rounding would be a step."""
        stepped.append([torch.zeros_like(each) if each.grad is None else each.grad for each in step.parameters])

    monkeypatch.setattr(OptimizerStep, "step", keep_gradients)
    still = AugmentConfig(rotate_degrees=0, zoom=0, shift=0, flip=0, warp=0, lightness=0, tint=0)
    config = dataclasses.replace(CONFIG, augment=still, accumulate=3, ema=0.0)
    many = trainer(config)
    assert many.faces_per_step == 12
    one = trainer(dataclasses.replace(config, accumulate=1))
    for bank in (*many.banks, *one.banks):
        bank.planes[:] = bank.planes[:1]  # every batch is the same one
    first, second = many.train_step(0.0), one.train_step(0.0)
    assert first["p0"].total.item() == pytest.approx(second["p0"].total.item(), rel=1e-5)
    assert (many.step, many.faces_seen, one.faces_seen) == (1, 12, 4)
    of_three, of_one = stepped
    largest = max(each.abs().max().item() for each in of_one)
    assert largest > 0
    for a, b in zip(of_three, of_one, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=5e-5 * largest)


def test_frozen_parts_stay_until_a_phase_frees_them():
    phases = (Phase(0.5, {}), Phase(1.0, {"freeze": "decoder.p0"}))
    subject = trainer(dataclasses.replace(CONFIG, steps=2, freeze="encoder", phases=phases))

    def part(name: str) -> list[torch.Tensor]:
        return [each.detach().clone() for each in subject.swapper.parts()[name].parameters()]

    def same(name: str, kept: list[torch.Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(part(name), kept, strict=True))

    encoder, decoder = part("encoder"), part("decoder.p0")
    subject.train_step(0.0)
    assert same("encoder", encoder)
    assert not same("decoder.p0", decoder)
    decoder = part("decoder.p0")
    subject.train_step(0.5)
    assert not same("encoder", encoder)
    assert same("decoder.p0", decoder)


@pytest.mark.parametrize(
    ("freeze", "said"), [("encodr", "no part 'encodr'"), ("encoder,decoder,mask", "nothing to learn")]
)
def test_parts_that_cannot_be_frozen_are_refused(freeze, said):
    with pytest.raises(UsageError, match=said) as caught:
        trainer(dataclasses.replace(CONFIG, freeze=freeze))
    assert caught.value.hint


def test_going_slower_is_kept_and_draws_other_faces():
    subject, plain = trainer(), trainer()
    subject.slow_down(0.5, 1)
    assert not torch.equal(subject.generator.get_state(), plain.generator.get_state())
    subject.train_step(0.0)
    tensors, meta = subject.state()
    assert meta["movers"]["mover"]["groups"][0]["lr"] == pytest.approx(2.5e-4)
    plain.restore(tensors, meta)
    assert plain.rate_scale == 0.5


def test_the_share_of_time_for_data_is_measured():
    subject = trainer()
    run(subject, 2)
    assert 0 < subject.data_timer.share() < 1


def test_training_makes_the_loss_smaller():
    config = dataclasses.replace(CONFIG, learning_rate=3e-3, augment=AugmentConfig(lightness=0.05))
    losses = run(trainer(config), 20)
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_the_rate_follows_the_schedule():
    subject = trainer()
    run(subject, 1)
    _, meta = subject.state()
    assert meta["movers"]["mover"]["groups"][0]["lr"] == pytest.approx(5e-4)
    subject.train_step(1.0)
    _, meta = subject.state()
    assert meta["movers"]["mover"]["groups"][0]["lr"] == pytest.approx(1e-3 * CONFIG.decay_to)


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


def test_a_snapshot_is_what_is_shipped_and_later_steps_leave_it():
    subject = trainer(dataclasses.replace(CONFIG, population=True, identities_per_step=2), people=3)
    run(subject, 1)
    with subject.shipped() as swapper:
        shipped = {name: value.clone() for name, value in swapper.state_dict().items()}
    snapshot = subject.snapshot()
    run(subject, 2)
    assert not snapshot.training
    assert subject.swapper.training
    assert sum(each.numel() for each in snapshot.parameters()) == sum(n.numel() for n in subject.swapper.parameters())
    for name, value in snapshot.state_dict().items():
        assert torch.equal(value, shipped[name]), name


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


def test_a_population_is_trained_as_one_person():
    subject = trainer(dataclasses.replace(CONFIG, population=True, identities_per_step=2), people=3)
    assert subject.faces_per_step == 4
    assert set(subject.train_step(0.0)) == {"p0"}
    assert subject.faces_seen == 4
    first, second, third = (list(subject.swapper.parts()[f"decoder.p{who}"].parameters()) for who in range(3))
    for one, two, three in zip(first, second, third, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_each_identity_has_its_own_loss():
    losses = trainer(dataclasses.replace(CONFIG, loss=LossConfig(mask=0, detail=2))).train_step(0.0)
    assert set(losses) == {"p0", "p1"}
    for loss in losses.values():
        terms = {name: value.item() for name, value in loss.terms.items()}
        assert set(terms) == {"dssim", "mae", "detail"}
        assert loss.total.item() == pytest.approx(terms["dssim"] + terms["mae"] + 2 * terms["detail"], rel=1e-5)


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
