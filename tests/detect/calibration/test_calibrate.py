from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detect.calibration.calibrate import (
    CalibrationResult,
    calibrate_copy,
    calibrate_detector,
)
from detect.calibration.card import with_sections
from detect.calibration.clips import calibration_records, refuse_trained_on
from detect.calibration.config import CalibrateConfig
from detect.calibration.copied_card import card_of_copy
from detect.calibration.domain import read_domain, write_domain
from detect.calibration.maps import misfit, read_calibration, write_calibration
from detect.calibration.transfer import transfer_calibration
from detect.config.scoring import AggregateConfig, EvaluateConfig, FaceConfig
from detect.evaluation.evaluate import evaluate_detector
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector, weights_digest
from detect.models.predictor import CropPredictor
from detect.models.training_record import LEARNED_NAME, training_document
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, LeakError, ManifestError, UsageError

PEOPLE = tuple(f"z{60 + number}" for number in range(12))
QUICK = CalibrateConfig(replicates=10)
SCORING = EvaluateConfig(device="cpu", precision="float32", frames_per_clip=2, workers=1)
MARK = "a" * 64


@pytest.fixture(scope="module", autouse=True)
def quick_plots() -> None:
    """Not here: every figure is rendered, since bytes are compared with those that a fixture made."""


@pytest.fixture(scope="module")
def calibration_set(tmp_path_factory: pytest.TempPathFactory, add_toy_clip) -> Path:
    """Twelve people with a real and a fake clip each, all in the val split."""
    dataset = DatasetFolder.init(tmp_path_factory.mktemp("sets") / "calib", "calib")
    with dataset.batch():
        for place, person in enumerate(PEOPLE):
            add_toy_clip(dataset, person, person, blank=person == "z71")
            add_toy_clip(dataset, f"{person}-faked", person, PEOPLE[place ^ 1])
    dataset.assign_groups({"val": PEOPLE, "train": (), "test": ()})
    return dataset.path


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained detector's folder, to be read only."""
    torch.manual_seed(0)
    model = build_detector("test_efficientnet", input_px=64, framing="whole")
    facts = DetectorFacts(model.spec, FaceConfig(finder="toy", min_face_px=8))
    folder = tmp_path_factory.mktemp("untrained") / "detector"
    return save_detector(model, folder, facts, card="# net\n\n## Limits\n\n* some\n")


@pytest.fixture
def detector(untrained: Path, tmp_path: Path) -> Path:
    """An untrained detector, as a folder in a run."""
    return shutil.copytree(untrained, tmp_path / "run" / "detector")


@pytest.fixture(scope="module")
def done(untrained: Path, calibration_set: Path, tmp_path_factory: pytest.TempPathFactory) -> CalibrationResult:
    """What calibrating it came to."""
    run_folder = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(untrained, run_folder / "detector")
    return calibrate_detector(run_folder, calibration_set, QUICK, scoring=SCORING)


def test_a_detector_receives_its_calibration_and_says_so(done):
    assert [path.name for path in done.files] == [
        "calibration.json", "validated.json", "calibration.png", "README.md"
    ]  # fmt: skip
    assert done.folder.name == "detector"
    calibration, domain = read_calibration(done.folder), read_domain(done.folder)
    assert calibration == done.calibration
    assert domain == done.domain
    assert calibration is not None
    assert domain is not None
    assert (calibration.population.real, calibration.population.fake) == (11, 12)
    assert calibration.population.without_face == 1
    assert any("1 clip without a usable face" in note for note in done.notes)
    assert any("11 people of a class bear out likelihood ratios from" in note for note in done.notes)
    assert (domain.real, domain.fake, domain.people) == (11, 12, 12)
    assert domain.codecs == {"h264": 23}
    assert {"face_px", "face_detail", "face_grain", "bits_per_pixel", "frame_rate"} <= set(domain.ranges)
    assert 0 < domain.ranges["face_detail"].low <= domain.ranges["face_detail"].high < 1
    assert calibration.conformal is not None
    assert (calibration.conformal.real.people, calibration.conformal.fake.people) == (11, 12)
    assert calibration.conformal.real.measured is None  # of eleven people too few are left when some are left out
    assert any("coverage of the prediction sets is not measured" in note for note in done.notes)
    assert any("No tool outside was measured" in note for note in done.notes)
    assert domain.ranges["face_px"].middle == pytest.approx(44.1, abs=0.1)  # as the toy finder sees them
    card = (done.folder / "README.md").read_text()
    assert card.index("## Calibration") < card.index("## Validated domain") < card.index("## Limits")
    assert "11 real and 12 fake clips of calib (val)" in card
    assert "| the faces' width |" in card
    assert "| manipulations | stripes (12) |" in card
    assert "at most 8.33 % of the real and 10 % of the forged clips get a set" in card
    assert "No tool outside was measured: the ratios are bounded by this calibration alone." in card


def test_calibrating_again_gives_equal_bytes(done, detector, calibration_set):
    again = calibrate_detector(detector, calibration_set, QUICK, scoring=SCORING)
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in done.files]


def test_both_files_go_with_a_copied_folder(done, tmp_path):
    copy = shutil.copytree(done.folder, tmp_path / "copy")
    assert read_calibration(copy) == done.calibration
    assert read_domain(copy) == done.domain


def test_a_calibrated_copy_says_where_its_weights_came_from_and_what_was_the_originals(
    untrained, calibration_set, tmp_path
):
    limits = (
        "## Limits\n\n* It may fail.\n* Measured elsewhere: AUC 0.64,\n  Cllr 1.93, so its likelihood ratios mislead.\n"
        "* No finding about a person.\n"
    )
    original = shutil.copytree(untrained, tmp_path / "original")
    uses = "assay detect evaluate assay SET\nassay inspect x.mp4 --detector assay\n"
    made = "## How it was made\n\nfaceset calibration-studio\n\n"
    (original / "README.md").write_text(f"# x\n\n{uses}\n{made}## Calibration\n\nfitted elsewhere\n\n{limits}")
    result = calibrate_copy(original, tmp_path / "copy", calibration_set, QUICK, scoring=SCORING)
    card = (tmp_path / "copy" / "README.md").read_text()
    assert read_calibration(tmp_path / "copy") == result.calibration
    assert "fitted elsewhere" not in card
    assert "evaluate THIS_FOLDER SET" in card
    assert "--detector THIS_FOLDER" in card
    came, kept = card.split("## Where the weights came from\n")[1].split("## Limits\n")
    assert "The weights are those of original, unchanged" in came
    assert weights_digest(original) in came
    assert "11 real and 12 fake clips of calib (val)" in came
    assert '"How it was made" list are those of the original' in came
    assert came.index("original's calibration, not with this one") < came.index("Cllr 1.93, so its")
    assert kept == "\n* It may fail.\n* No finding about a person.\n"
    again = card_of_copy(card, "copy", "b" * 64, "other clips")
    assert again.count("those of original, unchanged") == again.count("Cllr 1.93") == 1
    assert "fitted on other clips" in again


def test_an_onnx_file_takes_the_calibration_along(done, tmp_path):
    out = tmp_path / "net.onnx"
    assert run(["detect", "export", str(done.folder), "--out", str(out), "--force"]) == 0
    carried, predictor = read_calibration(f"onnx:{out}"), CropPredictor.load(Path(f"onnx:{out}"), "cpu")
    assert carried is not None
    assert misfit(carried, predictor.digest, predictor.facts.aggregate) is None
    assert misfit(done.calibration, predictor.digest, predictor.facts.aggregate) is not None
    assert replace(carried, weights_sha256=done.calibration.weights_sha256) == done.calibration
    domain = read_domain(f"onnx:{out}", predictor.digest)
    assert domain is not None
    assert replace(domain, weights_sha256=done.domain.weights_sha256) == done.domain


def test_what_an_earlier_export_left_does_not_stay_beside_a_new_one(done, untrained, tmp_path):
    net = tmp_path / "net.onnx"
    net.write_bytes(b"net")
    written = transfer_calibration(done.folder, net)
    assert [path.name for path in written] == ["net.onnx.calibration.json", "net.onnx.validated.json"]
    assert transfer_calibration(untrained, net) == ()  # which has no calibration
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_domain_of_another_detector_is_not_carried(done, tmp_path):
    folder = shutil.copytree(done.folder, tmp_path / "other")
    write_domain(folder, replace(done.domain, weights_sha256=MARK))
    net = tmp_path / "net.onnx"
    net.write_bytes(b"net")
    assert [path.name for path in transfer_calibration(folder, net)] == ["net.onnx.calibration.json"]


def test_a_calibration_of_other_weights_is_not_carried(done, tmp_path):
    folder = shutil.copytree(done.folder, tmp_path / "other")
    write_calibration(folder, replace(done.calibration, weights_sha256=MARK))
    (tmp_path / "net.onnx").write_bytes(b"net")
    assert transfer_calibration(folder, tmp_path / "net.onnx") == ()
    assert not (tmp_path / "net.onnx.calibration.json").exists()


def test_a_refusal_writes_nothing_and_leaves_what_was_there(done, calibration_set):
    before = {path.name: path.read_bytes() for path in done.folder.iterdir()}
    with pytest.raises(UsageError, match="11 real and 12 fake clips of calib"):
        calibrate_detector(done.folder, calibration_set, CalibrateConfig(fewest_clips=12), scoring=SCORING)
    with pytest.raises(UsageError, match="there are 12 real and 12 fake clips, and 13 of each"):
        calibrate_detector(done.folder, calibration_set, CalibrateConfig(fewest_clips=13), scoring=SCORING)
    assert {path.name: path.read_bytes() for path in done.folder.iterdir()} == before


def test_splits_that_a_calibration_must_not_see(toy_set, calibration_set):
    folder = DatasetFolder.open(toy_set)
    for split in ("train", "test"):
        with pytest.raises(UsageError, match=f"not fitted on the {split} split"):
            calibration_records(folder, split)
    with pytest.raises(UsageError, match="has a test split"):
        calibration_records(folder, "all")
    assert len(calibration_records(folder, "val")) == 4
    assert len(calibration_records(DatasetFolder.open(calibration_set), "all")) == 24


def test_an_empty_split_is_said(tmp_path, add_toy_clip):
    dataset = DatasetFolder.init(tmp_path / "set", "set")
    add_toy_clip(dataset, "one", "ann")
    with pytest.raises(ManifestError, match="no clip in its val split"):
        calibration_records(dataset, "val")


def test_clips_that_weights_learned_from_are_refused_but_not_the_val_split_of_their_own_set(
    detector, toy_set, calibration_set
):
    own, other = DatasetFolder.open(toy_set), DatasetFolder.open(calibration_set)
    seen = [*own.records(split="train"), *own.records(split="val"), other.records()[0]]
    (detector / LEARNED_NAME).write_text(json.dumps(training_document(seen)))
    refuse_trained_on(own, own.records(split="val"), detector, "val")
    with pytest.raises(LeakError, match="was trained on 1 of these 24 clips"):
        refuse_trained_on(other, other.records(), detector, "val")
    with pytest.raises(LeakError, match="was trained on 4 of these 8 clips"):
        refuse_trained_on(own, [*own.records(split="train")[:4], *own.records(split="val")], detector, "all")


def test_new_clips_of_people_that_weights_learned_from_are_refused(detector, toy_set, tmp_path, add_toy_clip):
    own = DatasetFolder.open(toy_set)
    used = [*own.records(split="train"), *own.records(split="val")]
    (detector / LEARNED_NAME).write_text(json.dumps(training_document(used)))
    other = DatasetFolder.init(tmp_path / "other", "other")
    add_toy_clip(other, "again", "ann", forged=(0, 1))
    add_toy_clip(other, "new-swapped", "new", "bob")
    with pytest.raises(LeakError, match="other clips of 1 of the 1 people here") as caught:
        refuse_trained_on(other, [replace(other.records()[0], sha256="e" * 64)], detector, "all")
    assert "new people" in str(caught.value.hint)
    with pytest.raises(LeakError, match="of 1 of the 2 people"):  # as the source of a fake
        refuse_trained_on(other, [replace(other.records()[1], sha256="f" * 64)], detector, "all")
    assert refuse_trained_on(own, own.records(split="val"), detector, "val") == 0
    added = replace(own.records(split="train")[0], split=None, sha256="d" * 64)
    with pytest.raises(LeakError, match="other clips of 1 of the"):
        refuse_trained_on(own, [*own.records(split="val"), added], detector, "all")


def test_people_that_a_val_split_shares_with_its_training_are_counted(detector, toy_set, done):
    own = DatasetFolder.open(toy_set)
    used = [*own.records(split="train"), *own.records(split="val")]
    (detector / LEARNED_NAME).write_text(json.dumps(training_document(used)))
    leaky = replace(own.records(split="val")[0], target_identity="ann", sha256="e" * 64)
    assert refuse_trained_on(own, [*own.records(split="val"), leaky], detector, "val") == 1
    population = done.calibration.population
    assert str(replace(population, trained_people=1)).endswith("; the detector was trained on 1 person of them")
    assert "trained on" not in str(replace(population, trained_people=0))


def test_a_table_of_scores_is_calibrated_beside_its_file(calibration_set, tmp_path):
    rng = np.random.default_rng(0)
    records = DatasetFolder.open(calibration_set).records()
    table = tmp_path / "scores.csv"
    lines = [f"{each.id},{rng.normal(1.5 if each.label == 'fake' else -1.5):.3f}" for each in records]
    table.write_text("\n".join(["clip,logit", *lines]) + "\n")
    result = calibrate_detector(f"csv:{table}", calibration_set, QUICK, scoring=SCORING)
    assert {path.name for path in result.files} == {
        "scores.csv.calibration.json", "scores.csv.validated.json", "scores.csv.calibration.png"
    }  # fmt: skip
    assert result.calibration.aggregate is None
    assert "face_px" not in result.domain.ranges  # which faces were looked at is not known
    assert read_calibration(f"csv:{table}") == result.calibration


def test_a_python_function_is_calibrated_and_evaluated_with_its_own_calibration(calibration_set, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import zlib\n\ndef predict(path):\n"
        "    noise = zlib.crc32(path.encode()) / 2**32\n"
        "    return 0.2 + 0.4 * noise + 0.2 * path.endswith('faked.mp4')\n"
    )
    detector = f"python:{file}"
    result = calibrate_detector(detector, calibration_set, QUICK, scoring=SCORING)
    assert result.files[0].name == "mine.py.calibration.json"
    config = EvaluateConfig(split="val", replicates=10)
    found, _ = evaluate_detector(detector, calibration_set, config, out=tmp_path / "one")  # type: ignore[arg-type]
    assert found.calibration is not None
    assert any("numbers flatter" in note for note in found.calibration.notes)


def test_the_command_line(detector, calibration_set, tmp_path, capsys):
    words = ["detect", "calibrate", str(detector), "--dataset", str(calibration_set), "--device", "cpu"]
    settings = tmp_path / "settings.toml"
    settings.write_text("replicates = 10\n")
    words += ["--config", str(settings), "--frames", "2"]
    assert run(["--json", *words, "--method", "isotonic", "--method", "kde", "--prior", "0.1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["probability"]["method"], said["likelihood"]["method"], said["prior"]) == ("isotonic", "kde", 0.1)
    assert said["domain"]["level"] == "clip"
    assert run([*words, "--method", "plat"]) == 2
    assert "platt" in capsys.readouterr().err
    assert run(["detect", "calibrate", str(tmp_path), "--dataset", str(calibration_set)]) == 1
    assert "holds no detector" in capsys.readouterr().err


def test_a_detector_that_is_not_there_is_said_before_anything_is_scored(calibration_set, tmp_path):
    with pytest.raises(CheckpointError, match="holds no detector"):
        calibrate_detector(tmp_path, calibration_set)


def test_sections_of_a_card_are_replaced_and_stand_before_its_limits():
    card = "# net\n\n## Use\n\ntext\n\n## Limits\n\n* one\n"
    once = with_sections(card, {"Calibration": "first\n", "Validated domain": "here"})
    twice = with_sections(once, {"Calibration": "second", "Validated domain": "there\n"})
    assert twice == (
        "# net\n\n## Use\n\ntext\n\n## Calibration\n\nsecond\n\n## Validated domain\n\nthere\n\n## Limits\n\n* one\n"
    )
    assert with_sections("", {"Calibration": "x"}) == "## Calibration\n\nx\n\n"


def test_an_evaluation_says_how_good_calibrated_scores_are(done, calibration_set, tmp_path):
    config = EvaluateConfig(
        split="val", device="cpu", precision="float32", frames_per_clip=2, workers=1, replicates=20
    )  # fmt: skip
    result, folder = evaluate_detector(done.folder, calibration_set, config, out=tmp_path / "evaluation")
    section = result.calibration
    assert section is not None
    assert [each.metric for each in section.evaluations] == ["cllr", "cllr_min", "cllr_cal", "ece", "brier", "log_loss"]
    assert [part.by for part in section.parts] == ["known", "manipulation"]
    assert any("All 23 clips lie in" in note for note in section.notes)  # without the one in which no face was found
    document = json.loads((folder / "evaluation.json").read_text())
    assert document["calibration"]["evaluations"][0]["metric"] == "cllr"
    lines = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    scored = [line for line in lines if line["logit"] is not None]
    assert len(scored) == 23
    assert all(0 < line["probability"] < 1 and abs(line["llr"]) < 3 for line in scored)
    assert all("probability" not in line for line in lines if line["logit"] is None)
    page = (folder / "evaluation.html").read_text()
    assert "Calibrated scores" in page
    assert "manipulations of the calibration (11 + 12)" in page
    assert (folder / "calibration.png").stat().st_size > 10_000


def test_faces_of_another_finder_are_not_called_calibrated(done, untrained, calibration_set, tmp_path):
    assert (done.calibration.finder, done.domain.finder) == ("toy", "toy")
    assert done.calibration.frames_per_clip == 2
    assert done.domain.weights_sha256 == done.calibration.weights_sha256
    assert "faces found by toy in 2 frames a clip" in (done.folder / "README.md").read_text()
    folder = shutil.copytree(done.folder, tmp_path / "net")
    write_calibration(folder, replace(done.calibration, finder="yunet"))
    result, _ = evaluate_detector(folder, calibration_set, replace(SCORING, split="val", replicates=5),
                                  out=tmp_path / "evaluation")  # fmt: skip
    assert result.calibration is None
    assert any("faces found by yunet; these were found by toy" in note for note in result.notes)


def test_scores_made_otherwise_are_not_called_calibrated(done, calibration_set, tmp_path):
    config = EvaluateConfig(
        split="val", device="cpu", precision="float32", frames_per_clip=2, workers=1, replicates=5,
        aggregate=AggregateConfig(method="mean"),
    )  # fmt: skip
    result, folder = evaluate_detector(done.folder, calibration_set, config, out=tmp_path / "evaluation")
    assert result.calibration is None
    assert any("No calibrated scores" in note and "'mean'" in note for note in result.notes)
    assert "probability" not in (folder / "scores.jsonl").read_text()
    assert "Calibrated scores" not in (folder / "evaluation.html").read_text()
    assert not (folder / "calibration.png").exists()


def test_another_set_bounds_the_ratios_and_takes_no_part_in_the_fit(
    done, detector, calibration_set, add_toy_clip, tmp_path
):
    outside = DatasetFolder.init(tmp_path / "others", "others")
    with outside.batch():
        for place in range(4):
            person = f"z{40 + place}"
            add_toy_clip(outside, person, person)
            add_toy_clip(outside, f"{person}-faked", person, f"z{40 + (place ^ 1)}", manipulation="of-others")
    found = calibrate_detector(detector, calibration_set, QUICK, scoring=SCORING, outside=outside.path)
    bound = found.calibration.outside
    assert bound is not None
    assert (bound.name, bound.tools, bound.groups_real, bound.groups_fake) == ("others", ("of-others",), 2, 2)
    assert replace(found.calibration, outside=None) == done.calibration
    with pytest.raises(LeakError, match="stripes of calib was learned from"):
        calibrate_detector(detector, calibration_set, QUICK, scoring=SCORING, outside=calibration_set)
