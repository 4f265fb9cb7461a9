"""Localisation of forged regions: IoU and AP of predicted masks against those of the compositor.

Both come from one histogram a face: the number of forged and of untouched pixels at each of 256 levels of probability.
It gives the IoU at every threshold and, summed over faces, the AP, so that no map is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from detect.data.crops import ClipFaces
from detect.data.masks import MASK_PX, ForgedMasks
from detect.models.predictor import CropPredictor
from shared.bootstrap import BootstrapSettings, mean_interval, sample_clusters
from shared.results.scores import Evaluation

LEVELS = 256
FORGED_FROM = 0.5
"""Share of the compositor's mask from which a pixel counts as forged."""
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class RegionPredictions:
    """Predictions for faces with a known region.

    Attributes:
        histograms: (N, 2, 256) int64: untouched and forged pixels of each face by level of probability.
        clips: (N,) index of each face's clip in the list of clips.
        rows: (N,) index of the face among that clip's faces.
        fake: (N,) whether the face is forged; the others have no forged pixel.
    """

    histograms: np.ndarray
    clips: np.ndarray
    rows: np.ndarray
    fake: np.ndarray


@dataclass(frozen=True)
class Localisation:
    """Localisation metrics of one manipulation, or of all together.

    Attributes:
        manipulation: None for all.
        iou: mean over faces of the intersection over union at the threshold.
        ap: pixel average precision over those faces.
        drawn_on_real: mean share of a real face that is predicted as forged; None without any; only for all.
        clips: number of clips with masks.
    """

    manipulation: str | None
    iou: Evaluation
    ap: Evaluation
    drawn_on_real: Evaluation | None
    clips: int


@torch.inference_mode()
def predict_masks(predictor: CropPredictor, crops: np.ndarray, *, px: int = MASK_PX, batch: int = 32) -> np.ndarray:
    """(N, S, S, 3) uint8 RGB -> (N, ``px``, ``px``) float32 probabilities that a pixel was forged.

    Raises:
        ValueError: the detector predicts no region, or the crops do not fit it.
    """
    parts = [np.empty((0, px, px), np.float32)]
    for first in range(0, len(crops), batch):
        x = predictor.prepare(crops[first : first + batch])
        with predictor.device.autocast():
            region = predictor.model(x).mask
        if region is None:
            raise ValueError(f"{predictor.spec.name} draws no region")
        fitted = F.interpolate(region.float(), size=(px, px), mode="bilinear", align_corners=False)
        parts.append(fitted.sigmoid().squeeze(1).cpu().numpy())
    return np.concatenate(parts)


def predict_regions(
    clips: Sequence[ClipFaces], masks: ForgedMasks, predictor: CropPredictor, *, batch: int = 32
) -> RegionPredictions:
    """Predicts the region of every forged face with a mask and of every face of a real clip.

    Untouched faces of fake clips are left out, since a re-encode may have changed their pixels.

    Raises:
        FacesetError: a crop is missing or damaged.
    """
    histograms, owners, fakes = [np.empty((0, 2, LEVELS), np.int64)], [], []
    rows: list[int] = []
    for place, clip in enumerate(clips):
        chosen, truth = _known_faces(place, clip, masks)
        if not chosen:
            continue
        drawn = predict_masks(predictor, clip.crops()[chosen], batch=batch)
        histograms.append(pixel_histograms(drawn, truth))
        owners += [place] * len(chosen)
        rows += chosen
        fakes += [clip.record.label == "fake"] * len(chosen)
    return RegionPredictions(
        np.concatenate(histograms), np.array(owners, np.int64), np.array(rows, np.int64), np.array(fakes, bool)
    )


def pixel_histograms(drawn: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N, H, W) probabilities and (N, H, W) bool -> (N, 2, 256): untouched and forged pixels by level.

    A pixel of probability p is at level floor(256 p), at most 255: it is above threshold k / 256 exactly when its
    level is at least k.

    Raises:
        ValueError: shapes differ.
    """
    if drawn.shape != truth.shape or drawn.ndim != 3:
        raise ValueError(f"need maps of one shape (n, h, w), got {drawn.shape} and {truth.shape}")
    levels = np.clip(np.floor(drawn * LEVELS), 0, LEVELS - 1).astype(np.int64)
    places = (np.arange(len(drawn))[:, None, None] * 2 + truth) * LEVELS + levels
    return np.bincount(places.ravel(), minlength=len(drawn) * 2 * LEVELS).reshape(-1, 2, LEVELS)


def face_ious(histograms: np.ndarray) -> np.ndarray:
    """(N, 2, 256) -> (N, 256): IoU of each face at the thresholds k / 256; 1 where nothing is forged or predicted."""
    at_least = histograms[:, :, ::-1].cumsum(axis=2)[:, :, ::-1].astype(np.float64)
    wrong, right = at_least[:, 0], at_least[:, 1]
    union = wrong + histograms[:, 1].sum(axis=1, keepdims=True)
    return np.divide(right, union, out=np.ones_like(right), where=union > 0)


def pooled_ap(counts: np.ndarray) -> np.ndarray:
    """(..., 2, 256) pixel counts -> (...,) average precision, equal levels tied; NaN without forged pixels."""
    falling = counts[..., ::-1].astype(np.float64)
    wrong, right = falling[..., 0, :].cumsum(-1), falling[..., 1, :].cumsum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(right + wrong > 0, right / (right + wrong), 0.0)
        return (precision * falling[..., 1, :]).sum(-1) / right[..., -1]


def choose_threshold(faces: RegionPredictions) -> float | None:
    """The threshold k / 256 with the highest mean IoU over fake faces, the middle one of ties; None without fake faces.

    It is to be chosen on validation clips, never on the evaluated ones.
    """
    if not faces.fake.any():
        return None
    mean = face_ious(faces.histograms[faces.fake])[:, 1:].mean(axis=0)
    best = np.flatnonzero(mean >= mean.max() - 1e-12) + 1
    return float(best[len(best) // 2]) / LEVELS


def localise(
    clips: Sequence[ClipFaces],
    faces: RegionPredictions,
    clusters: np.ndarray,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    bootstrap: BootstrapSettings | None = None,
) -> tuple[Localisation, ...]:
    """IoU and AP for all manipulations together and for each, with intervals over clusters of people.

    Args:
        clips: those of ``faces``.
        faces: see :func:`predict_regions`.
        clusters: (C,) cluster of each clip.
        threshold: probability from which a pixel counts as forged; rounded down to a multiple of 1/256.
        bootstrap: replicates, confidence and seed.

    Returns:
        That of all manipulations, then each by name; empty when no fake face has a mask.
    """
    if not faces.fake.any():
        return ()
    bootstrap = bootstrap or BootstrapSettings()
    made = np.array([clips[place].record.id.manipulation or "" for place in faces.clips])
    parts = [(None, faces.fake), *((str(name), made == name) for name in np.unique(made[faces.fake]))]
    return tuple(_part(name, faces, chosen, clusters, threshold, bootstrap) for name, chosen in parts)


def _part(
    name: str | None,
    faces: RegionPredictions,
    chosen: np.ndarray,
    clusters: np.ndarray,
    threshold: float,
    bootstrap: BootstrapSettings,
) -> Localisation:
    level = int(np.floor(threshold * LEVELS))
    histograms, owners = faces.histograms[chosen], clusters[faces.clips[chosen]]
    iou = _mean("mask_iou", face_ious(histograms)[:, level], owners, bootstrap, fake=True)
    real = None
    if name is None and not faces.fake.all():
        untouched = faces.histograms[~faces.fake]
        share = untouched[:, 0, level:].sum(axis=1) / untouched[:, 0].sum(axis=1)
        real = _mean("drawn_on_real", share, clusters[faces.clips[~faces.fake]], bootstrap, fake=False)
    ap = _pooled(histograms, owners, bootstrap)
    return Localisation(name, iou, ap, real, int(np.unique(faces.clips[chosen]).size))


def _mean(
    metric: str, values: np.ndarray, owners: np.ndarray, bootstrap: BootstrapSettings, *, fake: bool
) -> Evaluation:
    low, high = mean_interval(values, np.ones(values.size), owners, bootstrap) or (None, None)
    return _evaluation(metric, float(values.mean()), values.size, owners, low, high, bootstrap, fake=fake)


def _pooled(histograms: np.ndarray, owners: np.ndarray, bootstrap: BootstrapSettings) -> Evaluation:
    names, places = np.unique(owners, return_inverse=True)
    sums = np.zeros((names.size, 2, LEVELS))
    np.add.at(sums, places, histograms)
    low = high = None
    if names.size >= 2:
        weights = sample_clusters(names.size, bootstrap.replicates, np.random.default_rng(bootstrap.seed))
        drawn = pooled_ap((weights @ sums.reshape(names.size, -1)).reshape(-1, 2, LEVELS))
        low, high = (float(bound) for bound in np.nanpercentile(drawn, bootstrap.tails))
    value = float(pooled_ap(sums.sum(axis=0)))
    return _evaluation("mask_ap", value, len(histograms), owners, low, high, bootstrap, fake=True)


def _evaluation(
    metric: str,
    value: float,
    count: int,
    owners: np.ndarray,
    low: float | None,
    high: float | None,
    bootstrap: BootstrapSettings,
    *,
    fake: bool,
) -> Evaluation:
    return Evaluation(
        metric,
        value,
        "frame",
        num_real=0 if fake else count,
        num_fake=count if fake else 0,
        low=low,
        high=high,
        clusters=int(np.unique(owners).size),
        confidence=bootstrap.confidence,
    )


def _known_faces(place: int, clip: ClipFaces, masks: ForgedMasks) -> tuple[list[int], np.ndarray]:
    """Rows of the clip's faces with a known region, and those regions, (n, M, M) bool."""
    empty = np.zeros((MASK_PX, MASK_PX), bool)
    rows: list[int] = []
    regions: list[np.ndarray] = []
    for row, truth in enumerate(clip.truth.tolist()):
        if clip.record.label == "real":
            region = empty
        else:
            mask = masks.mask((place, row)) if truth == 1 else None
            region = None if mask is None else mask >= FORGED_FROM
        if region is not None and (region.any() or clip.record.label == "real"):
            rows.append(row)
            regions.append(region)
    return rows, np.array(regions, bool).reshape(-1, MASK_PX, MASK_PX)
