"""Frames at exact times, upright, in the declared colours; damage counted; hostile files refused."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from shared.errors import MediaError
from shared.video import Encoding, VideoLimits, VideoReader, frame_times, probe, read_mask_frames
from shared.video.clock import FrameClock

RATE_2997 = Fraction(30_000, 1_001)


def test_frames_come_in_order_with_their_times(make_clip, picture):
    ticks = [0, 1, 3, 4, 9, 10]
    with VideoReader(make_clip(ticks=ticks)) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.time.exact_seconds for frame in frames] == [Fraction(tick, 25) for tick in ticks]
    for frame in frames:
        wanted = picture(frame.index).astype(int)
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.flags["C_CONTIGUOUS"]
        assert frame.image.flags["WRITEABLE"]
        assert np.abs(frame.image - wanted).mean() < 4
        assert np.abs(frame.image - picture(frame.index + 1).astype(int)).mean() > 4


@pytest.mark.parametrize(
    ("start", "stop", "step"), [(0, None, 1), (3, None, 1), (0, 5, 1), (2, 11, 4), (5, 5, 1), (9, 99, 2), (40, None, 1)]
)
def test_a_selection_is_the_same_slice_of_all(make_clip, start, stop, step):
    with VideoReader(make_clip()) as reader:
        everything = list(reader)
        some = list(reader.frames(start=start, stop=stop, step=step))
        if some:
            assert reader.frames_decoded == min(12, stop or 12)
    assert [frame.index for frame in some] == list(range(12))[start:stop:step]
    for frame in some:
        np.testing.assert_array_equal(frame.image, everything[frame.index].image)
        assert frame.time == everything[frame.index].time


def test_a_selection_must_make_sense(make_clip):
    with VideoReader(make_clip()) as reader:
        for wrong in ({"start": -1}, {"step": 0}):
            with pytest.raises(ValueError, match="start >= 0"):
                reader.frames(**wrong)


def test_two_passes_side_by_side_do_not_disturb_each_other(make_clip):
    with VideoReader(make_clip()) as reader:
        pairs = list(zip(reader, reader, strict=True))
    assert len(pairs) == 12
    for one, other in pairs:
        assert one.time == other.time
        np.testing.assert_array_equal(one.image, other.image)


def test_a_closed_reader_ends_its_passes(make_clip):
    reader = VideoReader(make_clip())
    frames = iter(reader)
    next(frames)
    reader.close()
    assert list(frames) == []


def test_facts(make_clip):
    path = make_clip(ticks=range(0, 12 * 1_001, 1_001), time_base=Fraction(1, 30_000), frame_rate=RATE_2997)
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (64, 48, 0)
    assert (info.codec, info.pixel_format, info.bit_depth) == ("h264", "yuv420p", 8)
    assert (info.frame_rate, info.time_base) == (RATE_2997, Fraction(1, 30_000))
    assert (info.frames_declared, info.frames_counted) == (12, None)
    assert (info.has_audio, info.audio_codec, info.pixel_aspect) == (False, None, 1)
    assert info.duration_seconds == pytest.approx(12 * 1_001 / 30_000)
    assert probe(path, count=True).frames_counted == 12


def test_frame_times_are_those_of_the_frames(make_clip):
    path = make_clip(ticks=[5, 6, 8, 20])
    with VideoReader(path) as reader:
        assert frame_times(path) == [frame.time for frame in reader]


def turn(path, a, b, c, d):
    """Writes a display matrix into the track header: the 36 bytes that read unity in a file without one."""
    unity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    data = path.read_bytes()
    track = data.index(unity, data.index(b"tkhd"))
    turned = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:track] + turned + data[track + 36 :])


@pytest.mark.parametrize(
    ("matrix", "degrees", "quarter_turns_counterclockwise"),
    [((0, 1, -1, 0), 90, 3), ((-1, 0, 0, -1), 180, 2), ((0, -1, 1, 0), 270, 1)],
)
def test_rotated_clips_come_out_upright(make_clip, matrix, degrees, quarter_turns_counterclockwise):
    path = make_clip()
    with VideoReader(path) as reader:
        lying = next(iter(reader)).image
    turn(path, *matrix)
    with VideoReader(path) as reader:
        upright = next(iter(reader)).image
    np.testing.assert_array_equal(upright, np.rot90(lying, quarter_turns_counterclockwise))
    assert (reader.info.height, reader.info.width) == upright.shape[:2]
    assert reader.info.rotation == degrees
    assert next(read_mask_frames(path)).shape == upright.shape[:2]


def write_plain(path, planes, *, codec="ffv1", colorspace=2, color_range=1, format_name="yuv444p", frames=1):
    """A clip of one flat colour given by its samples, with the given tags."""
    height, width = 48, 64
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, width=width, height=height)
        context = stream.codec_context
        context.pix_fmt, context.colorspace, context.color_range = format_name, colorspace, color_range
        for index in range(frames):
            samples = np.stack([np.full((height, width), plane, np.uint8) for plane in planes])
            frame = av.VideoFrame.from_ndarray(samples, format=format_name)
            frame.pts = index
            frame.colorspace, frame.color_range = colorspace, color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# Worked by hand. Studio range: Y' = (130 - 16) / 219, Cb = (90 - 128) / 224, Cr = (180 - 128) / 224;
# BT.601: R = Y' + 1.402 Cr, G = Y' - 0.344136 Cb - 0.714136 Cr, B = Y' + 1.772 Cb;
# BT.709: R = Y' + 1.5748 Cr, G = Y' - 0.187324 Cb - 0.468124 Cr, B = Y' + 1.8556 Cb; all times 255.
# Full range: the same with Y' = 130 / 255 and (90 - 128) / 255, (180 - 128) / 255.
@pytest.mark.parametrize(
    ("colorspace", "color_range", "expected"),
    [
        (6, 1, (215.7, 105.4, 56.1)),
        (5, 1, (215.7, 105.4, 56.1)),
        (1, 1, (226.0, 113.1, 52.5)),
        (2, 1, (215.7, 105.4, 56.1)),
        (6, 2, (202.9, 105.9, 62.7)),
        (1, 2, (211.9, 112.8, 59.5)),
    ],
    ids=["601", "601-pal", "709", "untagged-small-is-601", "601-full", "709-full"],
)
def test_colours_follow_the_declared_matrix_and_range(tmp_path, colorspace, color_range, expected):
    path = write_plain(tmp_path / "flat.mkv", (130, 90, 180), colorspace=colorspace, color_range=color_range)
    with VideoReader(path) as reader:
        image = next(iter(reader)).image
    assert np.abs(image.reshape(-1, 3) - np.array(expected)).max() <= 1.0


def test_an_unknown_matrix_is_refused_rather_than_guessed(tmp_path):
    path = write_plain(tmp_path / "flat.mkv", (130, 90, 180), colorspace=11)
    with VideoReader(path) as reader, pytest.raises(MediaError, match="colour matrix"):
        next(iter(reader))


def test_ten_bits_are_read_as_eight_without_a_shift(make_clip, picture):
    path = make_clip(encoding=Encoding(crf=1, pixel_format="yuv420p10le", preset="ultrafast"))
    with VideoReader(path) as reader:
        assert reader.info.bit_depth == 10
        shifts = [(frame.image - picture(frame.index).astype(float)).mean() for frame in reader]
    assert np.abs(shifts).max() < 0.3


def test_missing_times_follow_the_rate_and_are_counted(tmp_path, picture):
    path = tmp_path / "raw.h264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        times = [time.exact_seconds for time in reader.times()]
    assert times == [Fraction(index, 25) for index in range(5)]
    assert reader.times_repaired == 5


@pytest.mark.parametrize(
    ("stated", "given", "repaired"),
    [
        ([0, 40, 80], [0, 40, 80], 0),
        ([7, None, None, 127], [7, 47, 87, 127], 2),
        ([0, 40, 40, 120], [0, 40, 80, 120], 1),
        ([0, 40, 20, 30, 160], [0, 40, 80, 120, 160], 2),
        ([None, None, 80], [0, 40, 80], 2),
        ([-80, -40, 0], [-80, -40, 0], 0),
    ],
)
def test_times_always_increase(stated, given, repaired):
    clock = FrameClock(Fraction(1, 1_000), Fraction(25))
    assert [clock.stamp(pts).pts for pts in stated] == given
    assert clock.repaired == repaired


def test_expected_times_do_not_add_up_rounding():
    clock = FrameClock(Fraction(1, 1_000), RATE_2997)
    assert [clock.stamp(None).pts for _ in range(301)][-1] == round(300 * 1_001 / 30)


def test_a_truncated_clip_shows_declared_and_counted(make_clip):
    path = make_clip(ticks=range(60))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    info = probe(path, count=True)
    assert info.frames_declared == 60
    assert info.frames_counted is not None
    assert 0 < info.frames_counted < 60


def packet_spans(path):
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("damaged", [[-1], [-2], [-5, -4, -3], [20, -3]])
def test_damage_is_counted_and_costs_no_other_frame(make_clip, damaged):
    # Intra-coded, so that each packet is one frame and nothing else depends on it.
    path = make_clip("clip.mov", ticks=range(40), encoding=Encoding("mjpeg", 5))
    spans = packet_spans(path)
    data = bytearray(path.read_bytes())
    for index in damaged:
        pos, size = spans[index]
        data[pos : pos + size] = bytes(size)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        times = [time.exact_seconds * 25 for time in reader.times()]
    lost = {index % 40 for index in damaged}
    assert times == [index for index in range(40) if index not in lost]
    assert reader.decode_failures == len(damaged)
    assert reader.first_failure == f"video mjpeg near {min(lost) / 25:.3f} s: Invalid data found when processing input"


def test_damage_hidden_by_parallel_decoding_is_found(make_clip):
    path = make_clip(ticks=range(40))
    spans = packet_spans(path)
    data = bytearray(path.read_bytes())
    for pos, size in (spans[-4], spans[-2]):
        data[pos : pos + size] = bytes(size)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        assert len(list(reader.times())) == 38
        assert reader.decode_failures == 2
        assert len(list(reader)) == 38


def test_the_counters_belong_to_the_latest_pass(make_clip):
    path = make_clip("clip.mov", encoding=Encoding("mjpeg", 5))
    data = bytearray(path.read_bytes())
    pos, size = packet_spans(path)[6]
    data[pos : pos + size] = bytes(size)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        for _ in range(2):
            assert len(list(reader)) == 11
            assert reader.decode_failures == 1


def test_a_clip_that_changes_size_is_fitted_into_the_first_size_and_says_so(tmp_path):
    parts = []
    for width in (64, 96):
        path = tmp_path / f"{width}.h264"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, width=width, height=48)
            for index in range(4):
                frame = av.VideoFrame.from_ndarray(np.full((48, width, 3), 200, np.uint8), format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append(path.read_bytes())
    both = tmp_path / "both.h264"
    both.write_bytes(b"".join(parts))
    with VideoReader(both) as reader:
        images = [frame.image for frame in reader]
        assert reader.size_changes == [(4, 96, 48)]
    assert {image.shape for image in images} == {(48, 64, 3)}
    assert len(images) == 8
    # 96x48 in 64x48: 64x32 in the middle, black above and below.
    assert images[-1][:8].max() == 0
    assert images[-1][40:].max() == 0
    assert images[-1][10:38].min() > 190
    assert probe(both, count=True).size_changes == ((4, 96, 48),)


def test_too_many_frames_are_refused(make_clip):
    with (
        VideoReader(make_clip(), limits=VideoLimits(max_frames=5)) as reader,
        pytest.raises(MediaError, match="more than 5 frames"),
    ):
        list(reader)


def test_a_file_that_unpacks_to_more_pixels_than_its_size_explains_is_refused(make_clip):
    path = make_clip()
    few = VideoLimits(free_pixels=5 * 64 * 48, pixels_per_byte=0)
    with VideoReader(path, limits=few) as reader, pytest.raises(MediaError, match="after 5 frames of 64x48"):
        list(reader)
    enough = VideoLimits(free_pixels=0, pixels_per_byte=1 + 12 * 64 * 48 // path.stat().st_size)
    with VideoReader(path, limits=enough) as reader:
        assert len(list(reader)) == 12


def test_a_size_outside_the_limits_is_refused(make_clip):
    path = make_clip()
    for limits in (VideoLimits(max_side_px=63), VideoLimits(max_pixels=3_000), VideoLimits(min_side_px=49)):
        with pytest.raises(MediaError, match="64x48"):
            VideoReader(path, limits=limits)


def test_a_video_of_one_pixel_is_refused(make_clip):
    path = make_clip(size=(1, 1))
    with pytest.raises(MediaError, match="1x1"):
        probe(path)


def test_declared_giants_are_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "giant.y4m"
    path.write_bytes(b"YUV4MPEG2 W16000 H16000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(1_000))
    with pytest.raises(MediaError, match="16000x16000"):
        probe(path)


def test_a_video_without_one_frame_is_refused(make_clip):
    path = make_clip()
    data = bytearray(path.read_bytes())
    for pos, size in packet_spans(path):
        data[pos : pos + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="not one frame") as caught:
        probe(path)
    assert caught.value.hint


def test_an_empty_container_is_refused(tmp_path):
    path = tmp_path / "hollow.mp4"
    with av.open(str(path), "w") as container:
        container.add_stream("libx264", rate=25, width=64, height=48)
        container.start_encoding()
    with pytest.raises(MediaError):
        probe(path)


def test_sound_alone_is_refused(make_sound):
    with pytest.raises(MediaError, match="sound but no picture") as caught:
        probe(make_sound())
    assert caught.value.hint


@pytest.mark.parametrize("kept", [20, 300, 900])
def test_a_cut_off_index_is_refused(make_clip, kept):
    path = make_clip()
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.hint
