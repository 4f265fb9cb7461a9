"""The losses of pairs and of the spread between people, in the trainer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.models import build_detector
from detect.training.losses import alignment_loss, detection_loss, uniformity_loss
from detect.training.trainer import Trainer
from shared.device import pick_device
from shared.errors import ConfigError


def people(step: int, *, one_face: bool = True) -> Batch:
    """Four pairs: a person is a brightness, and a fake is its own real face with faint stripes."""
    rng = np.random.default_rng(step)
    tones = rng.integers(40, 200, (4, 1, 1, 1))
    real = np.clip(tones + rng.integers(-8, 9, (4, 64, 64, 3)), 0, 255).astype(np.uint8)
    fake = real.copy()
    fake[:, ::4] += 12
    crops = np.stack([fake, real], 1).reshape(8, 64, 64, 3)
    return Batch(step, crops, np.array([1, 0] * 4, np.float32), None, np.full(4, one_face))


def trained(config: TrainConfig, steps: int) -> Trainer:
    torch.manual_seed(0)
    trainer = Trainer(build_detector("test_vit", input_px=64), pick_device("cpu", "float32"), config)
    for step in range(1, steps + 1):
        trainer.learn(people(step), 0.1)
    return trainer


@pytest.fixture
def config(toy_config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(toy_config, drop_rate=0.0)


def test_unless_asked_the_loss_is_that_of_the_class(config: TrainConfig):
    trainer = trained(config, 0)
    batch = people(1)
    with torch.no_grad():
        found = trainer.model.train()(trainer.predictor().prepare(batch.crops))
    alone = detection_loss(found, torch.from_numpy(batch.labels), None).item()
    assert trainer.learn(batch, 0.1)["loss"] == pytest.approx(alone, rel=1e-5)


def test_the_terms_are_added_by_their_weights(config: TrainConfig):
    batch = people(1)
    with torch.no_grad():
        logits = trained(config, 0).model.train()(trained(config, 0).predictor().prepare(batch.crops)).logit
    pairs = torch.nn.functional.softplus(0.5 - logits[::2] + logits[1::2]).mean().item()
    spread = logits[1::2].var(correction=0).item()
    losses = {
        name: trained(dataclasses.replace(config, pair_margin=0.5, **change), 0).learn(batch, 0.1)["loss"]
        for name, change in {
            "none": {}, "pair": {"pair_weight": 2.0}, "spread": {"spread_weight": 3.0},
        }.items()
    }  # fmt: skip
    assert losses["pair"] - losses["none"] == pytest.approx(2 * pairs, rel=1e-4)
    assert losses["spread"] - losses["none"] == pytest.approx(3 * spread, rel=1e-2, abs=1e-6)
    asked = dataclasses.replace(config, pair_weight=2.0)
    assert trained(asked, 0).learn(people(1, one_face=False), 0.1)["loss"] == pytest.approx(losses["none"], rel=1e-5)
    unsaid = dataclasses.replace(batch, one_face=None)
    assert trained(asked, 0).learn(unsaid, 0.1)["loss"] == pytest.approx(losses["none"], rel=1e-5)


def test_people_come_nearer_to_each_other(config: TrainConfig):
    """The same steps with and without: real people, seen for the first time, differ less beside the step to a fake."""
    found = {}
    for name, change in {"plain": {}, "both": {"pair_weight": 1.0, "spread_weight": 1.0}}.items():
        trainer = trained(dataclasses.replace(config, **change), 30)
        logits = np.concatenate([trainer.predictor().logits(people(step).crops) for step in range(1000, 1008)])
        found[name] = (logits[::2] - logits[1::2]).mean() / logits[1::2].std()
    assert found["both"] > 1.3 * found["plain"]


def test_a_training_with_them_is_resumed_exactly(config: TrainConfig):
    asked = dataclasses.replace(config, pair_weight=1.0, spread_weight=0.5)
    whole, first = trained(asked, 4), trained(asked, 2)
    tensors, meta = first.checkpoint()
    again = trained(asked, 0)
    again.restore(2, {name: tensor.clone() for name, tensor in tensors.items()}, meta)
    for step in (3, 4):
        again.learn(people(step), 0.1)
    for name, tensor in whole.checkpoint()[0].items():
        torch.testing.assert_close(again.checkpoint()[0][name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("change", [
    {"pair_weight": -1.0}, {"spread_weight": 101.0}, {"pair_margin": -0.1},
    {"uniformity_weight": 101.0}, {"alignment_weight": 1.0, "mixup": 0.2},
    {"pair_weight": 1.0, "mixup": 0.2}, {"spread_weight": 1.0, "mixup": 0.2},
])  # fmt: skip
def test_bad_weights_are_refused(change: dict[str, Any]):
    with pytest.raises(ConfigError, match=r"pair_weight|spread_weight|pair_margin|uniformity_weight"):
        TrainConfig(**change)


@pytest.mark.parametrize("family", ["frame", "pooled-multitask"])
def test_embeddings_are_those_before_the_logit(config: TrainConfig, family: str):
    batch, embeddings = people(1), torch.empty(0)
    losses: dict[str, float] = {}
    for name, change in {
        "none": {}, "align": {"alignment_weight": 2.0}, "spread": {"uniformity_weight": 3.0},
    }.items():  # fmt: skip
        torch.manual_seed(0)
        model = build_detector("test_vit", family=family, input_px=64)
        trainer = Trainer(model, pick_device("cpu", "float32"), dataclasses.replace(config, **change))
        if name == "none":
            with torch.no_grad():
                final = model.train().net.forward_features(trainer.predictor().prepare(batch.crops))  # type: ignore[operator, union-attr]
                embeddings = model.net.forward_head(final, pre_logits=True)  # type: ignore[operator, union-attr]
        losses[name] = trainer.learn(batch, 0.1)["loss"]
        assert not trainer._loss._seen  # type: ignore[union-attr, attr-defined]
    labels = torch.from_numpy(batch.labels)
    aligned, uniform = alignment_loss(embeddings, labels).item(), uniformity_loss(embeddings).item()
    assert losses["align"] - losses["none"] == pytest.approx(2 * aligned, rel=1e-3)
    assert losses["spread"] - losses["none"] == pytest.approx(3 * uniform, rel=1e-3)


def test_a_detector_without_an_embedding_says_so(config: TrainConfig):
    asked = dataclasses.replace(config, uniformity_weight=1.0)
    for family, name in (("meso4", "meso4"), ("temporal", "test_vit")):
        with pytest.raises(ConfigError, match="has no embedding"):
            Trainer(build_detector(name, family=family, input_px=64), pick_device("cpu", "float32"), asked)
