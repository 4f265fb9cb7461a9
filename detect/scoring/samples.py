"""Scores of a dataset's clips with their labels, written as JSON lines and Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from detect.config.scoring import AggregateConfig
from detect.data.crops import ClipFaces, CropStore
from detect.models.contract import Reads
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate import aggregate_clip, aggregate_tracks
from detect.scoring.video import write_frame_scores
from shared.pipeline import ahead
from shared.results.scores import ClipScore, FrameScore, TrackScore
from shared.storage import write_text
from shared.types import ClipId, ClipRecord, Label


@dataclass(frozen=True)
class ScoredClip:
    """A scored clip of a dataset.

    Attributes:
        record: its manifest record.
        score: of the clip; its logit is None when no face was scored.
        frames: one score per face and frame.
        frame_labels: the label of each; None where unknown.
        tracks: one score per track.
        track_labels: fake if any of its faces is; None if none of them has a label.
    """

    record: ClipRecord
    score: ClipScore
    frames: tuple[FrameScore, ...]
    frame_labels: tuple[Label | None, ...]
    tracks: tuple[TrackScore, ...]
    track_labels: tuple[Label | None, ...]


def scored_clip(
    record: ClipRecord,
    frames: Sequence[FrameScore],
    labels: Sequence[Label | None],
    *,
    frames_read: int,
    config: AggregateConfig,
) -> ScoredClip:
    """Aggregates the face scores of one clip; ``frames_read`` is the number of frames searched."""
    tracks = aggregate_tracks(frames, config)
    with_face = len({score.frame for score in frames})
    return ScoredClip(
        record=record,
        score=ClipScore(
            clip=record.id,
            label=record.label,
            logit=aggregate_clip(frames, config),
            frames_read=frames_read,
            frames_with_face=with_face,
            frames_scored=with_face,
            tracks=len(tracks),
            aggregation=config.method,
        ),
        frames=tuple(frames),
        frame_labels=tuple(labels),
        tracks=tuple(tracks),
        track_labels=tuple(_track_label(track, frames, labels) for track in tracks),
    )


def score_clips(
    clips: Iterable[ClipFaces],
    predictor: CropPredictor,
    config: AggregateConfig,
    *,
    batch: int = 32,
    store: CropStore | None = None,
    tick: Callable[[], object] | None = None,
) -> list[ScoredClip]:
    """Scores all faces of each clip, in order.

    Args:
        clips: with their faces; read in a separate thread, a few clips ahead of the detector.
        predictor: the detector.
        config: aggregation.
        batch: maximum number of crops scored at once; a batch holds crops of one clip only, so that its scores do not
            depend on other clips.
        store: crops cached in memory; default none.
        tick: called after each clip.

    Raises:
        FacesetError: a crop is missing or damaged.
    """
    scored = []
    with closing(ahead(_crops(clips, store, predictor.spec.reads), depth=4, name="assay-crops")) as crops:  # type: ignore[type-var]
        for clip, images in crops:
            logits = (
                predictor.face_logits(images, clip.tracks, clip.frames, batch=batch)
                if len(images)
                else np.empty(0, np.float32)
            )
            scored.append(
                scored_clip(
                    clip.record, clip.scores(logits), clip.labels(), frames_read=clip.frames_searched, config=config
                )
            )
            if tick is not None:
                tick()
    return scored


def _crops(clips: Iterable[ClipFaces], store: CropStore | None, reads: Reads) -> Iterator[tuple[ClipFaces, np.ndarray]]:
    try:
        for place, clip in enumerate(clips):
            yield clip, clip.crops(reads) if store is None else store.crops(place)
    finally:
        close = getattr(clips, "close", None)
        if callable(close):
            close()


def _track_label(track: TrackScore, frames: Sequence[FrameScore], labels: Sequence[Label | None]) -> Label | None:
    own = {label for score, label in zip(frames, labels, strict=True) if score.track == track.track}
    return "fake" if "fake" in own else "real" if "real" in own else None


@dataclass(frozen=True, eq=False)
class Samples:
    """Scores and labels of one level as arrays; samples without a score or a label are left out.

    Attributes:
        labels: (N,) bool, True for fake.
        logits: (N,) float64.
        clips: (N,) int, the index of each sample's clip in the list it was made from.
    """

    labels: np.ndarray
    logits: np.ndarray
    clips: np.ndarray


def clip_samples(clips: Sequence[ScoredClip]) -> Samples:
    """One sample per clip that has a score."""
    return _samples((place, clip.score.logit, clip.record.label) for place, clip in enumerate(clips))


def track_samples(clips: Sequence[ScoredClip]) -> Samples:
    """One sample per track that has a label."""
    return _samples(
        (place, track.logit, label)
        for place, clip in enumerate(clips)
        for track, label in zip(clip.tracks, clip.track_labels, strict=True)
    )


def frame_samples(clips: Sequence[ScoredClip]) -> Samples:
    """One sample per face and frame that has a label."""
    return _samples(
        (place, score.logit, label)
        for place, clip in enumerate(clips)
        for score, label in zip(clip.frames, clip.frame_labels, strict=True)
    )


def _samples(rows: Iterable[tuple[int, float | None, Label | None]]) -> Samples:
    known = [row for row in rows if row[1] is not None and row[2] is not None]
    return Samples(
        labels=np.array([label == "fake" for _, _, label in known], bool),
        logits=np.array([logit for _, logit, _ in known], np.float64),
        clips=np.array([place for place, _, _ in known], np.int64),
    )


def write_clip_scores(path: Path, clips: Sequence[ScoredClip], clusters: Mapping[ClipId, int] | None = None) -> None:
    """Replaces ``path`` by one JSON object per clip, sorted by clip id.

    ``score`` is the sigmoid of ``logit``, not a probability; both are null for a clip without a scored face. A
    calibrated detector adds ``probability`` and ``llr``, log10 of the likelihood ratio. ``clusters`` gives by id which
    clips share people, for the bootstrap of a comparison; ``parent`` is the real clip that a fake was made from. The
    other entries are those by which a comparison can be restricted (``assay detect compare --only``).

    Raises:
        StorageError: writing failed.
    """
    ordered = sorted(clips, key=lambda clip: str(clip.record.id))
    write_text(path, "".join(json.dumps(_line(clip, (clusters or {}).get(clip.record.id))) + "\n" for clip in ordered))


def write_scores(folder: Path, clips: Sequence[ScoredClip], clusters: Mapping[ClipId, int] | None = None) -> None:
    """Writes ``scores.jsonl`` (clips and their tracks) and ``frames.parquet`` (faces in frames) into ``folder``.

    Raises:
        StorageError: writing failed.
    """
    write_clip_scores(folder / "scores.jsonl", clips, clusters)
    frames = [score for clip in clips for score in clip.frames]
    labels: list[Label | None] = [label for clip in clips for label in clip.frame_labels]
    write_frame_scores(folder / "frames.parquet", frames, labels)


def _line(clip: ScoredClip, cluster: int | None) -> dict[str, object]:
    logit, record = clip.score.logit, clip.record
    return {
        "clip": str(record.id),
        "label": record.label,
        "cluster": cluster,
        "split": record.split,
        "rendition": record.rendition,
        "parent": None if record.parent is None else str(record.parent),
        "kind": record.kind,
        "target": record.target_identity,
        "source": record.source_identity,
        "codec": record.codec,
        "architecture": record.architecture,
        "factors": dict(record.factors),
        "logit": logit,
        "score": None if logit is None else float(expit(logit)),
        **({} if clip.score.llr is None else {"probability": clip.score.probability, "llr": clip.score.llr}),
        "aggregation": clip.score.aggregation,
        "frames_read": clip.score.frames_read,
        "frames_with_face": clip.score.frames_with_face,
        "tracks": [
            {"track": track.track, "logit": track.logit, "frames": track.frames, "label": label}
            for track, label in zip(clip.tracks, clip.track_labels, strict=True)
        ],
    }
