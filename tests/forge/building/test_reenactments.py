"""Re-enactments in a set: planned, made with controls, listed, verified; nothing is done twice."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forge.building.build import build_set
from forge.building.drives import render_drive
from forge.building.plan import plan_set
from forge.building.reenactments import ReenactmentConfig, driver_of, other_moment
from forge.building.spec import load_spec
from forge.reenacting.config import ReenactConfig
from forge.reenacting.drive_table import read_drive
from forge.reenacting.lipsync.checkpoint import SHIPPED
from forge.reenacting.networks.checkpoint import WEIGHTS
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, ConfigError
from shared.storage import sha256_file
from shared.video import VideoReader, audio_digest
from tests.factories import write_clip
from tests.forge.reenacting.test_landmark import write_network

TEXT = """
renditions = ["c23", {{ name = "half", size = 64 }}]
[set]
name = "driven"
finder = "sidecar"
min_face_px = 16
frames = 6
audio = false
[splits]
train = ["ann", "bob"]
val = ["cid"]
[[identity]]
name = "ann"
rights = "synthetic"
clips = ["{ann}"]
[[identity]]
name = "bob"
rights = "synthetic"
clips = ["{bob}"]
[[identity]]
name = "cid"
rights = "consent"
clips = ["{cid}"]
[[reenactment]]
name = "mouths"
settings = {{ max_pose_gap_degrees = 60 }}
segments = {{ share = 0.5 }}
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    names = dict(zip(("ann", "bob", "cid"), cast(3, 3), strict=True))
    for name, actor in names.items():
        film(actor, folder / f"{name}.mp4", seconds=10 / 25, px=96, seed=4, audio=False)
    path = folder / "set.toml"
    path.write_text(TEXT.format(**{name: (folder / f"{name}.mp4").as_posix() for name in names}))
    return path


def test_a_set_of_re_enactments_is_built_and_verified_and_not_built_again(settings, tmp_path):
    result = build_set(settings, tmp_path / "driven", work=tmp_path / "work")
    assert result.skipped == {}
    folder = DatasetFolder.open(tmp_path / "driven")
    assert folder.verify(deep=True) == []
    fakes = [record for record in folder.records() if record.kind == "reenact"]
    named = {record.id.name.partition("@")[0]: record for record in fakes}
    assert sorted(named) == ["ann-00-by-ann", "ann-00-by-bob", "bob-00-by-ann", "bob-00-by-bob"]
    assert {record.rendition for record in fakes} == {"c23", "half"}
    other = named["ann-00-by-bob"]
    assert (other.source_identity, other.target_identity, other.split) == ("bob", "ann", "train")
    assert other.id.manipulation == "mouths"
    assert sum(stop - start for start, stop in other.faked) <= 3
    own = named["ann-00-by-ann"]
    assert own.is_self_swap
    assert own.id.manipulation == "mouths-self"
    assert own.factors["offset_seconds"] == "0.12"
    for record in fakes:
        assert record.parent is not None
        table = tmp_path / "driven" / record.factors["drive_table"]
        assert record.factors["drive_table_sha256"] == sha256_file(table)
        assert {frame for start, stop in record.faked for frame in range(start, stop)} <= set(read_drive(table))
        assert all(before.max() < max(record.width, record.height) for _, before, _ in read_drive(table).values())
    again = build_set(settings, tmp_path / "driven", work=tmp_path / "work")
    assert again.tasks == {}
    table = tmp_path / "driven" / other.factors["drive_table"]
    table.write_bytes(table.read_bytes() + b" ")
    assert f"{other.factors['drive_table']} has other bytes" in "".join(map(str, folder.verify(deep=True)))
    folder.remove([other.id])
    assert not table.exists()


def test_a_network_drives_people_of_a_set_and_a_new_one_makes_new_fakes(settings, tmp_path):
    write_network(tmp_path / "net", "ann")
    path = tmp_path / "set.toml"
    added = 'family = "reenact-landmark"\nrun = "net"\nclips = 1\n'
    path.write_text(settings.read_text().replace('name = "mouths"\n', f'name = "mouths"\n{added}'))
    result = build_set(path, tmp_path / "driven", work=tmp_path / "work")
    assert result.skipped == {}
    folder = DatasetFolder.open(tmp_path / "driven")
    assert folder.verify(deep=True) == []
    fakes = {record.id.name.partition("@")[0]: record for record in folder.records() if record.kind == "reenact"}
    assert sorted(fakes) == ["ann-00-by-ann", "ann-00-by-bob", "bob-00-by-ann", "bob-00-by-bob"]
    sha256 = sha256_file(tmp_path / "net" / WEIGHTS)
    for record in fakes.values():
        assert (record.architecture, record.factors["network_sha256"]) == ("reenact-landmark", sha256)
        assert record.factors["network_knows_target"] == ("yes" if record.target_identity == "ann" else "no")
    assert fakes["ann-00-by-ann"].is_self_swap
    assert build_set(path, tmp_path / "driven", work=tmp_path / "work").tasks == {}
    write_network(tmp_path / "net", "ann", seed=1)
    plan = plan_set(load_spec(path), tmp_path / "driven", tmp_path / "work")
    assert not {step.key for step in plan.steps_of("drive")} & {path.name for path in (tmp_path / "work").rglob("*")}
    drive = plan.steps_of("drive")[0].task
    write_network(tmp_path / "net", "ann", seed=2)
    with pytest.raises(CheckpointError, match="was changed while the set was built"):
        render_drive(drive)


def test_people_of_one_split_drive_each_other(settings, tmp_path):
    plan = plan_set(load_spec(settings), tmp_path / "out", tmp_path / "work")
    drives = [step.task for step in plan.steps_of("drive")]
    assert {(task.source, task.target) for task in drives} == {
        ("ann", "bob"), ("bob", "ann"), ("ann", "ann"), ("bob", "bob"),
    }  # fmt: skip
    assert all(task.segments is None for task in drives if task.source == task.target)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "x-self"}, "is taken"),
        ({"family": "reenact-latent"}, "names a swapper"),
        ({"swapper": "compact"}, "names a swapper"),
        ({"run": "runs/driven"}, "a run is named by families with a network"),
        ({"pairs": "some"}, "pairs is 'some'"),
        ({"settings": {"sound": "driver"}}, "no setting of a set"),
        ({"settings": {"regions": ["nose"]}}, "nose"),
        ({"family": "lipsync", "settings": {"offset_seconds": -0.5}}, "begin after the clip"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        ReenactmentConfig(**({"name": "mouths"} | wrong))


def test_a_shot_is_driven_by_another_of_its_person_where_there_is_one():
    assert driver_of(["a-00", "a-01"], 0, "a-00", "reenact-affine", own=True) == "a-01"
    assert driver_of(["a-00"], 0, "a-00", "reenact-affine", own=True) == "a-00"
    assert driver_of(["b-00", "b-01"], 3, "a-03", "reenact-affine", own=False) == "b-01"
    assert driver_of(["a-00", "a-01"], 0, "a-00", "lipsync", own=True) == "a-00"
    assert other_moment(ReenactConfig(), 3.0).offset_seconds == 1.5


def _said(folder: Path, names: Mapping[str, Path], frames: int = 20) -> Path:
    """A set in which voices drive mouths."""
    text = TEXT.replace("audio = false\n", "controls = true\n").replace("frames = 6", f"frames = {frames}")
    text = text.replace(
        'name = "mouths"\nsettings = {{ max_pose_gap_degrees = 60 }}', 'name = "said"\nfamily = "lipsync"'
    )
    text = text.replace("segments = {{ share = 0.5 }}\n", "").replace(', {{ name = "half", size = 64 }}', "")
    path = folder / "set.toml"
    path.write_text(text.format(**{name: clip.as_posix() for name, clip in names.items()}))
    return path


def _filmed(folder: Path) -> dict[str, Path]:
    people = dict(zip(("ann", "bob", "cid"), cast(3, 3), strict=True))
    return {name: film(one, folder / f"{name}.mp4", seconds=1.0, px=96, seed=4) for name, one in people.items()}


def test_a_voice_of_the_same_split_drives_a_mouth_and_is_heard(tmp_path):
    path = _said(tmp_path, _filmed(tmp_path))
    result = build_set(path, tmp_path / "said", work=tmp_path / "work")
    assert result.skipped == {}
    folder = DatasetFolder.open(tmp_path / "said")
    assert folder.verify(deep=True) == []
    records = {record.id.name.partition("@")[0]: record for record in folder.records()}
    sounds = {name: audio_digest(folder.media_path(record)) for name, record in records.items()}
    assert sounds["ann-00-by-bob"] == sounds["bob-00"] != sounds["ann-00"]
    assert sounds["ann-00-by-ann"] == sounds["ann-00"]
    fake = records["ann-00-by-bob"]
    assert (fake.architecture, fake.source_identity, fake.factors["sound_from"]) == ("lipsync", "bob", "driver")
    assert fake.factors["lipsync_sha256"] == sha256_file(SHIPPED / "model.safetensors")
    assert records["ann-00-by-ann"].is_self_swap


def test_a_silent_clip_drives_nobody_and_the_others_are_made(tmp_path):
    names = _filmed(tmp_path)
    write_sound(tmp_path / "silence.wav", Sound(np.zeros(16_000, np.float32), 16_000))
    muted = tmp_path / "muted.mov"
    with VideoReader(names["bob"]) as reader:
        write_clip(
            muted, [frame.image for frame in reader], time_base=Fraction(1, 25), audio_from=tmp_path / "silence.wav"
        )
    shutil.copyfile(names["bob"].with_suffix(".landmarks.parquet"), muted.with_suffix(".landmarks.parquet"))
    result = build_set(_said(tmp_path, names | {"bob": muted}), tmp_path / "said", work=tmp_path / "work")
    assert {clip.name.partition("@")[0] for clip in result.skipped} == {"ann-00-by-bob", "bob-00-by-bob"}
    assert all("silent" in why for why in result.skipped.values())
    made = {record.id.name.partition("@")[0] for record in DatasetFolder.open(tmp_path / "said").records()}
    assert {"ann-00-by-ann", "bob-00-by-ann"} <= made


def test_a_set_without_sound_has_no_lipsync(settings, tmp_path):
    silent = tmp_path / "set.toml"
    silent.write_text(settings.read_text().replace("settings = { max_pose_gap_degrees = 60 }", 'family = "lipsync"'))
    with pytest.raises(ConfigError, match="without sound has no lipsync"):
        load_spec(silent)
