"""The detector of motion: alignment, differences in time, frames, augmentation, and a training end to end."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detect.config.data import AugmentConfig
from detect.config.scoring import FaceConfig
from detect.config.training import TrainConfig
from detect.data.batches import Batch
from detect.data.crops import CropRequest
from detect.data.landmark_augment import MIRRORED, augment_landmarks
from detect.inspection.heatmap import heat_maps
from detect.models import build_detector
from detect.models.checkpoint import load_detector
from detect.models.motion import FRAMES, READ, MotionDetector, aligned, kinematics
from detect.models.predictor import CropPredictor
from detect.models.windows import consecutive_frames, motion_step
from detect.training.previews import batch_sheet
from detect.training.train import train_detector
from detect.training.trainer import Trainer
from shared.cli import run
from shared.config import write_toml
from shared.device import pick_device
from shared.errors import ConfigError, UnknownNameError
from shared.faces.align import MEAN_FACE


def motion() -> MotionDetector:
    torch.manual_seed(0)
    built = build_detector("motion", family="motion")
    assert isinstance(built, MotionDetector)
    return built.eval()


def faces(count: int, seed: int = 0, jitter: float = 0.01) -> torch.Tensor:
    """(count, 68, 2): the mean face with jitter."""
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor(MEAN_FACE).float() + jitter * torch.randn(count, 68, 2, generator=generator)


def test_place_size_and_lean_of_a_face_do_not_count():
    detector, seen = motion(), faces(5)
    angle = torch.tensor(0.4)
    turn = torch.stack([torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])])
    elsewhere = 180 * seen @ turn + torch.tensor([300.0, 40.0])
    torch.testing.assert_close(detector.embed_frames(elsewhere), detector.embed_frames(seen), atol=1e-4, rtol=0)
    mean = aligned(torch.tensor(MEAN_FACE)[None], detector.steady)[0]
    assert float((mean[45] - mean[36]).norm()) == pytest.approx(1, abs=1e-5)  # the unit
    assert detector.embed_frames(torch.zeros(1, 68, 2)).abs().max() == 0
    assert detector.embed_frames(seen).shape == (5, 2 * len(READ))


def test_differences_by_hand():
    """A point that jumps by one unit in the third of four frames."""
    found = kinematics(torch.tensor([0.0, 0, 1, 1]).view(1, 4, 1))[0]
    restored = (found.sign() * found.abs().expm1()) * torch.tensor([0.03, 0.006, 0.006, 0.01])
    expected = torch.tensor([[-0.5, -0.5, 0.5, 0.5], [0, 0, 1, 0], [0, 0, 1, -1], [0, 0, 0, -2.0]]).T
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_it_learns_what_no_single_frame_shows():
    """Lips that open and shut: smoothly in the real, the same openings in a random order in the fake."""
    torch.manual_seed(0)
    detector = motion().train()
    optimizer = torch.optim.Adam(detector.parameters(), lr=2e-3)
    wanted, loss = torch.tensor([1.0, 0.0] * 8), torch.tensor(0.0)
    for step in range(40):
        opening = 0.05 * torch.sin(torch.arange(FRAMES) / 4 + torch.rand(16, 1) * 6)
        opening[::2] = torch.stack([row[torch.randperm(FRAMES)] for row in opening[::2]])
        track = faces(16 * FRAMES, step, 0.003).view(16, FRAMES, 68, 2).clone()
        track[:, :, 54:60, 1] += opening[..., None]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(detector(track).logit, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_a_face_is_scored_with_its_neighbours():
    predictor = CropPredictor(motion(), pick_device("cpu", "float32"))
    track = faces(FRAMES + 5).numpy()
    found = predictor.face_logits(track, np.zeros(len(track), int), np.arange(len(track)))
    assert found[0] == pytest.approx(predictor.logits(track[None, :FRAMES])[0], abs=1e-5)
    assert found[-1] == pytest.approx(predictor.logits(track[None, 5:])[0], abs=1e-5)
    gap = np.r_[np.arange(FRAMES), np.arange(5) + 100]  # missed for three seconds: not what moves from one to the other
    apart = predictor.face_logits(track, np.zeros(len(track), int), gap)
    np.testing.assert_allclose(apart[:FRAMES], apart[0], atol=1e-5)
    still = predictor.face_logits(track, np.full(len(track), -1), np.arange(len(track)))
    np.testing.assert_allclose(still, still[0], atol=1e-5)  # without a track nothing moves
    assert heat_maps(predictor.model, torch.from_numpy(track[:2])) is None
    with pytest.raises(ValueError, match="landmarks must be"):
        predictor.logits(np.zeros((2, 64, 64, 3), np.uint8))


def test_other_models_and_sizes_are_refused():
    with pytest.raises(UnknownNameError, match="motion has no model"):
        build_detector("resnet18", family="motion")
    with pytest.raises(ConfigError, match="input_px"):
        build_detector("motion", family="motion", input_px=8)


def test_frames_follow_each_other_at_about_25_a_second():
    assert [motion_step(rate) for rate in (None, Fraction(10), Fraction(30000, 1001), Fraction(50), Fraction(60))] == [
        1, 1, 1, 2, 2,
    ]  # fmt: skip
    assert list(consecutive_frames(10, 4, Fraction(25))) == [3, 4, 5, 6]
    assert list(consecutive_frames(10, 4, Fraction(50))) == [1, 3, 5, 7]
    assert list(consecutive_frames(3, 9, None)) == [0, 1, 2]
    assert list(consecutive_frames(0, 9, None)) == []


def test_crops_of_other_detectors_keep_their_place_in_the_cache():
    plain = CropRequest(64, "whole", 4, FaceConfig())
    assert plain.key({}) == CropRequest.of(build_detector("test_efficientnet", input_px=64).spec, 4, FaceConfig()).key(
        {}
    )
    moving = CropRequest.of(motion().spec, 4, FaceConfig())
    assert moving.consecutive
    assert moving.key({}) != dataclasses.replace(moving, consecutive=False).key({})


def test_a_mirror_swaps_the_sides_and_jitter_is_small():
    assert (MIRRORED[MIRRORED] == np.arange(68)).all()
    assert [int(MIRRORED[point]) for point in (8, 36, 37, 48, 60, 62)] == [8, 45, 44, 54, 64, 62]
    track = faces(4).numpy()
    rng = np.random.default_rng(0)
    flipped = augment_landmarks(track, rng, AugmentConfig(p_flip=1, p_noise=0))
    np.testing.assert_allclose(flipped[:, 48], track[:, 54] * [-1, 1], atol=1e-6)
    noisy = augment_landmarks(track, rng, AugmentConfig(p_flip=0, p_noise=1))
    assert 0 < np.abs(noisy - track).max() < 0.05
    assert augment_landmarks(track, rng, AugmentConfig(p_flip=0, p_noise=0)).dtype == np.float32


def test_the_sheet_shows_tracks():
    tracks = np.repeat(faces(FRAMES).numpy()[None], 4, 0)
    sheet = batch_sheet(Batch(1, tracks, np.array([1, 0, 1, 0], np.float32)))
    assert sheet.shape == (112, 8 * 112, 3)
    assert (sheet[:, :112] < 100).any()


@pytest.fixture
def moving_config(toy_config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(
        toy_config, family="motion", model="motion", frames_per_clip=30, steps=20, batch=4, patience=100
    )


def test_a_stopped_run_ends_in_the_very_weights_of_one_that_was_not(
    toy_set: Path, tmp_path: Path, moving_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    train_detector(toy_set, tmp_path / "whole", moving_config)
    original = Trainer.learn

    def killed(trainer: Trainer, batch: Batch, progress: float) -> dict[str, float]:
        if batch.step == 13:
            raise RuntimeError("killed")
        return original(trainer, batch, progress)

    monkeypatch.setattr(Trainer, "learn", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train_detector(toy_set, tmp_path / "run", moving_config)
    monkeypatch.setattr(Trainer, "learn", original)
    assert train_detector(toy_set, tmp_path / "run", moving_config).steps == 20
    one, other = (load_file(tmp_path / name / "detector" / "model.safetensors") for name in ("run", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_blended_pairs_are_refused(toy_set: Path, tmp_path: Path, moving_config: TrainConfig):
    with pytest.raises(ConfigError, match="reads landmarks"):
        train_detector(toy_set, tmp_path / "run", moving_config, mix={"blended": 1.0})


def test_it_trains_scores_and_is_inspected_from_the_command_line(
    toy_set: Path, tmp_path: Path, moving_config: TrainConfig, capsys: pytest.CaptureFixture
):
    write_toml(tmp_path / "t.toml", moving_config)
    run_path = tmp_path / "run"
    command = ["detect", "train", str(toy_set), "--run", str(run_path), "--config", str(tmp_path / "t.toml")]
    assert run([*command, "--family", "motion"]) == 0
    detector, facts = load_detector(run_path)
    assert (facts.spec.reads, facts.spec.level, detector.spec.name) == ("landmarks", "clip", "motion")
    assert "landmarks of a face" in (run_path / "detector" / "README.md").read_text()
    capsys.readouterr()
    assert run(["--json", "detect", "evaluate", str(run_path), str(toy_set), "--replicates", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["real"] == 2
    suspect = next((toy_set / "media").rglob("*.mp4"))
    case = tmp_path / "case"
    assert run(["inspect", str(suspect), "--detector", str(run_path), "--out", str(case), "--finder", "toy"]) == 0
    assert not list((case / "evidence").glob("*-heat.png"))
    board = ["score", str(toy_set), "--detector", str(run_path), "--no-quality", "--replicates", "10"]
    assert run([*board, "--out", str(tmp_path / "board")]) == 0
    assert run(["detect", "export", str(run_path), "--out", str(tmp_path / "m.onnx"), "--format", "onnx"]) == 2
    assert "reads landmarks" in capsys.readouterr().err
