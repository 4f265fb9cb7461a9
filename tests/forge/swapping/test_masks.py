from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forge.swapping.blend import Patch, paste
from forge.swapping.masks import MASK_KINDS, FrameMasks, MaskWriter, changed_pixels, frame_masks, to_uint8
from shared.types import Timestamp, VideoInfo
from shared.video import VideoReader, read_mask_frames

INFO = VideoInfo(
    width=24,
    height=16,
    frame_rate=Fraction(25),
    time_base=Fraction(1, 25),
    frames_declared=None,
    frames_counted=None,
    duration_seconds=None,
    codec="h264",
    pixel_format="yuv420p",
    bit_depth=8,
    rotation=0,
    container="mp4",
    has_audio=False,
)


def _paths(folder: Path) -> dict[str, Path]:
    return {kind: folder / f"clip.{kind}.mkv" for kind in MASK_KINDS}


def _patch(bounds: tuple[int, int, int, int], alpha: float, region: float = 1.0, value: float = 200.0) -> Patch:
    height, width = bounds[3] - bounds[1], bounds[2] - bounds[0]
    return Patch(
        bounds,
        np.full((height, width, 3), value, np.float32),
        np.full((height, width), alpha, np.float32),
        np.full((height, width), region, np.float32),
    )


def test_changed_says_where_any_channel_differs_by_any_amount():
    before = np.zeros((4, 4, 3), np.uint8)
    after = before.copy()
    after[1, 2, 2], after[3, 0, 0] = 1, 255
    assert changed_pixels(before, after).tolist() == [[0] * 4, [0, 0, 255, 0], [0] * 4, [255, 0, 0, 0]]


def test_levels_are_rounded_but_a_trace_of_alpha_does_not_vanish():
    assert to_uint8(np.array([[0.0, 1e-6, 0.5, 0.999, 1.0]], np.float32)).tolist() == [[0, 1, 128, 255, 255]]


def test_masks_of_two_faces_lie_in_the_frame_and_unite():
    before = np.full((16, 24, 3), 100, np.uint8)
    patches = [_patch((2, 2, 8, 8), 0.5, 0.25), _patch((6, 6, 12, 12), 0.5, 0.75)]
    after = paste(paste(before, patches[0]), patches[1])
    masks = frame_masks(before, after, patches)
    assert masks.alpha.shape == (16, 24)
    assert [masks.alpha[3, 3], masks.alpha[10, 10], masks.alpha[7, 7], masks.alpha[0, 0]] == [128, 128, 191, 0]
    assert [masks.region[3, 3], masks.region[7, 7], masks.region[10, 10]] == [64, 191, 191]
    assert int((masks.changed > 0).sum()) == 36 + 36 - 4
    assert masks.any_changed


def test_a_change_outside_the_patches_counts_where_the_whole_frame_was_treated():
    before = np.full((16, 24, 3), 100, np.uint8)
    patch = _patch((2, 2, 8, 8), 0.5)
    after = paste(before, patch)
    after[15, 23] = 7
    masks = [frame_masks(before, after, [patch], whole=whole) for whole in (False, True)]
    assert [int((one.changed > 0).sum()) for one in masks] == [36, 37]
    assert np.array_equal(masks[0].alpha, masks[1].alpha)
    assert np.array_equal(masks[0].region, masks[1].region)


def test_a_paste_that_changes_no_byte_is_not_called_a_change():
    before = np.full((16, 24, 3), 200, np.uint8)
    patch = _patch((2, 2, 8, 8), 1.0, value=200.0)
    masks = frame_masks(before, paste(before, patch), [patch])
    assert masks.alpha.max() == 255
    assert not masks.any_changed


def test_every_changed_pixel_has_alpha(rng):
    before = rng.integers(0, 255, (16, 24, 3), dtype=np.uint8)
    alpha = (rng.random((16, 24)) ** 8).astype(np.float32)
    patch = Patch((0, 0, 24, 16), rng.uniform(0, 255, (16, 24, 3)).astype(np.float32), alpha, alpha)
    masks = frame_masks(before, paste(before, patch), [patch])
    assert (masks.alpha[masks.changed > 0] > 0).all()


def test_the_three_videos_give_back_every_value_and_time(tmp_path, rng):
    frames = [FrameMasks(*rng.integers(0, 256, (3, 16, 24), dtype=np.uint8)) for _ in range(4)]
    times = [Timestamp(pts, INFO.time_base) for pts in (0, 1, 3, 4)]
    with MaskWriter(_paths(tmp_path), INFO) as writer:
        for masks, time in zip(frames, times, strict=True):
            writer.write(masks, time)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"clip.{kind}.mkv" for kind in MASK_KINDS]
    for kind in MASK_KINDS:
        read = list(read_mask_frames(writer.paths[kind]))
        assert all(np.array_equal(a, getattr(b, kind)) for a, b in zip(read, frames, strict=True))
        with VideoReader(writer.paths[kind]) as reader:
            assert [time.exact_seconds for time in reader.times()] == [time.exact_seconds for time in times]


def test_a_failure_leaves_no_mask_behind(tmp_path):
    masks = FrameMasks(*np.zeros((3, 16, 24), np.uint8))

    def write_one_and_fail() -> None:
        with MaskWriter(_paths(tmp_path), INFO) as writer:
            writer.write(masks, Timestamp(0, INFO.time_base))
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_one_and_fail()
    assert list(tmp_path.iterdir()) == []
