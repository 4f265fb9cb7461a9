"""Which weights a training starts from: those named, the base swapper in the package, or random ones."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from forge.models import build_swapper, shipped
from forge.models.checkpoint import load_swapper, read_card, save_swapper, swapper_digest
from forge.models.population import tie_identities
from forge.training.config import TrainConfig
from forge.training.train import train_swapper
from forge.training.trainer import SwapTrainer
from shared.errors import CheckpointError, UsageError
from tests.forge.training.test_train import drawn_faceset

CONFIG = TrainConfig(
    model="compact",
    width=0.06,
    model_options={"resolution": 64, "code": 32},
    batch=2,
    steps=1,
    warmup_steps=100,
    ema=0.0,
    log_every=1,
    preview_every=10,
    save_every=10,
    device="cpu",
)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("people")
    return [drawn_faceset(folder, name) for name in ("ann", "bobby")]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base swapper in the package's place, of the family and size of ``CONFIG``."""
    torch.manual_seed(5)
    swapper = build_swapper("compact", ("north", "south"), width=CONFIG.width, **CONFIG.model_options)
    tie_identities(swapper)
    folder = save_swapper(swapper, tmp_path / "base", population=True, half=True)
    monkeypatch.setattr(shipped, "BASE_FOLDER", folder)
    return folder


def started_from(run: Path) -> str | None:
    return read_card(run).training.get("started_from")


def test_people_start_from_the_base_where_the_family_fits(people, base, tmp_path, capsys):
    result = train_swapper(people, tmp_path / "run", CONFIG)
    assert started_from(result.run) == swapper_digest(base)
    assert "base swapper" in capsys.readouterr().out
    # One step of warm-up moves weights by a millionth: both decoders are still the base's.
    trained, origin = load_swapper(result.run).parts(), load_swapper(base).parts()
    for who in ("ann", "bobby"):
        for one, other in zip(
            trained[f"decoder.{who}"].parameters(), origin["decoder.north"].parameters(), strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"start_from": "none"},
        {"width": 0.1},
        {"model_options": {"resolution": 64, "code": 16}},
        {"model": "original", "width": 0.03, "model_options": {}},
        {"population": True},
    ],
    ids=["asked", "width", "options", "family", "population"],
)
def test_others_start_from_random_weights(people, base, tmp_path, changes):
    result = train_swapper(people, tmp_path / "run", dataclasses.replace(CONFIG, **changes))
    assert started_from(result.run) is None


def test_a_run_killed_before_its_first_checkpoint_begins_with_the_base_again(people, base, tmp_path, monkeypatch):
    def killed(self, fraction):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(SwapTrainer, "train_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train_swapper(people, tmp_path / "run", CONFIG)
    result = train_swapper(people, tmp_path / "run", CONFIG)
    trained, origin = load_swapper(result.run).parts()["encoder"], load_swapper(base).parts()["encoder"]
    for one, other in zip(trained.parameters(), origin.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)
    assert started_from(result.run) == swapper_digest(base)


def test_a_run_goes_on_from_where_it_began_whatever_the_package_holds_now(people, base, tmp_path):
    begun = train_swapper(people, tmp_path / "run", CONFIG)
    digest = swapper_digest(base)
    shutil.rmtree(base)
    train_swapper(people, tmp_path / "run", dataclasses.replace(CONFIG, steps=2))
    assert started_from(begun.run) == digest


def test_a_run_from_random_weights_goes_on_though_a_base_has_come(people, base, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shipped, "BASE_FOLDER", tmp_path / "nothing")
        train_swapper(people, tmp_path / "run", CONFIG)
    result = train_swapper(people, tmp_path / "run", dataclasses.replace(CONFIG, steps=2))
    assert (result.steps, started_from(result.run)) == (2, None)


def test_the_base_named_for_a_family_that_it_does_not_fit_is_refused(people, base, tmp_path):
    config = dataclasses.replace(CONFIG, model="original", width=0.03, model_options={}, start_from="base")
    with pytest.raises(CheckpointError, match="does not fit original"):
        train_swapper(people, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_parts_of_random_weights_are_refused(people, base, tmp_path):
    config = dataclasses.replace(CONFIG, start_from="none", load_parts="encoder")
    with pytest.raises(UsageError, match="parts encoder of nothing"):
        train_swapper(people, tmp_path / "run", config)


def test_a_base_that_was_changed_is_refused_and_not_passed_over(people, base, tmp_path):
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match="cut short or changed"):
        train_swapper(people, tmp_path / "run", CONFIG)
