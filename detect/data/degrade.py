"""Degradations: JPEG, WebP, video compression, resizing, and chains of these.

Pure functions on (S, S, 3) uint8 RGB crops; random ones take a generator. Used on training crops, where real and fake
get the same distribution of degradations, and for robustness sweeps.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from shared.errors import MediaError
from shared.video.images import encode_jpeg, encode_webp

Codec = Literal["libx264", "libx265"]

_DECODERS: dict[str, str] = {"libx264": "h264", "libx265": "hevc"}
_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
    "libx265": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "log-level=none:pools=none:frame-threads=1",
    },
}
_BORDER = cv2.BORDER_REFLECT_101
_CHAIN_CRF = (23, 33)
_CHAIN_JPEG = (55, 90)


def jpeg(crop: np.ndarray, quality: int) -> np.ndarray:
    """``crop`` after a JPEG round trip at ``quality`` 1 to 100.

    Raises:
        MediaError: the crop cannot be encoded.
    """
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(crop, quality), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None  # OpenCV has written it
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def webp(crop: np.ndarray, quality: int) -> np.ndarray:
    """``crop`` after a lossy WebP round trip at ``quality`` 1 to 100. About 4 ms at 192 px.

    Raises:
        MediaError: the crop cannot be encoded.
    """
    decoded = cv2.imdecode(np.frombuffer(encode_webp(crop, quality), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None  # OpenCV has written it
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def jpeg_twice(crop: np.ndarray, first: int, second: int, moved: tuple[int, int]) -> np.ndarray:
    """``crop`` after JPEG at quality ``first``, and at ``second`` with its blocks ``moved`` by (x, y) pixels.

    As a picture that is cropped and saved again: the two grids of blocks coincide only for moves by multiples of 8.

    Raises:
        MediaError: the crop cannot be encoded.
    """
    (x, y), (height, width) = moved, crop.shape[:2]
    wide = cv2.copyMakeBorder(jpeg(crop, first), y, 0, x, 0, _BORDER)
    return np.ascontiguousarray(jpeg(wide, second)[y : y + height, x : x + width])


def coded(crop: np.ndarray, crf: int, *, codec: Codec = "libx264", moved: tuple[int, int] | None = None) -> np.ndarray:
    """``crop`` after a round trip through a video encoder at ``crf``, 4:2:0: a key frame, or a predicted one.

    With ``moved`` (x, y pixels) the encoder first gets the shifted crop and then the crop itself, as a frame predicted
    from it, like most frames of a video. About 3 and 4.5 ms at 224 px.

    Raises:
        MediaError: the encoder is not built in, or failed.
    """
    side_y, side_x = (side // 2 * 2 for side in crop.shape[:2])
    even = np.ascontiguousarray(crop[:side_y, :side_x])
    frames = [even] if moved is None else [_shifted(even, moved), even]
    try:
        decoded = _through(frames, crf, codec)
    except (FFmpegError, ValueError) as error:
        raise MediaError(
            f"{codec} could not encode a crop: {error}", hint="assay doctor lists what is built in"
        ) from error
    if even.shape == crop.shape:
        return decoded
    return cv2.copyMakeBorder(decoded, 0, crop.shape[0] - side_y, 0, crop.shape[1] - side_x, cv2.BORDER_REPLICATE)


def rescaled(crop: np.ndarray, factor: float, *, up: int = cv2.INTER_LINEAR) -> np.ndarray:
    """``crop`` made smaller by ``factor`` (area averages) and resized back."""
    height, width = crop.shape[:2]
    small = max(8, round(width / factor)), max(8, round(height / factor))
    return cv2.resize(cv2.resize(crop, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=up)


def reuploaded(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``crop`` after a re-upload to a messenger or platform: encoded, downscaled, encoded at lower quality.

    The order is the sender's encoder, the service's resize, the service's encoder; in a quarter of the cases the last
    one is JPEG, for an image or a screenshot.
    """
    low, high = _CHAIN_CRF
    first = int(rng.integers(low - 5, low + 3))
    factor = float(rng.uniform(1.0, 2.0))
    last = int(rng.integers(low, high + 1))
    quality = int(rng.integers(_CHAIN_JPEG[0], _CHAIN_JPEG[1] + 1))
    as_picture = rng.random() < 0.25
    moved = small_move(rng)
    crop = rescaled(coded(crop, first, moved=moved), factor, up=cv2.INTER_CUBIC)
    return jpeg(crop, quality) if as_picture else coded(crop, last, moved=moved)


def small_move(rng: np.random.Generator) -> tuple[int, int]:
    """A random motion between two frames: up to 2 pixels."""
    x, y = rng.integers(-2, 3, 2)
    return int(x), int(y)


def _shifted(crop: np.ndarray, moved: tuple[int, int]) -> np.ndarray:
    matrix = np.array([[1.0, 0, moved[0]], [0, 1.0, moved[1]]])
    return cv2.warpAffine(crop, matrix, (crop.shape[1], crop.shape[0]), flags=cv2.INTER_NEAREST, borderMode=_BORDER)


def _through(frames: list[np.ndarray], crf: int, codec: Codec) -> np.ndarray:
    encoder, decoder = av.CodecContext.create(codec, "w"), av.CodecContext.create(_DECODERS[codec], "r")
    assert isinstance(encoder, VideoCodecContext)
    assert isinstance(decoder, VideoCodecContext)
    height, width = frames[0].shape[:2]
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.options = {**_OPTIONS[codec], "crf": str(crf)}
    encoder.thread_count = decoder.thread_count = 1
    packets = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return decoded[-1].to_ndarray(format="rgb24")
