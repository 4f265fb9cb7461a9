from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from detect.config.training import TrainConfig
from detect.config.validation import ValidationConfig
from detect.data.softness import face_detail
from detect.training.card import validation_section
from detect.training.choice import OWN, GradeScore
from detect.training.grades import grade_score
from detect.training.train import TrainResult, train_detector
from detect.training.validation_report import CONTAINER, DETECTOR, MATCHED, SOFTNESS, Comparison, ValidationReport
from shared.cli import run
from shared.config import write_toml
from shared.errors import LeakError
from shared.faces.align import mean_in_crop
from shared.training.metrics import read_metrics
from tests.factories import face_row, write_faceset

GRADES = (
    GradeScore(OWN, 1.0, 0.9, 1.0, paired=1.0, shift=3.5, fakes=40, people=20),
    GradeScore("self-blend 0.5", 0.62, 0.55, 0.7, paired=0.8, shift=0.21, fakes=64, people=30),
)
REPORT = ValidationReport(
    step=300,
    chosen="the mean AUC of 0.620 over 1 unsolved grades of validation",
    solved_at=None,
    solved={OWN: 200},
    grades=GRADES,
    spread=1.304,
    people=20,
    comparisons=(
        Comparison(DETECTOR, 0.99, 0.9, 1.0),
        Comparison(SOFTNESS, 0.71, None, None, "the softer as the fake"),
    ),
)


def test_a_grade_score_by_hand():
    """Reals 0, 2, 4 and their fakes 1, 2, 7 of three people: 5 of 9 pairs are right and one is a tie."""
    score = grade_score("faint", np.array([0.0, 2, 4]), np.array([1.0, 2, 7]), np.arange(3))
    assert score.auc == pytest.approx(5.5 / 9)
    assert score.paired == pytest.approx((1 + 0.5 + 1) / 3)
    assert score.shift == pytest.approx(4 / 3)
    assert (score.fakes, score.people) == (3, 3)
    assert score.low is not None
    assert grade_score("one", np.zeros(2), np.ones(2), np.zeros(2, int)).low is None  # one person: no interval


def test_the_section_of_the_card():
    text = validation_section(REPORT)
    for part in (
        "own fakes were solved at step 200; not every grade was. Kept: step 300, by the mean AUC of 0.620",
        "| self-blend 0.5 | 0.620 | 0.550 to 0.700 | 0.800 | 0.210 | 64 | 30 | no |",
        "| own fakes | 1.000 | 0.900 to 1.000 | 1.000 | 3.500 | 40 | 20 | step 200 |",
        "logits of 20 real people differ by 1.30 (standard deviation). A fake of the set scores +3.50",
        "| softness of the face alone | 0.710 | no interval | the softer as the fake |",
    ):
        assert part in text
    solved = dataclasses.replace(REPORT, solved_at=400, solved={OWN: 200, "self-blend 0.5": 400}, comparisons=())
    assert "**Validation was solved at step 400**" in validation_section(solved)
    assert "what scores" not in validation_section(solved)


def test_softer_faces_have_less_detail(rng: np.random.Generator):
    landmarks = mean_in_crop(64, "whole").astype(np.float32)
    noise = rng.integers(0, 255, (64, 64, 3), np.uint8)
    flat = np.full_like(noise, 90)
    assert face_detail(flat, landmarks) == 0
    assert face_detail((noise // 4).astype(np.uint8), landmarks) < face_detail(noise, landmarks)
    beside = flat.copy()
    beside[:4] = noise[:4]  # detail beside the face does not count
    assert face_detail(beside, landmarks) == 0


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A faceset of eight photographs of noise, a person each."""
    px, rng = 64, np.random.default_rng(4)
    points = mean_in_crop(px, "whole").astype(np.float32)
    box = np.array([8, 8, 50, 50], np.float32)
    faces = [
        (
            face_row(points, clip=n, track=n, box=box),
            rng.integers(0, 255, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1),
        )
        for n in range(8)
    ]
    return write_faceset(tmp_path_factory.mktemp("validation") / "crowd", "crowd", faces, clips=range(50, 58))


@pytest.fixture(scope="module")
def graded(toy_set: Path, people: Path, tmp_path_factory: pytest.TempPathFactory, small: TrainConfig) -> TrainResult:
    config = dataclasses.replace(small, validation=ValidationConfig(faces=10, real_faces=(str(people),)))
    return train_detector(toy_set, tmp_path_factory.mktemp("graded") / "run", config)


@pytest.fixture(scope="module")
def small() -> TrainConfig:
    from detect.config.scoring import FaceConfig

    return TrainConfig(
        model="test_efficientnet", pretrained=False, input_px=64, frames_per_clip=4, steps=2, batch=4,
        evaluate_every=1, save_every=1, device="cpu", precision="float32", workers=1,
        faces=FaceConfig(finder="toy", min_face_px=8),
    )  # fmt: skip


def test_a_run_leaves_grades_in_its_metrics_its_report_and_its_card(graded: TrainResult, people: Path):
    looks = [line for line in read_metrics(graded.run) if "val_self-blend_0.12_auc" in line]
    assert [line["step"] for line in looks] == [1, 2]
    assert all(0 <= line["val_self-blend_1_paired"] <= 1 for line in looks)
    report = json.loads((graded.run / "evaluations" / "val" / "validation.json").read_text())
    grades = {grade["name"]: grade for grade in report["grades"]}
    assert list(grades) == [OWN, *(f"self-blend {strength}" for strength in ("1", "0.5", "0.25", "0.12"))]
    assert (grades["self-blend 1"]["fakes"], grades["self-blend 1"]["people"]) == (10, 10)  # two of the set, eight more
    names = [each["name"] for each in report["comparisons"]]
    assert [name for name in names if name != MATCHED] == [DETECTOR, CONTAINER, SOFTNESS]
    card = (graded.detector / "README.md").read_text()
    assert "## Validation\n\n" in card
    assert "| self-blend 0.12 |" in card
    inputs = json.loads((graded.run / "run.json").read_text())["inputs"]
    assert str(people) in inputs  # a run goes on with the same faces only


def test_a_killed_run_has_the_very_looks_of_one_that_was_not(
    graded: TrainResult,
    toy_set: Path,
    people: Path,
    tmp_path: Path,
    small: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
):
    from detect.training.trainer import Trainer

    config = dataclasses.replace(small, validation=ValidationConfig(faces=10, real_faces=(str(people),)))
    original = Trainer.learn

    def killed(trainer: Trainer, batch, progress: float) -> dict[str, float]:
        if batch.step == 2:
            raise RuntimeError("killed")
        return original(trainer, batch, progress)

    monkeypatch.setattr(Trainer, "learn", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train_detector(toy_set, tmp_path / "run", config)
    monkeypatch.setattr(Trainer, "learn", original)
    again = train_detector(toy_set, tmp_path / "run", config)
    for name in ("evaluations/val/validation.json", "detector/model.safetensors"):
        assert (again.run / name).read_bytes() == (graded.run / name).read_bytes()
    mine, theirs = ([{k: v for k, v in line.items() if k.startswith("val_")} for line in read_metrics(one.run)]
                    for one in (again, graded))  # fmt: skip
    assert [line for line in mine if line] == [line for line in theirs if line]


def test_faces_of_the_test_split_are_refused_from_the_command_line(
    toy_set: Path, tmp_path: Path, small: TrainConfig, capsys: pytest.CaptureFixture
):
    points, box = mean_in_crop(64, "whole").astype(np.float32), np.array([8, 8, 50, 50], np.float32)
    gus = write_faceset(tmp_path / "gus", "gus", [(face_row(points, box=box), np.zeros((64, 64, 3), np.uint8))])
    write_toml(tmp_path / "small.toml", small)
    words = ["detect", "train", str(toy_set), "--run", str(tmp_path / "r"), "--config", str(tmp_path / "small.toml")]
    assert run([*words, "--validation-faces", str(gus)]) == 1
    assert "gus, who is in the train or test split" in " ".join(capsys.readouterr().err.split())
    assert run([*words, "--validation-twins", str(gus)]) == 2
    assert "twins (twin_faces) of no faces" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "r").exists()
    with pytest.raises(LeakError):
        train_detector(toy_set, tmp_path / "r", small, validation={"real_faces": (str(gus),)})
