"""Kinds of files that go wrong in real use, made on the spot: clocks, interlacing, high dynamic range, gray, tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorRange

from shared.video import Encoding, VideoReader, audio_digest, container_for, frame_times, probe, reading_notes, reencode
from shared.video.facts import _dynamic_hdr
from shared.video.tone import SdrConverter

QUICK = Encoding(preset="ultrafast")
WIDTH, HEIGHT, FRAMES, RATE = 64, 48, 10, 25


def plain(index: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 40 + 10 * index, np.uint8)


def write(
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    start: int = 0,
    sound: bool = False,
    picture: Callable[[int], np.ndarray] = plain,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    change: Callable[[av.VideoFrame], None] = lambda frame: None,
    prepare: Callable[[av.VideoCodecContext], None] = lambda context: None,
) -> Path:
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=RATE, width=WIDTH, height=HEIGHT, options=options or {})
        stream.codec_context.pix_fmt = pixel_format
        prepare(stream.codec_context)
        tone = container.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24").reformat(format=pixel_format)
            change(frame)
            frame.pts, frame.time_base = start * RATE + index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            samples = (8000 * np.sin(np.arange(6_400) * 0.1)).astype(np.float32)[None] / 32768
            heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 16_000, start * 16_000, Fraction(1, 16_000)
            container.mux(tone.encode(heard))
            container.mux(tone.encode(None))
    return path


def sound_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [packet.dts * packet.time_base for packet in container.demux(audio=0) if packet.size]


def test_a_clock_that_restarts_goes_on_for_pictures_and_sound(tmp_path):
    parts = [write(tmp_path / f"{number}.ts", sound=True, start=7 * number) for number in (0, 1, 0)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(joined, count=True)
    assert info.frames_counted == 3 * FRAMES
    assert len(info.clock_restarts) == 1
    out = tmp_path / "out.mp4"
    assert reencode(joined, out, QUICK) == 3 * FRAMES
    times = [time.exact_seconds for time in frame_times(out)]
    assert all(a < b for a, b in pairwise(times))
    assert all(a < b for a, b in pairwise(sound_times(out)))
    assert audio_digest(out) == audio_digest(joined)


@pytest.mark.parametrize("name", ["late.ts", "late.mkv", "late.mp4"])
def test_an_absolute_clock_is_no_delay(tmp_path, name):
    late = write(tmp_path / name, sound=True, start=36_000)
    info = probe(late)
    assert float(info.clock_origin) == pytest.approx(36_000, abs=3)
    out = tmp_path / "out.mp4"
    reencode(late, out, QUICK)
    assert 0 <= frame_times(out)[0].exact_seconds < 0.2
    assert -0.1 < sound_times(out)[0] < 0.2


def test_a_delay_of_one_stream_is_kept(make_clip, make_sound):
    clip = make_clip(ticks=range(20, 32), audio_from=make_sound())
    assert frame_times(clip)[0].exact_seconds == Fraction(20, 25)


def test_interlaced_pictures_are_made_whole(tmp_path):
    def woven(index: int) -> np.ndarray:
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for field in (0, 1):
            left = 4 * index + 4 * field
            picture[field::2, left : left + 16] = 255
        return picture

    path = write(
        tmp_path / "fields.mp4", picture=woven, options={"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "5"}
    )
    assert probe(path).field_order == "top field first"
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == FRAMES
    assert [frame.time for frame in frames] == frame_times(path)
    lines = frames[4].image[8:40, :, 1].astype(int)
    assert (
        np.abs(np.diff(lines, axis=0)).mean() < 0.4 * np.abs(np.diff(woven(4)[8:40, :, 1].astype(int), axis=0)).mean()
    )
    assert reading_notes(reader.info) == {"source_scan": "top field first, deinterlaced"}


def test_pq_white_at_203_nits_is_white_and_its_dark_is_dark():
    convert = SdrConverter(16, 9, 1000.0).convert
    levels = {
        name: np.full((1, 1, 3), value * 65535, np.uint16)
        for name, value in {"black": 0, "white": 0.58, "peak": 0.7518}.items()
    }
    assert convert(levels["black"]).max() == 0
    assert 215 < convert(levels["white"]).min() < 245
    assert convert(levels["peak"]).min() >= 254
    steps = np.linspace(0, 0.7518 * 65535, 256).astype(np.uint16)
    assert (np.diff(convert(np.repeat(steps[None, :, None], 3, 2))[0, :, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize(("transfer", "name"), [(16, "smpte2084"), (18, "arib-std-b67")])
def test_high_dynamic_range_is_tone_mapped_and_said(tmp_path, transfer, name):
    def tag(context: av.VideoCodecContext) -> None:
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9

    path = write(tmp_path / "hdr.mkv", codec="ffv1", pixel_format="yuv420p10le", prepare=tag)
    info = probe(path)
    assert (info.transfer, info.primaries) == (name, "bt2020")
    assert name in reading_notes(info)["source_transfer"]
    with VideoReader(path) as reader:
        image = next(iter(reader)).image
    assert abs(int(image[24, 32, 0]) - 40) >= 4


@pytest.mark.parametrize(("tag", "value"), [(ColorRange.JPEG, 126), (ColorRange.MPEG, 128)])
def test_gray_is_read_by_its_tag(tmp_path, tag, value):
    def prepare(context: av.VideoCodecContext) -> None:
        context.color_range = tag

    def change(frame: av.VideoFrame) -> None:
        frame.color_range = tag
        plane = np.full((frame.planes[0].height, frame.planes[0].line_size), 126, np.uint8)
        frame.planes[0].update(plane.tobytes())

    path = write(tmp_path / "gray.mkv", codec="ffv1", pixel_format="gray", prepare=prepare, change=change)
    with VideoReader(path) as reader:
        assert next(iter(reader)).image[0, 0].tolist() == [value] * 3
        assert int(next(reader.gray_frames())[0, 0]) == value


def test_the_default_track_is_taken_and_the_other_named(tmp_path, make_sound):
    path = tmp_path / "two.mkv"
    sources = [make_sound("a.m4a"), make_sound("b.m4a", rate=48_000)]
    video = write(tmp_path / "pictures.mp4")
    with av.open(str(path), "w") as out:
        inputs = [av.open(str(one)) for one in (video, *sources)]
        streams = [one.streams[0] for one in inputs]
        targets = [out.add_stream_from_template(stream) for stream in streams]
        targets[1].disposition, targets[2].disposition = Disposition(0), Disposition.default
        targets[1].metadata.update({"language": "fra", "title": "commentary"})
        for stream, target in zip(streams, targets, strict=True):
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = target
                    out.mux_one(packet)
        for one in inputs:
            one.close()
    assert audio_digest(path) == audio_digest(sources[1])
    assert reading_notes(probe(path)) == {"source_streams_left_out": "left out: audio aac (fra, commentary)"}


def test_a_name_says_nothing_of_the_content(tmp_path, make_sound, make_clip):
    clip = make_clip("clip.mkv", audio_from=make_sound())
    wrong = clip.rename(tmp_path / "clip.avi")
    assert container_for(wrong) == ".mp4"
    assert probe(wrong).container == "matroska,webm"
    assert probe(wrong).encoder is not None


def test_an_ordinary_file_has_no_notes(make_clip):
    assert reading_notes(probe(make_clip())) == {}


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + b" " * 2000 + b"</x:xmpmeta>"


def test_xmp_of_a_file_is_kept_whole(tmp_path):
    path = write(tmp_path / "a.mp4")
    box = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP
    path.write_bytes(path.read_bytes() + (8 + len(box)).to_bytes(4, "big") + b"uuid" + box)
    assert dict(probe(path).tags)["xmp"] == XMP.decode()


@pytest.mark.parametrize(
    ("tag", "matrix", "data", "expected"),
    [
        ("hvc1", 9, {}, ()),
        ("hvc1", 9, {"DYNAMIC_HDR_PLUS": b""}, ("HDR10+",)),
        ("hvc1", 9, {"DOVI_METADATA": b"", "DYNAMIC_HDR_PLUS": b""}, ("Dolby Vision", "HDR10+")),
        ("hvc1", 15, {"DOVI_RPU_BUFFER": b""}, ("Dolby Vision profile 5",)),
        ("dvh1", 2, {}, ("Dolby Vision profile 5",)),
    ],
)
def test_metadata_that_vary_the_brightness_are_named(tmp_path, tag, matrix, data, expected):
    stream = SimpleNamespace(codec_context=SimpleNamespace(codec_tag=tag))
    found = _dynamic_hdr(stream, SimpleNamespace(side_data=data, colorspace=matrix))
    assert found == expected
    info = dataclasses.replace(probe(write(tmp_path / "a.mp4")), dynamic_hdr=found)
    said = reading_notes(info).get("source_dynamic_hdr", "")
    assert said.startswith(f"{', '.join(expected)} not applied" if expected else "")
    assert ("colours are not those of a player" in said) == ("Dolby Vision profile 5" in expected)
