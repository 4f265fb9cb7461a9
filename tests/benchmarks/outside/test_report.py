"""The measurement end to end on noise with a known face; each fake is its real with the inner face smoothed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.outside import report
from benchmarks.outside.faces import FoundFace, find_faces
from benchmarks.outside.forms import FORMS, MOST_SIDE_PX, all_forms, matched_sides
from benchmarks.outside.index import read_index
from benchmarks.outside.report import main_table, measure, measurements, named_detectors, parts_table, spread_table
from benchmarks.outside.scores import SOFTNESS, UNTRAINED
from benchmarks.outside.softness import softness
from benchmarks.schema import load_result
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from shared.bootstrap import BootstrapSettings
from shared.device import seed_everything
from shared.errors import CheckpointError, UsageError
from shared.faces.align import MEAN_FACE
from shared.faces.boxes import box_around
from shared.types import Face
from shared.video.images import encode_png
from tests.factories import write_clip

HEAD = "path,label,tool,kind,pair_id,person,family"
SIDE = 240


class KnownFace:
    """Finds one face in the middle of every picture, half as wide as it."""

    searched = 0

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        KnownFace.searched += len(frames)
        return [[known_face(frame.shape[1])] if frame.any() else [] for frame in frames]

    def describe(self) -> dict[str, str]:
        return {"name": "known"}


def known_face(side: int) -> Face:
    points = ((MEAN_FACE - (0.5, 0.6)) * 0.4 * side + side / 2).astype(np.float32)
    return Face(box_around(points), points, 1.0)


def picture(seed: int, *, smooth: bool, side: int = SIDE) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    if not smooth:
        return image
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(known_face(side).landmarks).astype(np.int32), 1)
    return np.where(mask[..., None] == 1, cv2.GaussianBlur(image, (0, 0), 3), image)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pairs of stills, the real of the first twice as large as its fake; a lone clip; a picture without a face."""
    place = tmp_path / "outside"
    place.mkdir()
    rows = [HEAD]
    for number in range(4):
        kind = "swap" if number < 3 else "reenact"
        for label in ("real", "fake"):
            side = 2 * SIDE if (number, label) == (0, "real") else SIDE
            name = f"{label}{number}.png"
            (place / name).write_bytes(encode_png(picture(number, smooth=label == "fake", side=side)))
            rows.append(
                f"{name},{label},tool,{'-' if label == 'real' else kind},p{number},who{number},family{number % 2}"
            )
    write_clip(place / "clip.mp4", [picture(9, smooth=True)] * 4)
    (place / "empty.png").write_bytes(encode_png(np.zeros((SIDE, SIDE, 3), np.uint8)))
    rows += ["clip.mp4,fake,tool,generate,,lone,family1", "empty.png,fake,tool,swap,,none,family1"]
    (place / "index.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(report, "make_finder", lambda _name: KnownFace())
    KnownFace.searched = 0
    return place


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    seed_everything(0)
    model = build_detector("mobilenetv3_small_050", input_px=64)
    return save_detector(model, tmp_path / "detector", DetectorFacts(model.spec), card="# untrained\n")


def run(folder: Path, tmp_path: Path, *detectors: tuple[str, str]) -> report.Outside:
    return measure(folder, detectors, tmp_path / "work", frames=2, finder="known", device="cpu",
                   bootstrap=BootstrapSettings(replicates=50))  # fmt: skip


def test_softness_alone_sees_smoothed_faces_in_every_form(folder: Path, tmp_path: Path):
    found = run(folder, tmp_path)
    for name in UNTRAINED:
        keys = (name, "all kinds", "paired accuracy")
        paired = {one.form: one for one in found.figures if (one.detector, one.part, one.what) == keys}
        assert [paired[form].value for form in FORMS] == [1.0] * len(FORMS)
    area = next(one for one in found.figures if (one.form, one.part, one.what) == ("matched", "swap", "AUC"))
    assert (area.value, area.fake, area.real) == (1.0, 3, 4)  # the picture without a face has no score
    assert area.low is not None
    assert area.low < 0.5  # three people show little
    assert found.notes == ("In 1 of 10 files no face was found; they have no score.",)
    assert found.settings["kinds"] == {"swap": 4, "re-enactment": 1, "generation": 1}
    assert found.settings["groups"] == 6


def test_faces_are_found_once(folder: Path, tmp_path: Path):
    run(folder, tmp_path)
    searched = KnownFace.searched
    assert searched == 9 + 2  # of the clip, two frames
    again = run(folder, tmp_path)
    assert KnownFace.searched == searched
    assert again.figures == run(folder, tmp_path).figures
    kept = next((tmp_path / "work" / "faces").glob("*.npz"))
    kept.write_bytes(kept.read_bytes()[:100])
    run(folder, tmp_path)
    assert KnownFace.searched > searched


def test_both_sides_of_a_pair_get_one_face_size(folder: Path, tmp_path: Path):
    found = find_faces(read_index(folder), KnownFace(), tmp_path / "work", frames=2)
    sides = matched_sides(found)
    own = found[0].faces[0].side_px
    assert sides[0] == sides[1] == pytest.approx(0.9 * own / 2)  # the real was twice as large as the fake
    assert max(side for side in sides if side is not None) <= MOST_SIDE_PX
    for one, side in zip(found[:2], sides, strict=False):
        forms = all_forms(one, side)
        assert {form: len(faces) for form, faces in forms.items()} == dict.fromkeys(FORMS, 1)
        for form in FORMS[1:]:
            assert forms[form][0].side_px == pytest.approx(side, rel=0.03)
    assert sides[-1] is None
    assert all_forms(found[-1], None) == dict.fromkeys(FORMS, ())


def test_softness_is_the_detail_around_less_the_detail_inside():
    sharp = FoundFace(picture(0, smooth=False), known_face(SIDE).landmarks, np.zeros(4, np.float32), 0)
    soft = FoundFace(picture(0, smooth=True), known_face(SIDE).landmarks, np.zeros(4, np.float32), 0)
    assert softness([sharp]) == pytest.approx(0.0, abs=0.1)
    assert softness([soft]) > 0.5
    assert softness([sharp, soft]) == pytest.approx((softness([sharp]) + softness([soft])) / 2)
    assert softness([]) is None


def test_detectors_are_scored_beside_it_and_trainings_of_one_name_are_one_row(
    folder: Path, tmp_path: Path, detector: Path
):
    found = run(folder, tmp_path, ("ours", str(detector)), ("ours", str(detector)))
    listed = {one.name: one for one in measurements(found)}
    area = listed["ours, matched, swap: AUC"]
    assert len(area.values) == 2
    assert area.values[0] == area.values[1]
    assert area.target == 0.80
    assert listed[f"{SOFTNESS}, matched, swap: AUC"].target is None
    assert listed["ours, raw, all kinds: reals called fake"].better == "lower"
    assert not any("family" in name for name in listed if ", raw, " in name)
    columns, rows = main_table(found)
    assert [row[:2] for row in rows] == [[name, form] for name in (*UNTRAINED, "ours") for form in FORMS]
    assert all(len(row) == len(columns) for row in rows)
    columns, rows = spread_table(found)
    assert all(len(row) == len(columns) for row in rows)
    columns, rows = parts_table(found)
    assert [row[0] for row in rows] == ["all kinds", "swap", "re-enactment", "generation", "family family0",
                                        "family family1"]  # fmt: skip
    assert all(len(row) == len(columns) for row in rows)


def test_the_command_saves_a_result_without_names_of_files(folder: Path, tmp_path: Path):
    out = tmp_path / "outside.json"
    done = CliRunner().invoke(
        app, ["outside", str(folder), "--work", str(tmp_path / "work"), "--save", str(out), "--frames", "2"]
    )
    assert done.exit_code == 0, done.output
    result = load_result(out)
    assert result.benchmark == "outside"
    assert result.measurements
    text = out.read_text()
    assert not any(word in text for word in ("fake0", "real0", "who0", ".png"))


def test_what_is_no_detector_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="not NAME=PATH"):
        named_detectors(["runs/a"])
    with pytest.raises(UsageError, match="always measured"):
        named_detectors([f"{SOFTNESS}=x"])
    with pytest.raises(CheckpointError, match="no detector"):
        run(folder, tmp_path, ("ours", str(tmp_path)))
    with pytest.raises(UsageError, match="does not exist"):
        run(folder, tmp_path, ("meso", str(tmp_path / "gone.h5")))
    assert not KnownFace.searched  # refused before the work
