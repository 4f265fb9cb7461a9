"""Written videos keep pictures, times, sizes and colours; equal input gives equal bytes; no file is left incomplete."""

from __future__ import annotations

import resource
from fractions import Fraction

import numpy as np
import pytest

from shared.errors import MediaError, StorageError, UsageError
from shared.types import Timestamp
from shared.video import Encoding, VideoReader, VideoWriter, frame_times, probe, read_mask_frames, reencode
from shared.video.writer import encoders_here

QUICK = Encoding(preset="ultrafast")
CODECS = [
    Encoding(preset="veryfast"),
    Encoding("libx265", preset="ultrafast"),
    Encoding("libvpx-vp9", preset="ultrafast"),
    Encoding("libsvtav1", preset="ultrafast"),
    Encoding("mjpeg", 3, container=".mov"),
]
VARIABLE = [3, 4, 9, 40, 41, 55, 56, 57, 90, 200, 201, 203]


def by_name(encoding: Encoding) -> str:
    return encoding.name


@pytest.mark.parametrize("encoding", CODECS, ids=by_name)
@pytest.mark.parametrize(
    ("time_base", "rate", "ticks"),
    [
        (Fraction(1, 25), Fraction(25), range(12)),
        (Fraction(1_001, 30_000), Fraction(30_000, 1_001), range(12)),
        (Fraction(1, 24_000), Fraction(24_000, 1_001), range(0, 12_012, 1_001)),
        (Fraction(1, 90_000), None, [tick * 1_237 + 5 for tick in VARIABLE]),
        (Fraction(1, 1_000), Fraction(30), [round(tick * 33.333) + 500 for tick in range(12)]),
    ],
    ids=["25", "29.97", "23.976", "variable", "milliseconds-late-start"],
)
def test_times_come_back_exactly(make_clip, encoding, time_base, rate, ticks):
    path = make_clip(
        f"clip{encoding.container}", ticks=ticks, time_base=time_base, frame_rate=rate, encoding=encoding, size=(96, 64)
    )
    assert [time.exact_seconds for time in frame_times(path)] == [tick * time_base for tick in ticks]
    if rate is not None:
        assert probe(path).frame_rate == pytest.approx(rate, rel=0.02)


def test_matroska_keeps_times_to_the_millisecond(make_clip):
    path = make_clip("clip.mkv", time_base=Fraction(1_001, 30_000), encoding=Encoding.lossless_rgb())
    errors = [time.exact_seconds - tick * Fraction(1_001, 30_000) for tick, time in enumerate(frame_times(path))]
    assert max(abs(error) for error in errors) <= Fraction(1, 2_000)


def test_times_of_another_clock_are_taken_when_they_fit(tmp_path, picture):
    path = tmp_path / "clip.mp4"
    with VideoWriter(
        path, width=64, height=48, time_base=Fraction(1, 90_000), frame_rate=None, encoding=QUICK
    ) as writer:
        writer.write(picture(0), Timestamp(1, Fraction(1, 25)))
        with pytest.raises(ValueError, match="whole number of ticks"):
            writer.write(picture(1), Timestamp(10, Fraction(1, 7)))
        with pytest.raises(ValueError, match="must increase"):
            writer.write(picture(1), Timestamp(3_600, Fraction(1, 90_000)))
    assert [time.exact_seconds for time in frame_times(path)] == [Fraction(1, 25)]


@pytest.mark.parametrize("size", [(64, 48), (65, 48), (64, 49), (97, 65)])
@pytest.mark.parametrize("encoding", [*CODECS, Encoding(pixel_format="yuv420p10le", preset="veryfast")], ids=by_name)
def test_sizes_come_back_exactly(make_clip, encoding, size):
    if encoding.codec == "libx265":
        size = (size[0] + 32, size[1] + 32)
    path = make_clip(f"clip{encoding.container}", ticks=range(3), size=size, encoding=encoding)
    with VideoReader(path) as reader:
        assert [frame.image.shape for frame in reader] == [(size[1], size[0], 3)] * 3


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding(crf=12, preset="veryfast"),
        Encoding(crf=12, pixel_format="yuv444p", preset="veryfast"),
        Encoding(crf=12, pixel_format="yuv420p10le", preset="veryfast"),
        Encoding("libx265", 12, preset="ultrafast"),
        Encoding("libvpx-vp9", 12, preset="ultrafast"),
        Encoding("libsvtav1", 12, preset="ultrafast"),
    ],
    ids=by_name,
)
@pytest.mark.parametrize("size", [(128, 96), (1_280, 96)], ids=["bt601", "bt709"])
def test_colours_do_not_shift(tmp_path, rng, encoding, size):
    width, height = size
    colours = rng.integers(0, 256, (3, 4, 3)).astype(np.uint8)
    image = colours.repeat(height // 3, 0).repeat(width // 4, 1)
    path = tmp_path / f"flat{encoding.container}"
    with VideoWriter(
        path, width=width, height=height, time_base=Fraction(1, 25), frame_rate=None, encoding=encoding
    ) as w:
        for tick in range(2):
            w.write(image, Timestamp(tick, Fraction(1, 25)))
    with VideoReader(path) as reader:
        error = next(iter(reader)).image.astype(float) - image
    inner = error.reshape(3, height // 3, 4, width // 4, 3)[:, 8:-8, :, 8:-8]
    # One colour may be off by what a step of luma and two of chroma are worth; on average nothing may remain.
    assert np.abs(inner.mean(axis=(1, 3))).max() < 2.5
    assert np.abs(inner.mean(axis=(0, 1, 2, 3))).max() < 0.6


def test_five_generations_do_not_drift(tmp_path, rng):
    noise = rng.normal(0, 12, (96, 128, 3))
    y, x = np.mgrid[0:96, 0:128]
    original = np.clip(np.stack([60 + x, 90 + y, 200 - x], axis=-1) + noise, 0, 255).astype(np.uint8)
    image = original
    for generation in range(5):
        path = tmp_path / f"{generation}.mkv"
        with VideoWriter(
            path, width=128, height=96, time_base=Fraction(1, 25), frame_rate=None, encoding=Encoding("ffv1")
        ) as writer:
            writer.write(image, Timestamp(0, Fraction(1, 25)))
        with VideoReader(path) as reader:
            image = next(iter(reader)).image
    drift = (image.astype(float) - original).mean(axis=(0, 1))
    assert np.abs(drift).max() < 0.5


@pytest.mark.parametrize("encoding", [*CODECS, Encoding.lossless_rgb()], ids=by_name)
def test_equal_pictures_give_equal_bytes(make_clip, make_sound, encoding):
    sound = make_sound()
    settings = {"encoding": encoding, "audio_from": sound, "size": (128, 96), "ticks": range(30)}
    one = make_clip(f"one{encoding.container}", **settings)
    other = make_clip(f"other{encoding.container}", **settings)
    assert one.read_bytes() == other.read_bytes()


def test_masks_come_back_as_they_went_in(tmp_path, rng):
    masks = rng.integers(0, 256, (5, 37, 51)).astype(np.uint8)
    path = tmp_path / "mask.mkv"
    with VideoWriter(
        path, width=51, height=37, time_base=Fraction(1, 25), frame_rate=None, encoding=Encoding.lossless_mask()
    ) as writer:
        for tick, mask in enumerate(masks):
            writer.write(mask, Timestamp(tick, Fraction(1, 25)))
    np.testing.assert_array_equal(np.stack(list(read_mask_frames(path))), masks)


def test_lossless_rgb_is_lossless(make_clip, picture):
    path = make_clip("clip.mkv", size=(51, 37), encoding=Encoding.lossless_rgb())
    with VideoReader(path) as reader:
        for frame in reader:
            np.testing.assert_array_equal(frame.image, picture(frame.index, 51, 37))


def test_a_clip_of_oblong_pixels_becomes_one_of_square_pixels(make_clip, tmp_path):
    path = make_clip(pixel_aspect=Fraction(15, 16))
    assert probe(path).pixel_aspect == Fraction(15, 16)
    again = tmp_path / "again.mp4"
    reencode(path, again, QUICK)
    info = probe(again)
    assert (info.width, info.height, info.pixel_aspect) == (64, 52, 1)


def test_reencoding_keeps_times_and_counts(make_clip, tmp_path):
    path = make_clip(ticks=VARIABLE)
    done: list[int] = []
    assert reencode(path, tmp_path / "again.mp4", QUICK, tick=done.append) == len(VARIABLE)
    assert sum(done) == len(VARIABLE)
    assert [t.exact_seconds for t in frame_times(tmp_path / "again.mp4")] == [
        t.exact_seconds for t in frame_times(path)
    ]


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def writer_for(path, **settings):
    return VideoWriter(path, **{"width": 64, "height": 48, "time_base": Fraction(1, 25), "frame_rate": None} | settings)


def test_a_failure_leaves_the_old_file_and_nothing_else(make_clip, picture, tmp_path):
    path = make_clip()
    before = path.read_bytes()

    def fail_after_one() -> None:
        with writer_for(path, encoding=QUICK) as writer:
            writer.write(picture(0), Timestamp(0, Fraction(1, 25)))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_after_one()
    assert path.read_bytes() == before
    assert leftovers(tmp_path) == ["clip.mp4"]


def test_nothing_shows_before_the_end(tmp_path, picture):
    path = tmp_path / "clip.mp4"
    with writer_for(path) as writer:
        writer.write(picture(0), Timestamp(0, Fraction(1, 25)))
        assert not path.exists()
    assert leftovers(tmp_path) == ["clip.mp4"]


def test_a_video_without_frames_is_not_written(tmp_path):
    with pytest.raises(MediaError, match="no frame was written"), writer_for(tmp_path / "clip.mp4"):
        pass
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, rng):
    def write_much() -> None:
        with writer_for(tmp_path / "clip.mp4", encoding=QUICK) as writer:
            for tick in range(120):
                writer.write(rng.integers(0, 256, (48, 64, 3)).astype(np.uint8), Timestamp(tick, Fraction(1, 25)))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match=r"clip\.mp4") as caught:
            write_much()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.hint
    assert leftovers(tmp_path) == []


def test_a_path_through_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError), writer_for(tmp_path / "file" / "clip.mp4"):
        pass


@pytest.mark.parametrize(
    ("name", "settings", "error", "says"),
    [
        ("clip.xyz", {}, UsageError, "xyz"),
        ("clip.webm", {}, MediaError, "cannot hold libx264"),
        ("clip.webm", {"encoding": Encoding.lossless_mask()}, MediaError, "cannot hold ffv1"),
        ("clip.mp4", {"encoding": Encoding("libx265"), "width": 33, "height": 17}, MediaError, "33x17"),
        ("clip.mp4", {"encoding": Encoding("libsvtav1", pixel_format="yuv444p")}, MediaError, "yuv444p"),
        ("clip.mp4", {"width": 20_000, "height": 48}, MediaError, "20000x48"),
        ("clip.mp4", {"width": 0}, ValueError, "0x48"),
        ("clip.mp4", {"time_base": Fraction(0)}, ValueError, "time_base"),
        ("clip.mp4", {"time_base": Fraction(1, 2**31)}, ValueError, "time_base"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, settings, error, says):
    with pytest.raises(error, match=says), writer_for(tmp_path / name, **settings):
        pass
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 48, 3), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
    ],
    ids=["turned", "gray", "alpha", "float"],
)
def test_pictures_of_another_kind_are_refused(tmp_path, image):
    with pytest.raises(ValueError, match="a picture of this video"), writer_for(tmp_path / "clip.mp4") as writer:
        writer.write(image, Timestamp(0, Fraction(1, 25)))


def test_views_are_written_like_their_copies(tmp_path, picture):
    big = np.repeat(picture(0), 2, axis=1)
    for name, image in (("view.mkv", big[::-1, ::2]), ("copy.mkv", big[::-1, ::2].copy())):
        with writer_for(tmp_path / name, encoding=Encoding.lossless_rgb()) as writer:
            writer.write(image, Timestamp(0, Fraction(1, 25)))
    assert (tmp_path / "view.mkv").read_bytes() == (tmp_path / "copy.mkv").read_bytes()


def test_an_encoder_that_this_build_lacks_is_named_with_those_it_has(tmp_path, monkeypatch):
    import av

    real = av.Codec

    def without(name, mode="r"):
        if name == "libsvtav1":
            raise ValueError("no such codec")
        return real(name, mode)

    monkeypatch.setattr(av, "Codec", without)
    assert "libsvtav1" not in encoders_here()
    writer = writer_for(tmp_path / "clip.mp4", encoding=Encoding("libsvtav1"))
    with pytest.raises(MediaError, match="libsvtav1 is not available") as caught, writer:
        pass
    assert "libx264" in str(caught.value.hint)
    assert "libsvtav1" not in str(caught.value.hint)


@pytest.mark.parametrize("frames", [1, 2])
def test_decode_times_that_the_hevc_encoder_took_from_unwritten_memory_are_not_written(tmp_path, frames):
    class Stream:
        """An encoder's stream whose last packets have such times."""

        def __init__(self, stream):
            self.stream = stream

        def encode(self, frame):
            packets = self.stream.encode(frame)
            for packet in packets:
                packet.dts = packet.pts - 2**40
            return packets

    encoding = Encoding("libx265", 20, preset="ultrafast")
    settings = {"width": 64, "height": 64, "time_base": Fraction(1, 25), "frame_rate": None, "encoding": encoding}
    image = np.zeros((64, 64, 3), np.uint8)
    for name in ("plain", "odd"):
        with VideoWriter(tmp_path / f"{name}.mp4", **settings) as writer:
            if name == "odd":
                writer._stream = Stream(writer._stream)
            for tick in range(frames):
                writer.write(image, Timestamp(tick, Fraction(1, 25)))
    assert (tmp_path / "odd.mp4").read_bytes() == (tmp_path / "plain.mp4").read_bytes()
    assert len(frame_times(tmp_path / "odd.mp4")) == frames
