from __future__ import annotations

import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from detect.commands.train_options import as_settings
from detect.config.training import SelfSwaps, TrainConfig
from detect.data.batches import Batch
from detect.data.crops import CropStore
from detect.models import build_detector
from detect.training.data import prepare
from detect.training.train import train_detector
from detect.training.trainer import Trainer
from shared.cli import run
from shared.commands.options import resolve
from shared.config import write_toml
from shared.dataset import DatasetFolder
from shared.device import pick_device
from shared.errors import ConfigError
from tests.detect.conftest import GROUPS, add_clip

CPU = pick_device("cpu", "float32")


def learner(config: TrainConfig) -> tuple[Trainer, Batch]:
    torch.manual_seed(0)
    crops = np.random.default_rng(0).integers(0, 80, (4, 64, 64, 3), np.uint8)
    crops[::2] += 100
    trainer = Trainer(build_detector("test_vit", input_px=64), pick_device("cpu", config.precision), config)
    return trainer, Batch(1, crops, np.array([1, 0, 1, 0], np.float32))


class TestSelfSwaps:
    @pytest.fixture(scope="class")
    def with_selves(self, toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The toy set, and one person each of the train and val splits with their own face."""
        path = tmp_path_factory.mktemp("selves") / "toy"
        shutil.copytree(toy_set, path, ignore=shutil.ignore_patterns(".faces"))
        dataset = DatasetFolder.open(path)
        with dataset.batch():
            for person in ("ann", "eve"):
                assert add_clip(dataset, f"{person}-self", person, person).is_self_swap
        dataset.assign_groups(GROUPS)  # type: ignore[arg-type]
        return path

    @pytest.mark.parametrize(("wanted", "train", "val"), [("fake", 9, 5), ("leave-out", 8, 4)])
    def test_they_are_forged_or_not_there(
        self, with_selves: Path, toy_config: TrainConfig, wanted: SelfSwaps, train: int, val: int
    ):
        config = dataclasses.replace(toy_config, self_swaps=wanted)
        spec = build_detector(config.model, input_px=config.input_px).spec
        data = prepare(DatasetFolder.open(with_selves), spec, config, CPU, None)
        assert (len(data.clips["train"]), len(data.clips["val"])) == (train, val)
        truth = {str(c.record.id.name): c.truth for clips in data.clips.values() for c in clips}
        assert ("ann-self" in truth) == (wanted == "fake")
        if wanted == "fake":
            assert (truth["ann-self"] == 1).all()
            drawn = self.fakes_drawn(data.mixture(CropStore(data.clips["train"]), config))
            selves = data.clips["train"][-1].crops()
            assert any(np.array_equal(crop, own) for crop in drawn for own in selves)

    @staticmethod
    def fakes_drawn(mixture) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [mixture.sample(rng)[0].crop for _ in range(80)]

    def test_the_card_counts_them(self, with_selves: Path, tmp_path: Path, toy_config: TrainConfig):
        config = dataclasses.replace(toy_config, steps=1)
        result = train_detector(with_selves, tmp_path / "fake", config)
        card = (result.detector / "README.md").read_text()
        assert "stripes (8). 2 of them give people their own face" in card
        result = train_detector(with_selves, tmp_path / "out", dataclasses.replace(config, self_swaps="leave-out"))
        card = (result.detector / "README.md").read_text()
        assert "stripes (6)." in card
        assert "own face" not in card
        assert "| val | 4 |" in card

    def test_another_word_is_refused(self):
        with pytest.raises(ConfigError, match="self_swaps"):
            resolve(TrainConfig, None, as_settings({"self_swaps": "real"}))


class TestSwitches:
    def test_compiled_training_is_the_same_training(self, toy_config: TrainConfig, monkeypatch):
        """Traced by the compiler's front end; its code generator, which takes a minute, is left out."""
        calls = []

        def traced(*arguments, **settings):
            calls.append(settings)
            return original(*arguments, **settings, backend="eager")

        original = torch.compile
        monkeypatch.setattr(torch, "compile", traced)
        plain, batch = learner(toy_config)
        compiled, _ = learner(dataclasses.replace(toy_config, compile=True))
        assert len(calls) == 1
        for step in (1, 2):
            now = dataclasses.replace(batch, step=step)
            assert compiled.learn(now, 0.1)["loss"] == pytest.approx(plain.learn(now, 0.1)["loss"], rel=1e-5)
        one, other = plain.checkpoint()[0], compiled.checkpoint()[0]
        assert one.keys() == other.keys()  # a run goes on compiled or not
        for name in one:
            torch.testing.assert_close(one[name], other[name], atol=1e-5, rtol=1e-4)

    def test_bfloat16_runs_the_products_and_keeps_the_weights(self, toy_config: TrainConfig):
        trainer, batch = learner(dataclasses.replace(toy_config, precision="bfloat16"))
        seen: list[torch.dtype] = []
        layer = next(module for module in trainer.model.modules() if isinstance(module, nn.Linear))
        layer.register_forward_hook(lambda _module, _inputs, out: seen.append(out.dtype))
        losses = [trainer.learn(dataclasses.replace(batch, step=step), 0.1)["loss"] for step in range(1, 11)]
        assert set(seen) == {torch.bfloat16}
        assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())
        assert losses[-1] < 0.7 * losses[0]

    def test_from_the_command_line(self, toy_set: Path, tmp_path: Path, toy_config: TrainConfig, monkeypatch):
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
        write_toml(tmp_path / "toy.toml", dataclasses.replace(toy_config, steps=1, model="test_vit"))
        words = ["detect", "train", str(toy_set), "--run", str(tmp_path / "r"), "--config", str(tmp_path / "toy.toml")]
        assert run([*words, "--precision", "bf16", "--compile", "--self-swaps", "leave-out"]) == 0
        settings = (tmp_path / "r" / "config.toml").read_text()
        for line in ('precision = "bfloat16"', "compile = true", 'self_swaps = "leave-out"'):
            assert line in settings
        assert "bfloat16" in json.loads((tmp_path / "r" / "run.json").read_text())["device"]


def test_mixup_is_off_and_labels_are_hard_unless_asked():
    assert (TrainConfig().mixup, TrainConfig().label_smoothing) == (0.0, 0.0)


def test_every_option_is_a_setting():
    """Each flag of the command lands in a field of the settings, under the name the settings know."""
    import inspect

    from detect.commands.train import train

    names = [name for name in inspect.signature(train).parameters if name not in ("dataset", "run", "config", "seeds")]
    given = as_settings(dict.fromkeys(names, "x"))
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    assert given.keys() <= fields
    assert given["mix"].keys() == {"blended", "forged", "real_faces", "twin_faces"}
    assert given["validation"].keys() == {"grades", "real_faces", "twin_faces"}
    assert as_settings({"real_faces": [], "steps": None})["mix"] == {"real_faces": None}
