"""The sampled faces of a report: their choice, the crops that were scored, and the heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from detect.calibration.crop_quality import CropQuality, crop_quality
from detect.calibration.facts import scale_of
from detect.inspection.heatmap import heat_maps, overlay
from detect.inspection.report import FaceExhibit
from detect.models.predictor import CropPredictor
from detect.scoring.video import crop_for
from shared.errors import MediaError
from shared.faces.align import frame_to_crop
from shared.results.scores import FrameScore
from shared.sampling import evenly_spaced
from shared.video.child import ClipReader
from shared.video.images import encode_png


def choose(scores: Sequence[FrameScore], count: int) -> list[tuple[FrameScore, str]]:
    """At most ``count`` scores in order of time, with the reason for each: highest, lowest, or evenly spaced in time.

    Every track is included before any is included twice.
    """
    if not scores or count < 1:
        return []
    ordered = sorted(scores, key=lambda score: (score.frame, score.track))
    chosen: dict[tuple[int, int], tuple[FrameScore, str]] = {}

    def take(score: FrameScore, why: str) -> None:
        if len(chosen) < count:
            chosen.setdefault((score.frame, score.track), (score, why))

    take(max(ordered, key=lambda score: score.logit), "highest score")
    take(min(ordered, key=lambda score: score.logit), "lowest score")
    for track in sorted({score.track for score in ordered}):
        if all(score.track != track for score, _ in chosen.values()):
            take(next(score for score in ordered if score.track == track), "first of this face")
    for index in evenly_spaced(len(ordered), count):
        take(ordered[index], "even spread")
    return [chosen[key] for key in sorted(chosen)]


def sample_faces(
    reader: ClipReader, scores: Sequence[FrameScore], predictor: CropPredictor, *, count: int
) -> list[FaceExhibit]:
    """Exhibits of at most ``count`` scored faces of a video, each with the crop that was scored.

    The crop of a face that was scored by its landmarks shows where they are from.

    If reading stops early, only the faces before that are included.

    Raises:
        MediaError: the file cannot be read, or has changed since it was scored.
    """
    chosen = choose(scores, count)
    if not chosen:
        return []
    crops = _crops(reader, [score for score, _ in chosen], predictor)
    chosen = chosen[: len(crops)]
    maps = None if predictor.spec.reads == "landmarks" else heat_maps(predictor.model, predictor.prepare(crops))
    heats = [None] * len(crops) if maps is None else [encode_png(each) for each in map(overlay, crops, maps)]
    return [
        FaceExhibit(score.frame, score.seconds, score.track, score.logit, why, encode_png(crop), heat)
        for (score, why), crop, heat in zip(chosen, crops, heats, strict=True)
    ]


def exhibited_quality(
    exhibits: Sequence[FaceExhibit], scores: Sequence[FrameScore], predictor: CropPredictor
) -> CropQuality | None:
    """The picture quality of the exhibited crops; None without any."""
    landmarks = {(score.frame, score.track): score.landmarks for score in scores}
    spec, crops = predictor.spec, []
    for face in exhibits:
        points = landmarks.get((face.frame, face.track))
        crop = cv2.imdecode(np.frombuffer(face.crop_png, np.uint8), cv2.IMREAD_COLOR_RGB)
        if points is not None and crop is not None:
            crops.append((crop, scale_of(frame_to_crop(points, px=spec.input_px, framing=spec.framing))))
    return crop_quality(crops)


def _crops(reader: ClipReader, scores: Sequence[FrameScore], predictor: CropPredictor) -> np.ndarray:
    """(N, S, S, 3) uint8 RGB: the faces of ``scores`` (in order of time), cropped as for scoring."""
    crops = []
    with reader:
        for frame in reader.picked({score.frame for score in scores}):
            for score in scores:
                if score.frame == frame.index:
                    assert score.landmarks is not None
                    crops.append(crop_for(predictor, frame.image, score.landmarks))
    if len(crops) < len(scores) and not (crops and reader.stopped):
        raise MediaError(f"{reader.path} changed while it was inspected", hint="inspect a copy that nothing writes to")
    return np.stack(crops)
