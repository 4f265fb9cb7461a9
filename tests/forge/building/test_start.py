"""The first settings for clips at hand are valid and say what they are for; the plan says what later steps lack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.toy_set import film
from detect.calibration.config import CalibrateConfig
from forge.building.build import plan_build
from forge.building.material import lacking_later
from forge.building.spec import load_spec
from forge.building.start import first_settings
from shared.cli import run
from shared.dataset.audit.config import AuditConfig
from shared.errors import ConfigError, MediaError, UsageError
from shared.results.fewest import CALIBRATION_CLIPS, CALIBRATION_PEOPLE

NAMES = ("ann-1", "ann-02", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "joe")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(NAMES):
        film(folder / f"{name}.mp4", 4, number)
    return folder


def written(clips: Path, out: Path, *names: str):
    out.write_text(first_settings([clips / f"{name}.mp4" for name in names], out, "consent"))
    return load_spec(out)


@pytest.mark.parametrize(
    ("names", "sizes"),
    [(NAMES[:3], (2, 0, 0)), (NAMES[:5], (2, 2, 0)), (NAMES[:7], (2, 2, 2)), (NAMES, (4, 4, 2))],
)
def test_splits_follow_from_the_number_of_people(clips, tmp_path, names, sizes):
    spec = written(clips, tmp_path / "set.toml", *names)
    assert tuple(len(getattr(spec.splits, split)) for split in ("train", "val", "test")) == sizes
    assert plan_build(spec, tmp_path / "one").plan.clips


def test_clips_numbered_at_the_end_and_those_of_a_folder_are_of_one_person(clips, tmp_path):
    spec = written(clips, tmp_path / "set.toml", "ann-1", "ann-02", "ann-1", "bob")
    assert {one.name: len(one.clips) for one in spec.identity} == {"ann": 2, "bob": 1}
    folder = tmp_path / "all"
    for person, name in (("ann", "bob"), ("ann", "cleo"), ("Zoë", "dan")):
        (folder / person).mkdir(parents=True, exist_ok=True)
        (folder / person / f"{name}.mp4").symlink_to(clips / f"{name}.mp4")
    out = tmp_path / "other.toml"
    out.write_text(first_settings([folder], out, "consent"))
    assert {one.name: len(one.clips) for one in load_spec(out).identity} == {"ann": 2, "Zoe": 1}


def test_the_file_says_what_its_lines_are_for_and_is_read_from_anywhere(clips, tmp_path):
    out = clips / "set.toml"
    try:
        spec = written(clips, out, "bob", "cleo")
        text = out.read_text()
    finally:
        out.unlink()
    assert 'clips = ["bob.mp4"]' in text
    assert spec.identity[0].rights == "consent"
    for word in ("assay forge build set.toml --out sets/one --dry-run", "assay docs dataset", "80x80 0.2 s", "Too few"):
        assert word in text
    elsewhere = written(clips, tmp_path / "set.toml", "bob", "cleo")
    assert elsewhere.clip_path(str(elsewhere.identity[0].clips[0])) == (clips / "bob.mp4").resolve()


def test_one_person_is_no_set_and_other_files_are_refused(clips, tmp_path):
    out = tmp_path / "set.toml"
    with pytest.raises(ConfigError, match="two people or more, and all clips seem to be of ann"):
        first_settings([clips / "ann-1.mp4", clips / "ann-02.mp4"], out, "consent")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError):
        first_settings([clips / "bob.mp4", tmp_path / "text.mp4"], out, "consent")
    with pytest.raises(MediaError):
        first_settings([tmp_path / "absent.mp4"], out, "consent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no clip was found"):
        first_settings([tmp_path / "empty"], out, "consent")
    odd = tmp_path / "$HOME.mp4"
    odd.write_bytes((clips / "bob.mp4").read_bytes())
    with pytest.raises(ConfigError, match=r"has a \$ in its path"):
        first_settings([odd], out, "consent")


def test_written_and_planned_by_the_commands(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = [str(clips / f"{name}.mp4") for name in NAMES[:5]]
    assert run(["forge", "build", "--init", *names, "--rights", "consent"]) == 0
    assert run(["forge", "build", "--init", *names, "--rights", "consent"]) == 2
    assert "set.toml exists" in capsys.readouterr().err
    assert run(["--json", "forge", "build", "set.toml", "--out", "one", "--dry-run"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["clips"] > 0
    assert any("calibrate" in what for what in document["lacking"])
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--init", "a.mp4"], "on what basis"),
        (["a.toml", "b.toml", "--out", "x"], "one settings file"),
        (["a.toml"], "--out DATASET"),
        (["a.toml", "--out", "x", "--rights", "consent"], "one settings file"),
    ],
)
def test_words_that_do_not_fit_are_refused(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["forge", "build", *words]) == 2
    assert told in capsys.readouterr().err


def test_what_later_steps_lack_is_named(clips, tmp_path):
    def lacking(*names: str) -> list[str]:
        spec = written(clips, tmp_path / "set.toml", *names)
        return lacking_later(plan_build(spec, tmp_path / "one").plan)

    val, test, audit = lacking(*NAMES[:3])
    assert val == "the val split has no real clip and no fake: assay detect train cannot choose a step"
    assert test.startswith("the test split has no real clip and no fake")
    assert audit.endswith(f"no verdict below {AuditConfig().min_groups} filmed people, and there are 2")
    calibration, *_ = lacking(*NAMES[:7])
    assert "needs 10 clips of 4 people of each class" in calibration
    assert calibration.endswith("there are 2 real clips of 2 people and 4 fakes of 2 people")
    (calibration,) = lacking(*NAMES)
    assert calibration.endswith("there are 4 real clips of 4 people and 8 fakes of 4 people")


def test_the_plan_warns_of_what_the_calibration_refuses():
    config = CalibrateConfig()
    assert (config.fewest_clips, config.fewest_people) == (CALIBRATION_CLIPS, CALIBRATION_PEOPLE)
