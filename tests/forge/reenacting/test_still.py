"""A photograph, or a generated face, is driven for as long as the driver lasts, and no frame of it is called real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from forge.generating.config import StillConfig
from forge.generating.output import write_still
from forge.generating.record import StillFacts
from forge.reenacting.clip import reenact_clip
from forge.reenacting.config import ReenactConfig
from forge.reenacting.drive_table import read_drive
from shared.audio.writing import write_sound
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.dataset.held import TARGET_STILL
from shared.errors import ConfigError, NoFaceError, UsageError
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import read_provenance
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel
from shared.video import Encoding, VideoReader, audio_digest, frame_times, read_mask_frames
from shared.video.images import encode_jpeg, encode_png, read_picture
from tests.factories import write_landmarks
from tests.forge.reenacting.conftest import FRAMES, SIDE, syllables, talking


def _painted(px: int = SIDE) -> np.ndarray:
    picture = np.clip(np.random.default_rng(4).normal(90, 5, (px, px, 3)), 0, 255).astype(np.uint8)
    points = talking(0).round().astype(np.int32)
    cv2.fillConvexPoly(picture, cv2.convexHull(points), (190, 150, 130))
    cv2.fillConvexPoly(picture, cv2.convexHull(points[48:60]), (120, 40, 40))
    return picture


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A painted face with a shut mouth; landmarks beside it."""
    path = tmp_path / "cid.png"
    path.write_bytes(encode_png(_painted()))
    write_landmarks(tmp_path / "cid.landmarks.parquet", {0: talking(0)})
    return path


@pytest.fixture
def config(photograph: Path, reenact_config: ReenactConfig) -> ReenactConfig:
    return replace(reenact_config, finder=f"sidecar:{photograph.with_suffix('.landmarks.parquet')}")


def _order(drive: Path, tmp_path: Path, **more: object) -> dict[str, object]:
    beside = f"sidecar:{drive.with_suffix('.landmarks.parquet')}"
    order = {"drive": drive, "dataset": tmp_path / "set", "drive_finder": beside, "driver_identity": "ann"}
    return order | {"encoding": Encoding.lossless_rgb()} | more


def _generated(folder: Path, name: str = "seed-000003") -> Path:
    facts = StillFacts(name, "generate-prior", "a" * 64, (SIDE, SIDE), SIDE, "synthetic", seed=3)
    path = folder / f"{name}.png"
    write_still(path, _painted(), facts, StillConfig(), SigningIdentity.load_or_create(), mark=False)
    return path


def test_a_photograph_lasts_as_long_as_its_driver_and_only_the_mouth_moves(photograph, drive, config, tmp_path):
    record = reenact_clip(photograph, config=config, **_order(drive, tmp_path, target_identity="cid", rights="consent"))
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    made, picture = folder.media_path(record), read_picture(photograph)
    assert frame_times(made) == frame_times(drive)
    assert (record.frames, record.faked) == (FRAMES, ((0, FRAMES),))
    assert record.factors[TARGET_STILL] == "photograph"
    assert record.factors["sound_from"] == "none"
    assert "flicker_ratio" not in record.factors
    assert "of the driver: the target never opens its mouth" in record.factors["mouth_inside"]
    masks = list(read_mask_frames(folder.mask_paths(record)["region"]))
    same = 0
    for frame in VideoReader(made):
        still = masks[frame.index] == 0
        assert np.array_equal(frame.image[still], picture[still])
        same += np.array_equal(frame.image, picture)
    assert same == int(record.factors["frames_held"]) < FRAMES / 2


def test_no_frame_of_a_photograph_is_real_whatever_moves(photograph, drive, config, tmp_path):
    record = reenact_clip(photograph, config=config, name="one", **_order(drive, tmp_path, rights="consent"))
    assert {label.label for label in DatasetFolder.open(tmp_path / "set").frame_labels(record.id)} == {"fake"}
    said = [action.description or "" for action in read_provenance(tmp_path / "set" / record.path).actions]
    assert any("the mouth of cid, a still (photograph), were driven" in text for text in said)


def test_a_range_names_the_part_of_the_driver(photograph, drive, config, tmp_path):
    order = _order(drive, tmp_path, rights="consent", stretch="6-18")
    record = reenact_clip(photograph, config=config, **order)
    assert record.id.name == "cid-by-ann@6-18"
    assert record.factors["drive_frames"] == "6-18"
    assert record.frames == 12
    times = frame_times(tmp_path / "set" / record.path)
    assert [time.seconds for time in times] == pytest.approx(np.arange(12) / 25)
    moments = {frame: at for frame, (at, *_) in read_drive(tmp_path / "set" / record.factors["drive_table"]).items()}
    assert moments == pytest.approx({frame: frame + 6 for frame in range(12)})
    assert reenact_clip(photograph, config=config, **order) == record
    with pytest.raises(UsageError, match="made with other settings"):
        reenact_clip(photograph, config=config, **(order | {"stretch": "5-18", "name": record.id.name}))


def test_speech_lets_a_photograph_talk_25_frames_a_second(photograph, model, config, tmp_path):
    speech = tmp_path / "ann.wav"
    write_sound(speech, syllables(1.5))
    talk = replace(config, family="lipsync", sound="driver")
    order = {"drive": speech, "dataset": tmp_path / "set", "swapper": model, "rights": "consent"}
    record = reenact_clip(photograph, config=talk, driver_identity="ann", drive_rights="consent", **order)
    made = tmp_path / "set" / record.path
    assert record.frames == 38
    assert [time.seconds for time in frame_times(made)] == pytest.approx(np.arange(38) / 25)
    assert audio_digest(made) is not None
    assert record.factors[TARGET_STILL] == "photograph"


def test_a_generated_face_stays_nobody(drive, config, tmp_path):
    still = _generated(tmp_path)
    record = reenact_clip(still, config=config, **_order(drive, tmp_path))
    assert record.target_identity == "nobody"
    assert record.rights == "synthetic"
    assert record.factors[TARGET_STILL] == "generate"
    assert record.factors["target_clip"] == "deliverable/generate-prior/seed-000003"
    assert DatasetFolder.open(tmp_path / "set").verify(deep=True) == []
    with pytest.raises(UsageError, match="shows no cid"):
        reenact_clip(still, config=config, **_order(drive, tmp_path, target_identity="cid"))
    named = reenact_clip(still, config=config, **_order(drive, tmp_path, target_identity="nobody-3", name="other"))
    assert named.target_identity == "nobody-3"


def test_a_listed_still_is_the_parent_and_keeps_its_identity(drive, config, tmp_path):
    folder = DatasetFolder.init(tmp_path / "set", "set")
    still = _generated(tmp_path)
    signed = read_provenance(still).record
    with folder.stage_media("media/nobody/seed-3.png") as draft:
        draft.write_bytes(still.read_bytes())
    parent = ClipRecord(
        ClipId("set", "nobody", "seed-3"), "generate", "fake", "media/nobody/seed-3.png", sha256_file(still),
        "nobody-faces-3", "synthetic", 1, SIDE, SIDE, "png", faked=((0, 1),), swapper=signed["swapper"],
    )  # fmt: skip
    folder.add(parent, [FrameLabel(parent.id, 0, 0, 0.0, "fake")])
    record = reenact_clip(folder.media_path(parent), config=config, **_order(drive, tmp_path))
    assert (record.parent, record.target_identity) == (parent.id, "nobody-faces-3")
    assert record.factors[TARGET_STILL] == "generate"


def test_what_a_still_cannot_do_is_refused(photograph, drive, config, tmp_path):
    order = _order(drive, tmp_path, rights="consent")
    for odd in ({"offset_seconds": 0.2}, {"segments": ((0, 3),)}):
        with pytest.raises(UsageError, match="no time and no frames of its own"):
            reenact_clip(photograph, config=replace(config, **odd), **order)
    with pytest.raises(UsageError, match="performs nothing"):
        reenact_clip(photograph, config=config, **(order | {"drive": photograph}))
    with pytest.raises(UsageError, match="needs a swapper"):
        reenact_clip(photograph, config=replace(config, family="reenact-latent"), **order)
    with pytest.raises(UsageError, match="no frame in 30-40"):
        reenact_clip(photograph, config=config, **order, stretch="30-40")
    with pytest.raises(ConfigError):
        replace(config, family="lipsync", sound="target")
    assert not (tmp_path / "set").exists()


def test_landmarks_beside_a_photograph_that_is_reduced_are_refused(drive, config, tmp_path):
    large = tmp_path / "large.jpg"
    large.write_bytes(encode_jpeg(_painted(2000)))
    with pytest.raises(UsageError, match="reduced to 1920x1920"):
        reenact_clip(large, config=config, **_order(drive, tmp_path, rights="consent"))


def test_the_command_drives_a_photograph_and_refuses_what_is_none(photograph, drive, tmp_path, capsys):
    settings = tmp_path / "drive.toml"
    settings.write_text('min_face_px = 16\nmax_pose_gap_degrees = 60\n[output]\npreset = "ultrafast"\n')
    words = ["--drive", str(drive), "--rights", "consent", "--device", "cpu", "--config", str(settings)]
    words += ["--finder", f"sidecar:{photograph.with_suffix('.landmarks.parquet')}"]
    words += ["--drive-finder", f"sidecar:{drive.with_suffix('.landmarks.parquet')}"]
    assert run(["forge", "reenact", str(photograph), *words, "--out", str(tmp_path / "one.mp4")]) == 0
    provenance = read_provenance(tmp_path / "one.mp4")
    assert provenance.valid
    assert provenance.record["faked"] == f"0-{FRAMES}"
    assert "every frame is labelled fake" in capsys.readouterr().out
    broken = tmp_path / "broken.png"
    broken.write_bytes(photograph.read_bytes()[:200])
    assert run(["forge", "reenact", str(broken), *words, "--out", str(tmp_path / "two.mp4")]) != 0
    assert "broken.png" in capsys.readouterr().err
    assert run(["forge", "reenact", str(photograph), *words, "--offset", "1", "--out", str(tmp_path / "two.mp4")]) == 2
    assert run(["forge", "reenact", str(tmp_path / "no.png"), *words, "--out", str(tmp_path / "two.mp4")]) != 0
    assert not (tmp_path / "two.mp4").exists()


def test_a_picture_without_a_face_is_refused(drive, reenact_config, tmp_path):
    empty = tmp_path / "wall.png"
    empty.write_bytes(encode_png(np.full((SIDE, SIDE, 3), 90, np.uint8)))
    write_landmarks(tmp_path / "other.parquet", {5: talking(0)})
    config = replace(reenact_config, finder=f"sidecar:{tmp_path / 'other.parquet'}")
    with pytest.raises(NoFaceError):
        reenact_clip(empty, config=config, **_order(drive, tmp_path, rights="consent"))
