"""Fuses detectors of unlike inputs clip by clip: the weights of their log likelihood ratios, by logistic regression.

The members are not trained further. Each one's clip logit becomes a log likelihood ratio by a logistic regression of
its own, and the weights of these ratios, at least 0, come from a second one (Brümmer and du Preez 2006); both with a
small ridge penalty and equally weighted classes, on the validation clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detect.calibration.cross import make_folds
from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.data.crops import dataset_digest
from detect.evaluation.result import EvaluationResult
from detect.metrics.classification import auc
from detect.models.checkpoint import DetectorFacts
from detect.models.fused_clips import ClipFusedDetector, ClipWeights, need_lead
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate_choice import FEWEST_CLIPS, fit_learned, reaggregated
from detect.scoring.clip_fusion import SHIFTING, member_logit, raised
from detect.scoring.dataset import DatasetScores, score_dataset
from detect.scoring.samples import ScoredClip
from detect.training.fuse import Fusion, Member, load_members, validation_clips, write_fused
from shared.errors import ManifestError, UsageError
from shared.types import ClipRecord


def fuse_clips(
    detectors: Sequence[Path], dataset: Path, out: Path, config: EvaluateConfig
) -> tuple[Fusion, EvaluationResult]:
    """Writes the fusion, clip by clip, of trained ``detectors`` (runs or detector folders) as the folder ``out``.

    Args:
        detectors: two or more, of any input; the first scores single faces.
        dataset: set whose val split fits the weights.
        out: replaced if it holds an earlier detector.
        config: which of its clips (``only``), frames of each, device, batch; split, protocol and aggregation are not
            used.

    Raises:
        UsageError: fewer than two, one twice, or ``out`` holds something else.
        ConfigError: the first scores no single faces, or one is fused itself.
        CheckpointError: one is missing or damaged.
        ManifestError: too few clips that a member can score in the val split.
        LeakError: a member was trained on clips or people of it, and would get too large a weight.
    """
    loaded, digests = load_members(detectors, out)
    facts = [facts for _, facts in loaded]
    need_lead([each.spec for each in facts])
    aggregate = _shifting(facts[0].aggregate)
    facts[0] = dataclasses.replace(facts[0], aggregate=aggregate)
    folder, records = validation_clips(dataset, detectors, config.only)
    config = dataclasses.replace(config, split="val", aggregate=None)
    first = dataclasses.replace(config, aggregate=aggregate)
    scores = [score_dataset(path, folder, records, config if k else first) for k, path in enumerate(detectors)]
    seen = np.array([clip.score.logit is not None for clip in scores[0].clips], bool)
    labels = np.array([clip.record.label == "fake" for clip in scores[0].clips], bool)[seen]
    names = [f"{each.spec.family}, {each.spec.name}" for each in facts]
    logits = np.stack([clip_logits(each) for each in scores], 1)[seen]
    fit = fit_clips(logits, labels, names)
    model = ClipFusedDetector.of([detector for detector, _ in loaded], fit)
    members = tuple(
        Member(each.spec.name, each.spec.family, digest, weight, _auc(column, labels), slope, offset)
        for each, digest, column, weight, slope, offset in zip(
            facts, digests, logits.T, fit.weights, fit.slopes, fit.offsets, strict=True
        )
    )
    kept = [clip.record for clip, with_face in zip(scores[0].clips, seen, strict=True) if with_face]
    fusion = Fusion(
        members, fit.bias, folder.name, dataset_digest(folder), len(labels), _auc(fused_logits(fit, logits), labels),
        "clips", left_out_auc(logits, labels, kept, names),
    )  # fmt: skip
    described = DetectorFacts(
        model.spec, facts[0].faces, facts[0].finder, aggregate, facts[0].aggregation,
        initial_weights=model.initial_weights, members=tuple(facts),
    )  # fmt: skip
    clips = [_fused(clip, fit, row) for clip, row in zip(scores[0].clips, _all_rows(logits, seen), strict=True)]
    clips = [reaggregated(clip, aggregate) for clip in clips]
    return fusion, write_fused(out, model, described, fusion, clips, scores, detectors, config)


def fit_clips(logits: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> ClipWeights:
    """The fit of members to clips.

    Args:
        logits: (N, K) clip logits of each member; NaN where it scored nothing.
        labels: (N,) bool, True for fake.
        names: of the members, for errors.

    Raises:
        ManifestError: too few clips of a class for a member.
    """
    maps = [_map(column, labels, name) for column, name in zip(logits.T, names, strict=True)]
    slopes, offsets = (tuple(values) for values in zip(*maps, strict=True))
    ratios = np.nan_to_num(logits * np.array(slopes) + np.array(offsets), nan=0.0)
    joint = fit_learned(ratios, labels)
    return ClipWeights(slopes, offsets, joint.weights, joint.bias)


def fused_logits(fit: ClipWeights, logits: np.ndarray) -> np.ndarray:
    """(N,) fused clip logits of (N, K) logits of the members, NaN where one scored nothing."""
    ratios = np.nan_to_num(logits * np.array(fit.slopes) + np.array(fit.offsets), nan=0.0)
    return ratios @ np.array(fit.weights) + fit.bias


def left_out_auc(
    logits: np.ndarray, labels: np.ndarray, records: Sequence[ClipRecord], names: Sequence[str]
) -> float | None:
    """AUC of fused logits, each by a fit without the clip's people; None if there are too few people for that."""
    try:
        folds = make_folds(records, labels)
        found = np.empty(len(labels))
        for out in folds.masks:
            found[out] = fused_logits(fit_clips(logits[~out], labels[~out], names), logits[out])
    except (ManifestError, UsageError):
        return None
    return _auc(found, labels)


def clip_logits(scores: DatasetScores) -> np.ndarray:
    """(N,) the clip logits of a member; NaN where it scored nothing, or too few faces of a sequence."""
    assert isinstance(scores.predictor, CropPredictor)  # the members are detectors of faces
    found = [member_logit(scores.predictor, clip.score) for clip in scores.clips]
    return np.array([np.nan if logit is None else logit for logit in found], np.float64)


def _map(column: np.ndarray, labels: np.ndarray, name: str) -> tuple[float, float]:
    """Slope and offset of a member's log likelihood ratio."""
    known = np.isfinite(column)
    x, truth = column[known], labels[known]
    if min(truth.sum(), (~truth).sum()) < FEWEST_CLIPS:
        raise ManifestError(
            f"{name} scores {int(truth.sum())} fake and {int((~truth).sum())} real clips of the val split, fewer than "
            f"{FEWEST_CLIPS} of a class",
            hint="take a set with a larger val split, or leave it out",
        )
    fitted = fit_learned(x[:, None], truth)
    return fitted.weights[0], fitted.bias


def _shifting(own: AggregateConfig) -> AggregateConfig:
    """The lead's aggregation; the largest face of each frame in place of one that does not move with its scores."""
    return own if own.method in SHIFTING else dataclasses.replace(own, method="max-face", learned=None)


def _all_rows(logits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(M, K) rows for all clips, NaN for those without a face."""
    rows = np.full((len(seen), logits.shape[1]), np.nan)
    rows[seen] = logits
    return rows


def _fused(clip: ScoredClip, fit: ClipWeights, row: np.ndarray) -> ScoredClip:
    """The clip with fused face logits, from those of the lead and the ``row`` of clip logits."""
    added = sum(fit.parts([None, *(None if np.isnan(x) else float(x) for x in row[1:])]))
    alone = [
        dataclasses.replace(face, logit=fit.bias + fit.weights[0] * (fit.slopes[0] * face.logit + fit.offsets[0]))
        for face in clip.frames
    ]
    return dataclasses.replace(clip, frames=raised(alone, added))


def _auc(logits: np.ndarray, labels: np.ndarray) -> float:
    known = np.isfinite(logits)
    found = auc(labels[known], logits[known])
    return float("nan") if found is None else found
