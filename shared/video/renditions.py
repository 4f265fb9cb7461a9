"""Renditions: one lossless picture sequence, encoded in several ways in one pass over its frames.

c0, c23 and c40 are the levels of FaceForensics++ (Roessler et al. 2019). Its c0 is lossless RGB (libx264rgb); ours is
libx264 at crf 0 in 4:4:4, which differs from the pictures by the rounding of the colour conversion only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from shared.config import need
from shared.errors import UsageError
from shared.registry import near_matches
from shared.storage import draft_beside
from shared.types import Frame, Timestamp, check_name
from shared.video import Encoding, VideoReader, VideoWriter, container_for


@dataclass(frozen=True)
class Rendition:
    """One encode of a clip, or a chain of encodes.

    Attributes:
        name: the part of a clip's id after the ``@``.
        encoding: the last encoder.
        size: shorter side in pixels; None keeps the clip's size. Pictures are never larger than the clip's.
        through: earlier encodes, as when a clip is uploaded, downscaled and uploaded again: the result of each is
            decoded, resized for the next and encoded again.
    """

    name: str
    encoding: Encoding = field(default_factory=Encoding)
    size: int | None = None
    through: tuple[Rendition, ...] = ()

    def __post_init__(self) -> None:
        try:
            check_name(self.name, "rendition")
        except ValueError as error:
            raise UsageError(str(error), hint="for example c23") from error
        need(self.size is None or self.size >= 16, f"{self.name}: size {self.size} is below 16 pixels", "144 to 1080")
        need(all(not step.through for step in self.through), f"{self.name}: a chain within a chain", "list all steps")


@dataclass(frozen=True)
class Picture:
    """Size, clock and sound of the sequence that is encoded."""

    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction | None
    sound: Path | None = None

    def at(self, size: int | None) -> tuple[int, int]:
        """Width and height with ``size`` pixels on the shorter side, both even, never larger than the picture."""
        shorter = min(self.width, self.height)
        if size is None or size >= shorter:
            return self.width, self.height
        scale = size / shorter
        return _even(self.width * scale), _even(self.height * scale)


def _x264(name: str, crf: int, pixel_format: str = "yuv420p") -> Rendition:
    return Rendition(name, Encoding(crf=crf, pixel_format=pixel_format))


KNOWN: Mapping[str, Rendition] = {
    one.name: one
    for one in (
        _x264("c0", 0, "yuv444p"),
        _x264("c23", 23),
        _x264("c40", 40),
        Rendition("c23-360", Encoding(crf=23), size=360),
        Rendition("hevc28", Encoding("libx265", 28)),
        Rendition("vp9-33", Encoding("libvpx-vp9", 33)),
        Rendition("av1-35", Encoding("libsvtav1", 35)),
        Rendition("mjpeg5", Encoding("mjpeg", 5)),
        Rendition("reupload", Encoding(crf=26), through=(Rendition("first", Encoding(crf=30), size=240),)),
    )
}
"""Renditions with a fixed name. ``reupload``: crf 30 at 240 pixels, enlarged again, crf 26."""


def known_rendition(name: str) -> Rendition:
    """The rendition of :data:`KNOWN` called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in KNOWN:
        raise UsageError(f"no rendition is named {name!r}", hint=near_matches(name, list(KNOWN)))
    return KNOWN[name]


def suffix_for(encoding: Encoding, sound: Path | None) -> str:
    """File suffix for an encoding: of its own container, or of another that can hold both its codec and the sound.

    Raises:
        MediaError: no container can hold both.
    """
    if sound is None:
        return encoding.container
    return container_for(sound, encoding.container, encoding.containers)


def encode_all(frames: Iterable[Frame], picture: Picture, outs: Sequence[tuple[Rendition, Path]]) -> int:
    """Writes every rendition to its path in one pass over ``frames``; returns the number of frames.

    The first encode of a chain is part of that pass. The later ones follow, and intermediate files are removed.

    Raises:
        MediaError: an encoder refuses the size, or a container the sound.
        StorageError: writing failed.
    """
    count = 0
    with ExitStack() as chain:
        drafts = {path: chain.enter_context(draft_beside(path)) for one, path in outs if one.through}
        with ExitStack() as stack:
            writers = [
                _Sized(stack, picture, *_first(one), drafts.get(path, path), with_sound=True) for one, path in outs
            ]
            for frame in frames:
                sizes: dict[tuple[int, int], np.ndarray] = {}
                for writer in writers:
                    writer.write(frame.image, frame.time, sizes)
                count += 1
        for one, path in outs:
            if one.through:
                _go_on(drafts[path], path, picture, one)
    return count


class _Sized:
    """A writer that resizes pictures first."""

    def __init__(
        self,
        stack: ExitStack,
        picture: Picture,
        encoding: Encoding,
        size: int | None,
        path: Path,
        *,
        with_sound: bool,
    ) -> None:
        self.size = picture.at(size)
        self.writer = stack.enter_context(
            VideoWriter(
                path,
                width=self.size[0],
                height=self.size[1],
                time_base=picture.time_base,
                frame_rate=picture.frame_rate,
                encoding=encoding,
                audio_from=picture.sound if with_sound else None,
            )
        )

    def write(self, image: np.ndarray, time: Timestamp, sizes: dict[tuple[int, int], np.ndarray]) -> None:
        """Writes ``image``; ``sizes`` caches its resized copies for all writers."""
        if self.size not in sizes:
            sizes[self.size] = resized_picture(image, self.size)
        self.writer.write(sizes[self.size], time)


def _first(one: Rendition) -> tuple[Encoding, int | None]:
    start = one.through[0] if one.through else one
    return start.encoding, start.size


def _go_on(draft: Path, path: Path, picture: Picture, one: Rendition) -> None:
    """Makes the later encodes of a chain from ``draft``, the result of the first; the last is written to ``path``."""
    steps = [*one.through[1:], one]
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        out = path if last else draft.with_name(f"{draft.stem}.{number}{draft.suffix}")
        try:
            with ExitStack() as stack, VideoReader(draft) as reader:
                writer = _Sized(stack, picture, step.encoding, step.size, out, with_sound=True)
                for frame in reader:
                    writer.write(frame.image, on_clock(frame.time, picture.time_base), {})
        finally:
            draft.unlink(missing_ok=True)
        draft = out


def on_clock(time: Timestamp, time_base: Fraction) -> Timestamp:
    """``time`` rounded to whole ticks of ``time_base``, as a container stores it."""
    return Timestamp(round(time.exact_seconds / time_base), time_base)


def resized_picture(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``image`` at (width, height) ``size``: area averages when smaller, cubic when larger, unchanged when equal."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    smaller = size[0] * size[1] < width * height
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def resized_mask(mask: np.ndarray, size: tuple[int, int], *, binary: bool) -> np.ndarray:
    """A (H, W) uint8 mask at (width, height) ``size``, by the share of each new pixel that it covers.

    A pixel covered in part stays above zero; in a ``binary`` mask (changed pixels) it becomes 255.
    """
    height, width = mask.shape
    if (width, height) == size:
        return mask
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if binary:
        return np.where(share > 0, np.uint8(255), np.uint8(0))
    levels = np.rint(share).astype(np.uint8)
    return np.where((levels == 0) & (share > 0), np.uint8(1), levels)


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))
