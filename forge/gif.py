"""A small moving preview of a fake: target and swap side by side, with a line that says what it is."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from forge.frames import Rendered
from shared.sampling import evenly_spaced

_MOST_FRAMES = 40
_HEIGHT_PX = 200
_MOST_WIDTH_PX = 320
_STRIP_PX = 20
_FRAME_MS = 100
_COMMENT = b"Synthetic: a face swap made by Assay (right) beside its target (left)"
_LABEL = "target | SYNTHETIC face swap"


class GifSheet:
    """Keeps some of the frames that pass, small, and makes a GIF of them, ten a second.

    ``frames`` are the indices worth showing; forty of them, evenly spaced, are kept.
    """

    suffix = ".gif"

    def __init__(self, frames: list[int]) -> None:
        self._wanted = {frames[place] for place in evenly_spaced(len(frames), _MOST_FRAMES)} if frames else set()
        self._pictures: list[np.ndarray] = []

    def offer(self, done: Rendered) -> None:
        """Takes the frame when it is one of those wanted."""
        if done.frame.index in self._wanted:
            pair = np.hstack([_small(done.frame.image), _small(done.image)])
            self._pictures.append(np.vstack([_strip(pair.shape[1]), pair]))

    def encoded(self) -> bytes:
        """The bytes of a GIF file with a comment that says what it shows.

        Raises:
            ValueError: none of the wanted frames came.
        """
        if not self._pictures:
            raise ValueError("a preview needs at least one of its frames")
        # One palette for all, or the colours of a still background would flicker.
        tall = Image.fromarray(np.vstack(self._pictures[:: max(1, len(self._pictures) // 8)]))
        palette = tall.quantize(256, method=Image.Quantize.MEDIANCUT)
        pictures = [Image.fromarray(one).quantize(palette=palette) for one in self._pictures]
        file = io.BytesIO()
        pictures[0].save(
            file,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=_FRAME_MS,
            loop=0,
            comment=_COMMENT,
            optimize=False,
        )
        return file.getvalue()


def _small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(1.0, _HEIGHT_PX / height, _MOST_WIDTH_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _strip(width: int) -> np.ndarray:
    strip = np.zeros((_STRIP_PX, width, 3), np.uint8)
    cv2.putText(strip, _LABEL, (4, _STRIP_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (235, 235, 235), 1, cv2.LINE_AA)
    return strip
