"""Names, composition and the choice of "auto", with stand-ins for the networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from shared import weights
from shared.errors import FinderError, UnknownNameError, UsageError, WeightsError
from shared.faces.align import MEAN_FACE
from shared.faces.boxes import box_around
from shared.faces.finders import finder as finder_module
from shared.faces.finders.contract import (
    Detection,
    Detector,
    DetectorSettings,
    Fit,
    Landmarker,
    Place,
    detectors,
    need_package,
)
from shared.faces.finders.finder import ComposedFinder, IndexedFinder, finder_names, make_finder
from shared.weights.table import TABLE

FRAME = np.zeros((100, 120, 3), np.uint8)


class Boxes(Detector):
    """A detector that finds what it is told."""

    name = "boxes"

    def __init__(self, found: list[list[Detection]]) -> None:
        self._found = found

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return self._found[: len(images)]

    def describe(self) -> dict[str, str]:
        return {"sha256": "aa"}


class Means(Landmarker):
    """A landmarker that puts the mean face where it is told; sure of it unless the box is tiny."""

    name = "means"

    def __init__(self) -> None:
        self.asked = 0

    def fit(self, places: Sequence[Place]) -> list[Fit]:
        self.asked += len(places)
        return [self._fit(place.box) for place in places]

    def _fit(self, box: np.ndarray) -> Fit:
        side = float(box[2] - box[0])
        return Fit((MEAN_FACE * side + box[:2]).astype(np.float32), 0.0 if side < 5 else 0.9)

    def describe(self) -> dict[str, str]:
        return {"sha256": "bb"}


def box(x: float, y: float, side: float) -> np.ndarray:
    return np.array([x, y, x + side, y + side], dtype=np.float32)


def test_faces_carry_the_landmarks_box_and_the_detectors_score():
    finder = ComposedFinder(Boxes([[Detection(box(10, 10, 40), 1.7)], []]), Means())
    faces = finder.find([FRAME, FRAME])
    assert [len(found) for found in faces] == [1, 0]
    assert faces[0][0].confidence == 1.7
    np.testing.assert_array_equal(faces[0][0].box, box_around(faces[0][0].landmarks))


def test_detections_without_a_face_and_second_sights_are_dropped():
    found = [Detection(box(10, 10, 40), 0.8), Detection(box(11, 10, 40), 0.9), Detection(box(80, 80, 3), 0.99)]
    faces = ComposedFinder(Boxes([found]), Means()).find([FRAME])[0]
    assert [face.confidence for face in faces] == [0.9]


def test_two_faces_of_one_frame_stay_two():
    found = [Detection(box(5, 10, 30), 0.8), Detection(box(70, 10, 30), 0.9)]
    faces = ComposedFinder(Boxes([found]), Means()).find([FRAME])[0]
    assert sorted(face.box[0] for face in faces) == sorted(face.box[0] for face in faces[::-1])
    assert len(faces) == 2


def test_no_frames_and_no_boxes_cost_nothing():
    landmarker = Means()
    finder = ComposedFinder(Boxes([]), landmarker)
    assert finder.find([]) == []
    assert finder.refine(FRAME, []) == []
    assert landmarker.asked == 0


def test_refine_answers_for_every_box_in_order_with_the_landmarks_confidence():
    faces = ComposedFinder(Boxes([]), Means()).refine(FRAME, [box(60, 10, 30), box(5, 5, 2), box(10, 10, 40)])
    assert [face.confidence for face in faces] == [0.9, 0.0, 0.9]
    assert faces[0].box[0] > faces[2].box[0]


def test_the_description_names_both_parts_and_their_weights():
    facts = ComposedFinder(Boxes([]), Means()).describe()
    assert facts["name"] == "boxes+means"
    assert (facts["detector"], facts["detector.sha256"]) == ("boxes", "aa")
    assert (facts["landmarker"], facts["landmarker.sha256"]) == ("means", "bb")


@pytest.mark.parametrize(
    ("name", "meant"), [("dlibb", "dlib"), ("yunte", "yunet"), ("face-alignmnt", "face-alignment")]
)
def test_an_unknown_name_is_refused_with_what_was_probably_meant(name, meant):
    with pytest.raises(UnknownNameError) as caught:
        make_finder(name)
    assert meant in (caught.value.hint or "")
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize("name", ["yunet+nothing", "nothing+dlib68", "+", "dlib-hog+"])
def test_an_unknown_part_of_a_composition_is_refused(name):
    with pytest.raises(UnknownNameError):
        make_finder(name)


def test_every_backend_of_the_issue_has_a_name():
    wanted = {"auto", "dlib", "dlib-mmod", "mtcnn", "face-alignment", "yunet"}
    kinds = {f"face-alignment:{kind}" for kind in ("sfd", "blazeface", "retinaface", "scrfd", "yunet", "dlib")}
    assert wanted | kinds <= set(finder_names())


@pytest.fixture
def empty_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(finder_module.DOWNLOAD_VARIABLE, raising=False)


@pytest.mark.usefixtures("empty_caches")
@pytest.mark.parametrize("name", ["face-alignment", "sfd+dlib68", "yunet", "blazeface", "retinaface", "scrfd+dlib68"])
def test_missing_weights_are_an_error_that_says_how_to_get_them(name):
    with pytest.raises(WeightsError) as caught:
        make_finder(name)
    assert "assay weights fetch" in (caught.value.hint or "")
    assert "assay weights import" in (caught.value.hint or "")


@pytest.mark.usefixtures("empty_caches")
def test_auto_takes_dlib_without_face_alignments_weights_and_says_so_once(capsys):
    pytest.importorskip("dlib")
    finder_module._announce.cache_clear()
    finders = [make_finder("auto"), make_finder("auto")]
    said = capsys.readouterr().out
    assert {finder.name for finder in finders} == {"dlib-hog+dlib68"}
    assert said.count("face finder: dlib-hog+dlib68") == 1
    assert "s3fd and 2dfan4 are missing" in " ".join(said.split())
    assert finders[0].describe()["name"] == "dlib-hog+dlib68"


@pytest.mark.usefixtures("empty_caches")
def test_auto_downloads_only_when_allowed_and_continues_when_that_fails(monkeypatch):
    pytest.importorskip("dlib")
    tried: list[str] = []

    def offline(name: str, **_: object) -> None:
        tried.append(name)
        raise WeightsError("no route to host")

    monkeypatch.setattr(weights, "fetch", offline)
    assert make_finder("auto").name == "dlib-hog+dlib68"
    assert tried == []
    monkeypatch.setenv(finder_module.DOWNLOAD_VARIABLE, "1")
    assert make_finder("auto").name == "dlib-hog+dlib68"
    assert tried == ["s3fd"]


@pytest.mark.usefixtures("empty_caches")
def test_with_nothing_installed_auto_says_what_to_install(monkeypatch):
    def absent(module: str, distributions: str) -> None:
        raise FinderError(f"{module} cannot be imported", hint=f"pip install {distributions}")

    for module in ("dlib_hog", "dlib_landmarks", "face_alignment", "fan"):
        monkeypatch.setattr(f"shared.faces.finders.{module}.need_package", absent)
    with pytest.raises(FinderError) as caught:
        make_finder("auto")
    assert "pip install dlib-bin" in (caught.value.hint or "")
    assert "face-alignment" in str(caught.value)


def test_a_package_that_is_not_installed_is_named_with_its_pip_command():
    with pytest.raises(FinderError) as caught:
        need_package("no_such_module_here", "no-such-distribution")
    assert caught.value.hint == "pip install no-such-distribution"


def test_settings_reach_the_detector():
    pytest.importorskip("dlib")
    facts = make_finder("dlib", min_confidence=0.25).describe()
    assert facts["detector.min_score"] == "0.25"
    assert facts["landmarker.sha256"] == next(e.sha256 for e in TABLE if e.name == "dlib-68-points")
    assert detectors.get("dlib-hog")(DetectorSettings(min_face_px=50)).detect([FRAME]) == [[]]


def test_only_a_sidecar_is_asked_by_frame_index(tmp_path):
    assert not isinstance(ComposedFinder(Boxes([]), Means()), IndexedFinder)
