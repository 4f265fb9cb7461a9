from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
import torch

from benchmarks.toy_set import toy_set
from forge.building.build import plan_build
from forge.building.plan import plan_set
from forge.building.plan_parts import encode_units
from forge.building.sampling import swap_settings
from forge.building.spec import ClipConfig, SetSpec, SplitsConfig, SwapperConfig, load_spec
from forge.models import build_swapper, shipped
from forge.models.checkpoint import save_swapper
from shared.cli import run
from shared.config import write_toml
from shared.errors import CheckpointError, ConfigError, LeakError, MediaError, UsageError
from shared.video.renditions import known_rendition


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_set(tmp_path_factory.mktemp("clips"), groups=(2, 2))


@pytest.fixture
def spec(path: Path) -> SetSpec:
    return load_spec(path)


def _identity(spec: SetSpec, place: int, **changes: object) -> SetSpec:
    people = list(spec.identity)
    people[place] = dataclasses.replace(people[place], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(spec, identity=tuple(people))


def _manipulation(spec: SetSpec, **changes: object) -> SetSpec:
    one = dataclasses.replace(spec.manipulation[0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(spec, manipulation=(one,))


def _made(spec: SetSpec, out: Path) -> list[str]:
    return [str(clip.task.id) for clip in plan_build(spec, out).plan.clips]


def test_counts_follow_from_people_pairs_factors_ladder_and_renditions(spec, tmp_path):
    out = tmp_path / "toy"
    base = dataclasses.replace(spec, renditions=("c23",))
    reals = 4
    table = [
        ({"self_swaps": False}, 4),
        ({"self_swaps": True}, 4 + 4),
        ({"steps": (), "self_swaps": False}, 8),
        ({"factors": {"seed": [1, 2, 3]}, "self_swaps": False}, 12),
        ({"factors": {"seed": [1, 2, 3]}, "combine": "sample:2", "self_swaps": False}, 8),
        ({"pairs": "sample:1", "self_swaps": False}, 2),
        ({"pairs": (("p0", "p1"),), "self_swaps": False}, 1),
        ({"pairs": "ring", "self_swaps": False}, 4),
    ]
    for changes, fakes in table:
        assert len(_made(_manipulation(base, **changes), out)) == reals + fakes, changes


def test_ids_say_target_source_variant_step_and_rendition(spec, tmp_path):
    varied = _manipulation(spec, steps=(), factors={"seed": [1, 2]}, self_swaps=False)
    ids = _made(varied, tmp_path / "toy")
    assert "toy/real/p0-00@c23" in ids
    assert "toy/plain/p0-00+p1-v1-s2@small" in ids
    assert len(ids) == len(set(ids))


def test_a_plan_is_the_same_twice_and_keys_depend_on_settings(spec, tmp_path):
    first, second = (plan_build(spec, tmp_path / "toy").plan for _ in range(2))
    assert first == second
    other = plan_build(_manipulation(spec, settings={"mask": {"kind": "full"}}), tmp_path / "toy").plan
    kinds = {
        step.kind for step in {s.key: s for s in other.steps if s.key not in {f.key for f in first.steps}}.values()
    }
    assert kinds == {"master", "clips"}


def test_a_recipe_gives_the_settings_but_not_its_minutes(spec):
    swapper = SwapperConfig("one", steps=(40,), recipe="assay-cpu", settings={"batch": 3})
    config = swapper.training
    assert (config.model, config.batch, config.steps, config.minutes) == ("compact", 3, 40, None)
    assert config.phases
    with pytest.raises(ConfigError, match="a recipe needs steps"):
        SwapperConfig("one", recipe="assay-cpu")


def test_what_a_training_starts_from_is_in_its_key(spec, tmp_path, monkeypatch):
    def trained() -> set[str]:
        return {step.key for step in plan_build(spec, tmp_path / "toy").plan.steps if step.kind == "train"}

    family = spec.swapper[0].training.model
    monkeypatch.setattr(shipped, "BASE_FOLDER", tmp_path / "nothing")
    without = trained()
    for name, seed in (("one", 1), ("two", 2)):
        torch.manual_seed(seed)
        base = build_swapper(family, ("north", "south"), width=0.03)
        save_swapper(base, tmp_path / name, population=False)
    monkeypatch.setattr(shipped, "BASE_FOLDER", tmp_path / "one")
    first = trained()
    monkeypatch.setattr(shipped, "BASE_FOLDER", tmp_path / "two")
    assert len({*without, *first, *trained()}) == 3 * len(without)


def test_a_start_is_relative_to_the_settings_file_and_counts_by_its_content(path, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    spec = load_spec(path)
    family = spec.swapper[0].training.model
    swapper = build_swapper(family, ("north", "south"), width=0.03)

    def trained(folder: Path) -> dict[str, str | None]:
        started = dataclasses.replace(spec.swapper[0], settings=spec.swapper[0].settings | {"start_from": "begin"})
        moved = dataclasses.replace(spec, swapper=(started,), folder=folder, set=dataclasses.replace(
            spec.set, media=str(path.parent)))  # fmt: skip
        steps = [step for step in plan_build(moved, tmp_path / "toy").plan.steps if step.kind == "train"]
        return {step.key: step.task.config.start_from for step in steps}  # type: ignore[attr-defined]

    with pytest.raises(CheckpointError, match="begin"):
        trained(tmp_path / "one")
    for name in ("one", "two"):
        save_swapper(swapper, tmp_path / name / "begin", population=False)
    first, second = trained(tmp_path / "one"), trained(tmp_path / "two")
    assert set(first.values()) == {str(tmp_path / "one" / "begin")}
    assert set(second.values()) == {str(tmp_path / "two" / "begin")}
    assert first.keys() == second.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"restore": {"by": "restorer"}}, "there is no such file"),
        ({"blend": {"enlarge": "restorer"}}, "there is no such file"),
        ({"blend": {"enlarge": "python:nothing.py"}}, "nothing.py does not exist"),
    ],
)
def test_what_a_swap_needs_and_is_not_there_ends_a_build_before_the_work(
    path, tmp_path, capsys, monkeypatch, settings, message
):
    monkeypatch.setattr("forge.models.restorer.RESTORER_FILE", tmp_path / "restorer.safetensors")
    spec = load_spec(path)
    document = tomllib.loads(path.read_text())
    document["manipulation"][0]["settings"] = settings
    place = path.with_name(f"{tmp_path.name}.toml")
    write_toml(place, document)
    for more in (["--dry-run"], []):
        assert run(["forge", "build", str(place), "--out", str(tmp_path / "toy"), *more]) in (1, 2)
        assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "toy").exists()
    assert not list((tmp_path / "toy.build").glob("*/*"))
    # With the files there, their content is in the key of what is made with them.
    file = tmp_path / "restorer.safetensors"
    (tmp_path / "nothing.py").write_text("def enlarge(crop):\n    return crop\n")
    monkeypatch.chdir(tmp_path)
    keys = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        (tmp_path / "nothing.py").write_bytes(content)
        plan = plan_build(_manipulation(spec, settings=settings), tmp_path / "toy").plan
        keys.append({step.key for step in plan.steps if step.kind == "master"})
    assert not keys[0] & keys[1]


def test_faces_of_a_clip_are_looked_for_once(spec, tmp_path):
    plan = plan_build(spec, tmp_path / "toy").plan
    assert len(plan.steps_of("shot")) == 4
    assert len(plan.steps_of("train")) == 2
    assert len(plan.steps_of("clips")) == 4 + len(plan.steps_of("master"))


def test_clips_are_cut_into_whole_pieces(spec, tmp_path):
    cut = _identity(spec, 0, frames=3, pieces=9)
    ids = _made(dataclasses.replace(cut, renditions=("c23",), manipulation=()), tmp_path / "toy")
    assert [one for one in ids if "/p0-" in one] == ["toy/real/p0-00@c23", "toy/real/p0-01@c23"]
    late = _identity(spec, 0, clips=(ClipConfig("p0.mp4", start=99),))
    with pytest.raises(MediaError, match="none from 99"):
        plan_build(late, tmp_path / "toy")


def test_people_are_drawn_into_splits_when_nobody_is_named(spec, tmp_path):
    drawn = dataclasses.replace(spec, splits=SplitsConfig(fractions=(0.5, 0.0, 0.5)))
    clips = plan_build(drawn, tmp_path / "toy").plan.clips
    split_of = {clip.task.id.name[:2]: clip.split for clip in clips}
    assert sorted(split_of.values()) == ["test", "test", "train", "train"]


def test_people_who_are_tied_cannot_lie_in_two_splits(spec, tmp_path):
    both = _identity(spec, 0, clips=(ClipConfig("p0.mp4", also=("p2",)),))
    group = dataclasses.replace(spec.swapper[0], people=(("p0", "p1", "p2"),))
    pair = _manipulation(spec, pairs=(("p0", "p3"),))
    for tied in (both, dataclasses.replace(spec, swapper=(group,)), pair):
        with pytest.raises(LeakError, match="are linked by"):
            plan_build(tied, tmp_path / "toy")


def test_the_same_pictures_twice_are_refused(spec, tmp_path):
    with pytest.raises(UsageError, match="same frames"):
        plan_build(_identity(spec, 0, clips=("p0.mp4", "p0.mp4")), tmp_path / "toy")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"set": {"name": "a/b"}}, "a/b"),
        ({"set": {"name": "a", "pieces": 2}}, "pieces need frames"),
        ({"renditions": ["c24"]}, "c24"),
        ({"renditions": [{"name": "x", "quality": 3}]}, "quality"),
        ({"renditions": ["c23", "c23"]}, "differ"),
        ({"splits": {"train": ["ann"], "test": ["ann"]}}, "more than once"),
        ({"splits": {"train": ["eve"]}}, "eve"),
        ({"swapper": [{"name": "s", "settings": {"minutes": 3}}]}, "minutes"),
        ({"swapper": [{"name": "s", "steps": [5, 3]}]}, "ascend"),
        ({"swapper": [{"name": "s", "steps": [1, 9999]}]}, "snapshots"),
        ({"manipulation": [{"name": "m", "swapper": "t"}]}, "no swapper"),
        ({"identity": []}, "identity"),
        ({"colour": 1}, "colour"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(tmp_path, wrong, message):
    good = {"set": {"name": "a"}, "identity": [{"name": "ann", "rights": "consent", "clips": ["ann.mp4"]}]}
    write_toml(tmp_path / "set.toml", good)
    load_spec(tmp_path / "set.toml")
    write_toml(tmp_path / "set.toml", good | wrong)
    with pytest.raises(UsageError, match=message):
        load_spec(tmp_path / "set.toml")


def test_factors_reach_into_groups_of_settings(spec):
    config = swap_settings(spec, spec.manipulation[0], {"mask.erode": 0.02, "seed": 4})
    assert (config.mask.erode, config.mask.kind, config.seed) == (0.02, "hull", 4)
    with pytest.raises(ConfigError, match="erosion"):
        swap_settings(spec, spec.manipulation[0], {"mask.erosion": 0.02})


def test_the_folder_of_media_may_come_from_the_environment(spec, monkeypatch):
    moved = dataclasses.replace(spec, set=dataclasses.replace(spec.set, media="$TOY_MEDIA"))
    with pytest.raises(ConfigError, match="TOY_MEDIA"):
        moved.clip_path("a.mp4")
    monkeypatch.setenv("TOY_MEDIA", "/films")
    assert moved.clip_path("a.mp4") == Path("/films/a.mp4")


def test_slower_codecs_cost_more():
    costs = [encode_units(known_rendition(name), 10) for name in ("mjpeg5", "c23", "reupload", "hevc28")]
    assert costs == sorted(costs)


def test_a_dry_run_shows_the_plan_and_makes_nothing(path, tmp_path, capsys):
    out = tmp_path / "toy"
    assert run(["--json", "forge", "build", str(path), "--out", str(out), "--dry-run"]) == 0
    assert '"clips": 40' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_cannot_be_read_is_named_and_the_others_are_planned(spec, tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    clips = (*spec.identity[0].entries, ClipConfig(str(bad)))
    with_bad = _identity(spec, 0, clips=clips)
    assert _made(with_bad, tmp_path / "toy") == _made(spec, tmp_path / "toy")
    assert "clips of p0: 1 of 2; 1 could not be read: bad.mp4: " in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(MediaError, match=r"bad\.mp4 is not a video"):
        plan_build(_identity(spec, 0, clips=(ClipConfig(str(bad)),)), tmp_path / "toy")


def test_a_set_without_sound_has_shots_of_its_own(spec, tmp_path, path):
    silent = dataclasses.replace(spec, set=dataclasses.replace(spec.set, audio=False))
    keys = [{step.key for step in plan_build(one, tmp_path / "toy").plan.steps_of("shot")} for one in (spec, silent)]
    assert len(keys[0]) == len(keys[1])
    assert not keys[0] & keys[1]
    with pytest.raises(ConfigError, match="copied with their sound"):
        dataclasses.replace(spec.set, audio=False, controls=False)
    assert run(["forge", "build", str(path), "--out", str(tmp_path / "s"), "--no-audio", "--dry-run"]) == 0


def test_every_fake_has_a_paste_of_its_own_and_a_ladder_shares_it(spec, tmp_path):
    drawing = _manipulation(spec, paste=("box", "hull-mean"), factors={}, settings={"mask": {"erode": 0.01}})
    plan = plan_set(drawing, tmp_path / "toy", tmp_path / "work")
    configs = [(step.task.shot, step.task.source, step.task.config) for step in plan.steps_of("master")]
    by_fake: dict[tuple[str, str], set[str]] = {}
    for shot, source, config in configs:
        by_fake.setdefault((shot, source), set()).add(str(config))
        assert config.paste.partition(":")[0] in ("box", "hull-mean")
        assert config.mask.erode == 0.01
        assert config.square is not None
    assert all(len(found) == 1 for found in by_fake.values())
    assert len({next(iter(found)) for found in by_fake.values()}) > 1
    again = plan_set(drawing, tmp_path / "toy", tmp_path / "work")
    assert [step.key for step in again.steps] == [step.key for step in plan.steps]


def test_a_fixed_paste_may_be_a_setting_or_a_factor(spec):
    fixed = dataclasses.replace(spec.manipulation[0], settings={"paste": "ellipse"})
    assert swap_settings(spec, fixed, {}).paste == "ellipse:deep-live-cam"
    varied = swap_settings(spec, spec.manipulation[0], {"paste": "box:visomaster", "mask.blur": 0.03})
    assert (varied.paste, varied.mask.blur, varied.square is not None) == ("box:visomaster", 0.03, True)


@pytest.mark.parametrize(
    ("paste", "message"), [('"bax"', "no paste is named 'bax'"), ("{ box = -1.0 }", "weight -1.0"), ("3", "paste")]
)
def test_pastes_that_mean_nothing_end_a_build_with_one_sentence(path, tmp_path, capsys, paste, message):
    text = path.read_text().replace("[[manipulation]]\n", f"[[manipulation]]\npaste = {paste}\n", 1)
    (path.parent / "pasted.toml").write_text(text)
    assert run(["forge", "build", str(path.parent / "pasted.toml"), "--out", str(tmp_path / "toy"), "--dry-run"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "toy").exists()
