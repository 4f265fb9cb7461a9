"""The sampled faces of a report: which moments are shown, cut again from the file, with their heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from detect.inspection.heatmap import heat_maps, overlay
from detect.inspection.report import FaceExhibit
from detect.models.predictor import CropPredictor
from shared.errors import MediaError
from shared.faces.align import align
from shared.faces.finders.finder import FaceFinder
from shared.results.scores import FrameScore
from shared.sampling import evenly_spaced
from shared.video import VideoReader

_SHOWN_PX = 224


def choose(scores: Sequence[FrameScore], count: int) -> list[tuple[FrameScore, str]]:
    """At most ``count`` scores to show, with the reason for each: the highest, the lowest, and an even spread in time.

    Every track is shown before any is shown twice. In order of time.
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
    path: Path, scores: Sequence[FrameScore], predictor: CropPredictor, finder: FaceFinder, *, count: int
) -> list[FaceExhibit]:
    """Exhibits for at most ``count`` of the scored faces, cut again from the file as the detector saw them.

    Raises:
        MediaError: the file cannot be read.
    """
    wanted = choose(scores, count)
    if not wanted:
        return []
    crops = _crops(path, [score for score, _ in wanted], predictor, finder)
    shown = [(score, why, crops[place]) for place, (score, why) in enumerate(wanted) if place in crops]
    if not shown:
        return []
    maps = heat_maps(predictor.model, predictor.prepare(np.stack([crop for _, _, crop in shown])))
    exhibits = []
    for place, (score, why, crop) in enumerate(shown):
        large = cv2.resize(crop, (_SHOWN_PX, _SHOWN_PX), interpolation=cv2.INTER_AREA)
        heat = None if maps is None else _png(overlay(large, maps[place]))
        exhibits.append(FaceExhibit(score.frame, score.seconds, score.track, score.logit, why, _png(large), heat))
    return exhibits


def _crops(
    path: Path, wanted: Sequence[FrameScore], predictor: CropPredictor, finder: FaceFinder
) -> dict[int, np.ndarray]:
    """Place in ``wanted`` -> crop; a face that is not found again is left out."""
    by_frame: dict[int, list[int]] = {}
    for place, score in enumerate(wanted):
        by_frame.setdefault(score.frame, []).append(place)
    crops: dict[int, np.ndarray] = {}
    with VideoReader(path) as reader:
        for frame in reader.frames(stop=max(by_frame) + 1):
            for place in by_frame.get(frame.index, ()):
                for face in finder.refine(frame.image, [np.array(wanted[place].box, np.float32)])[:1]:
                    aligned = align(
                        frame.image, face, px=predictor.spec.input_px, framing=predictor.spec.framing, frame=frame.index
                    )
                    crops[place] = aligned.crop
    return crops


def _png(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise MediaError("a picture could not be encoded as PNG", hint="this is a defect; please report it")
    return data.tobytes()
