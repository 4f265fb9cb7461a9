from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from detect.commands.robustness import robustness as command
from detect.config.scoring import FaceConfig
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.robustness import measure as robustness
from detect.robustness import sweep as robustness_sweep
from detect.robustness.config import RobustnessConfig
from detect.robustness.faces import perturbed_faces, wanted_frames
from detect.robustness.measure import chosen_cells, measure_robustness
from detect.robustness.page import plot_heat_map, render_table
from detect.robustness.perturb import CLEAN, KINDS, Cell
from shared.errors import ConfigError, ManifestError, UsageError
from shared.faces.finders.finder import make_finder
from shared.video import probe

QUICK = RobustnessConfig(
    clips=4, frames_per_clip=3, quick=True, replicates=20, device="cpu", precision="float32", finder="toy"
)
FACES = FaceConfig(finder="toy", min_face_px=8)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = build_detector("test_efficientnet", input_px=64)
    folder = tmp_path_factory.mktemp("run") / "detector"
    return save_detector(model, folder, DetectorFacts(model.spec, faces=FACES), card="")


def clip_of(toy_set: Path) -> Path:
    return next((toy_set / "media").rglob("*.mp4"))


def test_faces_are_found_again_after_the_damage(toy_set: Path):
    """The toy finder sees what is brighter than the background: at 0.35 of its light nothing is."""
    finder, clip = make_finder("toy"), clip_of(toy_set)
    clean = list(perturbed_faces(clip, [0, 4, 7], CLEAN, finder, FACES, seed=0))
    dark = list(perturbed_faces(clip, [0, 4, 7], Cell("contrast", 5), finder, FACES, seed=0))
    assert [frame.index for frame, _ in clean] == [frame.index for frame, _ in dark] == [0, 4, 7]
    assert [len(faces) for _, faces in clean] == [1, 1, 1]
    assert [len(faces) for _, faces in dark] == [0, 0, 0]


def test_encoders_get_the_whole_video_and_harder_ones_lose_more(toy_set: Path):
    finder, clip = make_finder("toy"), clip_of(toy_set)

    def pictures(cell: Cell) -> np.ndarray:
        return np.stack([frame.image for frame, _ in perturbed_faces(clip, [0, 7], cell, finder, FACES, seed=0)])

    clean = pictures(CLEAN).astype(int)
    lost = [np.abs(pictures(Cell("h264", level)) - clean).mean() for level in (1, 3, 5)]
    assert 0 < lost[0] < lost[1] < lost[2]
    twice = [np.abs(pictures(Cell("h264-twice", level)) - clean).mean() for level in (1, 2)]
    assert 0 < twice[0] < twice[1]


def test_dropped_frames_keep_their_numbers_and_times(toy_set: Path):
    finder, clip = make_finder("toy"), clip_of(toy_set)
    cell = Cell("frame-rate", 1)
    wanted = wanted_frames(8, 4, cell)
    assert wanted == [0, 2, 4, 6]
    assert wanted_frames(8, 4, CLEAN) == [0, 2, 5, 7]
    assert wanted_frames(100, 4, CLEAN, consecutive=True, rate=Fraction(50)) == [46, 48, 50, 52]
    found = list(perturbed_faces(clip, wanted, cell, finder, FACES, seed=0))
    assert [frame.index for frame, _ in found] == wanted
    assert [frame.time.seconds for frame, _ in found] == pytest.approx([n / 25 for n in wanted])
    assert probe(clip).frame_rate == 25


def test_chance_depends_on_the_frame_and_not_on_its_neighbours(toy_set: Path):
    finder, clip = make_finder("toy"), clip_of(toy_set)
    cell = Cell("noise", 5)
    many = {f.index: f.image for f, _ in perturbed_faces(clip, range(8), cell, finder, FACES, seed=1)}
    one = [f.image for f, _ in perturbed_faces(clip, [5], cell, finder, FACES, seed=1)]
    other = [f.image for f, _ in perturbed_faces(clip, [5], cell, finder, FACES, seed=2)]
    assert np.array_equal(many[5], one[0])
    assert not np.array_equal(one[0], other[0])


def test_a_sweep_is_whole_and_goes_on_where_it_was(
    detector: Path, toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "sweep"
    result, folder = measure_robustness(detector, toy_set, QUICK, out=out)
    assert folder == out
    assert [cell.kind for cell in result.cells] == ["clean", *KINDS]
    clean = result.find("clean", 0)
    assert (clean.clips, clean.no_face_clips, clean.no_face_rate) == (4, 0, 0.0)
    assert (clean.auc.num_real, clean.auc.num_fake) == (2, 2)
    assert result.mean_auc is None  # not the 35 cells
    dark = result.find("contrast", 3)
    assert dark.value == 0.6
    # in the dark the toy finder loses the striped faces: counted, and in no metric
    assert (dark.no_face_clips, dark.no_face_rate, dark.auc) == (2, 0.5, None)
    assert (dark.accuracy.num_real, dark.accuracy.num_fake) == (2, 0)
    document = (out / "robustness.json").read_bytes()
    assert json.loads(document)["cells"][0]["kind"] == "clean"
    assert "| grey 8 x 8 blocks" in (out / "robustness.md").read_text()
    assert cv2.imread(str(out / "robustness.png")).shape[1] > 800

    cells = sorted((out / "cells").iterdir())
    assert len(cells) == 1 + len(KINDS)
    cells[0].unlink()
    cells[1].write_text("[{")
    measured: list[str] = []
    true_clip = robustness_sweep._clip

    def counted(sweep: object, record: object, cell: Cell) -> object:
        measured.append(str(cell))
        return true_clip(sweep, record, cell)  # type: ignore[arg-type]

    monkeypatch.setattr(robustness_sweep, "_clip", counted)
    again, _ = measure_robustness(detector, toy_set, QUICK, out=out)
    assert len(measured) == 8  # two cells of four clips, and nothing else
    assert again == result
    assert (out / "robustness.json").read_bytes() == document


def test_other_settings_do_not_read_old_cells(detector: Path, toy_set: Path, tmp_path: Path):
    small = RobustnessConfig(**{**vars(QUICK), "kinds": ("blur",)})
    measure_robustness(detector, toy_set, small, out=tmp_path / "s")
    more = RobustnessConfig(**{**vars(small), "frames_per_clip": 2})
    measure_robustness(detector, toy_set, more, out=tmp_path / "s")
    assert len(list((tmp_path / "s" / "cells").glob("blur-3-*"))) == 2


def test_what_cannot_be_swept_is_refused(detector: Path, toy_set: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="'blurr'"):
        chosen_cells(RobustnessConfig(kinds=("blurr",)))
    with pytest.raises(ConfigError):
        RobustnessConfig(split="tset")
    with pytest.raises(ConfigError):
        RobustnessConfig(clips=0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds no sweep"):
        measure_robustness(detector, toy_set, QUICK, out=tmp_path / "other")
    broken = tmp_path / "broken"
    shutil.copytree(toy_set, broken)
    for clip in (broken / "media").rglob("*.mp4"):
        clip.write_bytes(clip.read_bytes() + b"\0")
    with pytest.raises(ManifestError, match="does not match the manifest"):
        measure_robustness(detector, broken, QUICK, out=tmp_path / "b")


def test_the_mean_of_papers_is_over_all_cells_and_no_other():
    assert len(chosen_cells(RobustnessConfig())) == 47
    assert len(chosen_cells(RobustnessConfig(quick=True))) == 12
    assert chosen_cells(RobustnessConfig(kinds=("jpeg",)))[0] == CLEAN


def test_page_of_a_sweep_without_a_number():
    empty = robustness.Robustness(
        dataset={"name": "set"}, split="test", detector={"name": "net"}, threshold=0.5, threshold_from="val",
        clusters="0 clusters by group", cells=(), mean_auc=None, notes=("a note",),
    )  # fmt: skip
    assert plot_heat_map(empty).startswith(b"\x89PNG")
    assert "a note" in render_table(empty)


def test_the_command_says_how_it_is_used():
    assert "Example: assay detect robustness" in (command.__doc__ or "")
