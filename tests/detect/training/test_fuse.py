from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detect.config.scoring import AggregateConfig, EvaluateConfig, FaceConfig
from detect.evaluation.evaluate import evaluate_detector
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, load_detector, save_detector
from detect.models.predictor import CropPredictor
from detect.models.training_record import clip_mark, read_training_record
from detect.scoring.samples import ScoredClip, scored_clip
from detect.scoring.video import Predictor, score_video
from detect.training.fuse import fit_weights, fuse_detectors, fused_clips
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, ConfigError, LeakError, ManifestError, UsageError
from shared.results.scores import FrameScore
from shared.types import Label
from tests.detect.conftest import ToyFinder
from tests.factories import clip_record

PX = 64
FACES = FaceConfig(finder="toy", min_face_px=8)
ASKED = EvaluateConfig(frames_per_clip=1, device="cpu", precision="float32", replicates=20, workers=2)


def detector(folder: Path, name: str, family: str, *, seed: int, px: int = PX, **facts: Any) -> Path:
    torch.manual_seed(seed)
    model = build_detector(name, family=family, input_px=px).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    described = DetectorFacts(
        model.spec, faces=FACES, finder=ToyFinder().describe(), aggregate=AggregateConfig(method="median")
    )
    learned = {"clips": [f"clip{seed}"], "people": [], "manipulations": ["stripes"], "renditions": []}
    described = dataclasses.replace(described, **facts)
    return save_detector(model, folder, described, card="# card\n", extra={"learned.json": learned})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    return [
        detector(folder / "one", "test_efficientnet", "multitask", seed=1),
        detector(folder / "two", "test_vit", "pooled", seed=2),
    ]


def clips(logits: list[list[float]], labels: list[bool]) -> list[ScoredClip]:
    made: list[ScoredClip] = []
    for place, (own, fake) in enumerate(zip(logits, labels, strict=True)):
        kind, faked = ("m", ((0, 9),)) if fake else (None, ())
        record = clip_record("ann", kind, name=f"c{place}", source="bob", faked=faked)
        faces = [FrameScore(record.id, n, n / 25, 0, logit, (0, 0, 9, 9)) for n, logit in enumerate(own)]
        truth: list[Label | None] = [record.label] * len(own)
        made.append(scored_clip(record, faces, truth, frames_read=9, config=AggregateConfig("mean")))
    return made


def test_weights_follow_what_is_worth_something():
    """One member tells the classes with noise, one is noise of a hundred times the scale."""
    rng = np.random.default_rng(0)
    labels = [place % 2 == 0 for place in range(200)]
    good = clips([[2.0 * label + rng.normal()] * 2 for label in labels], labels)
    noise = clips([[100 * rng.normal()] * 2 for _ in labels], labels)
    (first, second), _ = fit_weights([good, noise])
    assert first > 0.5
    assert 0 <= second < 0.01 * first
    against = clips([[-clip.frames[0].logit] for clip in good], labels)
    assert fit_weights([good, against])[0][1] == pytest.approx(0.0, abs=1e-6)  # never below 0


def test_two_halves_of_the_truth_are_better_together():
    rng = np.random.default_rng(1)
    labels = [place % 2 == 0 for place in range(300)]
    halves = [clips([[label + rng.normal()] for label in labels], labels) for _ in range(2)]
    weights, bias = fit_weights(halves)
    assert weights[0] == pytest.approx(weights[1], rel=0.5)
    together = fused_clips(halves, weights, bias)
    by_hand = bias + weights[0] * halves[0][7].frames[0].logit + weights[1] * halves[1][7].frames[0].logit
    assert together[7].score.logit == pytest.approx(by_hand)


def test_faces_that_differ_and_too_few_clips_are_refused():
    labels = [True, False] * 10
    one, other = clips([[0.0, 1.0]] * 20, labels), clips([[0.0]] * 20, labels)
    with pytest.raises(CheckpointError, match="different faces"):
        fused_clips([one, other], (1.0, 1.0), 0.0)
    with pytest.raises(ManifestError, match="fewer than 8 of a class"):
        fit_weights([one[:10], one[:10]])


def test_clips_that_a_member_was_trained_on_do_not_weigh_it(all_val: Path, pair: list[Path], tmp_path: Path):
    known = tmp_path / "known"
    shutil.copytree(pair[0], known)
    learned = json.loads((known / "learned.json").read_text())
    learned["clips"] = [clip_mark(record) for record in DatasetFolder.open(all_val).records(split="val")]
    (known / "learned.json").write_text(json.dumps(learned))
    with pytest.raises(LeakError, match="trained on 16"):
        fuse_detectors([known, pair[1]], all_val, tmp_path / "fused", ASKED)
    assert not (tmp_path / "fused").exists()


def test_a_fused_detector_is_a_detector(all_val: Path, pair: list[Path], tmp_path: Path, rng: np.random.Generator):
    out = tmp_path / "fused"
    fusion, result = fuse_detectors(pair, all_val, out, ASKED)
    assert [member.family for member in fusion.members] == ["multitask", "pooled"]
    assert fusion.clips == 16
    assert min(member.weight for member in fusion.members) >= 0
    assert result.counts.real == result.counts.fake == 8
    kept = json.loads((out / "fusion.json").read_text())
    assert kept["members"][1]["weight"] == fusion.members[1].weight
    _, facts = load_detector(out)
    assert (facts.faces, facts.finder, facts.aggregate.method) == (FACES, ToyFinder().describe(), "median")
    assert facts.validation
    assert read_training_record(out).clips == {"clip1", "clip2"}
    assert json.loads((out / "validated.json").read_text())["clips"] == 16
    card = (out / "README.md").read_text()
    assert f"| test_vit | pooled | {fusion.members[1].weight:.4f} |" in card
    crops = rng.integers(0, 256, (3, PX, PX, 3), np.uint8)
    alone = [CropPredictor.load(path, "cpu", precision="float32").logits(crops) for path in pair]
    expected = fusion.bias + sum(m.weight * logits for m, logits in zip(fusion.members, alone, strict=True))
    np.testing.assert_allclose(CropPredictor.load(out, "cpu", precision="float32").logits(crops), expected, atol=1e-4)
    evaluated, _ = evaluate_detector(out, all_val, dataclasses.replace(ASKED, split="val"), out=tmp_path / "evaluation")
    for metric in ("auc", "log_loss"):
        mine, again = result.find(metric), evaluated.find(metric)
        assert mine is not None
        assert again is not None
        assert again.value == pytest.approx(mine.value, abs=1e-4)


def test_from_the_command_line(all_val: Path, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["detect", "fuse", *map(str, pair), "--dataset", str(all_val), "--out", str(tmp_path / "f")]
    assert run([*words, "--frames", "1", "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    assert "fused" in shown.out + shown.err
    fused = CropPredictor.load(tmp_path / "f", "cpu", precision="float32")
    clip = min(all_val.rglob("*.mp4"))
    assert score_video(clip, Predictor(fused, ToyFinder())).clip.logit is not None


@pytest.mark.parametrize(("change", "error", "why"), [
    ("one", UsageError, "two detectors or more"),
    ("twice", UsageError, "named twice"),
    ("size", ConfigError, "different crops"),
    ("faces", CheckpointError, "found or chosen differently"),
    ("taken", UsageError, "detector"),
])  # fmt: skip
def test_what_cannot_be_fused_is_refused_before_any_scoring(
    toy_set: Path, pair: list[Path], tmp_path: Path, change: str, error: type[Exception], why: str
):
    out = tmp_path / "out"
    asked = {
        "one": lambda: pair[:1],
        "twice": lambda: [pair[0], pair[0]],
        "size": lambda: [pair[0], detector(tmp_path / "d", "test_vit", "frame", seed=3, px=96)],
        "faces": lambda: [pair[0], detector(tmp_path / "d", "test_vit", "frame", seed=3, faces=FaceConfig())],
        "taken": lambda: pair,
    }[change]()
    if change == "taken":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    with pytest.raises(error, match=why):
        fuse_detectors(asked, toy_set, out, ASKED)
    assert not (out / "config.json").exists()


def test_a_small_val_split_is_said_on_the_command_line(
    toy_set: Path, pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["detect", "fuse", *map(str, pair), "--dataset", str(toy_set), "--out", str(tmp_path / "f")]
    assert run([*words, "--device", "cpu"]) == 1
    assert "fewer than 8 of a class" in capsys.readouterr().err
    assert not (tmp_path / "f").exists()
