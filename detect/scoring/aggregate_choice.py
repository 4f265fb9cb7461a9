"""Chooses the aggregation of a detector on validation clips, and records the alternatives.

The choice is by clip AUC, then log loss. A learned aggregation is evaluated by cross-fitting over groups of linked
people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from detect.config.scoring import (
    AggregateConfig,
    Aggregation,
    AggregationCandidate,
    AggregationChoice,
    LearnedAggregate,
)
from detect.metrics.classification import auc, has_both_classes, log_loss, log_losses
from detect.scoring.aggregate import aggregate_clip, names, statistics, while_training
from detect.scoring.samples import ScoredClip, scored_clip
from shared.dataset.splits import clip_clusters

FEWEST_CLIPS = 8
"""Minimum number of clips of each class for fitting an aggregation."""

_RIDGE = 1e-2
_FOLDS = 5


def choose_aggregation(
    clips: Sequence[ScoredClip], config: AggregateConfig
) -> tuple[AggregateConfig, AggregationChoice]:
    """The aggregation of ``config``, fitted or chosen on ``clips``, and a record of the choice.

    Args:
        clips: scored clips of the validation split; those without a face are ignored.
        config: "auto" compares all methods; "learned" fits that one; any other is kept.

    Returns:
        Settings without "auto" or an unfitted "learned"; "max-face", with the reason in the record, if there are too
        few clips.
    """
    fallback = while_training(config)
    if fallback == config:
        return config, AggregationChoice()
    scored = [clip for clip in clips if clip.frames]
    labels = np.array([clip.record.label == "fake" for clip in scored], bool)
    if not has_both_classes(labels):
        return fallback, AggregationChoice("default: the validation clips with a face are of one class only")
    fitted = _fit(scored, labels, config)
    if config.method == "learned":
        if fitted is None:
            why = f"default: fewer than {FEWEST_CLIPS} validation clips of a class, too few to learn an aggregation"
            return fallback, AggregationChoice(why)
        fixed = dataclasses.replace(config, learned=fitted)
        return fixed, AggregationChoice(f"the settings, fitted on {labels.size} validation clips")
    candidates = _candidates(scored, labels, config, learned=fitted is not None)
    chosen_by = f"clip AUC, then log loss, on {labels.size} validation clips"
    best = dataclasses.replace(config, method=candidates[0].method, learned=fitted)
    return best, AggregationChoice(chosen_by, tuple(candidates))


def fit_learned(features: np.ndarray, labels: np.ndarray) -> LearnedAggregate:
    """Non-negative weights of a logistic regression with a small ridge penalty, the classes weighted equally.

    Args:
        features: (N, 7), ``detect.scoring.aggregate.statistics`` of each clip.
        labels: (N,) bool, with both classes in it.

    Without the bound the weights of these correlated statistics can become negative; a higher face logit would then
    lower the clip's.
    """
    centre, scale = float(features.mean()), float(features.std()) or 1.0
    x = (features - centre) / scale
    mass = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        logits = x @ weights + bias
        residual = mass * (expit(logits) - labels)
        gradient = np.append(x.T @ residual + 2 * _RIDGE * weights, residual.sum())
        return float(mass @ log_losses(labels, logits) + _RIDGE * weights @ weights), gradient

    start = np.append(np.full(x.shape[1], 1.0 / x.shape[1]), 0.0)
    bounds = [(0.0, None)] * x.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[:-1] / scale
    return LearnedAggregate(tuple(map(float, weights)), float(found[-1] - weights.sum() * centre))


def reaggregated(clip: ScoredClip, config: AggregateConfig) -> ScoredClip:
    """The clip with its face scores aggregated by ``config``."""
    return scored_clip(clip.record, clip.frames, clip.frame_labels, frames_read=clip.score.frames_read, config=config)


def _fit(clips: Sequence[ScoredClip], labels: np.ndarray, config: AggregateConfig) -> LearnedAggregate | None:
    if min(labels.sum(), (~labels).sum()) < FEWEST_CLIPS:
        return None
    return fit_learned(_features(clips, config), labels)


def _features(clips: Sequence[ScoredClip], config: AggregateConfig) -> np.ndarray:
    return np.stack([statistics(clip.frames, config) for clip in clips])


def _candidates(
    clips: Sequence[ScoredClip], labels: np.ndarray, config: AggregateConfig, *, learned: bool
) -> list[AggregationCandidate]:
    """Candidates sorted by highest AUC, then lowest log loss, then name."""
    found: dict[Aggregation, np.ndarray] = {}
    for method in names():
        if method != "learned":
            settings = dataclasses.replace(config, method=method)
            found[method] = np.array([aggregate_clip(clip.frames, settings) for clip in clips], np.float64)
    left_out = _cross_fitted(clips, labels, config) if learned else None
    if left_out is not None:
        found["learned"] = left_out
    listed = [
        AggregationCandidate(method, auc(labels, logits), log_loss(labels, logits) or 0.0)
        for method, logits in found.items()
    ]
    return sorted(listed, key=lambda each: (-round(each.auc or 0.0, 9), each.log_loss, each.method))


def _cross_fitted(clips: Sequence[ScoredClip], labels: np.ndarray, config: AggregateConfig) -> np.ndarray | None:
    """(N,) logits, each by a fit without the clip's people; None if there are too few people for folds."""
    numbers = clip_clusters([clip.record for clip in clips])
    clusters = np.array([numbers[clip.record.id] for clip in clips])
    folds = np.unique(clusters, return_inverse=True)[1] % _FOLDS
    features, logits = _features(clips, config), np.empty(labels.size)
    if np.unique(folds).size < 2:
        return None
    for fold in np.unique(folds):
        out = folds == fold
        if not has_both_classes(labels[~out]):
            return None
        fitted = fit_learned(features[~out], labels[~out])
        logits[out] = features[out] @ np.array(fitted.weights) + fitted.bias
    return logits
