"""Sequences of pictures as lossless clips, one frame per picture, at a nominal rate.

A folder of face crops has no timestamps. The clip gets 25 frames per second, and its record the factor
``rate=nominal``. Pixels are kept exactly: FFV1, RGB, in Matroska.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from shared.dataset.formats.archive import unpack
from shared.dataset.formats.found import Media, Packed, Pictures, Video
from shared.dataset.formats.tree import natural
from shared.errors import MediaError
from shared.types import Timestamp
from shared.video import Encoding, VideoWriter, probe, read_mask_frames
from shared.video.images import read_picture

NOMINAL_RATE = 25
LOSSLESS = Encoding.lossless_rgb()

_MASKED_FROM = 128


def write_sequence(media: Pictures | Packed, out: Path) -> int:
    """Writes the pictures as a lossless clip; returns their number.

    Raises:
        MediaError: a picture cannot be read, or sizes differ (resizing would change traces of forgery).
        StorageError: writing failed.
    """
    with ExitStack() as stack:
        files = _files(media, stack)
        first = read_picture(files[0])
        height, width = first.shape[:2]
        writer = stack.enter_context(
            VideoWriter(
                out,
                width=width,
                height=height,
                time_base=Fraction(1, NOMINAL_RATE),
                frame_rate=Fraction(NOMINAL_RATE),
                encoding=LOSSLESS,
            )
        )
        for index, path in enumerate(files):
            picture = first if index == 0 else read_picture(path)
            if picture.shape != first.shape:
                raise MediaError(
                    f"{path.name} is {picture.shape[1]}x{picture.shape[0]}, the frames before it {width}x{height}",
                    hint="a clip has one size; frames are not resized, because that changes traces of forgery",
                )
            writer.write(picture, Timestamp(index, Fraction(1, NOMINAL_RATE)))
    return len(files)


def mask_frames(media: Media) -> Iterator[np.ndarray]:
    """(H, W) uint8 for each frame of a mask: 255 where it marks a forged pixel, 0 elsewhere.

    In a lossless mask any value above 0 counts, in others half brightness, because published masks are often lossy.

    Raises:
        MediaError: it cannot be read.
    """
    with ExitStack() as stack:
        frames: Iterable[np.ndarray]
        least = _MASKED_FROM
        if isinstance(media, Video):
            frames = read_mask_frames(media.path)
            least = 1 if probe(media.path).codec == "ffv1" else _MASKED_FROM
        else:
            frames = (read_picture(path).max(axis=2) for path in _files(media, stack))
        for frame in frames:
            yield np.where(frame >= least, np.uint8(255), np.uint8(0))


def write_mask(frames: Iterable[np.ndarray], out: Path) -> int:
    """Writes (H, W) uint8 masks as a lossless grey clip; returns their number.

    Raises:
        MediaError: there is none, or sizes differ.
        StorageError: writing failed.
    """
    listed = iter(frames)
    first = next(listed, None)
    if first is None:
        raise MediaError("the mask has no frames", hint="download it again")
    clock = Fraction(1, NOMINAL_RATE)
    height, width = first.shape
    count = 1
    with VideoWriter(
        out, width=width, height=height, time_base=clock, frame_rate=clock**-1, encoding=Encoding.lossless_mask()
    ) as writer:
        writer.write(first, Timestamp(0, clock))
        for frame in listed:
            if frame.shape != first.shape:
                raise MediaError("frames of the mask are of several sizes", hint="download it again")
            writer.write(frame, Timestamp(count, clock))
            count += 1
    return count


def _files(media: Pictures | Packed, stack: ExitStack) -> tuple[Path, ...]:
    if isinstance(media, Pictures):
        files = media.files
    else:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="assay-")))
        unpacked = unpack(media.archive, media.folder, place)
        files = tuple(path for _, path in sorted(unpacked, key=lambda pair: natural(pair[0])))
    if not files:
        raise MediaError("the sequence holds no pictures", hint="download it again")
    return files
