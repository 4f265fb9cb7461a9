from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from shared.errors import ConfigError, UsageError
from shared.types import Frame, Timestamp
from shared.video import Encoding, VideoReader, audio_digest, frame_times
from shared.video.renditions import (
    KNOWN,
    Picture,
    Rendition,
    encode_all,
    known_rendition,
    resized_mask,
    resized_picture,
    suffix_for,
)

BASE = Fraction(1, 30_000)
TIMES = [Timestamp(1001 * n, BASE) for n in range(6)]
QUICK = Encoding(preset="ultrafast")


def _frames(picture, width=96, height=64):
    return [Frame(n, time, picture(n, width, height)) for n, time in enumerate(TIMES)]


def test_one_pass_gives_every_rendition_with_exact_times_and_sound(tmp_path, picture, make_sound):
    shown = Picture(96, 64, BASE, None, sound=make_sound())
    chain = Rendition("up", QUICK, through=(Rendition("one", QUICK, size=32), Rendition("two", QUICK, size=48)))
    outs = [(Rendition("c", QUICK), tmp_path / "c.mp4"), (Rendition("s", QUICK, size=32), tmp_path / "s.mp4")]
    outs.append((chain, tmp_path / "up.mp4"))
    handed_on = 0

    def frames():
        nonlocal handed_on
        for frame in _frames(picture):
            handed_on += 1
            yield frame

    assert encode_all(frames(), shown, outs) == handed_on == len(TIMES)
    sizes = {}
    for rendition, path in outs:
        assert [t.exact_seconds for t in frame_times(path)] == [t.exact_seconds for t in TIMES]
        assert audio_digest(path) == audio_digest(shown.sound)
        with VideoReader(path) as reader:
            sizes[rendition.name] = (reader.info.width, reader.info.height)
    assert sizes == {"c": (96, 64), "s": (48, 32), "up": (96, 64)}
    assert sorted(p.name for p in tmp_path.glob("*.mp4")) == ["c.mp4", "s.mp4", "up.mp4"]
    assert not list(tmp_path.glob(".*"))


def test_a_chain_is_worse_than_its_last_encode_alone(tmp_path, picture):
    shown = Picture(96, 64, BASE, None)
    fine = Encoding(crf=5, preset="ultrafast")
    chain = Rendition("up", fine, through=(Rendition("one", Encoding(crf=40, preset="ultrafast"), size=32),))
    encode_all(_frames(picture), shown, [(Rendition("a", fine), tmp_path / "a.mp4"), (chain, tmp_path / "b.mp4")])
    errors = []
    for name in ("a.mp4", "b.mp4"):
        with VideoReader(tmp_path / name) as reader:
            pairs = zip(reader, _frames(picture), strict=True)
            errors.append(np.mean([np.abs(a.image.astype(int) - b.image).mean() for a, b in pairs]))
    assert errors[1] > 2 * errors[0]


@pytest.mark.parametrize(("size", "wanted"), [(None, (97, 63)), (200, (97, 63)), (32, (50, 32)), (63, (97, 63))])
def test_sizes_are_of_the_shorter_side_even_and_never_larger(size, wanted):
    assert Picture(97, 63, BASE, None).at(size) == wanted


def test_a_smaller_mask_covers_every_pixel_that_was_touched():
    mask = np.zeros((8, 8), np.uint8)
    mask[0, 0] = 255
    mask[4:, 4:] = 255
    alpha = resized_mask(mask, (2, 2), binary=False)
    assert alpha.tolist() == [[16, 0], [0, 255]]
    assert resized_mask(mask, (2, 2), binary=True).tolist() == [[255, 0], [0, 255]]
    faint = np.zeros((8, 8), np.uint8)
    faint[0, 0] = 1
    assert resized_mask(faint, (2, 2), binary=False)[0, 0] == 1
    assert resized_mask(mask, (8, 8), binary=True) is mask


def test_pictures_keep_their_bytes_at_their_own_size(picture):
    image = picture(3)
    assert resized_picture(image, (64, 48)) is image
    assert resized_picture(image, (32, 24)).shape == (24, 32, 3)


def test_known_renditions_have_names_and_unknown_ones_near_matches():
    assert all(name == one.name for name, one in KNOWN.items())
    with pytest.raises(UsageError, match="c24") as caught:
        known_rendition("c24")
    assert "c23" in str(caught.value.hint)


def test_the_container_follows_codec_and_sound(make_sound):
    sound = Picture(64, 64, BASE, None, sound=make_sound())
    assert suffix_for(known_rendition("c23").encoding, sound.sound) == ".mp4"
    assert suffix_for(known_rendition("c23").encoding, None) == ".mp4"


def test_senseless_renditions_are_refused():
    with pytest.raises(ConfigError, match="16"):
        Rendition("x", size=8)
    with pytest.raises(UsageError, match="rendition"):
        Rendition("a/b")
    with pytest.raises(ConfigError, match="chain"):
        Rendition("x", through=(Rendition("y", through=(Rendition("z"),)),))
