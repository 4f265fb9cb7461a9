"""A training learns, stops and goes on to the same weights; its folder is checked when it is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from forge.reenacting.lipsync.checkpoint import load_lipsync_model
from forge.reenacting.lipsync.training import losses_of, train_lipsync
from shared.errors import CheckpointError, RunError
from tests.forge.reenacting.conftest import MATERIALS, QUICK, lessons


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    whole = load_lipsync_model(train_lipsync(lessons(), tmp_path / "whole", QUICK, MATERIALS))
    trainings = (tmp_path / "parts", replace(QUICK, steps=20)), (tmp_path / "other", replace(QUICK, seed=1))
    run, settings = trainings[0]

    def stop_at_ten(step: int) -> None:
        if step == 10:
            raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        _stopping(patch, stop_at_ten)
        with pytest.raises(ZeroDivisionError):
            train_lipsync(lessons(), run, settings, MATERIALS)
    again = load_lipsync_model(train_lipsync(lessons(), run, settings, MATERIALS))
    assert again.weights_sha256 == whole.weights_sha256
    assert load_lipsync_model(train_lipsync(lessons(), *trainings[1], MATERIALS)).weights_sha256 != whole.weights_sha256
    with pytest.raises(RunError):
        train_lipsync(lessons(), run, settings, [replace(MATERIALS[0], sha256="1" * 64)])


def _stopping(patch, stop):
    from forge.reenacting.lipsync.training import LipsyncTrainer

    step = LipsyncTrainer.train_step

    def train_step(self, fraction):
        stop(self.step)
        return step(self, fraction)

    patch.setattr(LipsyncTrainer, "train_step", train_step)


def test_a_model_learns_when_the_mouth_opens(model):
    loaded = load_lipsync_model(model)
    lesson = lessons().clips[0]
    from forge.reenacting.lipsync.features import features_of

    with torch.inference_mode():
        found = loaded.network(torch.from_numpy(features_of(lesson.spectrum))[None])[0].numpy()
    assert np.corrcoef(found[lesson.known, 0], lesson.mouth[lesson.known, 0])[0, 1] > 0.8


def test_a_model_says_what_it_was_trained_on(model):
    loaded = load_lipsync_model(model.parent)
    assert loaded.facts.materials == tuple(MATERIALS)
    assert loaded.facts.steps == 120
    card = (model / "README.md").read_text()
    assert "| ann | synthetic |" in card
    assert f"{loaded.network.parameters_count:,} parameters" in card


def test_a_start_of_another_size_is_refused(model, tmp_path):
    with pytest.raises(CheckpointError, match="another size"):
        train_lipsync(lessons(), tmp_path / "run", QUICK, MATERIALS, start=load_lipsync_model(model))


def test_a_damaged_folder_is_refused(tmp_path):
    folder = train_lipsync(lessons(), tmp_path / "run", replace(QUICK, steps=1), MATERIALS)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "spread": tensors["spread"] * float("nan")}, weights)
    with pytest.raises(CheckpointError, match="no numbers"):
        load_lipsync_model(folder)
    save_file({name: value for name, value in tensors.items() if name != "spread"}, weights)
    with pytest.raises(CheckpointError, match="not of the size"):
        load_lipsync_model(folder)
    weights.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        load_lipsync_model(folder)
    with pytest.raises(CheckpointError):
        load_lipsync_model(tmp_path / "nothing")


def test_losses_count_only_what_is_known():
    wanted = torch.zeros(1, 6, 3)
    found = wanted.clone()
    found[:, 3:] = 9.0
    known = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    assert [float(loss) for loss in losses_of(found, wanted, known)] == [0.0, 0.0]
    place, change = losses_of(found, wanted, torch.ones(1, 6))
    assert float(place) == pytest.approx(81 / 2)
    assert float(change) == pytest.approx(81 / 2)  # of four changes over two steps, two are of 9
