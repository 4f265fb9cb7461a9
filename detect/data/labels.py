"""The label of a face in a frame of a labelled clip: real, fake, or unknown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from shared.faces.boxes import overlap
from shared.types import ClipId, ClipRecord, FrameLabel, Label

_SAME_FACE = 0.3

LabelsByFrame = Mapping[int, Sequence[FrameLabel]]


def labels_by_clip(labels: Sequence[FrameLabel]) -> dict[ClipId, dict[int, list[FrameLabel]]]:
    """Frame labels by clip and frame."""
    found: dict[ClipId, dict[int, list[FrameLabel]]] = defaultdict(lambda: defaultdict(list))
    for label in labels:
        found[label.clip][label.frame].append(label)
    return {clip: dict(frames) for clip, frames in found.items()}


def face_label(record: ClipRecord, rows: LabelsByFrame, frame: int, box: np.ndarray) -> Label | None:
    """The label of the face in ``box`` (4,) of frame ``frame``; None if unknown.

    Every face of a real clip is real. In a fake clip, a face takes the label of the row whose box overlaps it most
    (intersection over union of at least 0.3). A face without such a row is real if nothing in its frame was forged,
    else unknown: it may be another person, or the forged face with a different box. Rows of a frame that all lack a box
    (those of an imported set, which says only which frames are forged) label every face in it. Frames without any row
    are labelled by the record's forged ranges; a fake clip with neither is fake throughout.
    """
    if record.label == "real":
        return "real"
    here = rows.get(frame, ())
    if not here:
        return _by_range(record, frame, labelled=bool(rows))
    boxed = [(float(overlap(np.asarray(row.box, np.float64), box)), row) for row in here if row.box is not None]
    if not boxed:
        return "fake" if any(row.label == "fake" for row in here) else "real"
    likeness, nearest = max(boxed, key=lambda pair: pair[0], default=(0.0, None))
    if nearest is not None and likeness >= _SAME_FACE:
        return nearest.label
    return None if any(row.label == "fake" for row in here) else "real"


def _by_range(record: ClipRecord, frame: int, *, labelled: bool) -> Label | None:
    if record.faked:
        return "fake" if any(start <= frame < stop for start, stop in record.faked) else "real"
    return None if labelled else "fake"
