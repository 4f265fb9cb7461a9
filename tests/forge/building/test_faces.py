"""Talking faces of nobody: the faces of a generator of a set are driven by filmed people of their split."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from forge.building.build import BuildResult, build_set, plan_build
from forge.building.intermediates import PICTURES, read_faces, read_facts
from forge.building.plan import plan_set
from forge.building.spec import load_spec
from forge.building.steps import read_made
from forge.cli import app
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.dataset import DatasetFolder
from shared.dataset.files import PresentFiles
from shared.dataset.held import TARGET_STILL, has_unknown_region
from shared.dataset.masks import Originals, mask_faults
from shared.dataset.splits import find_leaks
from shared.engine.local import LocalEngine
from shared.video import Encoding, VideoReader, read_mask_frames
from shared.video.images import read_picture
from tests.factories import write_clip
from tests.forge.building.generator import write_generator

pytestmark = pytest.mark.slow

TEXT = """
renditions = ["c23", "c40"]
[set]
name = "nobodies"
finder = "sidecar"
min_face_px = 16
frames = 6
audio = false
[splits]
train = ["ann"]
test = ["cid"]
[[identity]]
name = "ann"
rights = "consent"
clips = ["ann.mp4"]
[[identity]]
name = "cid"
rights = "consent"
clips = ["cid.mp4"]
[[generation]]
name = "nobody"
run = "run"
seeds = { train = "0,1", test = "9" }
px = 128
renditions = ["png"]
[[reenactment]]
name = "talking"
targets = "nobody"
settings = { max_pose_gap_degrees = 60 }
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    for name, actor in zip(("ann", "cid"), cast(2, 3), strict=True):
        film(actor, folder / f"{name}.mp4", seconds=6 / 25, px=96, seed=4, audio=False)
    write_generator(folder, like_seed=9)
    path = folder / "set.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def built(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult]:
    """The set and what building it gave; not to be changed."""
    out = tmp_path_factory.mktemp("built") / "set"
    return out, build_set(settings, out, work=out.with_name("work"), engine=LocalEngine(1))


def test_faces_of_nobody_talk_and_what_is_made_is_not_made_again(settings, built):
    out, result = built
    folder = DatasetFolder.open(out)
    assert folder.verify(deep=True) == []
    assert find_leaks(folder.records()) == []
    talking = {one.id.name: one for one in folder.records() if one.id.manipulation == "talking"}
    assert sorted(talking) == [f"seed-00000{n}-by-ann@{name}" for n in (0, 1) for name in ("c23", "c40")]
    # Seed 9 is too like a person of the training: neither it nor what it would have said is made.
    assert {str(clip).partition("@")[0] for clip in result.skipped} == {
        "nobodies/nobody/seed-000009", "nobodies/talking/seed-000009-by-cid",
    }  # fmt: skip
    assert set(result.skipped.values()) == {"the face is too like a person of the generator's training"}
    still = folder.record(talking["seed-000001-by-ann@c23"].parent)
    for name in ("c23", "c40"):
        record = talking[f"seed-000001-by-ann@{name}"]
        assert (str(record.parent), record.split) == ("nobodies/nobody/seed-000001@png", "train")
        assert (record.target_identity, record.source_identity) == ("nobody-nobody-000001", "ann")
        assert (record.factors[TARGET_STILL], record.faked) == ("generate", ((0, 6),))
        assert record.rights == f"{still.rights} (driver: consent)"
        assert has_unknown_region(record)
        assert {label.label for label in folder.frame_labels(record.id)} == {"fake"}
        assert (record.width, record.height) == (still.width, still.height) == (128, 128)
    again = build_set(settings, out, work=out.with_name("work"), engine=LocalEngine(1))
    assert (again.tasks, again.made) == ({}, 0)


def test_outside_its_mask_a_talking_face_is_the_still(built):
    out, _ = built
    folder = DatasetFolder.open(out)
    record = next(one for one in folder.records() if one.id.manipulation == "talking" and one.rendition == "c23")
    picture = read_picture(folder.media_path(folder.record(record.parent))).astype(int)
    for frame, mask in zip(
        VideoReader(folder.media_path(record)), read_mask_frames(folder.mask_paths(record)["changed"]), strict=True
    ):
        apart = np.abs(frame.image.astype(int) - picture).mean(axis=2)
        far = cv2.dilate(mask, np.ones((33, 33), np.uint8)) == 0
        assert apart[far].mean() < 4


def test_a_wrong_mask_of_a_talking_face_is_found(built, tmp_path):
    out = Path(shutil.copytree(built[0], tmp_path / "set"))
    folder = DatasetFolder.open(out)
    records = list(folder.records())
    record = next(one for one in records if one.id.manipulation == "talking" and one.rendition == "c23")
    frames = [frame.image.copy() for frame in VideoReader(folder.media_path(record))]
    for image in frames:
        image[:64, :64] = 255 - image[:64, :64]
    write_clip(folder.media_path(record), frames, encoding=Encoding(crf=23))
    (fault,) = mask_faults(PresentFiles(out), record, Originals(records))
    assert "differs from nobodies/nobody/seed-000000@png in" in fault


def test_a_generation_made_otherwise_renews_its_talking_faces_alone(settings, built):
    out, _ = built
    path = settings.with_name("truncated.toml")
    path.write_text(TEXT.replace("px = 128", "px = 160"))
    plan = plan_build(path, out.with_name("other"), work=out.with_name("work"))
    assert sorted({step.kind for step in plan.missing}) == ["clips", "drive", "face", "stills"]
    path.write_text(TEXT.replace('clips = ["ann.mp4"]', 'clips = [{ path = "ann.mp4", frames = 5 }]'))
    plan = plan_build(path, out.with_name("other"), work=out.with_name("work"))
    assert sum(step.kind == "face" for step in plan.missing) == 0
    assert sum(step.kind == "drive" for step in plan.missing) == 2


def test_without_landmarks_beside_it_a_face_lies_where_its_framing_puts_it(built):
    work = built[0].with_name("work")
    (shot,) = (work / "stills").glob("nobody-seed-000001-*")
    facts = read_facts(shot)
    assert (facts.width, facts.pts, facts.finder) == (128, (0,), "sidecar")
    (face,) = read_faces(shot / "pictures.landmarks.parquet")[0]
    assert 0 < face.box[0] < face.box[2] < 128
    (refused,) = (work / "stills").glob("nobody-seed-000009-*")
    assert "too like a person" in read_made(refused).why
    assert not (refused / PICTURES).exists()


def test_a_sample_of_pairs_bounds_the_number_of_talking_faces(settings, tmp_path):
    path = settings.with_name("sampled.toml")
    path.write_text(TEXT.replace('targets = "nobody"', 'targets = "nobody"\npairs = "sample:1"'))
    plan = plan_set(load_spec(path), tmp_path / "out", tmp_path / "work")
    assert len(plan.steps_of("drive")) == 2  # one a split
    assert len(plan.steps_of("face")) == 2
    done = CliRunner().invoke(app, ["build", str(path), "--out", str(tmp_path / "out"), "--dry-run"])
    assert done.exit_code == 0
    rows = {tuple(line.replace("│", " ").split()[:3]) for line in done.output.splitlines()}
    assert {("train", "talking", "2"), ("test", "talking", "2"), ("face", "2", "2"), ("drive", "2", "2")} <= rows
