"""Settings of an encoder: codec, quality, pixel format, container. Its import loads no codec library."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from shared.errors import ConfigError
from shared.registry import near_matches

CodecName = Literal["libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1", "mjpeg"]

PIXEL_FORMATS: tuple[str, ...] = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "gray", "bgr0")
CONTAINERS: tuple[str, ...] = (".mp4", ".mov", ".mkv", ".webm", ".avi")

_PRESETS: tuple[str, ...] = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)

_DEFAULT_CRF = 18

# A fixed number: encoders cut pictures and look ahead by their thread count, so a count taken from the machine would
# give other bytes on another machine.
ENCODER_THREADS = 4


@dataclass(frozen=True)
class _Codec:
    """Properties of one encoder: short name, quality scale, and the sizes and formats it takes.

    ``usual_crf`` is visually near-lossless; ``containers`` can hold the codec, the usual one first.
    """

    short: str
    crf: tuple[int, int] | None
    usual_crf: int | None = None
    containers: tuple[str, ...] = (".mp4", ".mov", ".mkv")
    even_sides: bool = False
    min_side_px: int = 1


# The least sides are measured: libx265 4.2 writes outside its buffers for 4:4:4 pictures smaller than a coding block,
# and libsvtav1 4.1 waits for ever on a side below 16.
_CODECS: dict[str, _Codec] = {
    "libx264": _Codec("h264", (0, 51), _DEFAULT_CRF, even_sides=True),
    "libx265": _Codec("hevc", (0, 51), 20, even_sides=True, min_side_px=64),
    "libvpx-vp9": _Codec("vp9", (0, 63), 24, (".mp4", ".mkv", ".webm")),
    "libsvtav1": _Codec("av1", (1, 63), 24, (".mp4", ".mkv", ".webm"), min_side_px=32),
    "ffv1": _Codec("ffv1", None, None, (".mkv", ".avi"), min_side_px=8),
    "mjpeg": _Codec("mjpeg", (2, 31), 3, (".mov", ".mkv", ".avi")),
}

CODECS: tuple[str, ...] = tuple(_CODECS)


@dataclass(frozen=True)
class Encoding:
    """How a video is compressed.

    Attributes:
        codec: the encoder.
        crf: constant quality, lower is better; each encoder has its own scale (for mjpeg the quantiser, 2 to 31).
            None for FFV1, which is lossless.
        pixel_format: as FFmpeg names it; "gray" takes (H, W) pictures, "bgr0" stores RGB unconverted (FFV1 only).
        preset: trades speed for size, from "ultrafast" to "veryslow"; not for FFV1 and mjpeg.
        container: the file suffix to use unless the caller names one.

    Raises:
        ConfigError: a value is unknown or out of range.
    """

    codec: CodecName = "libx264"
    crf: int | None = _DEFAULT_CRF
    pixel_format: str = "yuv420p"
    preset: str = "medium"
    container: str = ".mp4"

    def __post_init__(self) -> None:
        _need_known("codec", self.codec, tuple(_CODECS))
        _need_known("pixel format", self.pixel_format, PIXEL_FORMATS)
        _need_known("preset", self.preset, _PRESETS)
        _need_known("container", self.container, CONTAINERS)
        self._check_crf()
        if self.pixel_format == "bgr0" and self.codec != "ffv1":
            raise ConfigError("only ffv1 keeps bgr0", hint="choose a yuv pixel format, or the codec ffv1")

    def _check_crf(self) -> None:
        scale = _CODECS[self.codec].crf
        if scale is None:
            if self.crf not in (None, _DEFAULT_CRF):
                raise ConfigError(f"{self.codec} is lossless and has no crf", hint="leave crf out")
            # One value for "no scale", so that settings written to a file and read back are equal.
            object.__setattr__(self, "crf", None)
        elif self.crf is None or not scale[0] <= self.crf <= scale[1]:
            raise ConfigError(
                f"crf {self.crf} is not on the scale of {self.codec}", hint=f"from {scale[0]} to {scale[1]}"
            )

    def moved_by(self, levels: int) -> Encoding:
        """The same encoding with ``levels`` added to its crf, within the scale; a lossless one is unchanged."""
        scale = _CODECS[self.codec].crf
        if scale is None or self.crf is None or self.crf == 0:
            return self
        # A crf of 0 is (nearly) lossless, which must not come out of a random choice.
        return replace(self, crf=min(max(self.crf + levels, max(scale[0], 1)), scale[1]))

    @classmethod
    def lossless_mask(cls) -> Encoding:
        """For (H, W) uint8 masks: FFV1, gray, in Matroska; every value is preserved."""
        return cls(codec="ffv1", pixel_format="gray", container=".mkv")

    @classmethod
    def lossless_rgb(cls) -> Encoding:
        """For (H, W, 3) pictures that must be preserved exactly: FFV1, RGB, in Matroska."""
        return cls(codec="ffv1", pixel_format="bgr0", container=".mkv")

    @classmethod
    def usual(cls, codec: CodecName, pixel_format: str = "yuv420p", preset: str = "medium") -> Encoding:
        """``codec`` at its usual, visually near-lossless quality, in its usual container."""
        _need_known("codec", codec, tuple(_CODECS))
        known = _CODECS[codec]
        return cls(codec, known.usual_crf, pixel_format, preset, known.containers[0])

    @property
    def name(self) -> str:
        """A short name that differs where the settings differ, safe in a path: ``h264-crf18``, ``ffv1-gray``."""
        parts = [_CODECS[self.codec].short]
        if self.crf is not None:
            parts.append(f"crf{self.crf}")
        if self.pixel_format != "yuv420p":
            parts.append(self.pixel_format)
        if self.preset != "medium":
            parts.append(self.preset)
        return "-".join(parts)

    @property
    def containers(self) -> tuple[str, ...]:
        """File suffixes of containers that can hold the codec, the usual one first."""
        return _CODECS[self.codec].containers

    @property
    def is_gray(self) -> bool:
        """Whether pictures are (H, W) instead of (H, W, 3)."""
        return self.pixel_format == "gray"

    @property
    def full_range(self) -> bool:
        """Whether samples use all values (0 to 255) rather than the studio range (16 to 235)."""
        return self.codec == "mjpeg" or self.pixel_format in ("gray", "bgr0")

    @property
    def min_side_px(self) -> int:
        """The smallest picture side, in pixels, that the encoder handles correctly."""
        return _CODECS[self.codec].min_side_px

    def pixel_format_for(self, width: int, height: int) -> str:
        """The pixel format in which a picture of this size keeps its size.

        H.264 and HEVC crop in steps of one chroma sample, so 4:2:0 allows no odd side. Such a clip is written with
        full chroma (``yuv444p``) instead of being padded or cropped.
        """
        odd = width % 2 or height % 2
        if odd and _CODECS[self.codec].even_sides and self.pixel_format in ("yuv420p", "yuv422p"):
            return "yuv444p"
        if odd and _CODECS[self.codec].even_sides and self.pixel_format in ("yuv420p10le", "yuv422p10le"):
            return "yuv444p10le"
        return self.pixel_format

    def options(self) -> dict[str, str]:
        """The encoder's own options, in FFmpeg's names, chosen so that equal pictures give equal bytes."""
        step = _PRESETS.index(self.preset)
        crf = {} if self.crf is None else {"crf": str(self.crf)}
        match self.codec:
            case "libx264":
                # Its macroblock tree reads uninitialised memory: with it 1 to 9 % of runs differ, without it none.
                return {**crf, "preset": self.preset, "x264-params": "mbtree=0"}
            case "libx265":
                threads = f"frame-threads=2:pools={ENCODER_THREADS}:log-level=error"
                return {**crf, "preset": self.preset, "x265-params": threads}
            case "libvpx-vp9":
                return {**crf, "b": "0", "deadline": "good", "cpu-used": str(max(0, min(5, 8 - step)))}
            case "libsvtav1":
                return {**crf, "preset": str(13 - step), "svtav1-params": "lp=2"}
            case "ffv1":
                return {"level": "3", "slicecrc": "1", "g": "1"}
            case "mjpeg":
                return {"qmin": str(self.crf), "qmax": str(self.crf)}


def _need_known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{what} {value!r} is not known", hint=near_matches(value, list(known)))
