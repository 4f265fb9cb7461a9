"""Detectors of sequences: windows, training sequences, scores by track, and a training end to end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from detect.config.data import AugmentConfig, SelfBlendConfig
from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.data.crops import ClipFaces
from detect.data.pairs import BalancedSampler, FaceKey
from detect.data.real_faces import FaceStack, RealFaces
from detect.data.sequences import BlendedSequences, ForgedSequences, RealTracks, hand_held, shifted
from detect.models import build_detector
from detect.models.checkpoint import load_detector
from detect.models.predictor import CropPredictor
from detect.models.temporal import parse_name, positions
from detect.models.windows import unbroken, window, windows_of
from detect.training.previews import batch_sheet
from shared.cli import run
from shared.config import write_toml
from shared.device import pick_device
from shared.errors import ConfigError, FacesetError, UnknownNameError
from shared.faces.align import mean_in_crop
from tests.factories import clip_record

PX = 64


@pytest.mark.parametrize(
    ("count", "centre", "frames", "stride", "expected"),
    [
        (10, 5, 4, 1, [4, 5, 6, 7]),
        (10, 0, 4, 1, [0, 1, 2, 3]),
        (10, 9, 4, 1, [6, 7, 8, 9]),
        (10, 5, 4, 2, [2, 4, 6, 8]),
        (10, 5, 4, 9, [0, 3, 6, 9]),
        (4, 1, 4, 3, [0, 1, 2, 3]),
        (3, 1, 5, 1, [0, 0, 1, 2, 2]),
        (1, 0, 3, 2, [0, 0, 0]),
    ],
)
def test_windows_by_hand(count: int, centre: int, frames: int, stride: int, expected: list[int]):
    assert window(count, centre, frames, stride).tolist() == expected


def test_a_window_needs_a_face():
    with pytest.raises(ValueError, match="needs a face"):
        window(0, 0, 4)


def test_each_face_is_seen_among_those_of_its_own_track():
    rows = windows_of(np.array([0, 7, 0, -1, 0, -1, 7]), 3)
    assert rows.tolist() == [[0, 2, 4], [1, 1, 6], [0, 2, 4], [3, 3, 3], [0, 2, 4], [5, 5, 5], [1, 1, 6]]


def test_a_track_ends_where_a_face_was_missed():
    """By hand: the usual distance is 2, so 2 to 6 is a gap, and 10 to 13 is none."""
    tracks = np.array([4, 4, -1, 4, 4, 9, 4, 9])
    frames = np.array([0, 2, 3, 6, 8, 9, 10, 13])
    assert unbroken(tracks, frames).tolist() == [0, 0, -1, 1, 1, 2, 1, 2]
    assert unbroken(np.array([-1]), np.array([0])).tolist() == [-1]


def test_names_say_what_runs_over_the_frames():
    assert parse_name("tf_efficientnet_lite0") == ("tf_efficientnet_lite0", "transformer", 8)
    assert parse_name("resnet18+gru16") == ("resnet18", "gru", 16)
    assert parse_name("resnet18+transformer") == ("resnet18", "transformer", 8)
    assert parse_name("resnet18+12") == ("resnet18", "transformer", 12)
    for name in ("resnet18+lstm", "resnet18+gru-8", "resnet18+gru+gru"):
        with pytest.raises(UnknownNameError) as caught:
            parse_name(name)
        assert "resnet18+gru" in str(caught.value.hint)
    for name in ("resnet18+gru1", "resnet18+gru65"):
        with pytest.raises(ConfigError, match="faces in a sequence"):
            parse_name(name)


def test_positions_are_sines_and_cosines():
    found = positions(3, 4)
    expected = [[0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)]]
    np.testing.assert_allclose(found[:2].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["test_efficientnet+gru4", "test_vit+transformer4"])
def test_sequences_frames_and_observations_agree(name: str):
    torch.manual_seed(0)
    detector = build_detector(name, family="temporal", input_px=PX).eval()
    assert (detector.spec.level, detector.spec.frames_per_clip, detector.spec.name) == ("clip", 4, name)
    x = torch.randn(2, 4, 3, PX, PX)
    with torch.inference_mode():
        whole = detector(x).logit
        seen = detector.embed_frames(x.flatten(0, 1)).unflatten(0, (2, 4))  # type: ignore[operator]
        torch.testing.assert_close(detector.score_sequences(seen), whole)  # type: ignore[operator]
        still = x[:, :1].expand(-1, 4, -1, -1, -1)
        torch.testing.assert_close(detector(x[:, 0]).logit, detector(still).logit, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(detector(x.flip(1)).logit, whole, atol=1e-7)  # order counts


def test_it_learns_what_no_single_frame_shows():
    """Grey faces that flicker are forged; every one of their frames also occurs in a steady, real one."""
    torch.manual_seed(0)
    detector = build_detector("test_efficientnet+gru4", family="temporal", input_px=32).train()
    optimizer = torch.optim.Adam(detector.parameters(), lr=3e-3)
    wanted = torch.tensor([1.0, 0.0] * 4)
    for _ in range(60):
        levels = torch.where(torch.rand(8, 1) < 0.5, -1.0, 1.0).repeat(1, 4)
        levels[::2, 1::2] *= -1
        x = levels[..., None, None, None] + 0.1 * torch.randn(8, 4, 3, 32, 32)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(detector(x).logit, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.25


@pytest.fixture
def predictor() -> CropPredictor:
    torch.manual_seed(1)
    detector = build_detector("test_efficientnet+gru3", family="temporal", input_px=PX)
    return CropPredictor(detector, pick_device("cpu", "float32"))


def test_a_face_is_scored_with_its_neighbours(predictor: CropPredictor, rng: np.random.Generator):
    crops = rng.integers(0, 256, (9, PX, PX, 3), np.uint8)
    tracks = np.array([0, 1] * 4 + [-1])
    found = predictor.face_logits(crops, tracks, np.arange(len(tracks)), batch=2)
    expected = [predictor.logits(crops[list(rows)][None])[0] for rows in windows_of(tracks, 3)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[8] == pytest.approx(predictor.logits(crops[8:])[0], abs=1e-5)
    assert predictor.face_logits(crops[:0], tracks[:0], np.empty(0, int)).shape == (0,)
    with pytest.raises(ValueError, match="must be"):
        predictor.prepare(crops[None, :, :32])


def test_single_frame_detectors_score_as_before(rng: np.random.Generator):
    predictor = CropPredictor(build_detector("test_efficientnet", input_px=PX), pick_device("cpu", "float32"))
    crops = rng.integers(0, 256, (5, PX, PX, 3), np.uint8)
    np.testing.assert_array_equal(
        predictor.face_logits(crops, np.zeros(5), np.arange(5), batch=2), predictor.logits(crops, batch=2)
    )
    with pytest.raises(ValueError, match="must be"):
        predictor.prepare(crops[None])


@dataclasses.dataclass(frozen=True, eq=False)
class Faces:
    """Stands for a faceset: landmarks of the mean face."""

    count: int

    def landmarks_in_crop(self) -> np.ndarray:
        return np.repeat(mean_in_crop(PX, "whole")[None].astype(np.float32), self.count, 0)


class Clip(ClipFaces):
    """A clip with its frames and tracks given."""

    def __init__(self, name: str, frames: list[int], truth: list[int], tracks: list[int]) -> None:
        fake = name.startswith("f")
        facts = {"frames": 50, "width": 8, "height": 8, "faked": ((0, 50),) if fake else ()}
        record = clip_record(name[1:], "m" if fake else None, name=name, rendition="c23", **facts)
        super().__init__(record, Faces(len(frames)), len(frames), np.array(truth, np.int8))  # type: ignore[arg-type]
        object.__setattr__(self, "given", (np.array(frames, np.int32), np.array(tracks, np.int32)))

    @property
    def frames(self) -> np.ndarray:
        return self.given[0]  # type: ignore[attr-defined]

    @property
    def tracks(self) -> np.ndarray:
        return self.given[1]  # type: ignore[attr-defined]


def read(key: FaceKey) -> np.ndarray:
    """A crop that tells which face it is of."""
    return np.full((PX, PX, 3), 100 * key[0] + key[1], np.uint8)


FORGED = Clip("fann", list(range(0, 40, 4)), [1] * 8 + [0] * 2, [0] * 10)
REAL = Clip("rann", [frame for frame in range(0, 40, 4) for _ in (0, 1)], [0] * 20, [0, 1] * 10)


def test_forged_sequences_come_with_the_frames_they_were_made_from():
    partners = {(0, face): (1, 2 * face) for face in range(8) if face != 5}
    clips = [FORGED, REAL]
    drawn = Clip("fann", list(range(0, 40, 4)), [1] * 5 + [-1] + [1] * 2 + [0] * 2, [0] * 10)  # 5 in no middle
    sampler = BalancedSampler([drawn, REAL], paired=1.0, partners=partners)
    source = ForgedSequences(clips, sampler, read, partners, frames=4)
    rng = np.random.default_rng(0)
    for _ in range(20):
        fake, real, _ = source.sample(rng)
        forged = fake.crop[:, 0, 0, 0].astype(int)
        assert (fake.label, real.label, fake.mask, fake.crop.shape) == (1, 0, None, (4, PX, PX, 3))
        assert forged.max() < 8  # the untouched frames of a fake are no part of it
        assert (np.diff(forged) > 0).all()
        np.testing.assert_array_equal(real.crop[:, 0, 0, 0] - 100, 2 * forged)  # 5's is found by its time


def test_without_a_counterpart_the_real_sequence_is_of_one_track():
    clips = [Clip("fann", list(range(0, 40, 4)), [1] * 10, [0] * 10), REAL]
    source = ForgedSequences(clips, BalancedSampler(clips, paired=0.0), read, {}, frames=4)
    rng = np.random.default_rng(0)
    drawn = [source.sample(rng).real.crop[:, 0, 0, 0] - 100 for _ in range(20)]
    assert all(len({int(row) % 2 for row in rows}) == 1 for rows in drawn)
    assert {int(row) % 2 for rows in drawn for row in rows} == {0, 1}


def test_real_tracks_leave_fakes_and_unfollowed_faces_out():
    tracks = RealTracks([FORGED, REAL, Clip("rbob", [0, 4], [0, 0], [-1, -1])], read)
    assert len(tracks) == 1
    crops, landmarks = tracks.sample(np.random.default_rng(0), 5)
    assert crops.shape == (5, PX, PX, 3)
    assert landmarks.shape == (5, 68, 2)


def textured(key: FaceKey) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (PX, PX, 3), np.uint8)


def test_a_blended_sequence_has_one_set_of_parameters():
    """Of a sequence of one picture, real halves are equal, and fakes differ by the wobble of the mask alone."""
    source = BlendedSequences(RealTracks([REAL], textured), None, SelfBlendConfig(), frames=4)
    rng = np.random.default_rng(3)
    spreads, changes = [], []
    for _ in range(6):
        fake, real, _ = source.sample(rng)
        assert (real.crop == real.crop[0]).all()
        spreads.append(np.abs(np.diff(fake.crop.astype(float), axis=0)).mean())
        changes.append(np.abs(fake.crop.astype(float) - real.crop).mean())
    assert max(spreads) > 0
    assert np.mean(spreads) < 0.5 * np.mean(changes)


def test_photographs_are_held_in_an_unsteady_hand():
    crop = textured((0, 0))
    landmarks = mean_in_crop(PX, "whole")[None].astype(np.float32)
    stack = FaceStack("stills", crop[None], landmarks, np.zeros(1, np.int32), ((crop // 2,),))
    source = BlendedSequences(
        RealTracks([], read), RealFaces((stack,)), SelfBlendConfig(), frames=4, twins=1.0, video_share=0.0
    )
    fake, real, _ = source.sample(np.random.default_rng(0))
    assert not (real.crop == real.crop[0]).all()
    assert fake.crop.mean() < real.crop.mean()  # the twin is darker
    moves = hand_held(500, np.random.default_rng(0))
    assert 0.01 < np.abs(moves).max() <= 0.03
    np.testing.assert_array_equal(shifted(crop, np.array([[3.0, 0.0]]))[0, :, 3:], crop[:, :-3])


def test_without_a_real_face_nothing_can_be_blended():
    with pytest.raises(FacesetError, match="no real face"):
        BlendedSequences(RealTracks([], read), None, SelfBlendConfig(), frames=4)


def test_it_trains_scores_and_is_inspected_from_the_command_line(
    toy_set: Path, tmp_path: Path, toy_config: TrainConfig, capsys: pytest.CaptureFixture
):
    still = AugmentConfig(p_jpeg=0.1, p_blur=0.0, p_downscale=0.0, p_noise=0.0, p_video=0.0, p_reupload=0.0)
    write_toml(tmp_path / "t.toml", dataclasses.replace(toy_config, augment=still, batch=4, steps=8, evaluate_every=8))
    run_path = tmp_path / "run"
    command = ["detect", "train", str(toy_set), "--run", str(run_path), "--config", str(tmp_path / "t.toml")]
    assert run([*command, "--family", "temporal", "--model", "test_efficientnet+gru3", "--blended", "1"]) == 0
    detector, facts = load_detector(run_path)
    assert (facts.spec.family, facts.spec.level, facts.spec.frames_per_clip) == ("temporal", "clip", 3)
    assert "sequence" in (run_path / "detector" / "README.md").read_text()
    assert (run_path / "previews" / "first-batch.jpg").is_file()
    assert detector.spec.name == "test_efficientnet+gru3"
    capsys.readouterr()
    assert run(["--json", "detect", "evaluate", str(run_path), str(toy_set), "--replicates", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["real"] == 2
    suspect = next((toy_set / "media").rglob("*.mp4"))
    case = tmp_path / "case"
    assert run(["inspect", str(suspect), "--detector", str(run_path), "--out", str(case), "--finder", "toy"]) == 0
    assert list((case / "evidence").glob("*-heat.png"))


def test_the_sheet_shows_sequences_in_rows():
    crops = np.zeros((4, 3, PX, PX, 3), np.uint8)
    sheet = batch_sheet(Batch(1, crops, np.array([1, 0, 1, 0], np.float32)))
    assert sheet.shape == (112, 8 * 112, 3)  # two frames each: three would break the row
    orange = [bool(sheet[0, 112 * place, 0] > sheet[0, 112 * place, 2]) for place in range(8)]
    assert orange == [True, True, False, False, True, True, False, False]
