"""The three masks of a fake, as data, made before compression.

* **alpha**: what the compositor used;
* **changed**: the pixels that differ from the target's, whatever the reason (Poisson blending and alpha near zero make
  it another set than alpha);
* **region**: the face region of the model or of the landmarks, before it was shrunk and feathered.

Convention:
    every mask: (H, W) uint8 in frame space, 0 for none, 255 for all; a video of them has every frame of the clip, as
    lossless grey FFV1 in Matroska, with the clip's timestamps to the millisecond
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from forge.swapping.blend import Patch, to_bytes
from shared.types import Timestamp, VideoInfo
from shared.video import Encoding, VideoWriter

MASK_KINDS: tuple[str, ...] = ("alpha", "changed", "region")


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """The three masks of one frame, each (H, W) uint8."""

    alpha: np.ndarray
    changed: np.ndarray
    region: np.ndarray

    @property
    def any_changed(self) -> bool:
        """Whether the frame holds a forged pixel."""
        return bool(self.changed.any())


def frame_masks(before: np.ndarray, after: np.ndarray, patches: list[Patch], *, whole: bool = False) -> FrameMasks:
    """The masks of a frame (H, W, 3) that became ``after`` when ``patches`` were pasted on top of each other.

    ``whole`` says that pixels may also differ where no patch lies.
    """
    height, width = before.shape[:2]
    masks = FrameMasks(*(np.zeros((height, width), np.uint8) for _kind in MASK_KINDS))
    if not patches and not whole:
        return masks
    # Only the part with the patches: on large frames the rest is most of the cost.
    x0, y0, x1, y1 = (0, 0, width, height) if whole else _around(patches)
    alpha = np.zeros((y1 - y0, x1 - x0), np.float32)
    region = np.zeros_like(alpha)
    for patch in patches:
        left, top, right, bottom = patch.bounds
        place = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        # Transparency of two layers is the product of their transparencies.
        under = alpha[place]
        alpha[place] = patch.alpha + (1 - patch.alpha) * under if under.any() else patch.alpha
        region[place] = np.maximum(region[place], patch.region)
    part = (slice(y0, y1), slice(x0, x1))
    masks.alpha[part], masks.region[part] = to_uint8(alpha), to_uint8(region)
    masks.changed[part] = changed_pixels(before[part], after[part])
    return masks


def _around(patches: list[Patch]) -> tuple[int, int, int, int]:
    """Half-open (x0, y0, x1, y1) of the smallest box that holds all ``patches``."""
    bounds = np.array([patch.bounds for patch in patches])
    x0, y0, x1, y1 = (*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist())
    return x0, y0, x1, y1


def changed_pixels(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W) uint8: 255 where any channel differs, 0 where all bytes are equal."""
    red, green, blue = cv2.split(cv2.absdiff(before, after))
    # Channel by channel: a reduction over an axis of three takes many times as long.
    differs = cv2.bitwise_or(cv2.bitwise_or(red, green), blue)
    return cv2.threshold(differs, 0, 255, cv2.THRESH_BINARY)[1]


def to_uint8(mask: np.ndarray) -> np.ndarray:
    """``mask`` in [0, 1] as (H, W) uint8, rounded; but what is above zero stays above zero."""
    return np.maximum(to_bytes(mask * np.float32(255)), (mask > 0).view(np.uint8))


class MaskWriter:
    """Writes the three mask videos side by side; a context manager, each file whole or absent.

    Args:
        paths: name of each mask (:data:`MASK_KINDS`) to the .mkv file it goes to.
        info: the target's size, clock and rate.

    Raises:
        StorageError: writing failed.
    """

    def __init__(self, paths: Mapping[str, Path], info: VideoInfo) -> None:
        self.paths = {kind: paths[kind] for kind in MASK_KINDS}
        self._info = info
        self._stack = ExitStack()
        self._writers: dict[str, VideoWriter] = {}

    def __enter__(self) -> MaskWriter:
        with ExitStack() as stack:
            for kind, path in self.paths.items():
                writer = VideoWriter.like(self._info, path, encoding=Encoding.lossless_mask())
                self._writers[kind] = stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, traceback)

    def write(self, masks: FrameMasks, time: Timestamp) -> None:
        """Adds the masks of the frame at ``time``."""
        for kind, writer in self._writers.items():
            writer.write(getattr(masks, kind), time)
