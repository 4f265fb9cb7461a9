"""What tests are made of, each made in one place: records of clips, their scores, small videos, facesets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detect.config.scoring import AggregateConfig
from detect.scoring.samples import ScoredClip, scored_clip
from shared.faces.facesets.layout import FaceRow, SourceClip, encode_crop
from shared.faces.facesets.writer import FacesetWriter
from shared.results.scores import FrameScore
from shared.types import ClipId, ClipRecord, Timestamp
from shared.video import Encoding, VideoWriter

PAL = Fraction(1, 25)
QUICK = Encoding(preset="ultrafast")


def clip_record(
    person: str, made: str | None = None, *, name: str = "", source: str = "", dataset: str = "set", **facts: Any
) -> ClipRecord:
    """A clip that is nowhere: real, or a swap by ``made`` with the face of ``source`` or the person's own stranger.

    Its SHA-256 is of its ID without the dataset; ``facts`` are other fields of the record.
    """
    clip = ClipId(dataset, made, name or person)
    plain: dict[str, Any] = {
        "id": clip,
        "kind": "real" if made is None else "swap",
        "label": "real" if made is None else "fake",
        "path": f"media/{made or 'real'}/{clip.name}.mp4",
        "sha256": hashlib.sha256(f"{made}/{clip.name}".encode()).hexdigest(),
        "target_identity": person,
        "source_identity": None if made is None else source or f"{person}-other",
        "rights": "synthetic",
        "frames": 10,
        "width": 64,
        "height": 64,
        "codec": "h264",
    }
    return ClipRecord(**(plain | facts))


def scored(record: ClipRecord, faces: Iterable[tuple[int, int, float]], *, frames_read: int = 10) -> ScoredClip:
    """``record`` with ``faces`` scored: (frame, track, logit) each."""
    scores = [FrameScore(record.id, frame, frame / 25, track, logit, (0, 0, 9, 9)) for frame, track, logit in faces]
    labels = [record.label] * len(scores)
    return scored_clip(record, scores, labels, frames_read=frames_read, config=AggregateConfig())


def scored_once(record: ClipRecord, logit: float | None) -> ScoredClip:
    """``record`` with one face of that logit in its first frame, the only one read; None: no face was found."""
    return scored(record, [] if logit is None else [(0, 0, logit)], frames_read=1)


def scored_as(
    person: str, logit: float | None, made: str | None = None, *, rendition: str = "c23", **factors: str
) -> ScoredClip:
    """A clip of ``person`` in a rendition and with factors, scored once."""
    record = clip_record(person, made, name=f"{person}-{rendition}", rendition=rendition, factors=factors)
    return scored_once(record, logit)


def write_clip(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    ticks: Iterable[int] | None = None,
    time_base: Fraction = PAL,
    frame_rate: Fraction | None = Fraction(25),
    encoding: Encoding = QUICK,
    **settings: Any,
) -> Path:
    """A clip of (H, W, 3) or, for masks, (H, W) uint8 pictures, at ``ticks`` of the time base or one a tick."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = iter(pictures)
    first = next(pictures)
    height, width = first.shape[:2]
    with VideoWriter(
        path, width=width, height=height, time_base=time_base, frame_rate=frame_rate, encoding=encoding, **settings
    ) as writer:
        for picture, tick in zip([first, *pictures], count() if ticks is None else ticks, strict=False):
            writer.write(picture, Timestamp(tick, time_base))
    return path


def write_landmarks(path: Path, landmarks: Mapping[int, np.ndarray]) -> Path:
    """A table for the finder ``sidecar``: (68, 2) landmarks by frame."""
    points = pa.array([np.ravel(each).tolist() for each in landmarks.values()], pa.list_(pa.float32(), 136))
    pq.write_table(pa.table({"frame": pa.array(list(landmarks), pa.int64()), "landmarks": points}), path)
    return path


def face_row(landmarks: np.ndarray, **facts: Any) -> FaceRow:
    """A face of a faceset, kept, in the first frame of its first clip; ``facts`` are other fields of the row."""
    plain: dict[str, Any] = {
        "clip": 0,
        "frame": 0,
        "pts": 0,
        "seconds": 0.0,
        "track": 0,
        "box": np.array([*landmarks.min(0), *landmarks.max(0)], np.float32),
        "landmarks": np.asarray(landmarks, np.float32),
        "matrix": np.eye(2, 3),
        "confidence": 1.0,
        "sharpness": 1.0,
        "yaw_degrees": 0.0,
        "pitch_degrees": 0.0,
        "roll_degrees": 0.0,
    }
    return FaceRow(**(plain | facts))


def write_faceset(
    folder: Path,
    identity: str,
    faces: Sequence[tuple[FaceRow, np.ndarray]],
    *,
    clips: Sequence[int] = (0,),
    drawn_by: str = "",
) -> Path:
    """A faceset of (row, crop): whole faces, uint8 RGB. ``clips`` are the numbers of its source clips."""
    facts = {"detector": "drawn"}
    px = len(faces[0][1])
    with FacesetWriter(
        folder, identity=identity, rights="synthetic", finder=facts, framing="whole", px=px, drawn_by=drawn_by
    ) as writer:
        writer.clips = [SourceClip(f"{identity}-{n}.mp4", f"{n:064x}", len(faces), 0) for n in clips]
        for row, crop in faces:
            writer.add(row, encode_crop(crop))
    return folder
