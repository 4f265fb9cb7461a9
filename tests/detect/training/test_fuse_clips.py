from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detect.config.scoring import AggregateConfig
from detect.evaluation.evaluate import evaluate_detector
from detect.exchange.onnx import export_onnx
from detect.models.checkpoint import CONFIG_NAME, load_detector, save_detector
from detect.models.fused_clips import ClipFusedDetector, ClipWeights
from detect.models.predictor import CropPredictor
from detect.robustness.config import RobustnessConfig
from detect.robustness.measure import measure_robustness
from detect.scoring.clip_fusion import further_members
from detect.scoring.dataset import score_dataset
from detect.scoring.video import Predictor, VideoScores, score_video
from detect.training.fuse_clips import fit_clips, fuse_clips, fused_logits, left_out_auc
from detect.training.train import train_detector
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, ConfigError, ManifestError, UsageError
from tests.detect.conftest import ToyFinder
from tests.detect.training.test_fuse import ASKED, detector
from tests.factories import clip_record

NAMES = ("one", "two")


@pytest.fixture(scope="module")
def unlike(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Detectors of crops of two sizes, and one of motion that needs more frames than the toy clips have."""
    folder = tmp_path_factory.mktemp("unlike")
    return [
        detector(folder / "one", "test_efficientnet", "multitask", seed=1),
        detector(folder / "two", "test_vit", "frame", seed=2, px=96, aggregate=AggregateConfig(method="mean")),
    ]


def test_a_members_ratio_does_not_depend_on_its_units():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2 == 0
    x = np.stack([2.0 * labels + rng.normal(size=200), rng.normal(size=200)], 1)
    fit = fit_clips(x, labels, NAMES)
    other = fit_clips(x * [10.0, 1.0] + [7.0, 0.0], labels, NAMES)
    assert other.slopes[0] == pytest.approx(fit.slopes[0] / 10, rel=1e-3)
    np.testing.assert_allclose(fused_logits(other, x * [10.0, 1.0] + [7.0, 0.0]), fused_logits(fit, x), atol=1e-3)
    assert fit.weights[0] > 0.5
    assert fit.weights[0] * fit.slopes[0] > 10 * fit.weights[1] * fit.slopes[1]


def test_what_scored_nothing_adds_nothing():
    rng = np.random.default_rng(1)
    labels = np.arange(120) % 2 == 0
    x = np.stack([labels + rng.normal(size=120), 2.0 * labels + rng.normal(size=120)], 1)
    x[:60, 1] = np.nan
    fit = fit_clips(x, labels, NAMES)
    alone = fused_logits(fit, x)[:60]
    np.testing.assert_allclose(alone, fit.bias + fit.weights[0] * (fit.slopes[0] * x[:60, 0] + fit.offsets[0]))
    x[:, 1] = np.nan
    with pytest.raises(ManifestError, match="two scores 0 fake and 0 real"):
        fit_clips(x, labels, NAMES)


def test_the_auc_without_a_clips_people_is_no_fit_to_noise():
    """Sixteen people of noise: the fit to all of them flatters, the one without the clip's people does not."""
    rng = np.random.default_rng(2)
    labels = np.arange(64) % 2 == 0
    x = rng.normal(size=(64, 6))
    records = [
        clip_record(f"p{n // 4}", "m" if fake else None, name=f"c{n}", source=f"p{n // 4}", faked=((0, 9),) * fake)
        for n, fake in enumerate(labels.tolist())
    ]
    names = [str(n) for n in range(6)]
    inside = fused_logits(fit_clips(x, labels, names), x)
    outside = left_out_auc(x, labels, records, names)
    assert outside is not None
    assert np.mean(inside[labels][:, None] > inside[~labels][None]) > outside + 0.05


def test_unlike_detectors_fused_are_a_detector(all_val: Path, unlike: list[Path], tmp_path: Path):
    out = tmp_path / "fused"
    fusion, result = fuse_clips(unlike, all_val, out, ASKED)
    assert (fusion.level, fusion.clips) == ("clips", 16)
    folder = DatasetFolder.open(all_val)
    records = folder.records(split="val")
    alone = [score_dataset(path, folder, records, dataclasses.replace(ASKED, aggregate=None)) for path in unlike]
    logits = np.array([[clip.score.logit for clip in each.clips] for each in alone])
    ratios = [member.slope * own + member.offset for member, own in zip(fusion.members, logits, strict=True)]
    expected = fusion.bias + sum(m.weight * ratio for m, ratio in zip(fusion.members, ratios, strict=True))
    again = score_dataset(out, folder, records, ASKED)
    np.testing.assert_allclose([clip.score.logit for clip in again.clips], expected, atol=1e-4)
    evaluated, _ = evaluate_detector(out, all_val, dataclasses.replace(ASKED, split="val"), out=tmp_path / "evaluation")
    mine, theirs = result.find("auc"), evaluated.find("auc")
    assert mine is not None
    assert theirs is not None
    assert theirs.value == pytest.approx(mine.value, abs=1e-4)
    _, facts = load_detector(out)
    assert [each.spec.input_px for each in facts.members] == [64, 96]
    card = (out / "README.md").read_text()
    assert "Gives one logit for a clip or a picture" in card
    assert f"| test_vit | frame | {fusion.members[1].weight:.4f} |" in card


def test_a_video_gets_the_same_sum_and_says_who_adds_what(all_val: Path, unlike: list[Path], tmp_path: Path):
    fit = ClipWeights((2.0, 0.5), (0.25, -1.0), (0.5, 4.0), -0.125)
    (one, first), (two, second) = (load_detector(path) for path in unlike)
    model = ClipFusedDetector.of([one, two], fit)
    facts = dataclasses.replace(first, spec=model.spec, members=(first, second))
    save_detector(model, tmp_path / "fused", facts, card="# card\n")
    clip = min(all_val.rglob("*.mp4"))

    def scored(path: Path) -> VideoScores:
        return score_video(clip, Predictor(CropPredictor.load(path, "cpu", precision="float32"), ToyFinder()), every=1)

    found, alone = scored(tmp_path / "fused"), [scored(path).clip.logit for path in unlike]
    assert [part.logit for part in found.parts] == pytest.approx(alone, abs=1e-3)
    assert [part.part for part in found.parts] == pytest.approx(fit.parts(alone), abs=1e-3)
    assert found.clip.logit == pytest.approx(fit.bias + sum(part.part for part in found.parts), abs=1e-4)


def test_a_detector_of_motion_adds_nothing_to_short_clips(
    all_val: Path,
    unlike: list[Path],
    tmp_path: Path,
):
    motion = detector(tmp_path / "m", "motion", "motion", seed=4)
    with pytest.raises(ManifestError, match="motion, motion scores 0 fake and 0 real"):
        fuse_clips([unlike[0], motion], all_val, tmp_path / "fused", dataclasses.replace(ASKED, frames_per_clip=8))
    assert not (tmp_path / "fused").exists()


def test_a_description_of_other_members_is_refused(all_val: Path, unlike: list[Path], tmp_path: Path):
    fuse_clips(unlike, all_val, tmp_path / "fused", ASKED)
    path = tmp_path / "fused" / CONFIG_NAME
    document = json.loads(path.read_text())
    document["assay"]["members"] = document["assay"]["members"][:1]
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="other members"):
        further_members(CropPredictor.load(tmp_path / "fused", "cpu"))


def test_from_the_command_line(
    all_val: Path,
    unlike: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    out = tmp_path / "fused"
    words = ["detect", "fuse", *map(str, unlike), "--dataset", str(all_val), "--out", str(out), "--device", "cpu"]
    assert run(words) == 2
    assert "--clips" in capsys.readouterr().err
    assert run([*words, "--clips", "--frames", "1"]) == 0
    shown = capsys.readouterr()
    assert "Logits of clips" in shown.out + shown.err
    suspect = tmp_path / "suspect.mp4"
    shutil.copyfile(min(all_val.rglob("*.mp4")), suspect)
    case = tmp_path / "case"
    assert run(["inspect", str(suspect), "--detector", str(out), "--out", str(case), "--device", "cpu"]) == 0
    report = json.loads((case / "report.json").read_text())
    assert [part["name"] for part in report["parts"]] == ["multitask, test_efficientnet", "frame, test_vit"]
    page = (case / "report.html").read_text()
    assert "What each detector adds" in page
    assert "frame, test_vit" in page


def test_what_scores_single_faces_says_so(all_val: Path, unlike: list[Path], tmp_path: Path):
    fuse_clips(unlike, all_val, tmp_path / "fused", ASKED)
    with pytest.raises(UsageError, match="fused clip by clip"):
        measure_robustness(tmp_path / "fused", all_val, RobustnessConfig(split="val", device="cpu", quick=True))
    with pytest.raises(UsageError, match="no single network"):
        export_onnx(tmp_path / "fused", tmp_path / "fused.onnx")
    with pytest.raises(ConfigError, match="trained one by one"):
        train_detector(all_val, tmp_path / "run", family="fused-clips", model="test_vit")
    with pytest.raises(ConfigError, match="fused already"):
        fuse_clips([unlike[0], tmp_path / "fused"], all_val, tmp_path / "twice", ASKED)
