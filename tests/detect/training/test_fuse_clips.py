from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from detect.config.scoring import AggregateConfig
from detect.evaluation.evaluate import evaluate_detector
from detect.exchange.onnx import export_onnx
from detect.metrics.classification import auc
from detect.models.checkpoint import CONFIG_NAME, load_detector, save_detector
from detect.models.fused_clips import ClipFusedDetector, ClipWeights
from detect.models.predictor import CropPredictor
from detect.robustness.config import RobustnessConfig
from detect.robustness.measure import measure_robustness
from detect.scoring.clip_fusion import further_members
from detect.scoring.dataset import score_dataset
from detect.scoring.video import Predictor, VideoScores, score_video
from detect.training.fuse_clips import fake_kinds, fit_clips, fuse_clips, kinds_of, left_out_auc
from detect.training.train import train_detector
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, ConfigError, ManifestError, UsageError
from shared.types import ClipRecord
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


def two_kinds(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips of which every second is real; half of the fakes are found by one member, half by the other."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["real", "a", "real", "b"] * (count // 4))
    x = rng.normal(size=(count, 2))
    x[:, 0] += 3.0 * (kinds == "a")
    x[:, 1] += 3.0 * (kinds == "b")
    return x, kinds


def test_every_kind_is_found_as_by_the_member_that_finds_it():
    x, kinds = two_kinds(400, 0)
    fit = fit_clips(x, kinds, NAMES)
    assert fake_kinds(kinds) == ["a", "b"]
    assert fit.weights[0][0] > 10 * fit.weights[0][1]
    assert fit.weights[1][1] > 10 * fit.weights[1][0]
    new, truth = two_kinds(2000, 1)
    found = fit.fused(new)
    for member, kind in enumerate("ab"):
        chosen = (truth == kind) | (truth == "real")
        areas = [auc(truth[chosen] == kind, values[chosen]) for values in (new[:, member], found, new.sum(1))]
        alone, fused, added = (area or 0.0 for area in areas)
        assert fused > alone - 0.02
        assert fused > added + 0.005


def test_a_members_units_do_not_matter():
    x, kinds = two_kinds(200, 0)
    other = x * [10.0, 1.0] + [7.0, 0.0]
    np.testing.assert_allclose(
        fit_clips(other, kinds, NAMES).fused(other), fit_clips(x, kinds, NAMES).fused(x), atol=1e-3
    )


def test_what_scored_nothing_says_nothing():
    x, kinds = two_kinds(200, 1)
    x[:60, 1] = np.nan
    fit = fit_clips(x, kinds, NAMES)
    neutral = np.where(np.isnan(x), fit.centres, x)
    np.testing.assert_allclose(fit.fused(x), fit.fused(neutral))
    x[:, 1] = np.nan
    with pytest.raises(ManifestError, match="two scores 0 fake and 0 real"):
        fit_clips(x, kinds, NAMES)


def records_of(kinds: Sequence[str]) -> list[ClipRecord]:
    return [
        clip_record(f"p{n // 4}", None if kind == "real" else kind, name=f"c{n}", source=f"p{n // 4}",
                    faked=((0, 9),) * (kind != "real"))
        for n, kind in enumerate(kinds)
    ]  # fmt: skip


def test_manipulations_of_few_clips_are_no_kinds():
    assert set(kinds_of(records_of(["real"] * 4 + ["a"] * 8 + ["b"] * 7))) == {"real", "a"}
    assert set(kinds_of(records_of(["real"] * 4 + ["a"] * 8 + ["b"] * 7 + ["c"]))) == {"real", "a", "others"}
    assert set(kinds_of(records_of(["real"] * 4 + ["a"] * 3 + ["b"] * 7))) == {"real", "others"}
    many = [name for n in range(20) for name in [f"m{n:02d}"] * 8]
    found = kinds_of(records_of(many))
    assert sorted(set(found)) == [*(f"m{n:02d}" for n in range(15)), "others"]
    assert (found == "others").sum() == 40


def test_the_auc_without_a_clips_people_is_no_fit_to_noise():
    """Sixteen people of noise: the fit to all of them flatters, the one without the clip's people does not."""
    rng = np.random.default_rng(2)
    kinds = np.array(["m", "real"] * 32)
    x = rng.normal(size=(64, 6))
    names = [str(n) for n in range(6)]
    inside = fit_clips(x, kinds, names).fused(x)
    outside = left_out_auc(x, records_of(kinds.tolist()), names)
    assert outside is not None
    assert np.mean(inside[kinds == "m"][:, None] > inside[kinds == "real"][None]) > outside + 0.05


def test_unlike_detectors_fused_are_a_detector(all_val: Path, unlike: list[Path], tmp_path: Path):
    out = tmp_path / "fused"
    fusion, result = fuse_clips(unlike, all_val, out, ASKED)
    assert (fusion.level, fusion.clips) == ("clips", 16)
    folder = DatasetFolder.open(all_val)
    records = folder.records(split="val")
    alone = [score_dataset(path, folder, records, dataclasses.replace(ASKED, aggregate=None)) for path in unlike]
    logits = np.array([[clip.score.logit for clip in each.clips] for each in alone], np.float64).T
    expected = fit_clips(logits, kinds_of(records), NAMES).fused(logits)
    again = score_dataset(out, folder, records, ASKED)
    found = np.array([clip.score.logit for clip in again.clips], float)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    evaluated, _ = evaluate_detector(out, all_val, dataclasses.replace(ASKED, split="val"), out=tmp_path / "evaluation")
    mine, theirs = result.find("auc"), evaluated.find("auc")
    assert mine is not None
    assert theirs is not None
    assert theirs.value == pytest.approx(mine.value, abs=1e-4)
    _, facts = load_detector(out)
    assert [each.spec.input_px for each in facts.members] == [64, 96]
    card = (out / "README.md").read_text()
    assert "Gives one logit for a clip or a picture" in card
    assert f"| test_vit | frame | {fusion.kinds[0].weights[1]:.4f} |" in card


def test_a_video_gets_the_same_score_and_says_who_adds_what(all_val: Path, unlike: list[Path], tmp_path: Path):
    fit = ClipWeights((1.0, -1.0), (2.0, 0.5), ((1.0, 0.5), (0.0, 2.0)), (-0.5, 0.25))
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
    assert found.clip.logit == pytest.approx(fit.fused(np.array([alone], float))[0], abs=1e-3)


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
    assert "Weights by kind of fake" in shown.out + shown.err
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
