"""A network that knows people of a held-out split makes no fakes of another; people of other names are told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from forge.building.networks import check_networks, network_people
from forge.building.plan import plan_set
from forge.building.plan_parts import BuildPlan
from forge.building.spec import load_spec
from forge.building.tasks import DriveTask
from forge.cli import app
from forge.reenacting.networks.checkpoint import reenactor_digest
from forge.reenacting.networks.shipped import shipped_network
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.cli import run
from shared.errors import ConfigError, LeakError
from tests.forge.reenacting.test_landmark import write_network

PEOPLE = ("ann", "bob", "cid", "dan")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    for name, actor in zip(PEOPLE, cast(4, 3), strict=True):
        film(actor, folder / f"{name}.mp4", seconds=4 / 25, px=64, seed=4, audio=False)
    return folder


def _settings(
    folder: Path, *identities: str, splits: str = 'train = ["ann", "bob"]\nval = ["cid", "dan"]', more: str = ""
) -> Path:
    """Settings of four actors and of a re-enactment by a network that was trained on ``identities``."""
    write_network(folder / "net", *identities)
    people = "".join(f'[[identity]]\nname = "{name}"\nrights = "x"\nclips = ["{name}.mp4"]\n' for name in PEOPLE)
    path = folder / "set.toml"
    path.write_text(
        f'[set]\nname = "s"\nfinder = "sidecar"\nframes = 4\naudio = false\n[splits]\n{splits}\n{people}'
        f'[[reenactment]]\nname = "driven"\nfamily = "reenact-landmark"\nrun = "net"\n{more}'
    )
    return path


def _plan(path: Path) -> BuildPlan:
    return plan_set(load_spec(path), path.parent / "out", path.parent / "work")


def test_people_of_a_held_out_split_are_refused_before_the_work(folder):
    path = _settings(folder, "cid", "eve")
    with pytest.raises(LeakError, match="was trained on cid of the val split, and makes fakes of the train"):
        _plan(path)
    assert not (folder / "work").exists()


def test_people_of_the_train_split_are_no_leak(folder):
    assert _plan(_settings(folder, "ann", "bob")).unchecked == ()


def test_a_network_of_one_held_out_split_may_make_fakes_of_that_split(folder):
    plan = _plan(_settings(folder, "cid", "dan", more='pairs = [["cid", "dan"]]\n'))
    assert {clip.split for clip in plan.clips if clip.task.id.manipulation} == {"val"}
    assert plan.unchecked == ()
    second = '[[reenactment]]\nname = "too"\nfamily = "reenact-landmark"\nrun = "net"\npairs = [["ann", "bob"]]\n'
    with pytest.raises(LeakError, match="makes fakes of the train split"):
        _plan(_settings(folder, "cid", more=f'pairs = [["cid", "dan"]]\n{second}'))


def test_people_whom_a_network_knows_are_in_one_split_as_those_of_a_swapper(folder):
    with pytest.raises(LeakError, match="ann, cid are linked by a clip, a swapper, a network or a pair"):
        _plan(_settings(folder, "ann", "cid"))
    plan = _plan(_settings(folder, *PEOPLE, splits="fractions = [1.0, 0.0, 0.0]"))
    assert {clip.split for clip in plan.clips} == {"train"}


def test_people_of_other_names_are_told_of(folder):
    path = _settings(folder, "eve", "ann", "fay")
    spec = load_spec(path)
    assert network_people(spec, spec.reenactment[0]) == ("eve", "ann", "fay")
    (said,) = check_networks(spec, {"ann": "train"}, {"driven": {"train", "val"}})
    assert said.startswith(
        "driven: its network was trained on 2 people of other names than those of the set (eve, fay)"
    )
    done = CliRunner().invoke(app, ["build", str(path), "--out", str(folder / "out"), "--dry-run"])
    assert done.exit_code == 0
    assert "is not known" in " ".join(done.output.split())


def test_the_command_refuses_in_one_sentence(folder, capsys):
    path = _settings(folder, "dan")
    assert run(["forge", "build", str(path), "--out", str(folder / "out")]) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert "was trained on dan of the val split" in said
    assert not (folder / "out").exists()


def test_the_network_of_the_package_drives_without_a_run(folder):
    path = _settings(folder, "ann")
    path.write_text(path.read_text().replace('family = "reenact-landmark"\nrun = "net"', 'family = "reenact-warp"'))
    plan = _plan(path)
    file = shipped_network("reenact-warp")
    assert file is not None
    drives = [step.task for step in plan.steps if isinstance(step.task, DriveTask)]
    assert {(task.network, task.network_sha256) for task in drives} == {(str(file), reenactor_digest(file))}
    path.write_text(path.read_text().replace("reenact-warp", "reenact-landmark"))
    with pytest.raises(ConfigError, match="driven: reenact-landmark needs a network"):
        _plan(path)
