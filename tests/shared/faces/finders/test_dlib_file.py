"""dlib's networks in torch: the file format by hand, the numbers against dlib itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shared import weights
from shared.errors import WeightsError
from shared.faces.finders.contract import DetectorSettings
from shared.faces.finders.dlib_cnn import MmodDetector, MmodNet
from shared.faces.finders.dlib_file import Affine, DlibTensors
from shared.faces.identity_net import CHIP_PX, IdentityNet, embed_chips


def integer(value: int) -> bytes:
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")


def tensor(values: list[float], *shape: int) -> bytes:
    full = (*shape, *[1] * (4 - len(shape)))
    return b"".join(integer(number) for number in (2, *full)) + np.array(values, "<f4").tobytes()


def test_tensors_come_one_after_the_other_by_shape():
    data = b"\x05con_4" + tensor([1, 2, 3], 3) + b"noise" + tensor([9, 8], 2) + tensor([4, 5, 6], 3)
    tensors = DlibTensors(data, "made up")
    assert tensors.next(3).tolist() == [1, 2, 3]
    assert tensors.next(3).tolist() == [4, 5, 6]
    with pytest.raises(WeightsError, match="made up"):
        tensors.next(2)


def test_a_length_above_255_takes_more_than_one_byte():
    data = tensor([0.5] * 300, 300)
    assert data[:4] == b"\x01\x02\x02\x2c"
    assert DlibTensors(data, "made up").next(300).shape == (300,)


def test_a_tensor_cut_short_is_refused():
    with pytest.raises(WeightsError):
        DlibTensors(tensor([1, 2, 3], 3)[:-1], "made up").next(3)


def test_filters_come_before_biases():
    layer = nn.Conv2d(1, 2, 1)
    DlibTensors(tensor([1, 2, 3, 4], 4), "made up").fill_convolution(layer)
    assert layer.weight.flatten().tolist() == [1, 2]
    assert layer.bias is not None
    assert layer.bias.tolist() == [3, 4]


def test_a_batch_norm_becomes_the_affine_it_amounts_to():
    data = tensor([2, 1], 2) + tensor([7], 1, 1) + tensor([7], 1, 1) + tensor([3], 1, 1) + tensor([4 - 1e-4], 1, 1)
    layer = Affine(1)
    DlibTensors(data, "made up").fill_batch_norm(layer)
    # 2 (x - 3) / 2 + 1 at x = 5.
    assert layer(torch.full((1, 1, 1, 1), 5.0)).item() == pytest.approx(3.0)


def test_other_bytes_are_no_network():
    for net in (IdentityNet, MmodNet):
        with pytest.raises(WeightsError):
            net.from_bytes(b"\x01\x02" * 100)


def test_the_embedding_is_dlibs(rng):
    dlib = pytest.importorskip("dlib")
    chip = rng.integers(0, 256, (CHIP_PX, CHIP_PX, 3), dtype=np.uint8)
    theirs = dlib.face_recognition_model_v1(str(weights.require("dlib-identity"))).compute_face_descriptor(chip)
    ours = embed_chips(IdentityNet.from_bytes(weights.read("dlib-identity")), torch.from_numpy(chip)[None])
    np.testing.assert_allclose(ours[0].numpy(), np.array(theirs), atol=1e-5)


@pytest.mark.needs_media
def test_the_cnn_detector_finds_dlibs_face_with_dlibs_score(media):
    dlib = pytest.importorskip("dlib")
    from shared.video import VideoReader

    with VideoReader(media / "video_grid" / "bbaf2n.mpg") as reader:
        image = np.ascontiguousarray(next(reader.frames()).image[80:280, 60:260])
    theirs = dlib.cnn_face_detection_model_v1(str(weights.require("dlib-mmod")))(image, 0)
    ours = MmodDetector(DetectorSettings()).detect([image, image])
    assert [len(found) for found in ours] == [len(theirs)] * 2 == [1, 1]
    assert ours[1][0].score == pytest.approx(theirs[0].confidence, abs=0.1)
    middle = np.array([theirs[0].rect.center().x, theirs[0].rect.center().y])
    side = theirs[0].rect.width()
    # Both see windows 8 px apart, at other offsets; and a face box lies lower than dlib's window.
    assert np.linalg.norm((ours[0][0].box[:2] + ours[0][0].box[2:]) / 2 - middle) < 0.25 * side


def test_the_cnn_detector_takes_frames_of_any_size(rng):
    pytest.importorskip("dlib")
    detector = MmodDetector(DetectorSettings(min_face_px=80))
    sizes = [(1, 1), (2, 90), (90, 2), (60, 61)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    assert detector.detect(images) == [[], [], [], []]
    assert detector.detect([]) == []
