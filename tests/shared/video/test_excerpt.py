from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from shared.errors import UsageError
from shared.types import Timestamp
from shared.video import VideoReader, audio_digest, frame_times
from shared.video.excerpt import ClipRange, Excerpt, ExcerptReader, excerpt_sound
from tests.factories import write_clip

TICKS = [3, 5, 7, 9, 11, 14, 16, 18]
BASE = Fraction(1, 50)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames from 0.06 to 0.36 s, unevenly spaced."""
    pictures = (np.full((16, 16, 3), 20 * index, np.uint8) for index in range(len(TICKS)))
    return write_clip(tmp_path_factory.mktemp("c") / "clip.mp4", pictures, ticks=TICKS, time_base=BASE, frame_rate=None)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("250-300", 250, 300),
        ("-300", None, 300),
        ("7-", 7, None),
        ("0-1", 0, 1),
        ("10s-12s", Fraction(10), Fraction(12)),
        ("0.5s-", Fraction(1, 2), None),
        ("1:02-1:10", Fraction(62), Fraction(70)),
        ("1:02-70.5s", Fraction(62), Fraction(141, 2)),
        ("0:59:59.25-1:00:00", Fraction(3599) + Fraction(1, 4), Fraction(3600)),
        (" 3 - 4 ", 3, 4),
    ],
)
def test_a_range_is_of_frames_or_of_times(text, start, stop):
    found = ClipRange.parse(text)
    assert (found.start, found.stop, found.in_frames) == (start, stop, isinstance(start or stop, int))


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "10", "10s", "a-b", "1-2-3", "--5", "-5-10", "5s-9", "1:75-2:00", "1:99:00-", "300-250", "7-7", "-0",
        "-0s", "1e3-", "nan-", "inf-", "0x10-", "٣-٤", "1s-999999999999999s", "9" * 40 + "-", "1-" + "2" * 1000,
        "10s\n-\x1b[2J",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_sentence(text):
    with pytest.raises(UsageError, match="range") as caught:
        ClipRange.parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("2-5", (2, 5)),
        ("-3", (0, 3)),
        ("6-", (6, 8)),
        ("6-99", (6, 8)),
        ("0.1s-0.2s", (1, 4)),
        ("0.19s-0.24s", (4, 5)),
        ("-0.10s", (0, 1)),
        ("0.35s-9s", (7, 8)),
    ],
)
def test_the_frames_of_a_range_begin_in_it(clip, text, frames):
    found = Excerpt.of(clip, ClipRange.parse(text))
    assert (found.start, found.stop) == frames
    assert found.text == f"{frames[0]}-{frames[1]}"


@pytest.mark.parametrize("text", ["8-", "50-60", "0.37s-", "1:00-2:00", "0.23s-0.25s", "-0.01s"])
def test_a_range_without_a_frame_is_refused(clip, text):
    with pytest.raises(UsageError, match="has no frame in") as caught:
        Excerpt.of(clip, ClipRange.parse(text))
    assert str(clip) in str(caught.value)


def test_an_excerpt_reads_as_a_clip_of_its_own(clip):
    with VideoReader(clip) as whole, ExcerptReader(clip, Excerpt.of(clip, ClipRange.parse("3-6"))) as reader:
        expected = list(whole)[3:6]
        for _again in range(2):
            frames = list(reader)
            assert [frame.index for frame in frames] == [0, 1, 2]
            assert [frame.time for frame in frames] == [
                Timestamp(time.pts - expected[0].time.pts, time.time_base) for time in (one.time for one in expected)
            ]
            assert all((one.image == other.image).all() for one, other in zip(frames, expected, strict=True))
        assert reader.info.frames_declared == 3


def test_an_excerpt_from_the_begin_keeps_its_times_and_sound(clip):
    excerpt = Excerpt.of(clip, ClipRange.parse("-3"))
    with ExcerptReader(clip, excerpt) as reader:
        assert [frame.time for frame in reader] == frame_times(clip)[:3]
    with excerpt_sound(clip, excerpt) as sound:
        assert sound is None
    assert audio_digest(clip) is None


def test_chosen_pictures_are_counted_not_timed(tmp_path):
    assert ClipRange.parse("2-99").pictures(5, "folder") == slice(2, 5)
    assert ClipRange.parse("-2").pictures(5, "folder") == slice(0, 2)
    with pytest.raises(UsageError, match="5 pictures"):
        ClipRange.parse("5-").pictures(5, "folder")
    with pytest.raises(UsageError, match="no times"):
        ClipRange.parse("0s-1s").pictures(5, "folder")


def test_picked_frames_come_in_order(clip):
    with VideoReader(clip) as reader:
        assert [frame.index for frame in reader.picked({6, 0, 3, 40})] == [0, 3, 6]
        assert list(reader.picked(())) == []
