"""Near-duplicate clips in different splits: re-encoded, rescaled or re-cut copies.

Equal files are found by their digests (``shared.dataset.splits``); here a few frames of every clip are compared by hash
and then pixel by pixel. Frames of the test split are never trained on: they can only stop a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from detect.data.crops import faces_folder
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.audit.hashes import MAX_PAIRS, THUMB_PX, NearPair, Thumbs, near_pairs, thumbnail
from shared.dataset.splits import Leak
from shared.errors import MediaError, StorageError
from shared.sampling import evenly_spaced
from shared.storage import write_bytes
from shared.types import SPLITS, ClipRecord, Split
from shared.video.images import encode_png
from shared.video.media import clip_reader

_PICTURES = 4
_MAX_PICTURES = 80_000
"""Frames of 20,000 clips. All are compared with all, so the time grows with the square of this."""
_NEAR_BITS = 6
_BLOCK_PX = 4
_MOST_LEVELS = 6.0
"""Allowed difference of a block of two equal frames, of 255: at a third of the size and H.264 at crf 40 it is 4."""


def find_duplicates(folder: DatasetFolder, *, workers: int = 1) -> list[Leak]:
    """Pairs of clips in different splits with the same frames, nearest first.

    Two clips are duplicates when at least half of the frames sampled from the shorter list (4 a clip, evenly spaced)
    have a near one in the other: hashes that differ in at most 6 of 64 bits, a correlation of at least 0.97, and no
    block of the frame, an eighth of each side, that differs by more than 6 of 255 levels. The latter tells apart two
    people in front of the same studio wall. Thumbnails are cached beside the dataset's faces. Unreadable clips are
    skipped: training reports them when it reads them. A warning says what was not compared: unreadable clips,
    frames beyond 80,000, and pairs beyond 5,000.
    """
    records = [record for record in folder.records() if record.split is not None]
    if len({record.split for record in records}) < 2:
        return []
    cache = faces_folder(folder.path) / "looks"
    with (
        console.progress("looking for duplicates", len(records), unit="clip") as tick,
        ThreadPoolExecutor(workers, thread_name_prefix="assay-looks") as pool,
    ):
        looks: list[np.ndarray] = []
        for look in pool.map(lambda record: look_of(folder, record, cache), records):
            looks.append(look)
            tick()
    return _leaks(records, looks)


def look_of(folder: DatasetFolder, record: ClipRecord, cache: Path) -> np.ndarray:
    """(K, 32, 32) uint8, grey thumbnails of a few of the clip's frames; K is 0 if it cannot be read."""
    kept = cache / f"{record.sha256[:24]}.png"
    known = cv2.imread(str(kept), cv2.IMREAD_GRAYSCALE) if kept.is_file() else None
    if known is not None and known.shape[0] == THUMB_PX and known.shape[1] % THUMB_PX == 0:
        return np.stack(np.split(known, known.shape[1] // THUMB_PX, axis=1))
    path = folder.media_path(record)
    try:
        found = _thumbs(path, record)
    except (MediaError, OSError):
        return np.empty((0, THUMB_PX, THUMB_PX), np.uint8)
    if len(found):
        _keep(kept, np.concatenate(found, axis=1))
    return np.array(found, np.uint8).reshape(-1, THUMB_PX, THUMB_PX)


def _thumbs(path: Path, record: ClipRecord) -> list[np.ndarray]:
    wanted = set(evenly_spaced(record.frames, _PICTURES))
    with clip_reader(path) as reader:
        frames = reader.frames(stop=max(wanted, default=0) + 1)
        return [thumbnail(frame.image) for frame in frames if frame.index in wanted]


def _keep(path: Path, strip: np.ndarray) -> None:
    try:
        write_bytes(path, encode_png(strip))
    except (OSError, StorageError):  # then they are read again the next time
        return


def _leaks(records: Sequence[ClipRecord], looks: Sequence[np.ndarray]) -> list[Leak]:
    counts = [len(look) for look in looks]
    if not sum(counts):
        return []
    thumbs = Thumbs.of(np.concatenate(looks), np.repeat(np.arange(len(looks)), counts), most=_MAX_PICTURES)

    def agree(first: int, second: int) -> bool:
        return _are_equal(looks[first], looks[second])

    pairs = near_pairs(thumbs, [record.split for record in records], near_bits=_NEAR_BITS, agree=agree)
    _tell_what_was_not_compared(counts, thumbs, len(pairs))
    return [_leak(pair, records) for pair in pairs]


def _tell_what_was_not_compared(counts: Sequence[int], thumbs: Thumbs, pairs: int) -> None:
    unread, left_out = counts.count(0), sum(counts) - len(thumbs.pixels)
    if unread:
        console.warn(f"{unread} of {len(counts)} clips cannot be read and were not searched for duplicates")
    if left_out:
        clips = len(counts) - unread - len(np.unique(thumbs.owners))
        console.warn(
            f"{left_out} of {sum(counts)} pictures were not searched for duplicates, {clips} clips not at all: "
            f"only {len(thumbs.pixels)} are compared"
        )
    if pairs >= MAX_PAIRS:
        console.warn(f"the search for duplicates ended at {MAX_PAIRS} pairs of clips; there may be more")


def _are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether half of the pictures of the shorter stack have an equal one in the other."""
    short, long = sorted((first, second), key=len)
    apart = np.abs(short[:, None].astype(np.float32) - long[None])
    side = THUMB_PX // _BLOCK_PX
    blocks = apart.reshape(*apart.shape[:2], side, _BLOCK_PX, side, _BLOCK_PX).mean(axis=(3, 5))
    nearest = blocks.max(axis=(2, 3)).min(axis=1)
    return bool(np.mean(nearest <= _MOST_LEVELS) >= 0.5)


def _leak(pair: NearPair, records: Sequence[ClipRecord]) -> Leak:
    both = sorted((records[pair.first], records[pair.second]), key=lambda record: SPLITS.index(str(record.split)))
    splits: list[Split] = [record.split for record in both if record.split is not None]
    return Leak("look-alike", "that look alike", tuple(splits), (both[0].id, both[1].id))
