"""Who drives which still, and what is refused; the plan alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from forge.building.plan import plan_set
from forge.building.plan_parts import BuildPlan
from forge.building.reenactments import ReenactmentConfig, check_targets, of_still
from forge.building.sampling import pairs_of
from forge.building.spec import load_spec
from forge.generating.config import StillConfig
from forge.generating.output import write_still
from forge.generating.record import StillFacts
from forge.reenacting.config import ReenactConfig
from shared.actors import Actor, portrait
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.cli import run
from shared.errors import ConfigError
from shared.provenance.identity import SigningIdentity
from shared.video.held import LONGEST_PX
from shared.video.images import encode_png

TEXT = """
[set]
name = "stills"
finder = "sidecar"
frames = 4
audio = false
[splits]
train = ["ann", "bob", "dan", "eve"]
val = ["cid"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of ann, bob and cid; photographs of bob, dan (two) and eve."""
    folder = tmp_path_factory.mktemp("set")
    for name, actor in zip(("ann", "bob", "cid"), cast(3, 3), strict=True):
        film(actor, folder / f"{name}.mp4", seconds=4 / 25, px=64, seed=4, audio=False)
    for number, name in enumerate(("bob", "dan-1", "dan-2", "eve")):
        (folder / f"{name}.png").write_bytes(encode_png(portrait(Actor.from_seed(number), px=64, seed=1).image))
    return folder


def _settings(folder: Path, settings: str, **more: str) -> Path:
    clips = {
        "ann": '"ann.mp4"', "bob": '"bob.mp4", "bob.png"', "cid": '"cid.mp4"', "dan": '"dan-1.png", "dan-2.png"',
        "eve": '"eve.png"',
    } | more  # fmt: skip
    people = "".join(f'[[identity]]\nname = "{name}"\nrights = "x"\nclips = [{of}]\n' for name, of in clips.items())
    path = folder / "set.toml"
    path.write_text(f'{TEXT}{people}[[reenactment]]\nname = "driven"\ntargets = "photographs"\n{settings}')
    return path


def _plan(path: Path) -> BuildPlan:
    return plan_set(load_spec(path), path.parent / "out", path.parent / "work")


def _drives(plan: BuildPlan) -> set[tuple[str, str, str]]:
    """Driver, target and shot of each drive."""
    return {
        (step.task.source, step.task.target, Path(step.task.shot).name.rpartition("-")[0])
        for step in plan.steps_of("drive")
    }


def test_everybody_with_a_photograph_is_driven_by_a_filmed_person_of_the_split(folder, capsys):
    plan = _plan(_settings(folder, ""))
    # Bob's photograph by the one filmed person after him, and by himself; the others by ann and bob in turn.
    assert _drives(plan) == {
        ("ann", "bob", "bob-01"), ("bob", "bob", "bob-01"), ("bob", "dan", "dan-00"), ("bob", "dan", "dan-01"),
        ("ann", "eve", "eve-00"),
    }  # fmt: skip
    assert all(step.task.held and step.task.config.sound == "none" for step in plan.steps_of("drive"))
    assert {clip.split for clip in plan.clips if clip.task.id.manipulation} == {"train"}
    assert "2 people in photographs alone: driven as photographs" in " ".join(capsys.readouterr().out.split())


def test_pairs_and_clips_say_how_many(folder):
    assert len(_drives(_plan(_settings(folder, 'pairs = "all"\nself_drives = false')))) == 7
    assert len(_drives(_plan(_settings(folder, 'pairs = "all"\nself_drives = false\nclips = 1')))) == 5
    plan = _plan(_settings(folder, 'pairs = "sample:1"\nself_drives = false\nclips = 1'))
    assert len(_drives(plan)) == 1
    assert _drives(_plan(_settings(folder, 'pairs = [["ann", "dan"]]'))) == {
        ("ann", "dan", "dan-00"), ("ann", "dan", "dan-01"),
    }  # fmt: skip


def test_of_people_whom_a_swapper_knows_those_with_a_photograph_are_driven(folder):
    swapper = '[[swapper]]\nname = "small"\nsteps = [20]\n'
    plan = _plan(_settings(folder, f'family = "reenact-latent"\nswapper = "small"\n{swapper}'))
    assert [model.people for model in plan.models] == [("ann", "bob")]
    assert _drives(plan) == {("ann", "bob", "bob-01"), ("bob", "bob", "bob-01")}
    trained = {step.key for step in plan.steps_of("train")}
    assert all(trained & set(step.after) for step in plan.steps_of("drive"))


def test_targets_beside_the_drivers_get_them_in_turn():
    ring = ReenactmentConfig("driven", targets="photographs")
    assert pairs_of(ring, ("a", "b"), 0, targets=("x", "y", "z", "a")) == [
        ("a", "x"), ("b", "y"), ("a", "z"), ("b", "a"),
    ]  # fmt: skip
    assert pairs_of(ring, ("a",), 0, targets=("a",)) == []
    assert pairs_of(ring, (), 0, targets=("x",)) == []


def test_a_folder_stands_for_its_photographs_in_natural_order(folder):
    (folder / "many").mkdir()
    for number in (10, 9):
        picture = encode_png(portrait(Actor.from_seed(number), px=64, seed=1).image)
        (folder / "many" / f"{number}.png").write_bytes(picture)
    plan = _plan(_settings(folder, "", dan='"many"'))
    shots = [step.task for step in plan.steps_of("shot") if "/dan-" in step.task.out]
    assert [Path(task.source).name for task in shots] == ["9.png", "10.png"]
    assert {task.max_side for task in shots} == {LONGEST_PX}
    assert {step.task.max_side for step in plan.steps_of("shot") if step.task.source.endswith(".mp4")} == {None}


def test_a_still_has_the_sound_of_the_clip_that_drives_it():
    assert of_still(ReenactConfig(), heard=True).sound == "driver"
    assert of_still(ReenactConfig(), heard=False).sound == "none"
    lips = ReenactConfig(family="lipsync", sound="driver")
    assert of_still(lips, heard=False) == lips


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"segments": {"share": 0.5}}, "no time and no frames of its own"),
        ({"settings": {"offset_seconds": 1.0}}, "no time and no frames of its own"),
        ({"settings": {"target_neutral": 0}}, "no time and no frames of its own"),
        ({"targets": "nobody", "pairs": (("ann", "bob"),)}, "not paired by name"),
        ({"targets": "nobody", "family": "reenact-latent", "swapper": "s"}, "no swapper knows a generated face"),
    ],
)
def test_settings_that_no_still_has_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        ReenactmentConfig(**({"name": "driven", "targets": "photographs"} | wrong))


def test_targets_are_clips_photographs_or_a_generation():
    check_targets([ReenactmentConfig("a"), ReenactmentConfig("b", targets="nobody")], ["nobody"])
    with pytest.raises(ConfigError, match=r"b: no \[\[generation\]\] is called 'photograph'"):
        check_targets([ReenactmentConfig("b", targets="photograph")], ["nobody"])


def _signed_as_generated(folder: Path) -> None:
    facts = StillFacts("seed-1", "generate-prior", "a" * 64, (64, 64), 64, "synthetic", seed=1)
    picture = portrait(Actor.from_seed(1), px=64, seed=9).image
    write_still(folder / "made.png", picture, facts, StillConfig(), SigningIdentity.load_or_create(), mark=False)


@pytest.mark.parametrize(
    ("settings", "clips", "said"),
    [
        ('pairs = [["dan", "ann"]]', {}, "driven: ann has no photograph"),
        ('pairs = [["dan", "bob"]]', {}, "driven: dan is in photographs alone"),
        ('pairs = [["cid", "dan"]]', {}, "cid, dan are linked"),
        ('targets = "photograph"', {}, "no [[generation]] is called 'photograph'"),
        ("segments = { share = 0.5 }", {}, "a still has no time and no frames of its own"),
        ("", {"bob": '"bob.mp4"', "dan": '"made.png"'}, "is signed as made by a model (generate)"),
        ("", {"bob": '"bob.png"', "ann": '"eve.png"', "eve": '"dan-2.png"', "dan": '"dan-1.png"'},
         "driven: no people are paired"),
        ("", {"dan": '"none"'}, "none holds no picture"),
        ('targets = "clips"', {"dan": '"dan-1.png"'}, "dan-1.png is a picture, of which only stills are made"),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong(folder, capsys, settings: str, clips: Mapping[str, str], said: str):
    _signed_as_generated(folder)
    (folder / "none").mkdir(exist_ok=True)
    path = _settings(folder, settings, **clips)
    if settings.startswith("targets"):
        path.write_text(path.read_text().replace('targets = "photographs"\n', ""))
    assert run(["forge", "build", str(path), "--out", str(folder / "out")]) != 0
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (folder / "out").exists()
