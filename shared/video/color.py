"""Conversion of decoded frames to RGB by the declared matrix, range, transfer and primaries, at display size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from shared.errors import MediaError
from shared.video.geometry import centred, fitted_size, square_size
from shared.video.tone import BT2020_PRIMARIES, SdrConverter, is_hdr, sdr_converter_for

# The default conversion of FFmpeg darkens a picture by more than one level each time it is read and written again.
# These flags keep the mean within a few hundredths of a level, and give the same bytes on every processor.
EXACT_CHROMA = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT

_COLORSPACE_RGB, _COLORSPACE_UNSTATED, _COLORSPACE_RESERVED = 0, 2, 3
_MATRICES: dict[int, Colorspace] = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

# Video codecs whose luma is in studio range unless they say otherwise, also for gray video.
_STUDIO_RANGE = frozenset({"h264", "hevc", "av1", "vp9", "vp8", "mpeg2video", "mpeg4"})
_RANGE_STUDIO, _RANGE_FULL = 1, 2


def default_matrix(width: int, height: int) -> Colorspace:
    """The colour matrix of a video that declares none: BT.709 from 720p on, BT.601 below, as players assume."""
    return Colorspace.ITU709 if max(width, height) >= 1280 or min(width, height) > 576 else Colorspace.ITU601


def matrix_of(frame: VideoFrame, path: Path) -> Colorspace | None:
    """The colour matrix that a frame declares, :func:`default_matrix` when it declares none, None for RGB.

    Raises:
        MediaError: it declares an unknown one; a guess would shift every colour.
    """
    declared = int(frame.colorspace)
    if declared == _COLORSPACE_RGB:
        return None
    if declared in (_COLORSPACE_UNSTATED, _COLORSPACE_RESERVED):
        if is_hdr(frame) or int(frame.color_primaries) == BT2020_PRIMARIES:
            return Colorspace.BT2020
        return default_matrix(frame.width, frame.height)
    if declared not in _MATRICES:
        raise MediaError(f"{path} uses a colour matrix (number {declared}) not known here", hint="convert it to BT.709")
    return _MATRICES[declared]


class FrameConverter:
    """Converts decoded frames to pictures; keeps FFmpeg's tables between frames. For one pass over one file.

    Args:
        path: the file, for messages.
        first: its first frame; pictures of all others are resized to its size.
        pixel_aspect: displayed width of a stored pixel over its height.
        codec: of the video; decides the range of gray frames that declare none.
    """

    def __init__(self, path: Path, first: tuple[int, int], pixel_aspect: Fraction, codec: str) -> None:
        self._path = path
        self._stored = first
        self._aspect = pixel_aspect
        self._size = square_size(*first, pixel_aspect)
        self._gray_is_studio = codec in _STUDIO_RANGE
        self._reformatter = VideoReformatter()
        self._sdr: SdrConverter | None = None

    def rgb(self, frame: VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 BT.709 RGB in square pixels, not yet rotated. PQ and HLG are tone mapped.

        Raises:
            MediaError: the frame's format cannot be converted.
        """
        matrix = matrix_of(frame, self._path)
        sdr = self._sdr = sdr_converter_for(frame, self._sdr)
        if sdr is not None:
            return sdr.convert(self._convert(frame, "rgb48le", matrix))
        if frame.format.name.startswith("gray") and self._is_studio(frame):
            return np.repeat(self.gray(frame)[..., None], 3, axis=2)
        return self._convert(frame, "rgb24", matrix)

    def gray(self, frame: VideoFrame) -> np.ndarray:
        """(H, W) uint8: the luma samples over the full range; those of a full-range gray video as they are.

        Raises:
            MediaError: the frame's format cannot be converted.
        """
        if not frame.format.name.startswith("gray"):
            return self._convert(frame, "gray", matrix_of(frame, self._path))
        plain = frame.format.name == "gray" and self._is_plain(frame)
        # Nearest neighbours: a mask keeps its values.
        samples: np.ndarray = frame.to_ndarray() if plain else self._convert(frame, "gray", None, nearest=True)
        return _STUDIO_TO_FULL[samples] if self._is_studio(frame) else samples

    def _is_plain(self, frame: VideoFrame) -> bool:
        return (frame.width, frame.height) == self._stored == self._size

    def _is_studio(self, frame: VideoFrame) -> bool:
        # FFmpeg treats every gray picture as full range and ignores its tag.
        stated = int(frame.color_range)
        return stated == _RANGE_STUDIO or (stated != _RANGE_FULL and self._gray_is_studio)

    def _convert(
        self, frame: VideoFrame, format_name: str, matrix: Colorspace | None, *, nearest: bool = False
    ) -> np.ndarray:
        width, height = self._size
        if not self._is_plain(frame):
            width, height = fitted_size(*square_size(frame.width, frame.height, self._aspect), self._size)
        filtering = Interpolation.BILINEAR if (width, height) == (frame.width, frame.height) else Interpolation.BICUBIC
        try:
            converted = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format=format_name,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                dst_color_range=ColorRange.JPEG,
                interpolation=(Interpolation.POINT if nearest else filtering) | EXACT_CHROMA,
            )
        except (FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self._path} holds pictures in a format ({frame.format.name}) that cannot be converted",
                hint="convert it to H.264 first",
            ) from error
        return centred(converted.to_ndarray(), self._size)


_STUDIO_TO_FULL = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
