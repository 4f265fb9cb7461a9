from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from forge.models.contract import Swap, Swapper, SwapSpec
from forge.models.predictor import SwapPredictor
from shared.device import Device
from shared.errors import CheckpointError, UsageError
from shared.faces.align import MEAN_FACE, frame_to_crop, map_points
from shared.types import AlignedFace


class Gainer(Swapper):
    """Multiplies by a number per identity; doubles the size; records how it was called."""

    def __init__(self, *, has_mask: bool = True, gains: tuple[float, float] = (0.5, 2.0)) -> None:
        super().__init__()
        self.spec = SwapSpec("gainer", 8, 16, "whole", ("ann", "bob"), has_mask)
        self.gains = dict(zip(self.spec.identities, gains, strict=True))
        self.conv = torch.nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3)[:, :, None, None])
        self.calls: list[tuple[int, bool, bool]] = []

    def encode(self, faces: Tensor) -> Tensor:
        self.calls.append((len(faces), self.training, torch.is_inference_mode_enabled()))
        return self.conv(faces)

    def decode(self, latent: Tensor, identity: str) -> Swap:
        rgb = torch.nn.functional.interpolate(latent.float() * self.gains[identity], scale_factor=2)
        return Swap(rgb, rgb.mean(1, keepdim=True) if self.spec.has_mask else None)


CPU = Device(torch.device("cpu"), None)


def _face(value: int, *, px: int = 8, frame: int = 0) -> AlignedFace:
    landmarks = (MEAN_FACE * 30 + [20, 10]).astype(np.float32)
    crop = np.full((px, px, 3), value, np.uint8)
    return AlignedFace(crop, landmarks, frame_to_crop(landmarks, px=px, framing="whole"), frame)


def test_each_face_comes_back_in_order_worn_by_the_source():
    faces = [_face(value) for value in (0, 51, 102, 204, 255)]
    swapped = SwapPredictor(Gainer(), CPU, batch=2).swap(faces, "ann")
    assert [face.crop.mean() for face in swapped] == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.5], abs=1e-6)
    assert swapped[1].crop.shape == (16, 16, 3)
    assert swapped[1].crop.dtype == np.float32
    assert swapped[1].mask is not None
    assert swapped[1].mask.shape == (16, 16)


def test_values_are_clipped_to_what_a_picture_can_hold():
    assert SwapPredictor(Gainer(), CPU).swap([_face(204)], "bob")[0].crop.max() == 1.0


def test_channels_stay_red_green_blue():
    face = _face(0)
    face.crop[..., 0], face.crop[..., 2] = 255, 51
    crop = SwapPredictor(Gainer(), CPU).swap([face], "ann")[0].crop
    assert crop[3, 3] == pytest.approx([0.5, 0.0, 0.1], abs=1e-6)


def test_faces_go_in_batches_in_inference_and_evaluation_mode():
    swapper = Gainer()
    SwapPredictor(swapper, CPU, batch=4).swap([_face(9)] * 9, "ann")
    assert swapper.calls == [(4, False, True), (4, False, True), (1, False, True)]


def test_the_matrix_leads_to_the_pixels_of_the_swapped_crop():
    face = _face(9)
    swapped = SwapPredictor(Gainer(), CPU).swap([face], "ann")[0]
    # The middle of the input's pixel (0, 0) lies between the output's pixels 0 and 1, twice as fine.
    at_zero = np.linalg.solve(face.frame_to_crop[:, :2], -face.frame_to_crop[:, 2])
    assert map_points(swapped.frame_to_crop, at_zero[None])[0] == pytest.approx([0.5, 0.5], abs=1e-9)


def test_a_swapper_without_a_mask_gives_none():
    assert SwapPredictor(Gainer(has_mask=False), CPU).swap([_face(9)], "ann")[0].mask is None


def test_lower_precision_changes_at_most_a_grey_level_or_so():
    faces = [_face(value) for value in range(0, 256, 17)]
    exact = SwapPredictor(Gainer(), CPU).swap(faces, "ann")
    rough = SwapPredictor(Gainer(), Device(torch.device("cpu"), torch.bfloat16)).swap(faces, "ann")
    assert np.abs(np.stack([a.crop - b.crop for a, b in zip(exact, rough, strict=True)])).max() < 1.5 / 255


def test_no_faces_give_no_faces():
    assert SwapPredictor(Gainer(), CPU).swap([], "ann") == []


def test_wrong_calls_are_refused_with_a_hint():
    predictor = SwapPredictor(Gainer(), CPU)
    with pytest.raises(UsageError, match="no identity 'anne'") as caught:
        predictor.swap([_face(9)], "anne")
    assert "ann" in str(caught.value.hint)
    with pytest.raises(UsageError, match="crops of 8 px, got 16 px"):
        predictor.swap([_face(9, px=16)], "ann")
    with pytest.raises(UsageError, match="batch"):
        SwapPredictor(Gainer(), CPU, batch=0)


class Morpher(Gainer):
    """A :class:`Gainer` that draws between its identities as well."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, can_morph=True)

    def _between(self, latent: Tensor, source: str, target: str, share: float) -> Swap:
        gain = share * self.gains[source] + (1 - share) * self.gains[target]
        return Swap(torch.nn.functional.interpolate(latent.float() * gain, scale_factor=2), None)


def test_a_morph_lies_between_source_and_target():
    predictor = SwapPredictor(Morpher(), CPU)
    levels = [
        float(predictor.swap([_face(51)], "ann", target="bob", morph=share)[0].crop.mean())
        for share in (0.0, 0.25, 0.5, 1.0)
    ]
    assert levels == pytest.approx([0.4, 0.325, 0.25, 0.1], abs=1e-6)


def test_a_morph_that_cannot_be_is_refused_with_a_hint():
    able, unable = SwapPredictor(Morpher(), CPU), SwapPredictor(Gainer(), CPU)
    with pytest.raises(UsageError, match="nothing between") as caught:
        unable.swap([_face(9)], "ann", target="bob", morph=0.5)
    assert "amp" in str(caught.value.hint)
    with pytest.raises(UsageError, match="identity of the faces") as caught:
        able.swap([_face(9)], "ann", morph=0.5)
    assert "bob" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no identity 'bobby'"):
        able.swap([_face(9)], "ann", target="bobby", morph=0.5)
    with pytest.raises(UsageError, match="from 0 to 1"):
        able.swap([_face(9)], "ann", target="bob", morph=1.5)
    assert unable.swap([_face(51)], "ann", target="nobody")[0].crop.mean() == pytest.approx(0.1, abs=1e-6)


def test_a_swapper_that_diverged_is_not_pasted():
    with pytest.raises(CheckpointError, match="not numbers"):
        SwapPredictor(Gainer(gains=(float("nan"), 1.0)), CPU).swap([_face(9)], "ann")
