"""Photographs as targets in a set: driven by filmed people of their split, no frame called real, made once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forge.building.build import BuildResult, build_set
from forge.building.held import held_facts
from forge.building.intermediates import ShotFacts
from forge.reenacting.drive_table import read_drive
from shared.actors import Actor, portrait
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.dataset import DatasetFolder
from shared.dataset.held import TARGET_STILL
from shared.dataset.splits import find_leaks
from shared.engine.local import LocalEngine
from shared.provenance.read import read_provenance
from shared.storage import sha256_file
from shared.types import ClipRecord
from shared.video import VideoReader, audio_digest, frame_times, read_mask_frames
from shared.video.images import encode_png, read_picture
from tests.factories import write_landmarks

FRAMES = 6
CID = """[[identity]]
name = "cid"
rights = "consent"
clips = ["cid.mp4"]
"""
TEXT = """
renditions = [{ name = "exact", codec = "libx264", crf = 0, pixel_format = "yuv444p" }, { name = "half", size = 64 }]
[set]
name = "talking"
finder = "sidecar"
min_face_px = 16
frames = 6
crf_spread = 0
[splits]
train = ["ann", "bob", "dan"]
val = ["cid"]
[[identity]]
name = "ann"
rights = "synthetic"
clips = ["ann.mp4", "ann.png"]
[[identity]]
name = "bob"
rights = "synthetic"
clips = ["bob.mp4"]
[[identity]]
name = "cid"
rights = "consent"
clips = ["cid.mp4"]
[[identity]]
name = "dan"
rights = "consent"
clips = ["dan"]
[[reenactment]]
name = "photographs-driven"
targets = "photographs"
settings = { max_pose_gap_degrees = 60 }
"""


def write_photograph(path: Path, actor: Actor, seed: int, px: int) -> None:
    """A portrait of an actor, with its landmarks beside it."""
    shot = portrait(actor, px=px, seed=seed)
    path.write_bytes(encode_png(shot.image))
    write_landmarks(path.with_suffix(".landmarks.parquet"), {0: shot.landmarks})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a set of three filmed actors, and of a fourth in a folder of two photographs, one of odd sides."""
    folder = tmp_path_factory.mktemp("set")
    people = dict(zip(("ann", "bob", "cid"), cast(3, 3), strict=True))
    for name, actor in people.items():
        film(actor, folder / f"{name}.mp4", seconds=12 / 25, px=96, seed=4)
    # A photograph of ann whose landmarks are not those of her clip.
    (folder / "stills").mkdir()
    write_photograph(folder / "stills" / "ann.png", people["ann"], 2, 96)
    (folder / "dan").mkdir()
    for number, px in enumerate((97, 120)):
        write_photograph(folder / "dan" / f"{number}.png", Actor.from_seed(7), number, px)
    path = folder / "set.toml"
    path.write_text(TEXT.replace('"ann.png"', '"stills/ann.png"'))
    return path


def _built(settings: Path, out: Path) -> BuildResult:
    return build_set(settings, out, work=out.with_name("work"), engine=LocalEngine(1))


def _driven(folder: DatasetFolder) -> dict[str, ClipRecord]:
    return {one.id.name: one for one in folder.records() if one.kind == "reenact"}


def test_photographs_are_driven_and_verified_and_what_changes_is_made_again(settings, tmp_path):
    result = _built(settings, tmp_path / "set")
    assert result.skipped == {}
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    fakes = _driven(folder)
    pairs = {name.partition("@")[0] for name in fakes}
    assert pairs == {"ann-01-by-bob", "ann-01-by-ann", "dan-00-by-bob", "dan-01-by-bob"}
    assert {str(one.id.manipulation) for one in fakes.values()} == {"photographs-driven", "photographs-driven-self"}
    assert [one.target_identity for one in fakes.values() if one.is_self_swap] == ["ann", "ann"]
    assert {one.split for one in fakes.values()} == {"train"}
    assert find_leaks(folder.records()) == []
    _check_clips(folder, fakes, settings)
    again = _built(settings, tmp_path / "set")
    assert (again.tasks, again.made) == ({}, 0)
    # Another photograph in its place: its clips are made again into a new set, and no other.
    path = settings.parent / "dan" / "1.png"
    before = path.read_bytes(), path.with_suffix(".landmarks.parquet").read_bytes()
    write_photograph(path, Actor.from_seed(7), 5, 120)
    renewed = _built(settings, tmp_path / "other")
    path.write_bytes(before[0])
    path.with_suffix(".landmarks.parquet").write_bytes(before[1])
    assert {kind: count for kind, count in renewed.tasks.items() if kind != "clips"} == {"shot": 1, "drive": 1}


def _check_clips(folder: DatasetFolder, fakes: dict[str, ClipRecord], settings: Path) -> None:
    drivers = {one.id.name: one for one in folder.records() if one.kind == "real"}
    for name, record in fakes.items():
        assert (record.frames, record.faked, record.parent) == (FRAMES, ((0, FRAMES),), None)
        assert record.factors[TARGET_STILL] == "photograph"
        assert {label.label for label in folder.frame_labels(record.id)} == {"fake"}
        driver = drivers[f"{record.factors['driver_clip']}@{record.rendition}"]
        made, own = folder.media_path(record), folder.media_path(driver)
        assert frame_times(made) == frame_times(own)
        assert audio_digest(made) == audio_digest(own) is not None
        assert record.factors["sound_from"] == "driver"
        assert "a still (photograph)" in " ".join(str(one.description) for one in read_provenance(made).actions)
        assert set(read_drive(folder.path / record.factors["drive_table"])) <= set(range(FRAMES)), name
    odd = fakes["dan-00-by-bob@exact"]
    photograph = settings.parent / "dan" / "0.png"
    assert (odd.width, odd.height, odd.rights) == (97, 97, "consent (driver: synthetic)")
    assert odd.factors["target_sha256"] == sha256_file(photograph)
    assert (fakes["dan-01-by-bob@half"].width, fakes["dan-01-by-bob@exact"].width) == (64, 120)
    # Where the mask marks nothing the photograph stands, but for the rounding of colours.
    picture, held = read_picture(photograph).astype(int), 0
    masks = list(read_mask_frames(folder.mask_paths(odd)["changed"]))
    for frame, mask in zip(VideoReader(folder.media_path(odd)), masks, strict=True):
        assert np.abs(frame.image.astype(int) - picture)[mask == 0].max() <= 4
        held += not mask.any()
    assert held == int(odd.factors["frames_held"]) < FRAMES


def test_the_voice_of_a_filmed_person_lets_a_photograph_talk(tmp_path):
    for name, actor in zip(("ann", "bob"), cast(2, 3), strict=True):
        film(actor, tmp_path / f"{name}.mp4", seconds=1.0, px=96, seed=4)
    (tmp_path / "dan").mkdir()
    write_photograph(tmp_path / "dan" / "0.png", Actor.from_seed(7), 0, 96)
    text = TEXT.replace('"ann.mp4", "ann.png"', '"ann.mp4"').replace("frames = 6", "frames = 20")
    text = text.replace('val = ["cid"]\n', "").replace(CID, "")
    path = tmp_path / "set.toml"
    path.write_text(text.replace("settings = { max_pose_gap_degrees = 60 }", 'family = "lipsync"'))
    result = _built(path, tmp_path / "set")
    assert result.skipped == {}
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    records = {one.id.name: one for one in folder.records()}
    said, driver = records["dan-00-by-ann@exact"], records["ann-00@exact"]
    assert (said.architecture, said.factors[TARGET_STILL], said.faked) == ("lipsync", "photograph", ((0, 20),))
    assert audio_digest(folder.media_path(said)) == audio_digest(folder.media_path(driver)) is not None
    assert frame_times(folder.media_path(said)) == frame_times(folder.media_path(driver))


def test_a_held_clip_has_the_times_and_the_sound_of_its_driver(tmp_path):
    base = {"source": "a", "source_sha256": "", "start": 0, "width": 4, "height": 6, "finder": "yunet"}
    still = ShotFacts(**base, time_base=Fraction(1, 25), pts=(0,), notes={"turned": "90"})
    driver = ShotFacts(
        **base | {"width": 9}, time_base=Fraction(1, 50), pts=(2, 4), frame_rate=Fraction(25), sound="a.m4a"
    )
    places = {"driver_shot": tmp_path / "shots" / "bob", "folder": tmp_path / "masters" / "one"}
    facts = held_facts(still, driver, **places)
    assert (facts.width, facts.pts, facts.time_base, facts.notes) == (4, (2, 4), Fraction(1, 50), {"turned": "90"})
    assert facts.sound == "../../shots/bob/a.m4a"
    whole = ShotFacts(**base, time_base=Fraction(1, 50), pts=(2, 4), sound="/media/bob.mp4")
    assert held_facts(still, whole, **places).sound == "/media/bob.mp4"
    silent = ShotFacts(**base, time_base=Fraction(1, 50), pts=(2, 4))
    assert held_facts(still, silent, **places).sound is None
