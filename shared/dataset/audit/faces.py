"""Face boxes for the audit: from the set's labels or, if these are incomplete, found by one finder in every clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from shared.dataset.frame_table import rows_by_clip
from shared.errors import AssayError
from shared.faces.finders.finder import FaceFinder
from shared.storage import inside
from shared.types import ClipId, ClipRecord, Frame
from shared.video import VideoReader
from shared.video.images import PictureReader
from shared.video.media import clip_reader, is_still_clip

_SEARCHED = 3


@dataclass(frozen=True, eq=False)
class FaceBoxes:
    """Faces of a clip: ``frames`` (N,), ``boxes`` (N, 4), and which of them are forged or comparable, (N,) bool."""

    frames: np.ndarray
    boxes: np.ndarray
    chosen: np.ndarray

    def near(self, frame: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(K, 4) boxes of the nearest labelled frame, and the largest of those to compare; None without any."""
        if not self.frames.size:
            return np.zeros((0, 4)), None
        nearest = self.frames[np.abs(self.frames - frame).argmin()]
        here = self.frames == nearest
        candidates = self.boxes[here & self.chosen]
        if not len(candidates):
            return self.boxes[here], None
        areas = (candidates[:, 2] - candidates[:, 0]) * (candidates[:, 3] - candidates[:, 1])
        return self.boxes[here], candidates[areas.argmax()]


def labelled_faces(tables: Iterable[pa.Table]) -> dict[str, FaceBoxes]:
    """Labelled faces by clip id as text. In a clip with forged faces, only those are compared."""
    found: dict[str, FaceBoxes] = {}
    for clip, rows in rows_by_clip(tables):
        kept = rows.filter(rows["box"].is_valid())
        boxes = np.asarray(kept["box"].combine_chunks().flatten(), dtype=np.float64).reshape(-1, 4)
        fake = np.asarray(kept["label"]) == "fake"
        chosen = fake if fake.any() else np.ones(len(boxes), dtype=bool)
        found[clip] = FaceBoxes(kept["frame"].to_numpy(), boxes, chosen)
    return found


NOBODY = FaceBoxes(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0, dtype=bool))


def all_labelled(records: Sequence[ClipRecord], labelled: Mapping[str, FaceBoxes]) -> bool:
    """Whether at least 90 % of the clips of each class have a labelled face.

    Otherwise the probes of face and background would compare boxes of two origins, or one class with nothing.
    """
    for label in ("real", "fake"):
        have = [bool(labelled.get(str(r.id), NOBODY).chosen.any()) for r in records if r.label == label]
        if not have or np.mean(have) < 0.9:
            return False
    return True


def found_faces(
    folder: Path,
    records: Sequence[ClipRecord],
    finder: FaceFinder,
    *,
    tick: Callable[[], object] | None = None,
) -> dict[ClipId, FaceBoxes]:
    """Faces found by ``finder`` in three frames of each clip; unreadable clips are left out."""
    ranges = looked_at(records)
    found: dict[ClipId, FaceBoxes] = {}
    for record in records:
        frames: list[int] = []
        boxes: list[np.ndarray] = []
        try:
            with clip_reader(inside(folder, record.path)) as reader:
                for frame in spaced(reader, ranges[record.id], _SEARCHED):
                    for face in finder.find([frame.image])[0]:
                        frames.append(frame.index)
                        boxes.append(face.box.astype(np.float64))
        except AssayError:
            continue
        finally:
            if tick is not None:
                tick()
        if boxes:
            found[record.id] = FaceBoxes(np.array(frames), np.stack(boxes), np.ones(len(boxes), dtype=bool))
    return found


def spaced(reader: VideoReader | PictureReader, part: tuple[int, int], count: int) -> Iterator[Frame]:
    """Yields at most ``count`` frames, evenly spaced within the half-open range ``part``."""
    length = max(1, part[1] - part[0])
    count = min(count, length)
    step = length // count
    start = part[0] + step // 2
    yield from reader.frames(start=start, stop=start + (count - 1) * step + 1, step=step)


def looked_at(records: Sequence[ClipRecord]) -> dict[ClipId, tuple[int, int]]:
    """Frame range of each clip to compare: of a fake its forged part, of a real clip that of a fake made from it.

    With different ranges for the classes, the position in the stream alone (key frames, the encoder's rate control)
    would separate them.
    """
    ranges: dict[ClipId, tuple[int, int]] = {}
    parts: dict[tuple[str, bool], tuple[int, int]] = {}
    for record in records:
        if record.faked:
            start, stop = max(record.faked, key=lambda part: part[1] - part[0])
            ranges[record.id] = (start, stop)
            parts.setdefault(_filmed(record), (start, stop))
    for record in records:
        start, stop = parts.get(_filmed(record), (0, record.frames))
        fits = stop <= record.frames and not record.faked
        ranges.setdefault(record.id, (start, stop) if fits else (0, record.frames))
    return ranges


def _filmed(record: ClipRecord) -> tuple[str, bool]:
    """The person, and whether in a still."""
    return record.target_identity, is_still_clip(Path(record.path))
