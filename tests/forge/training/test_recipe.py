from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from forge.cli import app
from forge.models import build_swapper
from forge.models.parts import freeze_parts
from forge.training.config import TrainConfig
from forge.training.loss_config import AdversarialConfig, LossConfig
from forge.training.losses.objective import check_losses
from forge.training.recipe import (
    Phase,
    all_settings,
    check_phases,
    load_recipe,
    read_recipe,
    recipe_names,
    settings_at,
    with_settings,
)
from shared.config import from_mapping, to_mapping
from shared.console import console
from shared.errors import ConfigError, UnknownNameError

EXPECTED = {
    "amp",
    "assay-cpu",
    "assay-quality",
    "deepfacelab",
    "deepfacelab-pretrain",
    "deepfake-tf",
    "dfaker",
    "faceswap",
    "faceswap-gan-40k",
    "population",
}


def config(*phases: Phase, steps: int = 100) -> TrainConfig:
    return TrainConfig(steps=steps, phases=phases)


def refusal(*phases: Phase, steps: int = 100) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check_phases(config(*phases, steps=steps))
    return caught.value


def test_the_recipes_are_all_there():
    assert set(recipe_names()) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_recipe_can_be_trained_by(name):
    recipe = read_recipe(name)
    assert recipe.name == name
    assert len(recipe.description) > 40
    assert recipe.source
    settings = from_mapping(TrainConfig, load_recipe(name))
    with torch.device("meta"):
        swapper = build_swapper(settings.model, ["a", "b"], width=settings.width, **settings.model_options)
    for phase in all_settings(settings):
        check_losses(phase.loss, swapper.spec, torch.device("cpu"))
    assert from_mapping(TrainConfig, to_mapping(settings)) == settings


def test_faceswap_gans_plan_moves_at_its_steps():
    plan = from_mapping(TrainConfig, load_recipe("faceswap-gan-40k"))
    seen = [
        (settings_at(plan, step, step / plan.steps).loss.perceptual > 0, settings_at(plan, step, step / plan.steps))
        for step in (0, 7_999, 8_000, 26_400, 36_000, 39_999, 40_000)
    ]
    assert [on for on, _settings in seen] == [False, False, True, True, True, True, True]
    assert [settings.learning_rate for _on, settings in seen] == [1e-4, 1e-4, 1e-4, 3e-5, 1e-5, 1e-5, 1e-5]
    assert all(settings.loss.adversarial.active for _on, settings in seen)


def test_deepfacelabs_plan_ends_with_its_adversary():
    plan = from_mapping(TrainConfig, load_recipe("deepfacelab"))
    first, dropping, still, last = all_settings(plan)
    assert (first.augment.warp, first.lr_dropout) == (0.06, 1.0)
    assert (dropping.augment.warp, dropping.lr_dropout) == (0.06, 0.3)
    assert (still.augment.warp, still.loss.adversarial.active) == (0.0, False)
    assert (last.augment.warp, last.lr_dropout, last.loss.adversarial.weight) == (0.0, 0.3, 0.1)
    assert last.loss.adversarial.active
    assert [phase.freeze for phase in (first, dropping, still, last)] == ["", "", "shared inter", "shared inter"]


def test_deepfacelabs_pretraining_has_no_warp_and_leaves_the_shared_inter_alone():
    plan = from_mapping(TrainConfig, load_recipe("deepfacelab-pretrain"))
    assert (plan.augment.warp, plan.freeze, plan.phases) == (0.0, "shared inter", ())


@pytest.mark.parametrize(("architecture", "frozen"), [("liae-ud", {"inter"}), ("df-ud", set())])
def test_once_its_warp_is_off_only_the_inter_that_liae_shares_is_frozen(architecture, frozen):
    last = all_settings(from_mapping(TrainConfig, load_recipe("deepfacelab")))[-1]
    swapper = build_swapper("saehd", ["a", "b"], width=0.1, resolution=64, architecture=architecture)
    freeze_parts(swapper, last.freeze)
    still = {n for n, part in swapper.parts().items() if not any(each.requires_grad for each in part.parameters())}
    assert still == frozen


def test_what_a_phase_sets_stays_set():
    subject = config(
        Phase(0.25, {"loss.dssim": 3.0}), Phase(50, {"augment.warp": 0.0}), Phase(1.0, {"loss.dssim": 0.0})
    )
    found = [settings_at(subject, step, step / 100) for step in (0, 24, 25, 49, 50, 100)]
    assert [each.loss.dssim for each in found] == [3, 3, 3, 3, 0, 0]
    assert [each.augment.warp == 0 for each in found] == [False, False, True, True, True, True]


def test_a_phase_may_end_before_the_training_and_goes_on_then():
    subject = config(Phase(0.1, {"learning_rate": 1e-3}), Phase(0.2, {"learning_rate": 1e-5}))
    assert settings_at(subject, 90, 0.9).learning_rate == 1e-5


def test_fractions_follow_time_where_it_is_further_on():
    subject = config(Phase(0.5), Phase(1.0, {"loss.mae": 9.0}))
    assert settings_at(subject, 10, 0.7).loss.mae == 9


def test_settings_are_resolved_once_and_have_no_phases():
    subject = config(Phase(1.0, {"loss.mae": 2.0}))
    assert settings_at(subject, 3, 0.03) is settings_at(subject, 4, 0.04)
    assert settings_at(subject, 3, 0.03).phases == ()
    plain = config()
    assert settings_at(plain, 3, 0.03) is plain
    assert all_settings(plain) == (plain,)


def test_nested_groups_are_reached():
    found = with_settings(TrainConfig(), {"loss.adversarial.weight": 1, "loss.dssim_window": "dfl"})
    assert found.loss == LossConfig(dssim_window="dfl", adversarial=AdversarialConfig(weight=1.0))


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"loss.dsim": 1}, "unknown setting 'loss.dsim'", "dssim"),
        ({"los.dssim": 1}, "unknown setting 'los.dssim'", "loss"),
        ({"loss": 1}, "is a group of settings", "loss.dssim"),
        ({"learning_rate.x": 1}, "goes deeper", "learning_rate is one value"),
        ({"loss.dssim": "high"}, "Expected `float`", "LossConfig"),
        ({"loss.dssim_window": "gaussian"}, "Invalid enum value", "did you mean gaussian11?"),
        ({"loss.dssim": -1.0}, "dssim -1", "usual values"),
        ({"model": "saehd"}, "is fixed for a whole training", "whole recipe"),
        ({"loss.adversarial.kind": "hinge"}, "is fixed for a whole training", "pauses while"),
    ],
)
def test_a_phase_that_sets_nonsense_is_refused(changes, message, hint):
    error = refusal(Phase(1.0, changes))
    assert message in str(error)
    assert hint in str(error.hint)


def test_phases_out_of_order_or_past_the_end_are_refused():
    assert "past the training's 100" in str(refusal(Phase(101)))
    assert "not after the one before it (50)" in str(refusal(Phase(0.5), Phase(50)))
    assert "not after the one before it (80)" in str(refusal(Phase(80), Phase(0.2)))


@pytest.mark.parametrize("until", [0, -1, 1.5, float("nan"), float("inf")])
def test_a_phase_that_ends_nowhere_is_refused(until):
    with pytest.raises(ConfigError, match="a phase ends at"):
        Phase(until)


def test_a_training_with_bad_phases_is_refused_before_it_begins():
    with pytest.raises(ConfigError, match="past the training's 10"):
        dataclasses.replace(config(Phase(50)), steps=10)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


GOOD = 'name = "own"\ndescription = "d"\nsource = "s"\n[settings]\nsteps = 50\n[[phases]]\nuntil = 0.5\n'


def test_a_recipe_file_is_read_quoted_or_not(tmp_path):
    quoted = write(tmp_path / "a.toml", GOOD + 'set = { "loss.adversarial.weight" = 0.2, "learning_rate" = 1e-4 }\n')
    plain = write(tmp_path / "b.toml", GOOD + "set = { loss.adversarial.weight = 0.2, learning_rate = 1e-4 }\n")
    assert read_recipe(quoted).phases == read_recipe(plain).phases
    assert load_recipe(str(plain)) == {
        "steps": 50,
        "phases": [{"until": 0.5, "set": {"loss.adversarial.weight": 0.2, "learning_rate": 1e-4}}],
    }


def test_what_is_no_recipe_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="no recipe") as caught:
        load_recipe("deepfakelab")
    assert "deepfacelab" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="does not exist"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="unknown setting 'phase'"):
        load_recipe(write(tmp_path / "c.toml", GOOD.replace("[[phases]]", "[[phase]]")))
    with pytest.raises(ConfigError, match="missing required field"):
        load_recipe(write(tmp_path / "d.toml", 'name = "x"\n'))
    with pytest.raises(ConfigError):
        load_recipe(write(tmp_path / "e.toml", 'name = "x"\ndescription = "d"\nsource = "s"\nphases = 3\n'))


@pytest.fixture
def as_json() -> Iterator[None]:
    console.configure(json_mode=True)
    yield
    console.configure(json_mode=False)


@pytest.mark.usefixtures("as_json")
def test_the_command_lists_and_shows():
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["recipes"], catch_exceptions=False).stdout)
    assert {each["name"] for each in listed["recipes"]} == EXPECTED
    assert all(each["source"] for each in listed["recipes"])
    shown = json.loads(runner.invoke(app, ["recipes", "faceswap-gan-40k"], catch_exceptions=False).stdout)
    assert shown["phases"][1] == {"until": 0.66, "set": {"loss.perceptual": 0.5}}
    assert shown["loss"]["adversarial"]["kind"] == "lsgan"


def test_the_command_prints_phases_as_text():
    result = CliRunner().invoke(app, ["recipes", "deepfacelab"], catch_exceptions=False)
    assert result.exit_code == 0
