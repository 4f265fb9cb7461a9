"""Seven defects of a widely used benchmark, each with a test that Assay does not have it.

They were read in DeepfakeBench at commit 8a4a7bf: the checkpoint is chosen on each test set; the video AUC merges fakes
that share a folder name; "evenly spaced" frames are the first ones; accuracies by class rely on real clips standing
first; test videos are in train and validation sets are test sets; paths are written for one system and settings exist
only once they were merged; the error rate of videos is computed and thrown away.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from scipy.special import expit

from detect.config.scoring import EvaluateConfig
from detect.config.training import TrainConfig
from detect.data.crops import CropRequest, find_faces
from detect.evaluation.evaluate import evaluate_clips, write_evaluation
from detect.metrics.classification import auc, equal_error_rate
from detect.models.checkpoint import weights_digest
from detect.models.training_record import clip_mark, read_training_record
from detect.scoring.samples import ScoredClip
from detect.training.train import TrainResult, train_detector
from shared.dataset import DatasetFolder
from shared.dataset.formats.found import ScanOptions
from shared.dataset.formats.importing import scan_set
from shared.errors import LeakError, ManifestError
from shared.faces.finders.finder import finders
from shared.sampling import evenly_spaced
from tests.factories import clip_record, scored_once


def clip(folder: str, made: str | None, logit: float | None) -> ScoredClip:
    """A clip of the pair ``folder``; every manipulation of it has this very name, as in FaceForensics++."""
    target, source = folder.split("_")
    return scored_once(clip_record(target, made, name=folder, source=source, dataset="ff"), logit)


def evaluated(clips: list[ScoredClip]):
    config = EvaluateConfig(replicates=20)
    return evaluate_clips(clips, config, dataset={"name": "ff"}, detector={"name": "net"}, operating_point=(1.0, "val"))


@pytest.fixture(scope="module")
def faceforensics() -> list[ScoredClip]:
    """140 pairs, each with a real clip and four fakes of one folder name, the last kind hard to tell."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(140):
        folder = f"{number:03d}_{number + 500}"
        clips.append(clip(folder, None, float(rng.normal(0, 1))))
        for made, shift in (("DF", 2.6), ("F2F", 2.2), ("FS", 2.6), ("NT", 1.0)):
            clips.append(clip(folder, made, float(rng.normal(shift, 1.4))))
    return clips


def test_1_the_checkpoint_is_chosen_without_the_test_set(toy_set: Path, tmp_path: Path, toy_config: TrainConfig):
    """Whatever lies in the test split, the same step is kept with the same weights."""
    config = dataclasses.replace(toy_config, steps=2, evaluate_every=1)
    runs: list[TrainResult] = []
    for name in ("whole", "without"):
        shutil.copytree(toy_set, tmp_path / name, ignore=shutil.ignore_patterns(".faces"))
        dataset = DatasetFolder.open(tmp_path / name)
        if name == "without":
            for record in dataset.records(split="test"):
                dataset.media_path(record).unlink()  # whoever looks at it fails
        runs.append(train_detector(dataset.path, tmp_path / f"run-{name}", config))
    whole, without = runs
    assert weights_digest(whole.run) == weights_digest(without.run)
    assert (whole.best_step, whole.validation.split) == (without.best_step, "val")
    learned = read_training_record(whole.run)
    test = DatasetFolder.open(toy_set).records(split="test")
    assert learned.clips
    assert not learned.clips & {clip_mark(record) for record in test}


def test_2_fakes_of_one_pair_stay_different_videos(faceforensics: list[ScoredClip]):
    found = evaluated(faceforensics).find("auc")
    assert (found.num_real, found.num_fake) == (140, 560)
    real = np.array([c.score.logit for c in faceforensics if c.record.label == "real"])
    fake = np.array([c.score.logit for c in faceforensics if c.record.label == "fake"])
    assert found.value == pytest.approx((fake[:, None] > real).mean())
    merged = fake.reshape(140, 4).mean(axis=1)  # keyed by folder name the four become one
    assert (merged[:, None] > real).mean() > found.value + 0.04


def test_3_evenly_spaced_frames_reach_the_end(toy_set: Path, toy_config: TrainConfig):
    assert evenly_spaced(32, 8) == [0, 4, 9, 13, 18, 22, 27, 31]  # and not 0 to 7
    dataset = DatasetFolder.open(toy_set)
    request = CropRequest(64, "whole", 4, toy_config.faces)
    (found,) = find_faces(dataset, dataset.records()[:1], request, lambda: finders.create("toy", settings=None))
    assert sorted(set(found.frames.tolist())) == [0, 2, 5, 7]  # of 8: first and last among them


def test_4_rates_by_class_do_not_rely_on_an_order(faceforensics: list[ScoredClip]):
    shuffled = [faceforensics[n] for n in np.random.default_rng(1).permutation(len(faceforensics))]
    real = np.array([c.score.logit for c in faceforensics if c.record.label == "real"])
    fake = np.array([c.score.logit for c in faceforensics if c.record.label == "fake"])
    right = ((real < 1.0).sum() + (fake >= 1.0).sum()) / 700
    for clips in (faceforensics, shuffled):
        result = evaluated(clips)
        everything = result.error_card[0]
        assert everything.alarm_rate.value == pytest.approx((real >= 1.0).mean())
        assert everything.miss_rate.value == pytest.approx((fake < 1.0).mean())
        assert result.find(f"accuracy@{expit(1.0):.3g}").value == pytest.approx(right)


def test_5_test_videos_are_not_in_train_and_val_is_not_test(toy_set: Path, tmp_path: Path, toy_config: TrainConfig):
    """A list that puts test videos into train is corrected and said; a set that leaks trains nothing."""
    listed = {}
    for name in ("id0_0000", "id1_0000"):
        (tmp_path / "bench/frames" / name).mkdir(parents=True)
        shutil.copy(_png(tmp_path), tmp_path / "bench/frames" / name / "0.png")
        listed[name] = {"label": "CelebDFv2_real", "frames": [f"frames/{name}/0.png"]}
    test = {"id0_0000": listed["id0_0000"]}
    (tmp_path / "bench/dataset_json").mkdir()
    content = {"Celeb-DF-v2": {"CelebDFv2_real": {"train": listed, "val": test, "test": test}}}
    (tmp_path / "bench/dataset_json/Celeb-DF-v2.json").write_text(json.dumps(content))
    scan = scan_set("deepfakebench", tmp_path / "bench", ScanOptions())
    assert {found.name: found.split for found in scan.clips} == {"id0_0000": "test", "id1_0000": "train"}
    assert [issue.fault for issue in scan.issues] == ["leak"]

    shutil.copytree(toy_set, tmp_path / "leaky", ignore=shutil.ignore_patterns(".faces"))
    leaky = DatasetFolder.open(tmp_path / "leaky")
    manifest = leaky.path / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    seen = next(line for line in lines if line["split"] == "test" and line["label"] == "real")
    seen["split"] = "train"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(LeakError, match="identity"):
        train_detector(leaky.path, tmp_path / "run", toy_config)

    for line in lines:
        line["split"] = "test" if line["split"] == "val" else line["split"]
    seen["split"] = "test"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ManifestError, match="no clip in its val split"):  # the test split does not stand in
        train_detector(leaky.path, tmp_path / "run", toy_config)


def _png(folder: Path) -> Path:
    import cv2

    path = folder / "face.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    return path


def test_6_paths_belong_to_no_system_and_settings_need_no_merging(
    toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_config: TrainConfig
):
    records = DatasetFolder.open(toy_set).records()
    assert all("\\" not in r.path and not PurePosixPath(r.path).is_absolute() for r in records)
    shutil.copytree(toy_set, tmp_path / "elsewhere" / "renamed", ignore=shutil.ignore_patterns(".faces"))
    monkeypatch.chdir(tmp_path / "elsewhere")  # a relative path, from another folder, of a moved set
    dataset = DatasetFolder.open(Path("renamed"))
    request = CropRequest(64, "whole", 2, toy_config.faces)
    found = find_faces(dataset, dataset.records(), request, lambda: finders.create("toy", settings=None))
    assert all(one.faceset is not None for one in found)
    assert EvaluateConfig() == EvaluateConfig(**dataclasses.asdict(EvaluateConfig()))  # whole without any file
    listed = {"label": "FF-real", "frames": ["D:\\datasets\\rgb\\FF\\000\\0.png"]}  # a list made on Windows is read
    (tmp_path / "bench/rgb/FF/000").mkdir(parents=True)
    shutil.copy(_png(tmp_path), tmp_path / "bench/rgb/FF/000/0.png")
    (tmp_path / "bench/dataset_json").mkdir()
    content = {"FF": {"FF-real": {"train": {"000": listed}, "val": {}, "test": {}}}}
    (tmp_path / "bench/dataset_json/FF.json").write_text(json.dumps(content))
    assert len(scan_set("deepfakebench", tmp_path / "bench", ScanOptions()).clips) == 1


def test_7_the_error_rate_of_videos_is_kept_with_a_row_a_video(faceforensics: list[ScoredClip], tmp_path: Path):
    clips = [*faceforensics, clip("998_999", "NT", None)]
    folder = write_evaluation(tmp_path / "evaluation", evaluated(clips), clips)
    document = json.loads((folder / "evaluation.json").read_text())
    kept = {(e["metric"], e["level"]): e for e in document["evaluations"]}
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    assert len(rows) == 701
    scored = [row for row in rows if row["logit"] is not None]
    assert len(scored) == 700  # the one without a face is listed, and has no number
    labels = np.array([row["label"] == "fake" for row in scored])
    logits = np.array([row["logit"] for row in scored])
    assert kept["eer", "clip"]["value"] == pytest.approx(equal_error_rate(labels, logits))
    assert kept["auc", "clip"]["value"] == pytest.approx(auc(labels, logits))
    assert kept["eer", "clip"]["low"] < kept["eer", "clip"]["value"] < kept["eer", "clip"]["high"]
    assert "equal" in (folder / "evaluation.html").read_text()
