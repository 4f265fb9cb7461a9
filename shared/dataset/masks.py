"""Checks a fake's masks against its labels and against the pixels of the clip it was made from.

Two checks of the mask ``changed``, which marks pixels that differ from the original before compression:

1. *Labels*, on every frame: it has the video's size, and marks pixels on forged frames and only there.
2. *Pixels*, on a few forged frames, if the real clip is in the set in the same rendition, size and length. Lossy
   encoding makes equal pictures slightly different, so luma is compared as means of blocks of 8 px. A block *differs*
   if its mean difference is above 8 levels and above five times the median of the unmarked blocks. Strong compression
   makes many scattered blocks differ, a forged face one connected region. So the mask is wrong if there is a region of
   connected blocks that differ, more than 16 px (a macroblock) from any marked pixel, of at least sixteen blocks, half
   the mask's area, and more blocks than differ within the mask; or if, over all compared frames, marked pixels differ
   no more than unmarked ones. The latter is possible for a self-swap, which is not compared.

   A clip made of a still is compared with that still, if it is its parent in the set and no smaller. The still was not
   compressed as the clip was, which costs texture and leaves means of blocks: their difference counts in its place.

Hashes and signatures detect a replaced mask; these checks detect one that was wrong when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import cv2
import numpy as np

from shared.dataset.excerpts import target_frames
from shared.dataset.files import PresentFiles
from shared.dataset.held import is_held
from shared.errors import AssayError
from shared.types import ClipId, ClipRecord

BLOCK_PX = 8
MARGIN_BLOCKS = 2
LEVELS = 8.0
TIMES_MEDIAN = 5.0
MIN_BLOCKS = 16
MIN_SHARE = 0.5

_COMPARED = 3
_MIN_MARKED = 8


class Originals:
    """Finds the real clip to compare with a fake."""

    def __init__(self, records: Iterable[ClipRecord]) -> None:
        self._records = {record.id: record for record in records}
        self._real: dict[str, list[ClipRecord]] = {}
        for record in self._records.values():
            if record.label == "real":
                for key in self._footage(record):
                    self._real.setdefault(key, []).append(record)

    def of(self, fake: ClipRecord) -> ClipRecord | None:
        """The real clip of the same footage in the same rendition and size; None if there is none.

        It has as many frames, or, for a fake of a stretch of its target, those of the stretch.
        """
        found = self.matched(fake)
        return None if found is None else found[0]

    def matched(self, fake: ClipRecord) -> tuple[ClipRecord, int] | None:
        """As :meth:`of`, with the real clip's frame that is the fake's frame 0."""
        found = self._root(fake)
        if found is None:
            return None
        root, first, whole = found
        for key in self._footage(root):
            for real in self._real.get(key, []):
                same = (real.rendition, real.width, real.height) == (fake.rendition, fake.width, fake.height)
                long_enough = real.frames == fake.frames if whole else real.frames >= first + fake.frames
                if same and long_enough:
                    return real, first
        return None

    def still_of(self, fake: ClipRecord) -> ClipRecord | None:
        """The still that a fake shows for its length, of the same shape and no smaller; None if there is none."""
        found = self._records.get(fake.parent) if is_held(fake) and fake.parent is not None else None
        if found is None or found.frames != 1 or found.width < fake.width or found.height < fake.height:
            return None
        # Sides of a reduced picture are rounded to even numbers.
        alike = abs(found.width * fake.height - found.height * fake.width) <= 2 * max(found.width, found.height)
        return found if alike else None

    def _root(self, record: ClipRecord) -> tuple[ClipRecord, int, bool] | None:
        """The real clip that a fake was made of, its frame that is the fake's frame 0, and whether all were taken."""
        seen: set[ClipId] = set()
        found: ClipRecord | None = record
        first, whole = 0, True
        while found is not None and found.label != "real":
            if found.parent is None or found.parent in seen:
                return None
            stretch = target_frames(found)
            if stretch is not None:
                if stretch[1] - stretch[0] != found.frames:
                    return None
                first, whole = first + stretch[0], False
            seen.add(found.parent)
            found = self._records.get(found.parent)
        return None if found is None else (found, first, whole)

    def _footage(self, real: ClipRecord) -> Sequence[str]:
        """Keys shared by the renditions of one original."""
        original = real.factors.get("original_sha256")
        return [str(real.id), *([str(real.parent)] if real.parent else []), *([original] if original else [])]


@dataclass(frozen=True, eq=False)
class _Compared:
    """One frame: mean differences of marked blocks and of distant ones, and the number that contradict the mask."""

    marked: np.ndarray
    far: np.ndarray
    stray: int


def mask_faults(present: PresentFiles, record: ClipRecord, originals: Originals) -> Iterator[str]:
    """A sentence for each fault of a fake's masks; none for a clip without masks or with missing files."""
    from shared.video import read_mask_frames

    if record.masks is None:
        return
    path, video = present.find(record.masks.changed), present.find(record.path)
    if path is None or video is None:
        return
    held = is_held(record)
    original, first = (originals.still_of(record), 0) if held else originals.matched(record) or (None, 0)
    real = present.find(original.path) if original is not None else None
    wanted = _wanted(record) if real is not None else ()
    kept: dict[int, np.ndarray] = {}
    marked: list[bool] = []
    try:
        for index, mask in enumerate(read_mask_frames(path)):
            if mask.shape != (record.height, record.width):
                yield f"{record.masks.changed} is {mask.shape[1]}x{mask.shape[0]}, its clip is {_size(record)}"
                return
            marked.append(bool(mask.any()))
            if index in wanted:
                kept[index] = mask
        yield from _against_labels(record, marked)
        if real is not None and original is not None and kept:
            count = max(kept) + 1
            if held:
                lumas = _weighed(video, count), _held(real, (record.width, record.height))
            else:
                lumas = _lumas(video, 0, count), _lumas(real, first, count)
            yield from _against_pixels(record, original, lumas, kept)
    except AssayError as error:
        yield f"{record.masks.changed} cannot be compared with its clip: {error}"


def _wanted(record: ClipRecord) -> tuple[int, ...]:
    forged = [index for start, stop in record.faked for index in range(start, stop)]
    places = np.linspace(0, len(forged) - 1, min(_COMPARED + 2, len(forged)))[1:-1] if len(forged) > 2 else [0]
    return tuple(forged[int(place)] for place in places) if forged else ()


def _against_labels(record: ClipRecord, marked: Sequence[bool]) -> Iterator[str]:
    if record.masks is None:
        return
    forged = np.zeros(len(marked), dtype=bool)
    for start, stop in record.faked:
        forged[start:stop] = True
    if is_held(record):
        if not forged.all():
            yield f"frame {int(forged.argmin())} of {record.id} is called real, and no frame of a still is"
        return
    odd = np.flatnonzero(forged != np.asarray(marked))
    if odd.size:
        says = "marks nothing, and the clip says it is forged" if forged[odd[0]] else "marks pixels of an untouched one"
        yield f"frame {odd[0]} of {record.masks.changed} {says} ({odd.size} such frames)"


def _against_pixels(
    record: ClipRecord,
    original: ClipRecord,
    lumas: tuple[Iterator[np.ndarray], Iterator[np.ndarray]],
    masks: Mapping[int, np.ndarray],
) -> Iterator[str]:
    """Compares the frames of the fake and of what it was made from, (H, W) uint8, where ``masks`` has one."""
    if record.source_identity == record.target_identity:
        return
    compared: list[_Compared] = []
    for index, (forged, untouched) in enumerate(zip(*lumas, strict=False)):
        if index not in masks or forged.shape != untouched.shape:
            continue
        found = _compare(forged, untouched, masks[index], of_means=is_held(record))
        compared.append(found)
        if found.stray:
            yield (
                f"frame {index} differs from {original.id} in {found.stray} blocks that "
                f"{record.masks.changed if record.masks else 'its mask'} leaves out"
            )
            return
    if not compared:
        return
    inside, outside = (np.concatenate([getattr(frame, name) for frame in compared]) for name in ("marked", "far"))
    if inside.size >= _MIN_MARKED and outside.size >= _MIN_MARKED and inside.mean() <= outside.mean():
        yield f"what its masks mark as forged looks as it does in {original.id}"


def _compare(forged: np.ndarray, untouched: np.ndarray, mask: np.ndarray, *, of_means: bool = False) -> _Compared:
    """Compares two (H, W) uint8 lumas in blocks; ``mask`` (H, W) uint8 marks changed pixels.

    ``of_means`` takes the difference of the blocks' means, not the mean of the pixels' differences.
    """
    signed = forged.astype(np.float32) - untouched.astype(np.float32)
    difference = np.abs(_blocks(signed)) if of_means else _blocks(np.abs(signed))
    share = _blocks((mask > 0).astype(np.float32))
    reach = np.ones((2 * MARGIN_BLOCKS + 1,) * 2, np.uint8)
    near = cv2.dilate((share > 0).astype(np.uint8), reach) > 0
    far, marked = difference[~near], difference[share >= 0.5]
    limit = max(LEVELS, TIMES_MEDIAN * float(np.median(far))) if far.size else np.inf
    patch = _largest_patch((difference > limit) & ~near)
    within = max(MIN_SHARE * int((share >= 0.5).sum()), int((marked > limit).sum()))
    return _Compared(marked, far, patch if patch >= MIN_BLOCKS and patch > within else 0)


def _largest_patch(differs: np.ndarray) -> int:
    """Number of blocks of the largest 8-connected component."""
    _, _, facts, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8), connectivity=8)
    return int(facts[1:, cv2.CC_STAT_AREA].max(initial=0))


def _blocks(values: np.ndarray) -> np.ndarray:
    """Means of whole blocks of 8 x 8."""
    rows, columns = (side // BLOCK_PX for side in values.shape)
    cut = values[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return cut.reshape(rows, BLOCK_PX, columns, BLOCK_PX).mean(axis=(1, 3))


def _lumas(path: Path, first: int, count: int) -> Iterator[np.ndarray]:
    from shared.video import VideoReader

    with VideoReader(path) as reader, closing(reader.gray_frames()) as frames:  # type: ignore[type-var]
        yield from islice(frames, first, first + count)


def _weighed(path: Path, count: int) -> Iterator[np.ndarray]:
    """The luma of the colours of a clip's first frames: a picture and a video may store different ones."""
    from shared.video import VideoReader

    with VideoReader(path) as reader, closing(iter(reader)) as frames:  # type: ignore[type-var]
        for frame in islice(frames, count):
            yield cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)


def _held(path: Path, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The luma of the colours of a picture at ``size``, width and height, again and again."""
    from shared.video.images import read_picture

    image = read_picture(path)
    if image.shape[1::-1] != size:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    yield from repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _size(record: ClipRecord) -> str:
    return f"{record.width}x{record.height}"
