"""Fuses detectors of unlike inputs clip by clip: weights for every kind of fake, by logistic regression.

The members are not trained further. Each one's clip logit is centred between the classes and scaled; then every kind
of fake of the validation clips gets a linear fusion against all reals, of weights of at least 0, with a small ridge
penalty and equally weighted classes (Brümmer and du Preez 2006). How the kinds become one is said in
``detect.models.fused_clips``.
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
from detect.models.fused_clips import MOST_KINDS, ClipFusedDetector, ClipWeights, need_lead
from detect.models.predictor import CropPredictor
from detect.scoring.aggregate_choice import FEWEST_CLIPS, fit_learned, reaggregated
from detect.scoring.clip_fusion import SHIFTING, member_logit, raise_of, raised
from detect.scoring.dataset import DatasetScores, score_dataset
from detect.scoring.samples import ScoredClip
from detect.training.fuse import Fusion, KindWeights, Member, load_members, validation_clips, write_fused
from shared.errors import ManifestError, UsageError
from shared.types import ClipRecord

REAL = "real"
OTHERS = "others"


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
    names = [f"{each.spec.family}, {each.spec.name}" for each in facts]
    logits = np.stack([clip_logits(each) for each in scores], 1)[seen]
    kept = [clip.record for clip, with_face in zip(scores[0].clips, seen, strict=True) if with_face]
    kinds = kinds_of(kept)
    fit = fit_clips(logits, kinds, names)
    model = ClipFusedDetector.of([detector for detector, _ in loaded], fit)
    members = tuple(
        Member(each.spec.name, each.spec.family, digest, None, _auc(column, kinds != REAL))
        for each, digest, column in zip(facts, digests, logits.T, strict=True)
    )
    fusion = Fusion(
        members, None, folder.name, dataset_digest(folder), len(kinds), _auc(fit.fused(logits), kinds != REAL),
        "clips", left_out_auc(logits, kept, names), _by_kind(fit, logits, kinds),
    )  # fmt: skip
    described = DetectorFacts(
        model.spec, facts[0].faces, facts[0].finder, aggregate, facts[0].aggregation,
        initial_weights=model.initial_weights, members=tuple(facts),
    )  # fmt: skip
    clips = [_fused(clip, fit, row) for clip, row in zip(scores[0].clips, _all_rows(logits, seen), strict=True)]
    clips = [reaggregated(clip, aggregate) for clip in clips]
    return fusion, write_fused(out, model, described, fusion, clips, scores, detectors, config)


def kinds_of(records: Sequence[ClipRecord]) -> np.ndarray:
    """(N,) the kind of each clip: REAL, its manipulation, or "others" for those of few clips or after the most."""
    names = np.array([REAL if record.label == "real" else str(record.id.manipulation) for record in records])
    found, counts = np.unique(names[names != REAL], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    own = [str(found[place]) for place in order[: MOST_KINDS - 1] if counts[place] >= FEWEST_CLIPS]
    rest = ~np.isin(names, [REAL, *own])
    if own and rest.sum() < FEWEST_CLIPS:  # too few for weights of their own: they count with the most frequent kind
        return np.where(rest, own[0], names)
    return np.where(rest, OTHERS, names)


def fit_clips(logits: np.ndarray, kinds: np.ndarray, names: Sequence[str]) -> ClipWeights:
    """The fit of members to clips.

    Args:
        logits: (N, K) clip logits of each member; NaN where it scored nothing.
        kinds: (N,) the kind of each clip, REAL for no fake.
        names: of the members, for errors.

    Raises:
        ManifestError: too few clips of a class for a member.
    """
    real = kinds == REAL
    places = [_place(column, ~real, name) for column, name in zip(logits.T, names, strict=True)]
    centres, scales = (np.array(values) for values in zip(*places, strict=True))
    scores = np.nan_to_num((logits - centres) / scales, nan=0.0)
    own = [
        fit_learned(scores[chosen], ~real[chosen])
        for chosen in (real | (kinds == kind) for kind in fake_kinds(kinds))
    ]  # fmt: skip
    return ClipWeights(
        tuple(centres.tolist()), tuple(scales.tolist()),
        tuple(each.weights for each in own), tuple(each.bias for each in own),
    )  # fmt: skip


def fake_kinds(kinds: np.ndarray) -> list[str]:
    """The kinds of fake among ``kinds``, sorted."""
    return sorted({str(kind) for kind in kinds} - {REAL})


def left_out_auc(logits: np.ndarray, records: Sequence[ClipRecord], names: Sequence[str]) -> float | None:
    """AUC of fused logits, each by a fit without the clip's people; None if there are too few people for that."""
    kinds = kinds_of(records)
    try:
        folds = make_folds(records, kinds != REAL)
        found = np.empty(len(kinds))
        for out in folds.masks:
            found[out] = fit_clips(logits[~out], kinds[~out], names).fused(logits[out])
    except (ManifestError, UsageError):
        return None
    return _auc(found, kinds != REAL)


def _by_kind(fit: ClipWeights, logits: np.ndarray, kinds: np.ndarray) -> tuple[KindWeights, ...]:
    """What was fitted, kind by kind."""
    rows: list[KindWeights] = []
    for kind, weights, bias in zip(fake_kinds(kinds), fit.weights, fit.biases, strict=True):
        chosen = (kinds == kind) | (kinds == REAL)
        alone = dataclasses.replace(fit, weights=(weights,), biases=(bias,)).fused(logits[chosen])
        area = _auc(alone, kinds[chosen] == kind)
        rows.append(KindWeights(kind, int((kinds == kind).sum()), weights, bias, area))
    return tuple(rows)


def clip_logits(scores: DatasetScores) -> np.ndarray:
    """(N,) the clip logits of a member; NaN where it scored nothing, or too few faces of a sequence."""
    assert isinstance(scores.predictor, CropPredictor)  # the members are detectors of faces
    found = [member_logit(scores.predictor, clip.score) for clip in scores.clips]
    return np.array([np.nan if logit is None else logit for logit in found], np.float64)


def _place(column: np.ndarray, labels: np.ndarray, name: str) -> tuple[float, float]:
    """Centre, between the means of the classes, and scale of a member's clip logits."""
    known = np.isfinite(column)
    x, truth = column[known], labels[known]
    if min(truth.sum(), (~truth).sum()) < FEWEST_CLIPS:
        raise ManifestError(
            f"{name} scores {int(truth.sum())} fake and {int((~truth).sum())} real clips of the val split, fewer than "
            f"{FEWEST_CLIPS} of a class",
            hint="take a set with a larger val split, or leave it out",
        )
    return float(x[truth].mean() + x[~truth].mean()) / 2, float(max(x.std(), 1e-6))


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
    logits = [clip.score.logit, *(None if np.isnan(x) else float(x) for x in row[1:])]
    return dataclasses.replace(clip, frames=raised(clip.frames, raise_of(fit, logits)))


def _auc(logits: np.ndarray, labels: np.ndarray) -> float:
    known = np.isfinite(logits)
    found = auc(labels[known], logits[known])
    return float("nan") if found is None else found
