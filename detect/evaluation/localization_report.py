"""Localisation of forged regions on the clips of an evaluation, and a sheet with examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from detect.config.scoring import EvaluateConfig
from detect.data.crops import ClipFaces
from detect.data.masks import MASK_PX, ForgedMasks
from detect.data.protocols import sample_evenly
from detect.evaluation.localization import (
    DEFAULT_THRESHOLD,
    LEVELS,
    Localisation,
    RegionPredictions,
    choose_threshold,
    face_ious,
    localise,
    predict_masks,
    predict_regions,
)
from detect.models.predictor import CropPredictor
from detect.models.training_record import TrainingRecord, clip_mark
from detect.scoring.dataset import DatasetScores, faces_of
from shared.bootstrap import BootstrapSettings
from shared.dataset import DatasetFolder
from shared.dataset.splits import clustering
from shared.video.images import encode_png

CHOOSING_CLIPS = 60
"""The threshold of the maps is chosen on at most this many validation clips."""

_TILE = 112
_ROWS = 12
_TRUTH, _DRAWN, _PAPER, _INK = (44, 122, 75), (179, 84, 30), 255, (29, 39, 51)


@dataclass(frozen=True)
class RegionReport:
    """Localisation of the forged regions.

    Attributes:
        threshold: probability from which a pixel counts as forged, and what it was chosen on.
        faces: number of fake faces with a mask.
        parts: all manipulations together, then each.
    """

    threshold: float
    threshold_from: str
    faces: int
    parts: tuple[Localisation, ...]


@dataclass(frozen=True, eq=False)
class Regions:
    """A report, and a PNG of faces with their forged and predicted regions. It shows people."""

    report: RegionReport
    sheet: bytes


def measure_regions(folder: DatasetFolder, scores: DatasetScores, config: EvaluateConfig) -> Regions | None:
    """Predicts the regions of the scored clips and compares them with the compositor's masks.

    Returns:
        None if the detector predicts no region, or no fake face has a mask.

    Raises:
        MediaError: a mask cannot be read.
        FacesetError: a crop is missing or damaged.
    """
    predictor = scores.predictor
    if predictor is None or not predictor.spec.has_mask or not any(c.record.masks for c in scores.faces):
        return None
    masks = ForgedMasks(folder, scores.faces)
    drawn = predict_regions(scores.faces, masks, predictor, batch=config.batch)
    if not drawn.fake.any():
        return None
    threshold, chosen_on = _threshold(folder, predictor, scores.learned, config)
    records = [clip.record for clip in scores.faces]
    chosen = clustering(records, config.cluster_by)
    clusters = chosen.of(records)
    bootstrap = BootstrapSettings(config.replicates, seed=config.seed, cluster_by=chosen.by)
    parts = localise(scores.faces, drawn, clusters, threshold=threshold, bootstrap=bootstrap)
    report = RegionReport(threshold, chosen_on, int(drawn.fake.sum()), parts)
    return Regions(report, region_sheet(scores.faces, masks, drawn, predictor, threshold))


def _threshold(
    folder: DatasetFolder, predictor: CropPredictor, learned: TrainingRecord, config: EvaluateConfig
) -> tuple[float, str]:
    """The threshold of the maps, and what it was chosen on: never the evaluated clips.

    Only validation clips on which the detector was selected are used, so that a manipulation or set new to it stays
    new.
    """
    if config.mask_threshold is not None:
        return config.mask_threshold, "the command"
    if config.split in ("val", "all"):
        return DEFAULT_THRESHOLD, "nothing: the validation clips are evaluated here"
    known = [r for r in folder.records(split="val") if clip_mark(r) in learned.clips]
    masked = [record for record in known if record.masks is not None]
    if not masked:
        return DEFAULT_THRESHOLD, "nothing: this set has no validation clips with masks that the detector was chosen by"
    records = sample_evenly(masked, CHOOSING_CLIPS, config.seed)
    clips, _ = faces_of(folder, records, predictor, config)
    found = choose_threshold(predict_regions(clips, ForgedMasks(folder, clips), predictor, batch=config.batch))
    if found is None:
        return DEFAULT_THRESHOLD, "nothing: no validation clip has a face with a mask"
    return found, f"{len(records)} validation clips of {folder.name}"


def region_sheet(
    clips: Sequence[ClipFaces], masks: ForgedMasks, faces: RegionPredictions, predictor: CropPredictor, threshold: float
) -> bytes:
    """PNG: of each manipulation the faces with best, median and worst IoU, and two real faces with most false region.

    Columns: crop; the compositor's mask; predicted probability; outlines on the crop, the forged region green, the
    predicted one orange.
    """
    level = int(np.floor(threshold * LEVELS))
    ious = face_ious(faces.histograms)[:, level]
    chosen = chosen_faces(clips, faces, level)
    rows = [_sheet_row(clips, masks, faces, predictor, threshold, n, float(ious[n])) for n in chosen]
    head = _caption("face | forged | drawn | outlines", f"drawn from {threshold:.2f}", "")
    return encode_png(np.concatenate([head, *rows]))


def chosen_faces(clips: Sequence[ClipFaces], faces: RegionPredictions, level: int) -> list[int]:
    """Indices of the faces that the sheet shows: of each manipulation the best, the median and the worst by IoU.

    Manipulations with the worst IoU come first. There are at most twelve faces; the last two are the real ones with
    most false region. ``level`` is that of the threshold.
    """
    ious, wrong = face_ious(faces.histograms)[:, level], faces.histograms[:, 0, level:].sum(axis=1)
    made = np.array([clips[place].record.id.manipulation or "" for place in faces.clips])
    names = sorted(np.unique(made[faces.fake]).tolist(), key=lambda name: float(ious[made == name].mean()))
    each = 3 if 3 * len(names) <= _ROWS - 2 else 1
    chosen: list[int] = []
    for name in names[: _ROWS - 2]:
        places = np.flatnonzero(made == name)
        ranked = places[np.argsort(-ious[places], kind="stable")]
        picked = (0, len(ranked) // 2, len(ranked) - 1) if each == 3 else (len(ranked) // 2,)
        chosen += [int(ranked[place]) for place in dict.fromkeys(picked)]
    real = np.flatnonzero(~faces.fake)
    return chosen + [int(n) for n in real[np.argsort(-wrong[real], kind="stable")][:2]]


def _sheet_row(
    clips: Sequence[ClipFaces],
    masks: ForgedMasks,
    faces: RegionPredictions,
    predictor: CropPredictor,
    threshold: float,
    number: int,
    iou: float,
) -> np.ndarray:
    place, row = int(faces.clips[number]), int(faces.rows[number])
    clip = clips[place]
    assert clip.faceset is not None
    crop = clip.faceset.crop(row)
    drawn = predict_masks(predictor, crop[None])[0]
    mask = masks.mask((place, row)) if faces.fake[number] else None
    truth = np.zeros((MASK_PX, MASK_PX), np.float32) if mask is None else mask
    small = cv2.resize(crop, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    large = [cv2.resize(m, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR) for m in (truth, drawn)]
    outlined = small.copy()
    for region, edge, colour, width in ((large[0], 0.5, _TRUTH, 2), (large[1], threshold, _DRAWN, 1)):
        contours, _ = cv2.findContours((region >= edge).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outlined, contours, -1, colour, width)
    grey = [cv2.cvtColor((m * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB) for m in large]
    record = clip.record
    said = f"IoU {iou:.2f}" if faces.fake[number] else f"{(drawn >= threshold).mean():.0%} drawn"
    frame = f"{record.id.name}, frame {int(clip.frames[row])}"
    return np.concatenate(
        [np.hstack([small, *grey, outlined]), _caption(record.id.manipulation or "real", said, frame)]
    )


def _caption(first: str, second: str, third: str) -> np.ndarray:
    """(h, 4 tiles, 3) uint8: two lines of text; what does not fit is cut."""
    strip = np.full((30, 4 * _TILE, 3), _PAPER, np.uint8)
    for line, text in enumerate((f"{first}   {second}", third)):
        written = text.encode("ascii", "replace").decode()[:64]
        cv2.putText(strip, written, (3, 11 + 14 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)
    return strip
