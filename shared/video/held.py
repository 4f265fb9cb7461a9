"""A photograph as a clip: the same picture at every frame time of another clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from shared.types import Frame, Timestamp, VideoInfo
from shared.video.images import is_still, picture_info, read_picture

LONGEST_PX = 1920
"""Longer side of the frames, at most: a larger photograph is reduced to it."""


@dataclass(frozen=True)
class HeldPicture:
    """A photograph and the times at which it is shown.

    Convention:
        times: of the frames, ascending, one or more
        frame_rate: None where it varies
        size: width and height of the file; info: of the frames, whose longer side is at most :data:`LONGEST_PX`

    Raises:
        MediaError: the file is no picture, damaged, too large, or an animation; also when it is read.
    """

    path: Path
    times: tuple[Timestamp, ...]
    frame_rate: Fraction | None
    size: tuple[int, int]
    info: VideoInfo

    @classmethod
    def of(cls, path: Path, times: tuple[Timestamp, ...], frame_rate: Fraction | None) -> HeldPicture:
        """The picture at ``path``, shown at ``times``.

        Raises:
            MediaError: see the class.
        """
        _ = is_still(path)  # refuses animations; what is no picture is refused by the next line
        found = picture_info(path)
        size = found.width, found.height
        width, height = _bounded(*size)
        info = replace(
            found, width=width, height=height, frame_rate=frame_rate, time_base=times[0].time_base,
            frames_declared=len(times), frames_counted=None,
        )  # fmt: skip
        return cls(path, times, frame_rate, size, info)

    @property
    def is_reduced(self) -> bool:
        """Whether the frames are smaller than the file's picture."""
        return self.size != (self.info.width, self.info.height)

    def frame(self) -> Frame:
        """The first frame.

        Raises:
            MediaError: the picture cannot be read.
        """
        return Frame(0, self.times[0], self._picture())

    def _picture(self) -> np.ndarray:
        image = read_picture(self.path)
        if not self.is_reduced:
            return image
        return cv2.resize(image, (self.info.width, self.info.height), interpolation=cv2.INTER_AREA)


def _bounded(width: int, height: int) -> tuple[int, int]:
    """The size of the frames; even where it is another than the picture's."""
    scale = LONGEST_PX / max(width, height)
    if scale >= 1:
        return width, height
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


class HeldReader:
    """The frames of a held picture, with the interface of :class:`shared.video.reader.VideoReader`.

    All frames share one picture, read once a pass and not to be written to.

    Raises:
        MediaError: the picture cannot be read, when frames are.
    """

    def __init__(self, held: HeldPicture) -> None:
        self._held = held
        self.path, self.info = held.path, held.info

    def __enter__(self) -> HeldReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def __iter__(self) -> Iterator[Frame]:
        image = self._held.frame().image
        image.setflags(write=False)
        for index, time in enumerate(self._held.times):
            yield Frame(index, time, image)
