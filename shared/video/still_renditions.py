"""Renditions of single pictures: a picture written as PNG or JPEG, after other encodes or at once.

The counterpart of :mod:`shared.video.renditions`. Real and generated stills of a set leave by one chain, so that
quantisation tables, chroma and size are the same in both classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from shared.config import need
from shared.errors import UsageError
from shared.registry import near_matches
from shared.types import check_name
from shared.video.images import encode_jpeg, encode_png
from shared.video.renditions import resized_picture

StillFormat = Literal["png", "jpg"]
Chroma = Literal["420", "422", "444"]

_LEAST_PX = 16


@dataclass(frozen=True)
class StillEncoding:
    """How a picture is written.

    Attributes:
        format: of the file.
        quality, chroma: of JPEG: 1 to 100 on libjpeg's scale, and how often chroma is sampled.
        size: shorter side in pixels, smaller or larger than before; None keeps the picture's own.
    """

    format: StillFormat = "jpg"
    quality: int = 90
    chroma: Chroma = "420"
    size: int | None = None

    def __post_init__(self) -> None:
        need(1 <= self.quality <= 100, f"quality must be 1 to 100, got {self.quality}", "90 is usual")
        need(self.size is None or _LEAST_PX <= self.size <= 4096, f"size {self.size} is outside 16 to 4096", "256")

    @property
    def text(self) -> str:
        """As text: ``256-jpg-q90-420``, ``png``."""
        kind = self.format if self.format == "png" else f"jpg-q{self.quality}-{self.chroma}"
        return kind if self.size is None else f"{self.size}-{kind}"

    def moved_by(self, levels: int) -> StillEncoding:
        """With a JPEG quality that is so many levels higher; PNG has none."""
        if self.format == "png":
            return self
        return replace(self, quality=min(100, max(1, self.quality + levels)))

    def encoded(self, picture: np.ndarray) -> bytes:
        """``picture``, (H, W, 3) uint8 RGB, as a file.

        Raises:
            MediaError: it cannot be written in this format.
        """
        sized = picture if self.size is None else resized_picture(picture, _at(picture, self.size))
        return encode_png(sized) if self.format == "png" else encode_jpeg(sized, self.quality, self.chroma)


@dataclass(frozen=True)
class StillRendition:
    """One way in which a picture leaves: an encode, or a chain of them.

    Attributes:
        name: the part of a still's id after the ``@``.
        format, quality, chroma, size: of the last encode, see :class:`StillEncoding`.
        through: earlier encodes, as when a picture is posted and posted again: each result is decoded for the next.
    """

    name: str
    format: StillFormat = "jpg"
    quality: int = 90
    chroma: Chroma = "420"
    size: int | None = None
    through: tuple[StillEncoding, ...] = ()

    def __post_init__(self) -> None:
        try:
            check_name(self.name, "rendition")
        except ValueError as error:
            raise UsageError(str(error), hint="for example jpg90") from error
        need(len(self.through) <= 8, f"{self.name} goes through {len(self.through)} encodes", "8 at most")
        _ = self.last

    @property
    def last(self) -> StillEncoding:
        """The last encode."""
        return StillEncoding(self.format, self.quality, self.chroma, self.size)

    @property
    def text(self) -> str:
        """All encodes, first to last: ``128-jpg-q85-420 > 256-jpg-q75-420``."""
        return " > ".join(step.text for step in (*self.through, self.last))

    @property
    def suffix(self) -> str:
        """Of the file."""
        return f".{self.format}"

    def moved_by(self, levels: int) -> StillRendition:
        """With another quality of the last encode."""
        return replace(self, quality=self.last.moved_by(levels).quality)

    def encoded(self, picture: np.ndarray) -> bytes:
        """``picture``, (H, W, 3) uint8 RGB, as a file, after all encodes.

        Raises:
            MediaError: it cannot be written in a format.
        """
        for step in self.through:
            decoded = cv2.imdecode(np.frombuffer(step.encoded(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
            assert decoded is not None  # it was encoded a moment ago
            picture = decoded
        return self.last.encoded(picture)


KNOWN: Mapping[str, StillRendition] = {
    one.name: one
    for one in (
        StillRendition("png", "png"),
        StillRendition("jpg95", quality=95),
        StillRendition("jpg90", quality=90),
        StillRendition("jpg75", quality=75),
        StillRendition("jpg50", quality=50),
        StillRendition("reposted", quality=75, size=256, through=(StillEncoding(quality=85, size=160),)),
    )
}
"""Renditions with a fixed name. ``reposted``: JPEG 85 at 160 pixels, enlarged to 256, JPEG 75."""


def known_still(name: str) -> StillRendition:
    """The rendition of :data:`KNOWN` called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in KNOWN:
        raise UsageError(f"no rendition of stills is named {name!r}", hint=near_matches(name, list(KNOWN)))
    return KNOWN[name]


def _at(picture: np.ndarray, size: int) -> tuple[int, int]:
    height, width = picture.shape[:2]
    scale = size / min(height, width)
    return round(width * scale), round(height * scale)
