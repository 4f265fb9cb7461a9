from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shared import weights
from shared.errors import WeightsError
from shared.faces.finders.contract import DetectorSettings, detectors
from shared.faces.finders.mtcnn import MtcnnDetector
from shared.faces.finders.mtcnn_nets import OutputNet, ProposalNet, RefineNet, fill, load_nets

pytest.importorskip("joblib")
pytest.importorskip("lz4")


def test_a_keras_kernel_keeps_its_rows_and_columns():
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 2, 0, 0] = 1  # looks at the pixel above and to the right
    net = nn.Conv2d(1, 1, 3, padding=1)
    fill(net, [kernel, np.zeros(1, np.float32)], "made up")
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 1, 3] = 1
    assert torch.nonzero(net(image)[0, 0]).tolist() == [[2, 2]]


def test_a_dense_kernel_is_turned():
    net = nn.Linear(2, 3, bias=False)
    fill(net, [np.arange(6, dtype=np.float32).reshape(2, 3)], "made up")
    assert net(torch.tensor([0.0, 1.0])).tolist() == [3, 4, 5]


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(WeightsError, match="2 arrays"):
        fill(nn.Linear(2, 3, bias=False), [np.zeros((2, 3)), np.zeros(3)], "made up")
    with pytest.raises(WeightsError, match="does not fit"):
        fill(nn.Linear(2, 3, bias=False), [np.zeros((3, 3))], "made up")


def test_the_nets_have_the_published_shapes():
    with torch.inference_mode():
        score, corrections = ProposalNet()(torch.zeros(2, 3, 12, 24))
        assert score.shape == (2, 1, 7)
        assert corrections.shape == (2, 4, 1, 7)
        assert [part.shape for part in RefineNet()(torch.zeros(5, 3, 24, 24))] == [(5,), (5, 4)]
        assert [part.shape for part in OutputNet()(torch.zeros(5, 3, 48, 48))] == [(5,), (5, 4), (5, 5, 2)]


def test_a_file_that_is_not_the_pinned_one_is_never_opened(tmp_path, monkeypatch):
    folder = tmp_path / "assets" / "weights"
    folder.mkdir(parents=True)
    for net in ("pnet", "rnet", "onet"):
        (folder / f"{net}.lz4").write_bytes(b"\x80\x04cos\nsystem\n.")
    opened: list[object] = []
    monkeypatch.setattr("joblib.load", lambda *args, **_: opened.append(args))
    monkeypatch.setattr(weights, "package_folder", lambda package: tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        load_nets("cpu")
    assert opened == []


def test_frames_of_any_size_and_of_several_sizes(rng):
    detector = MtcnnDetector(DetectorSettings())
    sizes = [(1, 1), (2, 90), (90, 2), (60, 61), (60, 61)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    assert detector.detect(images) == [[]] * 5
    assert detector.detect([]) == []


@pytest.mark.needs_media
def test_points_lie_on_the_eyes_of_a_tilted_face(media):
    import cv2

    from shared.faces.finders.finder import make_finder
    from shared.video import VideoReader

    with VideoReader(media / "video_grid" / "bbaf2n.mpg") as reader:
        image = next(reader.frames()).image
    turn = cv2.getRotationMatrix2D((160, 170), 30, 1.0)
    turned = cv2.warpAffine(image, turn, (image.shape[1], image.shape[0]))
    upright, tilted = detectors.get("mtcnn")(DetectorSettings()).detect([image, turned])
    assert len(upright) == len(tilted) == 1
    # cv2 turns counter-clockwise, which is negative with y down.
    assert np.degrees(tilted[0].roll - upright[0].roll) == pytest.approx(-30, abs=4)
    one = make_finder("mtcnn").find([image])[0][0]
    two = make_finder("mtcnn").find([turned])[0][0]
    expected = one.landmarks @ turn[:, :2].T + turn[:, 2]
    error = np.linalg.norm(two.landmarks - expected, axis=1).mean() / one.width_px
    assert error < 0.03
