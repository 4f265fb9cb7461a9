from __future__ import annotations

import cv2
import numpy as np
import pytest

from detect.data.degrade import coded, jpeg, rescaled, reuploaded, small_move
from shared.errors import MediaError


@pytest.fixture
def crop(rng: np.random.Generator) -> np.ndarray:
    noise = np.repeat(rng.integers(40, 220, (12, 12, 1), np.uint8), 3, axis=2)  # grey: colours are halved in 4:2:0
    return cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, ((a.astype(float) - b) ** 2).mean())))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_harder_compression_loses_more(crop: np.ndarray, codec: str):
    quality = [psnr(coded(crop, crf, codec=codec), crop) for crf in (12, 28, 44)]
    assert quality[0] > quality[1] + 2 > quality[2] + 4
    assert quality[0] > 30


def test_a_predicted_frame_shows_the_crop_and_not_the_frame_before(crop: np.ndarray):
    predicted = coded(crop, 20, moved=(2, -1))
    assert psnr(predicted, crop) > 28
    assert (predicted != coded(crop, 20)).any()


def test_odd_sides_come_back_whole(crop: np.ndarray):
    odd = crop[:63, :61]
    assert coded(odd, 18).shape == odd.shape


def test_equal_input_equal_output(crop: np.ndarray):
    assert np.array_equal(coded(crop, 30), coded(crop, 30))
    one, two = (reuploaded(crop, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == crop.shape
    assert psnr(one, crop) > 15


def test_rescaling_takes_fine_detail_and_keeps_the_mean(rng: np.random.Generator):
    noise = rng.integers(0, 255, (64, 64, 3), np.uint8)
    softer = rescaled(noise, 4.0)
    assert softer.std() < noise.std() / 2
    assert abs(float(softer.mean()) - float(noise.mean())) < 2
    assert np.array_equal(rescaled(noise, 1.0), noise)


def test_jpeg_of_nothing_is_refused():
    with pytest.raises((MediaError, cv2.error)):
        jpeg(np.empty((0, 0, 3), np.uint8), 50)


def test_moves_are_small(rng: np.random.Generator):
    moves = {small_move(rng) for _ in range(200)}
    assert all(abs(x) <= 2 and abs(y) <= 2 for x, y in moves)
    assert len(moves) > 10
