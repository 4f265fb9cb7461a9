"""What marked clips and pictures go through in ``python -m benchmarks marking``: encodes, changes of shape, attacks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from shared.types import Timestamp
from shared.video import VideoReader, VideoWriter
from shared.video.encoding import CodecName, Encoding

Clip = list[np.ndarray]
Change = Callable[[Clip], Clip]

_RATE = Fraction(25)
_PRESET = "veryfast"
CUT_FRAMES = 25


def encoded(codec: CodecName, crf: int) -> Change:
    """Encodes and decodes."""

    def run(clip: Clip) -> Clip:
        height, width = (side - side % 2 for side in clip[0].shape[:2])
        encoding = Encoding(codec, crf, preset=_PRESET)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "clip.mkv"
            with VideoWriter(
                path, width=width, height=height, time_base=1 / _RATE, frame_rate=_RATE, encoding=encoding
            ) as video:
                for index, image in enumerate(clip):
                    video.write(np.ascontiguousarray(image[:height, :width]), Timestamp(index, 1 / _RATE))
            with VideoReader(path) as reader:
                return [frame.image for frame in reader]

    return run


def chained(*changes: Change) -> Change:
    """One after the other."""

    def run(clip: Clip) -> Clip:
        for change in changes:
            clip = change(clip)
        return clip

    return run


def resized(scale: float) -> Change:
    """Scaled by ``scale``, as a platform does: by areas down, by cubic interpolation up."""
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return _each(lambda image: cv2.resize(image, None, fx=scale, fy=scale, interpolation=way))


def cropped(share: float) -> Change:
    """``share`` of the width and of the height cut away, off the centre."""

    def crop(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        top, left = round(height * share * 0.4), round(width * share * 0.7)
        return np.ascontiguousarray(
            image[top : top + round(height * (1 - share)), left : left + round(width * (1 - share))]
        )

    return _each(crop)


def jpeg(quality: int) -> Change:
    """Saved as JPEG."""

    def save(image: np.ndarray) -> np.ndarray:
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        saved = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert saved is not None  # OpenCV has written it
        return np.ascontiguousarray(saved[..., ::-1])

    return _each(save)


def noisy(sigma: float) -> Change:
    """Gaussian noise of ``sigma`` grey levels, new in each frame."""
    rng = np.random.default_rng(5)
    return _each(lambda image: _clipped(image + rng.normal(0, sigma, image.shape)))


def _each(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda clip: [change(image) for image in clip]


def _clipped(image: Any) -> np.ndarray:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _blurred(sigma: float) -> Change:
    return _each(lambda image: cv2.GaussianBlur(image, (0, 0), sigma))


def _brighter(gain: float, offset: float) -> Change:
    return _each(lambda image: _clipped(image.astype(np.float32) * gain + offset))


def _every(step: int) -> Change:
    return lambda clip: clip[::step]


def _faster(clip: Clip) -> Clip:
    """5 % faster at the same frame rate: one frame in twenty-one is gone."""
    return [image for index, image in enumerate(clip) if index % 21 != 20]


H264 = "libx264"
USUAL = encoded(H264, 23)

VIDEO: dict[str, tuple[Change, float | None]] = {
    "H.264 crf 23": (USUAL, None),
    "H.264 crf 28": (encoded(H264, 28), 0.99),
    "H.264 crf 35": (encoded(H264, 35), 0.95),
    "H.264 crf 40": (encoded(H264, 40), None),
    "H.265 crf 28": (encoded("libx265", 28), None),
    "VP9 crf 36": (encoded("libvpx-vp9", 36), None),
    "AV1 crf 36": (encoded("libsvtav1", 36), None),
    "H.264 crf 23 twice": (chained(USUAL, encoded(H264, 28)), 0.95),
    "H.264 crf 23, 28, 28": (chained(USUAL, encoded(H264, 28), encoded(H264, 28)), None),
    "resize .5, crf 23": (chained(resized(0.5), USUAL), 0.95),
    "resize 1.5, crf 23": (chained(resized(1.5), USUAL), None),
    "crop 30 %, crf 23": (chained(cropped(0.3), USUAL), 0.95),
    "crop 50 %, crf 23": (chained(cropped(0.5), USUAL), None),
    "half the frame rate, crf 23": (chained(_every(2), USUAL), None),
    "5 % faster, crf 23": (chained(_faster, USUAL), None),
    "cut to 1 s, crf 28": (chained(lambda clip: clip[10 : 10 + CUT_FRAMES], encoded(H264, 28)), None),
    "brightness and contrast, crf 23": (chained(_brighter(0.8, 30), USUAL), None),
    "blur of 1.5 px, crf 23": (chained(_blurred(1.5), USUAL), None),
    "noise of 8 levels, crf 28": (chained(noisy(8), encoded(H264, 28)), None),
    "mirrored, crf 23": (chained(_each(lambda image: np.ascontiguousarray(image[:, ::-1])), USUAL), None),
}
"""Changes of a clip of 3 s, with the wanted share of marks read."""

RARE = frozenset(
    {
        "H.265 crf 28", "VP9 crf 36", "AV1 crf 36", "half the frame rate, crf 23", "5 % faster, crf 23",
        "H.264 crf 23, 28, 28", "brightness and contrast, crf 23", "mirrored, crf 23",
    }
)  # fmt: skip
"""Those that every third clip goes through: slow ones, and ones that change little for this mark."""

STILL: dict[str, tuple[Change, float | None]] = {
    "unchanged": (lambda clip: clip, None),
    "JPEG 95": (jpeg(95), None),
    "JPEG 75": (jpeg(75), 0.95),
    "JPEG 50": (jpeg(50), None),
    "resize .75": (resized(0.75), 0.95),
    "resize .75, JPEG 75": (chained(resized(0.75), jpeg(75)), None),
    "screenshot: resize .9, JPEG 80, resize 1.2, JPEG 70": (
        chained(resized(0.9), jpeg(80), resized(1.2), jpeg(70)),
        None,
    ),
}
"""Changes of one picture."""


def _median(size: int) -> Change:
    return _each(lambda image: cv2.medianBlur(image, size))


def _smoothed(image: np.ndarray) -> np.ndarray:
    return cv2.bilateralFilter(image, 9, 40, 5)


def _shrunken(clip: Clip) -> Clip:
    """To a quarter and back: what is left of a picture after an autoencoder with few pixels."""
    height, width = clip[0].shape[:2]
    small = resized(0.25)(clip)
    return [cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in small]


def _turned(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 3.0, 1.08)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC)


ATTACKS: dict[str, Change] = {
    "median of 5 px": _median(5),
    "edge-keeping smoothing (bilateral)": _each(_smoothed),
    "to a quarter and back": _shrunken,
    "turned by 3 degrees": _each(_turned),
    "blur of 4 px": _blurred(4.0),
}
"""Changes that are meant to remove a mark, or that the reader does not undo; stated as limits."""
