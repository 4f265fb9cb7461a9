from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from forge.color import ColorMap
from forge.frames import Drawn, DrawnFace
from forge.models.contract import Swap, Swapper, SwapSpec
from forge.plan import plan_swap
from forge.render import Cast, aligned, drawn, pasted
from forge.swap import SwapPredictor
from forge.swap_config import BlendConfig, ColorConfig, SwapConfig, TemporalConfig
from forge.temporal import steadied
from shared.device import Device
from shared.faces.align import MEAN_FACE, frame_to_crop
from shared.types import Face, Frame, SwappedFace, Timestamp

BASE = Fraction(1, 25)
PLAIN = ColorConfig("none")
CPU = Device(torch.device("cpu"), None)


class Tint(Swapper):
    """Red where it was grey; the mask is the middle of the crop."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = SwapSpec("tint", 32, 32, "whole", ("ann", "bob"), has_mask=True)

    def encode(self, faces: Tensor) -> Tensor:
        return faces

    def decode(self, latent: Tensor, identity: str) -> Swap:
        rgb = torch.cat([torch.ones_like(latent[:, :1]), latent[:, 1:]], 1)
        mask = torch.zeros_like(latent[:, :1])
        mask[..., 6:-6, 6:-6] = 1
        return Swap(rgb, mask)


def _face(track: int = 0, x: float = 30.0, y: float = 24.0) -> Face:
    landmarks = (MEAN_FACE * 40 + [x, y]).astype(np.float32)
    return Face(np.array([x, y, x + 40, y + 44], np.float32), landmarks, 1.0, track)


def _frames(count: int) -> list[Frame]:
    rng = np.random.default_rng(3)
    return [
        Frame(i, Timestamp(i, BASE), np.clip(rng.normal(110, 6, (96, 110, 3)), 0, 255).astype(np.uint8))
        for i in range(count)
    ]


def _render(frames, faces_of_frames, config: SwapConfig):
    plan = plan_swap(zip(frames, faces_of_frames, strict=True), face=config.face)
    predictor = SwapPredictor(Tint(), CPU, batch=config.batch)
    swapped = drawn(aligned(frames, plan, predictor.spec), predictor, Cast("ann", "bob"), config)
    return list(pasted(steadied(swapped, config.temporal), config))


@pytest.mark.parametrize(
    "config", [SwapConfig(color=PLAIN), SwapConfig(color=PLAIN, blend=BlendConfig("poisson"), batch=3)]
)
def test_every_frame_comes_out_once_in_order_and_only_faces_change(config):
    frames = _frames(8)
    faces = [[] if i in (2, 5) else [_face(x=30 + i)] for i in range(8)]
    results = _render(frames, faces, config)
    assert [result.frame.index for result in results] == list(range(8))
    for result, frame, found in zip(results, frames, faces, strict=True):
        assert result.masks.any_changed == bool(found)
        assert np.array_equal(result.image[result.masks.alpha == 0], frame.image[result.masks.alpha == 0])
        assert (result.masks.alpha[result.masks.changed > 0] > 0).all()
        if not found:
            assert np.array_equal(result.image, frame.image)
            assert result.masks.alpha.max() == result.masks.region.max() == 0


def test_the_swapped_face_lies_where_the_face_was():
    frames = _frames(3)
    result = _render(frames, [[_face()]] * 3, SwapConfig(color=PLAIN))[1]
    redder = result.image[..., 0].astype(int) - frames[1].image[..., 0]
    nose = (MEAN_FACE[30] * 40 + [30, 24]).round().astype(int)
    assert redder[nose[1], nose[0]] > 100
    assert redder[4, 4] == 0
    rows, columns = np.nonzero(redder > 60)
    assert [columns.mean(), rows.mean()] == pytest.approx(MEAN_FACE.mean(0) * 40 + [30, 24], abs=6)


def test_colour_match_brings_the_face_back_to_the_targets_mean():
    frames = _frames(4)
    plain = _render(frames, [[_face()]] * 4, SwapConfig(color=PLAIN))[1]
    for color in ("mean-std", "histogram"):
        matched = _render(frames, [[_face()]] * 4, SwapConfig(color=ColorConfig(color)))[1]
        inside = matched.masks.alpha == 255
        before = frames[1].image[inside].mean(0)
        assert np.abs(matched.image[inside].mean(0) - before).max() < 4
        assert np.abs(plain.image[inside].mean(0) - before).max() > 80


def test_all_faces_or_one_of_them():
    frames = _frames(3)
    faces = [[_face(0, x=5, y=10), _face(1, x=62, y=30)]] * 3
    both = _render(frames, faces, SwapConfig(color=PLAIN, face="all"))[0]
    one = _render(frames, faces, SwapConfig(color=PLAIN, face="1"))[0]
    assert both.masks.alpha[30, 25] == both.masks.alpha[50, 82] == 255
    assert [one.masks.alpha[30, 25], one.masks.alpha[50, 82]] == [0, 255]


def test_frames_too_large_to_hold_many_of_go_in_smaller_batches(monkeypatch):
    monkeypatch.setattr("forge.render._HELD_BYTES", 3 * 96 * 110 * 3)
    assert len(_render(_frames(10), [[_face()]] * 10, SwapConfig(batch=8))) == 10


def _colored(index: int, offset: float | None, track: int = 0) -> Drawn:
    landmarks = _face().landmarks
    swapped = SwappedFace(np.zeros((8, 8, 3), np.float32), None, frame_to_crop(landmarks, px=8, framing="whole"))
    color = None if offset is None else ColorMap("rgb", np.eye(3), np.full(3, offset))
    face = DrawnFace(track, swapped, np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32), landmarks, color)
    return Drawn(Frame(index, Timestamp(index, BASE), np.zeros((8, 8, 3), np.uint8)), (face,))


def _steady(frames, seconds: float):
    return steadied(frames, TemporalConfig(color_seconds=seconds))


def _offsets(frames) -> list[float]:
    return [float(one.faces[0].color.offset[0]) for one in frames]


def test_colours_are_averaged_as_far_ahead_as_back():
    step = [_colored(i, float(i >= 10)) for i in range(20)]
    offsets = _offsets(_steady(step, 0.08))
    assert offsets[:6] == [0.0] * 6
    assert offsets[14:] == pytest.approx([1.0] * 6)
    assert offsets[9] == pytest.approx(1 - offsets[10])  # symmetric about the step: nothing lags
    assert 0.2 < offsets[9] < 0.5


def test_flicker_of_the_colour_goes_down():
    flicker = [_colored(i, float(i % 2)) for i in range(30)]
    assert np.ptp(_offsets(_steady(flicker, 0.12))[5:25]) < 0.05
    assert np.ptp(_offsets(_steady(flicker, 0.0))) == 1.0


def test_the_weights_are_the_gaussians_by_hand():
    offsets = _offsets(_steady([_colored(i, float(i == 1)) for i in range(3)], 0.04))
    near, far = np.exp(-0.5), np.exp(-2.0)
    assert offsets[1] == pytest.approx(1 / (1 + 2 * near))
    assert offsets[0] == pytest.approx(near / (1 + near + far))


def test_tracks_do_not_colour_each_other():
    mixed = [_colored(i, float(i % 2), track=i % 2) for i in range(10)]
    assert _offsets(_steady(mixed, 0.2)) == pytest.approx([float(i % 2) for i in range(10)])


def test_few_frames_are_held_at_a_time():
    read = 0

    def counted():
        nonlocal read
        for i in range(1000):
            read += 1
            yield _colored(i, 0.0)

    frames = _steady(counted(), 0.08)
    first = next(frames)
    assert first.frame.index == 0
    assert read <= 6


def test_maps_beyond_reach_do_not_count():
    near = [_colored(i, float(i)) for i in range(3)]
    apart = [replace(one, frame=replace(one.frame, time=Timestamp(50 * i, BASE))) for i, one in enumerate(near)]
    assert _offsets(_steady(apart, 0.1)) == [0.0, 1.0, 2.0]
