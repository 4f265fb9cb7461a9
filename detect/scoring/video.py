"""Scores a video: each face of every n-th frame, each track, and the clip.

Decoding, face finding and scoring run in three threads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detect.config.scoring import FaceConfig, ScoreConfig
from detect.models.predictor import CropPredictor
from detect.models.windows import motion_step
from detect.scoring.aggregate import aggregate_clip, aggregate_tracks, resolved
from detect.scoring.clip_fusion import fit_of, further_members, member_logit, parts_of, raise_of, raised
from detect.scoring.regions import RegionMaps, Regions
from shared.config import configured
from shared.console import Tick
from shared.dataset.names import safe_name
from shared.device import Device, Precision
from shared.errors import MediaError, UsageError
from shared.faces.align import cut, frame_to_crop
from shared.faces.finders.finder import SIDECAR, FaceFinder, make_finder
from shared.faces.finders.turned import TurnedFinder, turned_finder
from shared.faces.stream import FollowConfig, follow
from shared.results.scores import ClipScore, FrameScore, ScorePart, TrackScore
from shared.storage import replacing
from shared.types import NUM_LANDMARKS, ClipId, Face, Frame, Label
from shared.video import VideoReader
from shared.video.child import ClipReader

FRAME_SCORE_SCHEMA = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("track", pa.int32(), nullable=False),
        pa.field("logit", pa.float32(), nullable=False),
        pa.field("box", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("label", pa.string()),
        pa.field("landmarks", pa.list_(pa.float32(), 2 * NUM_LANDMARKS)),
    ],
    metadata={"assay.format": "2"},  # files without it are of the first format, which has no landmarks
)

_SEARCH_FROM_PX = 8.0


@dataclass(frozen=True)
class ScoreFacts:
    """Counts of frames and faces that were scored or skipped.

    Attributes:
        frames_read: frames decoded.
        frames_searched: frames searched for faces; the others were skipped by ``every``.
        frames_with_face: frames with at least one scored face.
        faces_scored: faces over all frames.
        faces_too_small: faces skipped because their box is narrower than ``min_face_px``.
        decode_failures: damaged packets and frames.
        stopped: why the rest of the file was not read; None if all of it was.
        frames_declared: frames that the file declares; None if it does not.
    """

    frames_read: int
    frames_searched: int
    frames_with_face: int
    faces_scored: int
    faces_too_small: int
    decode_failures: int
    stopped: str | None = None
    frames_declared: int | None = None


@dataclass(frozen=True)
class VideoScores:
    """The scores of one video.

    Attributes:
        clip: the clip's score; its logit is None when no face was scored.
        tracks: one score per track, by track number.
        frames: one score per face and frame, by frame, then track.
        gaps_seconds: (start, stop) of ranges of searched frames in which no face was scored.
        facts: counts.
        regions: that the detector drew of the faces of ``frames``, if they were asked for and it draws any.
        parts: of detectors that are fused clip by clip, what each says.
    """

    clip: ClipScore
    tracks: tuple[TrackScore, ...]
    frames: tuple[FrameScore, ...]
    gaps_seconds: tuple[tuple[float, float], ...]
    facts: ScoreFacts
    regions: Regions | None = field(default=None, compare=False, repr=False)
    parts: tuple[ScorePart, ...] = ()

    def timeline(self, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Times in seconds and logits of one track, each (N,) float64, by time."""
        rows = [(score.seconds, score.logit) for score in self.frames if score.track == track]
        times, logits = np.array(rows, np.float64).reshape(-1, 2).T
        return times, logits


class Predictor:
    """Scores videos, with a detector and a face finder.

    Attributes:
        crops: the detector, which scores aligned crops.
        finder: the face finder.
    """

    def __init__(self, crops: CropPredictor, finder: str | FaceFinder = "auto") -> None:
        self.crops = crops
        if isinstance(finder, str):
            own = crops.facts.finder_name
            # A detector trained with landmarks of sidecar files needs a real finder for other videos.
            asked = own if finder == "auto" and not own.startswith(SIDECAR) else finder
            finder = make_finder(asked, device=str(crops.device.torch_device))
        self.finder = finder

    @classmethod
    def load(cls, path: str | Path, device: str | Device = "auto", *, precision: Precision = "auto") -> Predictor:
        """Loads the detector of a run or folder, or the network of a reference, with the finder it was trained with.

        Raises:
            CheckpointError: no detector there, or a damaged one.
            ConfigError: an external network's settings are missing or wrong.
            UsageError: no such device; the reference does not exist.
            FinderError, WeightsError: its face finder is not available.
        """
        return cls(CropPredictor.load(path, device, precision=precision))

    def score(self, path: str | Path, config: ScoreConfig | None = None, **settings: Any) -> VideoScores:
        """As :func:`score_video`."""
        return score_video(path, self, config, **settings)


def score_video(
    path: str | Path,
    detector: str | Path | Predictor,
    config: ScoreConfig | None = None,
    *,
    clip: ClipId | None = None,
    label: Label | None = None,
    reader: Callable[[Path], ClipReader] = VideoReader,
    tick: Tick | None = None,
    regions: bool = False,
    **settings: Any,
) -> VideoScores:
    """Scores all faces of every ``config.every``-th frame of a video.

    Args:
        path: the video.
        detector: a run or detector folder, or a loaded :class:`Predictor`.
        config: choice of frames and faces, aggregation.
        clip: id of the clip in the scores; default "suspect/unknown/NAME".
        label: of the clip, if known.
        reader: opens the video.
        tick: told the number of frames passed, of the file.
        regions: also keep small maps of the region that the detector draws.
        settings: replace those of ``config``: ``every=1``.

    Raises:
        MediaError: the video cannot be read.
        ConfigError: a setting is unknown, of the wrong type or out of range.
        CheckpointError, FinderError: see :meth:`Predictor.load`.
    """
    path, config = Path(path), configured(ScoreConfig, config, settings)
    both = detector if isinstance(detector, Predictor) else Predictor.load(detector)
    predictor, finder = both.crops, both.finder
    clip = clip or suspect_id(path)
    aggregate = resolved(config.aggregate, predictor.facts.aggregate)
    watch = _Watch(path, reader, config.faces or predictor.facts.faces, tick)
    maps = RegionMaps() if regions else None
    scores = tuple(_scored(watch, predictor, finder, config, clip, maps))
    facts = ScoreFacts(
        frames_read=watch.reader.frames_decoded,
        frames_searched=len(watch.seconds),
        frames_with_face=len({score.frame for score in scores}),
        faces_scored=len(scores),
        faces_too_small=watch.too_small,
        decode_failures=watch.reader.decode_failures,
        stopped=watch.reader.stopped,
        frames_declared=watch.reader.info.frames_declared,
    )
    if not facts.frames_searched:
        raise MediaError(f"{path} holds no frame that can be searched", hint="copy or download it again")
    fit = fit_of(predictor)
    parts: tuple[ScorePart, ...] = ()
    if fit is not None:
        others = _others(path, both, config, reader) if scores else [None] * (len(fit.centres) - 1)
        logits = [aggregate_clip(scores, aggregate), *others]
        parts, scores = parts_of(predictor, fit, logits), raised(scores, raise_of(fit, logits))
    tracks = tuple(aggregate_tracks(scores, aggregate))
    return VideoScores(
        clip=ClipScore(
            clip=clip,
            label=label,
            logit=aggregate_clip(scores, aggregate),
            frames_read=facts.frames_read,
            frames_with_face=facts.frames_with_face,
            frames_scored=facts.frames_with_face,
            tracks=len(tracks),
            aggregation=aggregate.method,
        ),
        tracks=tracks,
        frames=scores,
        gaps_seconds=tuple(find_gaps(watch.seconds, {score.frame for score in scores})),
        facts=facts,
        regions=None if maps is None else maps.found(),
        parts=parts,
    )


def _others(
    path: Path, both: Predictor, config: ScoreConfig, reader: Callable[[Path], ClipReader]
) -> list[float | None]:
    """The clip logits of the members beside the lead of detectors that are fused clip by clip."""
    lead = both.crops.facts.members[0]
    found: list[float | None] = []
    for member in further_members(both.crops):
        finder = both.finder if member.facts.finder == lead.finder else "auto"
        settings = dataclasses.replace(config, faces=None, aggregate=None)
        scores = score_video(path, Predictor(member, finder), settings, reader=reader)
        found.append(member_logit(member, scores.clip))
    return found


def suspect_id(path: Path) -> ClipId:
    """A clip id for a file of unknown origin: its name, with invalid characters replaced."""
    return ClipId("suspect", "unknown", safe_name(path.stem))


def find_gaps(seconds: dict[int, float], with_face: set[int]) -> list[tuple[float, float]]:
    """Ranges of searched frames without a face, as (start, stop) seconds.

    Args:
        seconds: frame number to time, of all frames searched, ascending.
        with_face: numbers of those with a face.

    A range ends at the next frame with a face, or at the last searched frame.
    """
    gaps: list[tuple[float, float]] = []
    start: float | None = None
    last = 0.0
    for frame, time in seconds.items():
        if frame in with_face:
            if start is not None:
                gaps.append((start, time))
            start = None
        elif start is None:
            start = time
        last = time
    if start is not None:
        gaps.append((start, last))
    return gaps


def frame_score_table(scores: Sequence[FrameScore], labels: Sequence[Label | None] | None = None) -> pa.Table:
    """Frame scores as a table, one row per face and frame (:data:`FRAME_SCORE_SCHEMA`).

    Raises:
        UsageError: the numbers of labels and scores differ.
    """
    if labels is not None and len(labels) != len(scores):
        raise UsageError(f"{len(scores)} scores have {len(labels)} labels", hint="give one label a score")
    columns = {
        "clip": [str(score.clip) for score in scores],
        "frame": [score.frame for score in scores],
        "seconds": [score.seconds for score in scores],
        "track": [score.track for score in scores],
        "logit": [score.logit for score in scores],
        "box": [list(score.box) for score in scores],
        "label": list(labels) if labels is not None else [None] * len(scores),
        "landmarks": [None if score.landmarks is None else score.landmarks.ravel() for score in scores],
    }
    return pa.table(columns, schema=FRAME_SCORE_SCHEMA)


def write_frame_scores(path: Path, scores: Sequence[FrameScore], labels: Sequence[Label | None] | None = None) -> None:
    """Writes the frame scores to ``path`` as Parquet.

    Raises:
        StorageError: writing failed.
    """
    with replacing(path) as draft:
        pq.write_table(frame_score_table(scores, labels), draft, compression="zstd")


class _Watch:
    """One pass over a video, with its counts."""

    def __init__(
        self, path: Path, opened: Callable[[Path], ClipReader], wanted: FaceConfig, tick: Tick | None = None
    ) -> None:
        self._tick = tick
        self._opened = opened
        self.reader = opened(path)
        self.wanted = wanted
        self.seconds: dict[int, float] = {}
        self.too_small = 0

    def faces(self, finder: FaceFinder, every: int) -> Iterator[tuple[Frame, Face]]:
        """Each face that is large enough, with its frame."""
        # Searched frames are far apart, so faces are detected in each instead of followed.
        settings = FollowConfig(detect_every=1, min_face_px=_SEARCH_FROM_PX, max_faces=self.wanted.max_faces)
        with self.reader as reader:
            found = 0
            for frame, faces in follow(reader.frames(step=every), finder, settings):
                found += len(faces)
                if self._tick is not None:
                    self._tick(every)
                yield from self._large(frame, faces)
            # A person may be lying down, or the file lack its rotation tag.
            turned = None if found else self._turned(finder, every)
            if turned is not None:
                for frame, faces in follow(reader.frames(step=every), turned, settings):
                    yield from self._large(frame, faces)

    def _turned(self, finder: FaceFinder, every: int) -> TurnedFinder | None:
        # A separate reader: the counts of the first pass are still needed.
        with self._opened(self.reader.path) as reader:
            return turned_finder(reader.frames(step=every), finder)

    def _large(self, frame: Frame, faces: Sequence[Face]) -> Iterator[tuple[Frame, Face]]:
        self.seconds[frame.index] = frame.time.seconds
        for face in sorted(faces, key=_track):
            if face.width_px >= self.wanted.min_face_px:
                yield frame, face
            else:
                self.too_small += 1


def _scored(
    watch: _Watch,
    predictor: CropPredictor,
    finder: FaceFinder,
    config: ScoreConfig,
    clip: ClipId,
    maps: RegionMaps | None,
) -> Iterator[FrameScore]:
    """The scores of all faces. Batches are formed by count only, so a second run gives the same logits.

    Logits are computed at the end, when tracks are complete: some detectors score sequences.
    """
    crops: list[np.ndarray] = []
    places: list[tuple[int, float, Face]] = []
    seen: list[np.ndarray] = []
    # Small batches on a CPU: they are faster there, and the network runs while the next faces are being found.
    batch, take = predictor.at_once(config.batch), None if maps is None else maps.take
    every = config.every if predictor.spec.reads == "pixels" else motion_step(watch.reader.info.frame_rate)
    for frame, face in watch.faces(finder, every):
        crops.append(input_for(predictor, frame.image, face.landmarks))
        places.append((frame.index, frame.time.seconds, face))
        if len(crops) == batch:
            seen.append(predictor.embed_frames(np.stack(crops), batch=batch, region=take))
            crops.clear()
    if crops:
        seen.append(predictor.embed_frames(np.stack(crops), batch=batch, region=take))
    if not places:
        return
    tracks = np.array([_track(face) for _, _, face in places])
    frames = np.array([frame for frame, _, _ in places])
    logits = predictor.track_logits(np.concatenate(seen), tracks, frames, batch=config.batch)
    for (frame, seconds, face), logit in zip(places, logits, strict=True):
        x0, y0, x1, y1 = (float(side) for side in face.box)
        yield FrameScore(clip, frame, seconds, _track(face), float(logit), (x0, y0, x1, y1), face.landmarks)


def input_for(predictor: CropPredictor, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """What the detector reads of the face with these ``landmarks`` (68, 2): its crop, or they themselves as float32."""
    if predictor.spec.reads == "landmarks":
        return np.asarray(landmarks, np.float32)
    return crop_for(predictor, image, landmarks)


def crop_for(predictor: CropPredictor, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: the face of ``image`` with these ``landmarks`` (68, 2), aligned for the detector."""
    spec = predictor.spec
    return cut(image, frame_to_crop(landmarks, px=spec.input_px, framing=spec.framing), spec.input_px)


def _track(face: Face) -> int:
    return -1 if face.track is None else face.track
