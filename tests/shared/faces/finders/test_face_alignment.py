from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from shared import weights
from shared.errors import WeightsError
from shared.faces.finders.contract import DetectorSettings, Place, detectors
from shared.faces.finders.face_alignment import SfdDetector, covering_squares, retina_anchors
from shared.faces.finders.fan import FanLandmarks, frame_to_crop, peaks
from shared.faces.finders.finder import make_finder


@pytest.mark.parametrize(
    ("size", "corners"),
    [
        ((100, 100), [(0, 0)]),
        ((150, 100), [(0, 0), (50, 0)]),
        ((100, 200), [(0, 0), (0, 50), (0, 100)]),
        ((101, 100), [(0, 0), (1, 0)]),
        ((1, 1), [(0, 0)]),
    ],
)
def test_squares_cover_a_frame_and_overlap_by_half(size, corners):
    assert covering_squares(*size) == (corners, min(size))


def test_anchors_are_the_packages_own():
    module = pytest.importorskip("face_alignment.detection.retinaface.prior_box")
    sizes = ((16, 32), (64, 128), (256, 512))
    config = {"min_sizes": sizes, "steps": (8, 16, 32), "clip": False}
    theirs = module.PriorBox(config, image_size=(100, 130)).forward().numpy() * [130, 100, 130, 100]
    np.testing.assert_allclose(retina_anchors(100, 130, sizes), theirs, rtol=1e-5)


def test_s3fd_gets_the_verified_file_and_its_boxes_come_back_to_frame_pixels(tmp_path, monkeypatch):
    made: list[tuple] = []

    class Stub:
        def __init__(self, device: str, path_to_detector: str, filter_threshold: float) -> None:
            made.append((device, path_to_detector, filter_threshold))

        def detect_from_image(self, image: np.ndarray) -> list[list[float]]:
            assert image.shape == (320, 640, 3)
            return [[10, 20, 30, 40, 0.6], [100, 20, 120, 40, 0.9]]

    monkeypatch.setattr(weights, "require", lambda name: tmp_path / name)
    monkeypatch.setattr(
        "shared.faces.finders.face_alignment.need_package", lambda *_: SimpleNamespace(SFDDetector=Stub)
    )
    detector = SfdDetector(DetectorSettings(device="cuda:1", min_score=0.4))
    found = detector.detect([np.zeros((640, 1280, 3), np.uint8)])[0]
    assert made == [("cuda:1", str(tmp_path / "s3fd"), 0.4)]
    assert [detection.score for detection in found] == [0.9, 0.6]
    # Twice the size, and the face box sits a little lower in S3FD's box and is a little smaller.
    left, top, right, bottom = found[1].box.tolist()
    assert (left + right) / 2 == pytest.approx(39.5)
    assert 59.5 < (top + bottom) / 2 < 65
    assert 36 < right - left < 40


def test_fan_sees_the_tight_box_of_the_landmarks():
    matrix = frame_to_crop(np.array([0, 0, 100, 100], dtype=np.float32))
    # Tight box 90 by 94, 8 lower, its centre 12 % of 94 further up; shown are (90 + 94) / 195 * 200 px in 256.
    np.testing.assert_allclose(matrix @ [50, 58 - 0.12 * 94, 1], [127.5, 127.5])
    assert matrix[0, 0] == matrix[1, 1] == pytest.approx(256 / (200 * 184 / 195))


def test_peaks_are_read_to_a_quarter_of_a_cell():
    heat = np.zeros((1, 68, 64, 64), np.float32)
    heat[0, :, 20, 30] = 1
    heat[0, :, 20, 31] = heat[0, :, 19, 30] = 0.5
    heat[0, 5], heat[0, 5, 0, 63] = 0, 1
    points = peaks(heat)
    # Cell 30.25 across and 19.75 down; a cell is 4 px and its centre half a cell in.
    np.testing.assert_allclose(points[0, 0], [30.75 * 4 - 0.5, 20.25 * 4 - 0.5])
    # At the edge there is no neighbour to lean to.
    np.testing.assert_allclose(points[0, 5], [63.5 * 4 - 0.5, 0.5 * 4 - 0.5])


class Brightest(torch.nn.Module):
    """Stands in for FAN, whose weights cannot be had without a network: every heat map is the crop's brightness."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        assert stages == 4

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        heat = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4).repeat(1, 68, 1, 1)
        return [torch.zeros_like(heat), heat]


@pytest.fixture
def brightest(tmp_path, monkeypatch):
    models = pytest.importorskip("face_alignment.models")
    path = tmp_path / "fan.pth"
    torch.save({}, path)
    require = weights.require
    monkeypatch.setattr(models, "FAN", Brightest)
    monkeypatch.setattr(weights, "require", lambda name: path if name == "2dfan4" else require(name))


@pytest.mark.usefixtures("brightest")
def test_fans_landmarks_come_back_to_the_frame_from_both_sides():
    image = np.zeros((200, 500, 3), np.uint8)
    spots = [(90, 70), (390, 120)]
    for x, y in spots:
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    places = [Place(image, np.array([x - 50, y - 60, x + 50, y + 40], np.float32)) for x, y in spots]
    fits = FanLandmarks("cpu").fit(places * 10)
    assert len(fits) == 20
    for fit, spot in zip(fits, spots * 10, strict=True):
        # A heat-map cell is 3 px here.
        assert np.abs(fit.landmarks - spot).max() < 2
        assert fit.confidence > 0.5


class AlwaysLeft(Brightest):
    """Answers with the same place whatever it sees, as a network does on a wall."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        heat = torch.zeros(len(x), 68, 64, 64)
        heat[:, :, 30, 20] = 1
        return [heat]


@pytest.mark.usefixtures("brightest")
def test_answers_that_differ_between_a_face_and_its_mirror_image_are_not_trusted(monkeypatch):
    monkeypatch.setattr("face_alignment.models.FAN", AlwaysLeft)
    image = np.zeros((200, 200, 3), np.uint8)
    fit = FanLandmarks("cpu").fit([Place(image, np.array([50, 50, 149, 149], np.float32))])[0]
    assert fit.confidence == 0


@pytest.mark.usefixtures("brightest")
def test_free_composition_takes_fan_with_any_detector():
    pytest.importorskip("dlib")
    finder = make_finder("dlib-hog+fan")
    assert finder.name == "dlib-hog+fan"
    assert finder.find([np.zeros((90, 90, 3), np.uint8)]) == [[]]
    assert {"sfd", "blazeface", "blazeface-back", "retinaface", "scrfd", "yunet"} <= set(detectors.names())


def test_weights_of_another_network_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("face_alignment.models")
    path = tmp_path / "fan.pth"
    torch.save({"other": torch.zeros(1)}, path)
    monkeypatch.setattr(weights, "require", lambda name: path)
    with pytest.raises(WeightsError, match="does not fit FAN"):
        FanLandmarks("cpu")
