from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from detect.commands.robustness import robustness as command
from detect.config.scoring import EvaluateConfig, FaceConfig
from detect.data.crops import CropRequest, faces_folder
from detect.evaluation.evaluate import evaluate_detector
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.models.predictor import CropPredictor
from detect.robustness.config import RobustnessConfig
from detect.robustness.measure import measure_robustness
from detect.scoring.dataset import score_dataset
from detect.scoring.tasks import ScoringJob, run_scoring_tasks
from shared.dataset import DatasetFolder
from shared.device import with_threads
from shared.engine.local import LocalEngine
from shared.engine.tasks import Done, Task
from shared.errors import ManifestError, RunError, UsageError
from shared.faces.finders.finder import make_finder

T = TypeVar("T")

FACES = FaceConfig(finder="toy", min_face_px=8)
CONFIG = EvaluateConfig(frames_per_clip=3, replicates=20, device="cpu", precision="float32", finder="toy", split="all")
SWEEP = RobustnessConfig(
    split="all", clips=3, frames_per_clip=2, replicates=20, device="cpu", precision="float32", finder="toy",
    kinds=("blur", "contrast"), quick=True,
)  # fmt: skip


class Far:
    """The local engine with tasks and results that went through bytes, as to another machine and back."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self.files: list[Path] = []
        self.keys: list[str] = []

    def need(self, folders: Sequence[Path], files: Sequence[Path] = ()) -> None:
        self.folders += folders
        self.files += files

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        self.keys += [task.key for task in tasks]
        # The last is finished first, as may happen where many machines work.
        for done in LocalEngine(1).run(_through_bytes(list(tasks))[::-1]):
            yield _through_bytes(done)


def _through_bytes(value: T) -> T:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As a task has: what is scored without an engine is split over more, and rounded otherwise."""
    with with_threads(1):
        yield


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = build_detector("test_efficientnet", input_px=64)
    folder = tmp_path_factory.mktemp("run") / "detector"
    return save_detector(model, folder, DetectorFacts(model.spec, faces=FACES), card="")


@pytest.fixture
def own_set(tmp_path, add_toy_clip) -> DatasetFolder:
    """Two clips with faces and one without."""
    dataset = DatasetFolder.init(tmp_path / "own", "own")
    add_toy_clip(dataset, "ann", "ann")
    add_toy_clip(dataset, "bob", "bob", "ann")
    add_toy_clip(dataset, "dark", "cid", blank=True)
    return dataset


def job_of(detector: Path) -> ScoringJob:
    return ScoringJob.of(detector, CropPredictor.load(detector, "cpu"), make_finder("toy"), name="toy", config=CONFIG)


def request_of(detector: Path) -> CropRequest:
    spec = CropPredictor.load(detector, "cpu").spec
    return CropRequest(spec.input_px, spec.framing, 3, FACES)


def test_scores_are_equal_on_every_engine(detector, toy_set):
    """Each starts without a cache."""
    folder = DatasetFolder.open(toy_set)
    records = folder.records(split="test")
    serial = score_dataset(detector, folder, records, CONFIG)
    assert {len(clip.frames) for clip in serial.clips} == {3}
    for engine in (LocalEngine(1), Far()):
        _forget_faces(toy_set)
        found = score_dataset(detector, folder, records, CONFIG, engine=engine)
        assert found.clips == serial.clips
        assert [clip.record.id for clip in found.faces] == [clip.record.id for clip in serial.faces]
        assert (found.notes, found.detector) == (serial.notes, serial.detector)


def _forget_faces(dataset: Path) -> None:
    shutil.rmtree(faces_folder(dataset))


def test_a_sweep_is_the_same_on_an_engine_and_goes_on_where_it_was(detector, toy_set, tmp_path):
    _, serial = measure_robustness(detector, toy_set, SWEEP, out=tmp_path / "serial")
    engine = Far()
    _, out = measure_robustness(detector, toy_set, SWEEP, out=tmp_path / "far", engine=engine)
    assert (out / "robustness.json").read_bytes() == (serial / "robustness.json").read_bytes()
    assert {key.rpartition("/")[2] for key in engine.keys} == {"0", "1", "2"}
    cells = sorted((out / "cells").iterdir())
    assert [cell.name for cell in cells] == [cell.name for cell in sorted((serial / "cells").iterdir())]
    cells[0].unlink()
    again = Far()
    measure_robustness(detector, toy_set, SWEEP, out=out, engine=again)
    assert len(again.keys) == 3
    assert (out / "robustness.json").read_bytes() == (serial / "robustness.json").read_bytes()


def test_every_clip_gets_its_logits_and_needs_are_declared_to_the_engine(detector, own_set):
    engine, ticks = Far(), []
    records = own_set.records()
    found = run_scoring_tasks(
        engine, job_of(detector), own_set, records, request_of(detector), tick=lambda: ticks.append(1)
    )
    faces = {clip.name: len(logits) for clip, logits in found.items()}
    assert faces == {"ann": 3, "bob": 3, "dark": 0}
    assert len(ticks) == 3
    assert [folder.parent for folder in engine.folders] == [faces_folder(own_set.path)]
    assert set(engine.files) == {own_set.media_path(record) for record in records}


def test_another_detector_or_finder_on_a_machine_is_refused(detector, own_set):
    score_dataset, records = job_of(detector), own_set.records()
    for other, says in (
        (replace(score_dataset, digest="0" * 64), "another detector"),
        (replace(score_dataset, finder_facts=(("name", "toy"), ("version", "2"))), "face finder toy"),
    ):
        with pytest.raises(RunError, match=says):
            run_scoring_tasks(LocalEngine(1), other, own_set, records, request_of(detector))


def test_a_clip_that_was_changed_is_refused(detector, own_set):
    own_set.media_path(own_set.records()[0]).write_bytes(b"other")
    with pytest.raises(ManifestError, match="does not match the manifest"):
        run_scoring_tasks(LocalEngine(1), job_of(detector), own_set, own_set.records(), request_of(detector))


def test_a_detector_of_whole_clips_takes_no_engine(toy_set, tmp_path):
    scores = tmp_path / "scores.csv"
    ids = [str(record.id) for record in DatasetFolder.open(toy_set).records()]
    scores.write_text("clip,score\n" + "".join(f"{name},0.5\n" for name in ids))
    with pytest.raises(UsageError, match="in one process"):
        evaluate_detector(Path(f"csv:{scores}"), toy_set, CONFIG, out=tmp_path / "out", engine=LocalEngine(1))


def test_the_command_hands_its_options_on(detector, toy_set, tmp_path):
    flags = {"split": "all", "clips": 2, "frames": 2, "kind": ["blur"], "quick": True, "replicates": 20}
    where = {"finder": "toy", "device": "cpu", "precision": "float32"}
    with pytest.raises(UsageError, match="no engine"):
        command(detector, toy_set, out=tmp_path / "out", engine="cloud", **flags, **where)
    command(detector, toy_set, out=tmp_path / "out", jobs=1, **flags, **where)
    document = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert np.isfinite([cell["no_face_rate"] for cell in document["cells"]]).all()
