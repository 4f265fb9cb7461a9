"""A video through a detector: every face of every n-th frame scored, every track and the clip aggregated.

Decoding, finding and scoring run in three threads; the detector works on one batch while the next is being found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detect.config import FaceConfig, ScoreConfig
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate import aggregate_clip, aggregate_tracks, resolved
from shared.config import configured
from shared.dataset.names import safe_name
from shared.device import Device, Precision
from shared.errors import MediaError, UsageError
from shared.faces.align import cut, frame_to_crop
from shared.faces.finders.finder import SIDECAR, FaceFinder, make_finder
from shared.faces.finders.turned import TurnedFinder, turned_finder
from shared.faces.stream import FollowConfig, follow
from shared.results.scores import ClipScore, FrameScore, TrackScore
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
    metadata={"assay.format": "2"},  # files without it are the first format, which has no landmarks
)

_SEARCH_FROM_PX = 8.0


@dataclass(frozen=True)
class ScoreFacts:
    """What was looked at, and what was not.

    Attributes:
        frames_read: decoded.
        frames_searched: looked at for faces; the others were passed over on purpose (``every``).
        frames_with_face: of those searched, with at least one face that was scored.
        faces_scored: faces over all frames.
        faces_too_small: faces left out because their box was narrower than ``min_face_px``.
        decode_failures: damaged packets and frames met on the way.
        stopped: why the rest of the file was not read; None where all of it was.
    """

    frames_read: int
    frames_searched: int
    frames_with_face: int
    faces_scored: int
    faces_too_small: int
    decode_failures: int
    stopped: str | None = None


@dataclass(frozen=True)
class VideoScores:
    """Everything a detector said about one video.

    Attributes:
        clip: the aggregated logit; None in it when no face was scored.
        tracks: one a face followed through the clip, by track number.
        frames: one a face and frame, by frame, then track.
        gaps_seconds: (start, stop) of stretches of searched frames in which no face was scored.
        facts: counts.
    """

    clip: ClipScore
    tracks: tuple[TrackScore, ...]
    frames: tuple[FrameScore, ...]
    gaps_seconds: tuple[tuple[float, float], ...]
    facts: ScoreFacts

    def timeline(self, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Times in seconds and logits of one face through the clip, each (N,) float64, by time."""
        rows = [(score.seconds, score.logit) for score in self.frames if score.track == track]
        times, logits = np.array(rows, np.float64).reshape(-1, 2).T
        return times, logits


class Predictor:
    """Scores videos: a detector, and the face finder that shows it the faces.

    Attributes:
        crops: the detector, which scores aligned crops; what is known of it is in its ``facts``.
        finder: finds the faces.
    """

    def __init__(self, crops: CropPredictor, finder: str | FaceFinder = "auto") -> None:
        self.crops = crops
        if isinstance(finder, str):
            own = crops.facts.finder_name
            # A detector may have learned from landmarks that lie beside its own clips: other videos have none.
            asked = own if finder == "auto" and not own.startswith(SIDECAR) else finder
            finder = make_finder(asked, device=str(crops.device.torch_device))
        self.finder = finder

    @classmethod
    def load(cls, path: str | Path, device: str | Device = "auto", *, precision: Precision = "auto") -> Predictor:
        """The detector of a run or folder, or the network of a reference, with the finder it was trained with.

        Raises:
            CheckpointError: no detector there, or a damaged one.
            ConfigError: an external network's settings are missing or wrong.
            UsageError: no such device; the reference leads nowhere.
            FinderError, WeightsError: its face finder cannot be had here.
        """
        return cls(CropPredictor.load(path, device, precision=precision))

    def score(self, path: str | Path, config: ScoreConfig | None = None, **settings: Any) -> VideoScores:
        """Scores the faces of a video; see :func:`score_video`."""
        return score_video(path, self, config, **settings)


def score_video(
    path: str | Path,
    detector: str | Path | Predictor,
    config: ScoreConfig | None = None,
    *,
    clip: ClipId | None = None,
    label: Label | None = None,
    reader: Callable[[Path], ClipReader] = VideoReader,
    **settings: Any,
) -> VideoScores:
    """Scores all faces on every ``config.every``-th frame of a video.

    Args:
        path: the video.
        detector: a run or detector folder, or one that was loaded before (:class:`Predictor`).
        config: which frames and faces, how they are aggregated.
        clip: how the clip is called in the scores; without it "suspect/unknown/NAME".
        label: the truth, where it is known.
        reader: opens the video.
        settings: in place of ``config``'s own: ``every=1``.

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
    watch = _Watch(path, reader, config.faces or predictor.facts.faces)
    scores = tuple(_scored(watch, predictor, finder, config, clip))
    facts = ScoreFacts(
        frames_read=watch.reader.frames_decoded,
        frames_searched=len(watch.seconds),
        frames_with_face=len({score.frame for score in scores}),
        faces_scored=len(scores),
        faces_too_small=watch.too_small,
        decode_failures=watch.reader.decode_failures,
        stopped=watch.reader.stopped,
    )
    if not facts.frames_searched:
        raise MediaError(f"{path} holds no frame that can be searched", hint="copy or download it again")
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
    )


def suspect_id(path: Path) -> ClipId:
    """A clip id for a file of unknown origin: its name, with what an id must not hold replaced."""
    return ClipId("suspect", "unknown", safe_name(path.stem))


def find_gaps(seconds: dict[int, float], with_face: set[int]) -> list[tuple[float, float]]:
    """Stretches of searched frames without a face, as (start, stop) seconds.

    Args:
        seconds: frame number to time, of all frames searched, ascending.
        with_face: numbers of those with a face.

    A stretch ends where the next frame with a face stands, or at the last searched frame.
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
    """Frame scores as a table, a row a face and frame (:data:`FRAME_SCORE_SCHEMA`).

    Raises:
        UsageError: labels of another number than the scores.
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
    """Replaces ``path`` by the frame scores as Parquet.

    Raises:
        StorageError: the disk refused.
    """
    with replacing(path) as draft:
        pq.write_table(frame_score_table(scores, labels), draft, compression="zstd")


class _Watch:
    """One pass over a video, with what must be counted on the way."""

    def __init__(self, path: Path, opened: Callable[[Path], ClipReader], wanted: FaceConfig) -> None:
        self._opened = opened
        self.reader = opened(path)
        self.wanted = wanted
        self.seconds: dict[int, float] = {}
        self.too_small = 0

    def faces(self, finder: FaceFinder, every: int) -> Iterator[tuple[Frame, Face]]:
        """Every face large enough, with its frame."""
        # Skipped frames are far apart in motion, so faces are detected in each searched one, not followed.
        settings = FollowConfig(detect_every=1, min_face_px=_SEARCH_FROM_PX, max_faces=self.wanted.max_faces)
        with self.reader as reader:
            found = 0
            for frame, faces in follow(reader.frames(step=every), finder, settings):
                found += len(faces)
                yield from self._large(frame, faces)
            # A person may lie, or the file lack the tag that turns it.
            turned = None if found else self._turned(finder, every)
            if turned is not None:
                for frame, faces in follow(reader.frames(step=every), turned, settings):
                    yield from self._large(frame, faces)

    def _turned(self, finder: FaceFinder, every: int) -> TurnedFinder | None:
        # A reader of its own: the counts of the pass before are still wanted.
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
    watch: _Watch, predictor: CropPredictor, finder: FaceFinder, config: ScoreConfig, clip: ClipId
) -> Iterator[FrameScore]:
    """Batches are cut by count alone, so a second run forms the same ones and gives the same logits.

    Logits come last, when all of a track is known: some detectors judge a face by those around it in time.
    """
    crops: list[np.ndarray] = []
    places: list[tuple[int, float, Face]] = []
    seen: list[np.ndarray] = []
    # Small batches on a CPU: they are faster there, and the network works while the next faces are being found.
    batch = predictor.at_once(config.batch)
    for frame, face in watch.faces(finder, config.every):
        crops.append(crop_for(predictor, frame.image, face.landmarks))
        places.append((frame.index, frame.time.seconds, face))
        if len(crops) == batch:
            seen.append(predictor.embed_frames(np.stack(crops), batch=batch))
            crops.clear()
    if crops:
        seen.append(predictor.embed_frames(np.stack(crops), batch=batch))
    if not places:
        return
    tracks = np.array([_track(face) for _, _, face in places])
    logits = predictor.track_logits(np.concatenate(seen), tracks, batch=config.batch)
    for (frame, seconds, face), logit in zip(places, logits, strict=True):
        x0, y0, x1, y1 = (float(side) for side in face.box)
        yield FrameScore(clip, frame, seconds, _track(face), float(logit), (x0, y0, x1, y1), face.landmarks)


def crop_for(predictor: CropPredictor, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8: the face of ``image`` with these ``landmarks``, (68, 2), as the detector wants to see it."""
    spec = predictor.spec
    return cut(image, frame_to_crop(landmarks, px=spec.input_px, framing=spec.framing), spec.input_px)


def _track(face: Face) -> int:
    return -1 if face.track is None else face.track
