"""A re-enactment is born labelled, masked and signed; what cannot work is refused before the work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forge.reenacting.clip import reenact_clip
from forge.reenacting.drive_table import read_drive
from shared.audio.reading import read_sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.config import digest
from shared.dataset import DatasetFolder
from shared.errors import ConfigError, NoFaceError, UsageError
from shared.provenance.read import read_provenance
from shared.storage import sha256_file
from shared.types import ClipId
from shared.video import Encoding, VideoReader, audio_digest, read_mask_frames
from tests.forge.conftest import EMPTY, FRAMES, files_in
from tests.forge.reenacting.conftest import syllables


def _order(drive, tmp_path, **more):
    beside = f"sidecar:{drive.with_suffix('.landmarks.parquet')}"
    order = {"drive": drive, "dataset": tmp_path / "set", "rights": "consent", "drive_finder": beside}
    return order | {"target_identity": "bob", "driver_identity": "ann"} | more


def test_a_fake_is_born_labelled_masked_and_signed(target, drive, reenact_config, tmp_path):
    record = reenact_clip(
        target, config=reenact_config, name="one", encoding=Encoding.lossless_rgb(), **_order(drive, tmp_path)
    )
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.records() == [record]
    assert folder.verify(deep=True) == []
    assert record.id == ClipId("set", "reenact-affine", "one")
    assert (record.kind, record.target_identity, record.source_identity) == ("reenact", "bob", "ann")
    assert record.architecture == "reenact-affine"
    assert record.swapper is None
    assert record.config == digest(reenact_config)
    assert record.factors["drive_sha256"] == sha256_file(drive)
    assert record.factors["sound_from"] == "target"
    assert record.factors["mouth_inside"].startswith("the frame's own and frame")
    labels = folder.frame_labels(record.id)
    driven = {frame for start, stop in record.faked for frame in range(start, stop)}
    assert {one.frame for one in labels if one.label == "fake"} == driven
    assert not driven & set(EMPTY)
    masks = list(read_mask_frames(folder.mask_paths(record)["region"]))
    for fake, real in zip(VideoReader(folder.media_path(record)), VideoReader(target), strict=True):
        still = masks[fake.index] == 0
        assert np.array_equal(fake.image[still], real.image[still])
        assert np.array_equal(fake.image, real.image) == (fake.index not in driven)
    assert audio_digest(folder.media_path(record)) == audio_digest(target)
    table = tmp_path / "set" / record.factors["drive_table"]
    assert record.factors["drive_table_sha256"] == sha256_file(table)
    assert driven <= set(read_drive(table))


def test_the_signature_says_whose_performance_drove_whom(target, drive, reenact_config, tmp_path):
    record = reenact_clip(target, config=reenact_config, **_order(drive, tmp_path))
    provenance = read_provenance(tmp_path / "set" / record.path)
    assert provenance.valid
    assert provenance.says_fake
    assert provenance.record["kind"] == "reenact"
    assert provenance.ingredients[0].sha256 == sha256_file(target)
    said = [action.description for action in provenance.actions if action.description]
    assert any("the mouth of bob were driven by the performance of ann" in text for text in said)
    assert (tmp_path / "set" / "previews" / "reenact-affine" / f"{record.id.name}.jpg").is_file()
    assert record.id.name == "bob-at-home-by-ann"


def test_the_same_request_gives_the_clip_that_is_there(target, drive, reenact_config, tmp_path):
    order = _order(drive, tmp_path, name="one")
    first = reenact_clip(target, config=reenact_config, **order)
    assert reenact_clip(target, config=reenact_config, **order) == first
    with pytest.raises(UsageError, match="made with other settings"):
        reenact_clip(target, config=replace(reenact_config, regions=("brows",)), **order)


def test_what_cannot_work_is_refused_and_nothing_is_left(target, drive, reenact_config, tmp_path):
    order = _order(drive, tmp_path)
    with pytest.raises(UsageError, match="has no sound"):
        reenact_clip(target, config=replace(reenact_config, sound="driver"), **order)
    with pytest.raises(UsageError, match="takes no swapper"):
        reenact_clip(target, config=reenact_config, swapper=tmp_path, **order)
    with pytest.raises(UsageError, match="needs a swapper"):
        reenact_clip(target, config=replace(reenact_config, family="reenact-latent"), **order)
    with pytest.raises(UsageError, match="shows no face at the time"):
        reenact_clip(target, config=replace(reenact_config, offset_seconds=60), **order)
    with pytest.raises(NoFaceError, match="the re-enactment changed no pixel"):
        reenact_clip(target, config=reenact_config, **(order | {"drive": target, "drive_finder": None}), name="itself")
    assert not (tmp_path / "set").exists() or files_in(tmp_path / "set") == []


def test_a_clip_drives_itself_at_another_moment(target, drive, reenact_config, tmp_path):
    beside = drive.with_suffix(".landmarks.parquet")
    config = replace(reenact_config, finder=f"sidecar:{beside}", offset_seconds=0.12)
    record = reenact_clip(drive, drive=drive, dataset=tmp_path / "set", rights="consent", config=config)
    assert record.is_self_swap
    assert (record.source_identity, record.target_identity) == ("ann", "ann")


def test_the_command_drives_a_clip_and_says_what_it_did(target, drive, tmp_path, capsys):
    words = ["forge", "reenact", str(target), "--drive", str(drive), "--rights", "consent", "--device", "cpu"]
    words += ["--finder", f"sidecar:{target.parent / 'landmarks.parquet'}"]
    words += ["--drive-finder", f"sidecar:{drive.with_suffix('.landmarks.parquet')}"]
    settings = tmp_path / "drive.toml"
    settings.write_text('min_face_px = 16\nmax_pose_gap_degrees = 60\n[output]\npreset = "ultrafast"\n')
    words += ["--config", str(settings)]
    assert run([*words, "--out", str(tmp_path / "set"), "--strength", "mouth=1.5", "--region", "mouth,brows"]) == 0
    (record,) = DatasetFolder.open(tmp_path / "set").records()
    assert record.factors["strength.mouth"] == "1.5"
    assert record.factors["regions"] == "mouth,brows"
    assert run([*words, "--out", str(tmp_path / "one.mp4"), "--sound", "none", "--notice"]) == 0
    provenance = read_provenance(tmp_path / "one.mp4")
    assert provenance.record["kind"] == "reenact"
    assert audio_digest(tmp_path / "one.mp4") is None
    assert sum(1 for _ in VideoReader(tmp_path / "one.mp4")) == FRAMES
    for wrong in (["--strength", "mouth"], ["--region", "nose"], ["--family", "reenact-x"], ["--notice"]):
        assert run([*words, "--out", str(tmp_path / "set"), *wrong]) == 2
    assert run([*words, "--out", str(tmp_path / "two.mp4"), "--gif"]) == 2


def _speech(folder: Path, seconds: float = 2.0) -> Path:
    path = folder / "ann.wav"
    write_sound(path, syllables(seconds))
    return path


def test_a_sound_drives_a_mouth_and_is_heard_in_the_fake(target, model, reenact_config, tmp_path):
    speech = _speech(tmp_path)
    config = replace(reenact_config, family="lipsync", sound="driver")
    order = {"drive": speech, "dataset": tmp_path / "set", "swapper": model, "target_identity": "bob"}
    order |= {"driver_identity": "ann", "rights": "consent", "drive_rights": "CC-BY-4.0"}
    record = reenact_clip(target, config=config, encoding=Encoding.lossless_rgb(), **order)
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    assert (record.kind, record.architecture, record.source_identity) == ("reenact", "lipsync", "ann")
    factors = record.factors
    assert factors["drive_sha256"] == sha256_file(speech)
    assert factors["drive_rights"] == "CC-BY-4.0"
    assert factors["sound_from"] == "driver"
    assert factors["lipsync_sha256"] == sha256_file(model / "model.safetensors")
    assert "drive_neutral" not in factors
    made = folder.media_path(record)
    assert audio_digest(made) not in (None, audio_digest(target))
    heard, given = read_sound(made).samples, syllables(2.0).samples[: len(read_sound(made))]
    assert np.corrcoef(heard[: len(given)], given)[0, 1] > 0.99
    region = list(read_mask_frames(folder.mask_paths(record)["region"]))
    for fake, real in zip(VideoReader(made), VideoReader(target), strict=True):
        still = region[fake.index] == 0
        assert np.array_equal(fake.image[still], real.image[still])
    said = [action.description or "" for action in read_provenance(made).actions]
    assert any("the mouth of bob were driven by the voice of ann" in text for text in said)
    assert reenact_clip(target, config=config, encoding=Encoding.lossless_rgb(), **order) == record


def test_a_sound_that_cannot_drive_is_refused(target, drive, model, reenact_config, tmp_path):
    config = replace(reenact_config, family="lipsync", sound="driver")
    with pytest.raises(UsageError, match="no sound that could drive"):
        reenact_clip(target, drive=drive, dataset=tmp_path / "set", swapper=model, config=config)
    for wrong in ({"sound": "target"}, {"regions": ("mouth", "brows")}, {"neutral": 1}):
        with pytest.raises(ConfigError):
            replace(config, **wrong)


def test_the_command_drives_a_mouth_by_speech(target, model, tmp_path, capsys):
    words = ["forge", "reenact", str(target), "--drive", str(_speech(tmp_path)), "--family", "lipsync"]
    words += ["--run", str(model), "--rights", "consent", "--drive-rights", "consent", "--device", "cpu"]
    words += ["--finder", f"sidecar:{target.parent / 'landmarks.parquet'}"]
    settings = tmp_path / "drive.toml"
    settings.write_text('min_face_px = 16\n[output]\npreset = "ultrafast"\n')
    assert run([*words, "--config", str(settings), "--out", str(tmp_path / "one.mp4")]) == 0
    provenance = read_provenance(tmp_path / "one.mp4")
    assert provenance.record["source_identity"] == "ann"
    assert provenance.record["architecture"] == "lipsync"
    assert "neutral" not in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"rights": "CC-BY-4.0"}, {"target_identity": "cid"}, {"drive_rights": "public"}])
def test_the_same_name_with_other_people_or_rights_is_refused(target, drive, reenact_config, tmp_path, other):
    order = _order(drive, tmp_path, name="one")
    made = reenact_clip(target, config=reenact_config, **order)
    assert reenact_clip(target, config=reenact_config, **order) == made
    with pytest.raises(UsageError, match="people or rights"):
        reenact_clip(target, config=reenact_config, **order | other)
