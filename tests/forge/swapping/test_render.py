from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from forge.models.contract import Swap, Swapper, SwapSpec
from forge.models.predictor import SwapPredictor
from forge.swapping.color import ColorMap
from forge.swapping.config import BlendConfig, ColorConfig, DegradeConfig, MaskConfig, SwapConfig, TemporalConfig
from forge.swapping.flicker import FlickerMeter
from forge.swapping.masks import frame_masks
from forge.swapping.plan import plan_swap
from forge.swapping.render import OpenedSwap, composited_frames
from forge.swapping.stages import CompositedFrame, DecodedFace, SwappedFrame
from forge.swapping.temporal import stabilize_color
from shared.device import Device
from shared.errors import UsageError
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
    return list(composited_frames(frames, plan, _swap(config)))


def _swap(config: SwapConfig) -> OpenedSwap:
    return OpenedSwap.of(SwapPredictor(Tint(), CPU, batch=config.batch), config, "ann", "bob")


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


def test_frames_read_ahead_in_a_thread_are_the_same():
    frames, config = _frames(9), SwapConfig(batch=2)
    plan = plan_swap((frame, [_face(x=30 + frame.index)]) for frame in frames)
    plain, threaded = (list(composited_frames(frames, plan, _swap(config), depth=depth)) for depth in (0, 3))
    assert [one.frame.index for one in threaded] == list(range(9))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(plain, threaded, strict=True))


def test_a_reader_that_stops_early_ends_the_thread():
    frames = _frames(40)  # more than the stages hold, so that aligning has not ended
    plan = plan_swap((frame, [_face()]) for frame in frames)
    results = composited_frames(frames, plan, _swap(SwapConfig(batch=1)), depth=1)
    next(results)
    assert "assay-align" in {thread.name for thread in threading.enumerate()}
    results.close()
    assert "assay-align" not in {thread.name for thread in threading.enumerate()}


def test_who_the_swapper_does_not_know_is_not_drawn_and_a_morph_it_cannot_is_refused():
    predictor = SwapPredictor(Tint(), CPU)
    assert OpenedSwap.of(predictor, SwapConfig(), "ann", "bob").target == "bob"
    assert OpenedSwap.of(predictor, SwapConfig(), "ann", "dora").target is None
    with pytest.raises(UsageError, match="tint cannot morph"):
        OpenedSwap.of(predictor, SwapConfig(morph=0.5), "ann", "bob")


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
    monkeypatch.setattr("forge.swapping.render._HELD_BYTES", 3 * 96 * 110 * 3)
    assert len(_render(_frames(10), [[_face()]] * 10, SwapConfig(batch=8))) == 10


def _colored(index: int, offset: float | None, track: int = 0) -> SwappedFrame:
    landmarks = _face().landmarks
    swapped = SwappedFace(np.zeros((8, 8, 3), np.float32), None, frame_to_crop(landmarks, px=8, framing="whole"))
    color = None if offset is None else ColorMap("rgb", np.eye(3), np.full(3, offset))
    face = DecodedFace(track, swapped, np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32), landmarks, color)
    return SwappedFrame(Frame(index, Timestamp(index, BASE), np.zeros((8, 8, 3), np.uint8)), (face,))


def _steady(frames, seconds: float):
    return stabilize_color(frames, TemporalConfig(color_seconds=seconds))


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


WORSE = {"denoise": 2, "resample": 3.0, "color_steps": 8, "noise": 5.0}


@pytest.mark.parametrize(("name", "value"), WORSE.items())
def test_a_degraded_face_changes_the_face_alone(name, value):
    frames, faces = _frames(3), [[_face()], [], [_face()]]
    config = SwapConfig(color=PLAIN, degrade=DegradeConfig(**{name: value}))
    plain = _render(frames, faces, SwapConfig(color=PLAIN))[0]
    result = _render(frames, faces, config)[0]
    assert not np.array_equal(result.image, plain.image)
    outside = result.masks.alpha == 0
    assert np.array_equal(result.image[outside], frames[0].image[outside])
    assert (result.masks.alpha[result.masks.changed > 0] > 0).all()


def test_a_degraded_frame_is_marked_as_changed_wherever_it_is_and_others_stay():
    frames, faces = _frames(3), [[_face()], [], [_face()]]
    config = SwapConfig(color=PLAIN, degrade=DegradeConfig(noise=12.0, to="frame"))
    first, empty, last = _render(frames, faces, config)
    assert (first.masks.changed > 0).mean() > 0.99
    differs = (first.image != frames[0].image).any(axis=2)
    assert np.array_equal(first.masks.changed > 0, differs)
    assert (first.masks.alpha > 0).mean() < 0.5  # what the compositor used stays what it was
    assert np.array_equal(empty.image, frames[1].image)
    assert not empty.masks.any_changed
    noise = [one.image.astype(int) - frame.image for one, frame in ((first, frames[0]), (last, frames[2]))]
    assert not np.array_equal(noise[0][:8], noise[1][:8])  # other noise in every frame
    assert np.array_equal(first.image, _render(frames, faces, config)[0].image)  # and the same again


def test_motion_blur_follows_the_face():
    frames = _frames(5)
    moving = [[_face(x=20 + 8 * i)] for i in range(5)]
    config = SwapConfig(color=PLAIN, mask=MaskConfig("full"), temporal=TemporalConfig(landmarks="none"))
    blurred = replace(config, blend=BlendConfig(motion_blur=1.0))
    sharp, smeared = (_render(frames, moving, one)[2] for one in (config, blurred))
    inside = np.s_[40:56, 44:68]
    across, down = (
        np.diff(smeared.image[inside].astype(float), axis=axis).std()
        / np.diff(sharp.image[inside].astype(float), axis=axis).std()
        for axis in (1, 0)
    )
    assert across < 0.5
    assert down > across
    still = [[_face()]] * 5
    assert np.array_equal(_render(frames, still, config)[2].image, _render(frames, still, blurred)[2].image)


def test_the_targets_decoder_gives_its_mask():
    frames, faces = _frames(1), [[_face()]]
    masks = {
        kind: _render(frames, faces, SwapConfig(color=PLAIN, mask=MaskConfig(kind)))[0].masks.region
        for kind in ("learned-source", "learned-target", "learned-product", "learned-sum")
    }
    # The stand-in draws the same mask for everybody, of zeros and ones.
    assert masks["learned-source"].max() == 255
    for kind, mask in masks.items():
        assert np.array_equal(mask, masks["learned-source"]), kind


def test_a_larger_face_covers_more():
    frames, faces = _frames(1), [[_face()]]
    sizes = [
        (_render(frames, faces, SwapConfig(color=PLAIN, blend=BlendConfig(scale=scale)))[0].masks.alpha > 0).sum()
        for scale in (0.8, 1.0, 1.2)
    ]
    assert sizes[0] / sizes[1] == pytest.approx(0.64, abs=0.05)
    assert sizes[2] / sizes[1] == pytest.approx(1.44, abs=0.1)


def test_flicker_of_an_untouched_face_is_the_targets_own():
    meter = FlickerMeter()
    for frame in _frames(6):
        rendered = CompositedFrame(frame, frame.image, frame_masks(frame.image, frame.image, []), _pasted_face())
        meter.take(rendered)
    found = meter.result()
    assert found is not None
    assert (found.frames, found.ratio) == (4, 1.0)
    assert FlickerMeter().result() is None


def test_flicker_counts_grey_levels():
    meter = FlickerMeter()
    for frame in _frames(7):
        still = np.full_like(frame.image, 100)
        jumping = np.full_like(frame.image, 100 + 10 * (frame.index % 2))
        frame = replace(frame, image=still)
        meter.take(CompositedFrame(frame, jumping, frame_masks(still, jumping, []), _pasted_face()))
    found = meter.result()
    assert found is not None
    assert found.fake == pytest.approx(10, abs=0.05)  # each frame is ten levels from the mean of its neighbours
    assert found.target == pytest.approx(0, abs=1e-3)


def _pasted_face() -> tuple[DecodedFace, ...]:
    return _colored(0, None).faces
