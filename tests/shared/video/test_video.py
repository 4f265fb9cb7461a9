"""Real clips: counts, times and sound as in a player, and nothing lost in re-encoding."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from shared.errors import MediaError
from shared.video import Encoding, VideoReader, audio_digest, container_for, frame_times, probe, reencode

pytestmark = pytest.mark.needs_media

QUICK = Encoding(preset="ultrafast")
FILM = Fraction(24_000, 1_001)


@pytest.mark.parametrize(
    ("name", "size", "codec", "rate", "frames"),
    [
        ("video_portrait/lp_d9.mp4", (512, 512), "h264", 30, 587),
        ("video_portrait/lp_d13.mp4", (720, 1_280), "h264", 30, 352),
        ("video_portrait/lp_d18.mp4", (480, 480), "h264", 30, 216),
        ("video_more/pyfeat_WolfgangLanger_Pexels.mp4", (640, 360), "h264", FILM, 472),
        ("video_avatar/latentsync_demo1.mp4", (1_080, 1_920), "hevc", 25, 250),
    ],
)
def test_counts_and_times(media, name, size, codec, rate, frames):
    info = probe(media / name)
    assert (info.width, info.height, info.codec, info.frame_rate, info.rotation) == (*size, codec, rate, 0)
    with VideoReader(media / name) as reader:
        times = list(reader.times())
    assert len(times) == info.frames_declared == frames
    assert [time.exact_seconds for time in times] == [index / Fraction(rate) for index in range(frames)]
    assert (reader.decode_failures, reader.times_repaired) == (0, 0)


def test_grid_clips_state_no_count_but_have_one(media):
    clips = sorted((media / "video_grid").glob("*.mpg"))
    assert len(clips) == 11
    for clip in clips:
        info = probe(clip, count=True)
        assert (info.codec, info.width, info.height, info.frame_rate) == ("mpeg1video", 360, 288, 25)
        assert (info.frames_declared, info.frames_counted, info.audio_codec) == (None, 75, "mp2")
        assert [time.exact_seconds for time in frame_times(clip)] == [Fraction(index, 25) for index in range(75)]


@pytest.mark.parametrize(
    "name",
    [
        "video_grid/bbaf2n.mpg",
        "video_portrait/lp_d18.mp4",
        "video_more/opendbm_subj01_timepoint01.mp4",
        "video_public_domain/obama_whitehouse_512x388.mp4",
    ],
)
def test_a_clip_goes_through_with_times_and_sound_untouched(media, tmp_path, name):
    clip, copy = media / name, tmp_path / "copy.mp4"
    assert container_for(clip) == ".mp4"
    reencode(clip, copy, QUICK)
    assert [time.exact_seconds for time in frame_times(copy)] == [time.exact_seconds for time in frame_times(clip)]
    assert audio_digest(copy) == audio_digest(clip)
    before, after = probe(clip), probe(copy)
    assert (after.width, after.height, after.pixel_aspect) == (before.width, before.height, before.pixel_aspect)
    assert after.frames_declared == len(frame_times(clip))


def test_a_clip_goes_through_with_its_colours(media, tmp_path):
    clip, copy = media / "video_grid" / "bbaf2n.mpg", tmp_path / "copy.mp4"
    reencode(clip, copy, Encoding(crf=12, preset="veryfast"))
    with VideoReader(clip) as one, VideoReader(copy) as other:
        errors = [b.image.astype(float) - a.image for a, b in zip(one, other, strict=True)]
    assert np.abs(np.mean(errors, axis=(0, 1, 2))).max() < 0.3
    assert np.mean(np.square(errors)) < 8


def test_frames_of_a_clip_differ_but_little_from_one_to_the_next(media):
    with VideoReader(media / "video_portrait" / "lp_d18.mp4") as reader:
        images = [frame.image.astype(float) for frame in reader.frames(stop=60, step=3)]
    steps = [np.abs(after - before).mean() for before, after in pairwise(images)]
    assert max(steps) < 12
    assert min(steps) > 0


def test_a_truncated_grid_clip_is_read_as_far_as_it_goes(media, tmp_path):
    clip = tmp_path / "cut.mpg"
    clip.write_bytes((media / "video_grid" / "bbaf2n.mpg").read_bytes()[:200_001])
    info = probe(clip, count=True)
    assert info.frames_counted is not None
    assert 30 <= info.frames_counted < 75


def test_portraits_without_fast_start_are_refused_when_cut(media, tmp_path):
    clip = tmp_path / "cut.mp4"
    clip.write_bytes((media / "video_portrait" / "lp_d9.mp4").read_bytes()[:1_000_000])
    with pytest.raises(MediaError, match="cut off"):
        probe(clip)
