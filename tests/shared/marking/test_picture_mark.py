"""The picture mark is read after what happens to clips, and never from what was not marked."""

from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.actors import cast, portrait
from shared.marking.embed import PSNR_DB, MarkWriter, pitch_for
from shared.marking.files import read_marks
from shared.marking.payload import Payload, encode
from shared.marking.read import MarkReader
from shared.marking.reading import FALSE_ALARM_RATE, false_alarm_bound, threshold_for
from shared.marking.tile import SIDE, Tile
from shared.types import Timestamp
from shared.video import Encoding, VideoReader, VideoWriter

PAYLOAD = Payload.of("swap", "5eed15" + "0" * 58)


@lru_cache(maxsize=1)
def picture():
    return portrait(cast(1, 3)[0], px=320, seed=1).image


def read(*images):
    reader = MarkReader()
    for image in images:
        reader.add(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return reader.read()


def encoded(images, crf, path):
    height, width = images[0].shape[:2]
    clock = Fraction(1, 25)
    encoding = Encoding(crf=crf, preset="veryfast")
    with VideoWriter(
        path, width=width, height=height, time_base=clock, frame_rate=Fraction(25), encoding=encoding
    ) as out:
        for index, image in enumerate(images):
            out.write(image, Timestamp(index, clock))
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def moving(count):
    return [np.ascontiguousarray(np.roll(picture(), 2 * step, axis=1)) for step in range(count)]


def test_the_tile_is_the_same_on_every_machine():
    tile = Tile.of_key()
    assert len(tile.phases) == 450
    assert np.bincount(tile.bits[tile.bits >= 0]).tolist().count(0) == 0  # every bit has coefficients
    pattern = tile.pattern(encode(PAYLOAD.number))
    assert pattern.shape == (SIDE, SIDE)
    assert pattern.std() == pytest.approx(1, abs=1e-3)
    assert abs(pattern.mean()) < 1e-3
    assert not np.array_equal(pattern, Tile.of_key("another key").pattern(encode(PAYLOAD.number)))


def test_a_marked_picture_keeps_its_quality_and_says_its_payload():
    marked = MarkWriter(PAYLOAD).mark(picture())
    error = np.mean((marked.astype(float) - picture()) ** 2)
    assert 10 * np.log10(255**2 / error) == pytest.approx(PSNR_DB, abs=0.3)
    found = read(marked)
    assert found.payload == PAYLOAD
    assert found.bit_errors == 0
    assert found.scale == pytest.approx(1, abs=0.01)
    assert found.false_alarm_bound < 1e-12


def test_an_unmarked_picture_is_not_read():
    found = read(picture())
    assert found.payload is None
    assert found.statistic < found.threshold
    assert found.bit_error_rate is None


def test_another_key_is_not_read(monkeypatch):
    other = Tile.of_key("another key")
    monkeypatch.setattr(Tile, "of_key", classmethod(lambda cls, key="": other))
    marked = MarkWriter(PAYLOAD).mark(picture())
    monkeypatch.undo()
    assert not read(marked).found


def test_a_clip_is_read_after_crf_28(tmp_path):
    writer = MarkWriter(PAYLOAD)
    found = read(*encoded([writer.mark(image) for image in moving(8)], 28, tmp_path / "clip.mp4"))
    assert found.payload == PAYLOAD


def test_a_clip_is_read_at_half_its_size(tmp_path):
    writer = MarkWriter(PAYLOAD)
    half = [cv2.resize(writer.mark(image), (160, 160), interpolation=cv2.INTER_AREA) for image in moving(8)]
    found = read(*encoded(half, 23, tmp_path / "clip.mp4"))
    assert found.payload == PAYLOAD
    assert found.scale == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.ascontiguousarray(image[31:260, 77:310]),
        lambda image: np.ascontiguousarray(image[:, ::-1]),
        lambda image: cv2.resize(image, None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], cv2.IMREAD_COLOR),
        lambda image: cv2.resize(image, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA),
    ],
    ids=["crop", "mirrored", "larger", "JPEG 75", "resize .75"],
)
def test_a_still_is_read_after(change):
    assert read(change(MarkWriter(PAYLOAD).mark(picture()))).payload == PAYLOAD


def test_large_pictures_get_a_coarser_pattern():
    assert [pitch_for(480, 640), pitch_for(1080, 1920), pitch_for(3840, 2160)] == [1, 2, 4]
    large = cv2.resize(picture(), (1100, 1100), interpolation=cv2.INTER_CUBIC)
    third = cv2.resize(MarkWriter(PAYLOAD).mark(large), (440, 440), interpolation=cv2.INTER_AREA)
    found = read(third)
    assert found.payload == PAYLOAD
    assert found.scale == pytest.approx(0.8, abs=0.01)


def test_the_threshold_is_that_of_the_union_bound():
    # By hand: 1000 alignments of 2^27 payloads (5 of the 32 bits are known) at 1e-6:
    # exp(-z^2 / 2) = 1e-6 / (1000 * 2^27).
    limit = threshold_for(1000)
    assert np.exp(-(limit**2) / 2) * 1000 * 2**27 == pytest.approx(FALSE_ALARM_RATE)
    assert false_alarm_bound(limit, 1000) == pytest.approx(FALSE_ALARM_RATE)
    assert false_alarm_bound(0, 1000) == false_alarm_bound(3, 1000) == 1


def test_less_is_needed_where_the_mark_was_written():
    # Two sizes alike but for a shift by 8 pixels, under noise: the place as written needs 8.5, the search about 10.
    rng = np.random.default_rng(4)
    marked = MarkWriter(PAYLOAD).mark(picture()).astype(np.float32)
    noisy = np.clip(np.round(marked + rng.normal(0, 50, marked.shape)), 0, 255).astype(np.uint8)
    whole, cut = read(noisy), read(np.ascontiguousarray(noisy[8:, 8:]))
    assert whole.payload == PAYLOAD
    assert whole.threshold == pytest.approx(np.sqrt(2 * np.log(32 * 2**27 / FALSE_ALARM_RATE)))
    assert cut.payload is None


def test_the_statistic_of_noise_is_below_the_threshold():
    noise = np.random.default_rng(0).integers(0, 256, (4, 96, 128), dtype=np.uint8)
    assert all(read(cv2.cvtColor(one, cv2.COLOR_GRAY2RGB)).statistic < 9 for one in noise)


def test_blank_tiny_and_no_pictures_are_not_read():
    assert not MarkReader().read().found
    assert not read(np.full((64, 64, 3), 255, np.uint8)).found
    assert not read(np.zeros((20, 20, 3), np.uint8)).found


def test_a_gif_is_read(tmp_path):
    writer = MarkWriter(PAYLOAD)
    marked = [Image.fromarray(writer.mark(image)) for image in moving(4)]
    pictures = [image.quantize(256, method=Image.Quantize.MEDIANCUT) for image in marked]
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:], duration=100, loop=0)
    found = read_marks(tmp_path / "moving.gif")
    assert found.picture is not None
    assert found.picture.payload == PAYLOAD
    assert found.sound is None


@pytest.mark.parametrize("height", [1100, 1440, 2160])
def test_a_marked_picture_in_a_larger_canvas_is_read(height):
    small = MarkWriter(PAYLOAD).mark(cv2.resize(picture(), (960, 900), interpolation=cv2.INTER_CUBIC))
    canvas = np.full((height, height * 16 // 9, 3), 90, np.uint8)
    canvas[100:1000, 150:1110] = small
    assert read(canvas).payload == PAYLOAD
