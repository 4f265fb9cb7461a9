"""Scoring with detectors that are fused clip by clip: what the members beside the lead add to a clip's score.

The lead's faces are scored as by any detector; then every face gets what lies between the lead's and the fused clip
logit. An aggregation of face scores that is a mean, a quantile or a maximum moves with them, so that the clip's score
is the fused one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from detect.models.contract import Detector, DetectorSpec
from detect.models.fused_clips import ClipFusedDetector, ClipWeights
from detect.models.predictor import CropPredictor
from shared.errors import CheckpointError, UsageError
from shared.results.scores import ClipScore, FrameScore, ScorePart

SHIFTING = ("mean", "median", "max-face", "top-k", "trimmed", "max-track")
"""Aggregations that add to a clip's score what is added to all of its faces'."""


def fit_of(predictor: CropPredictor) -> ClipWeights | None:
    """The fit of detectors that are fused clip by clip; None for any other detector."""
    return predictor.model.fit if isinstance(predictor.model, ClipFusedDetector) else None


def further_members(predictor: CropPredictor) -> tuple[CropPredictor, ...]:
    """The members beside the lead, ready to score; none for a detector that is not fused clip by clip.

    Raises:
        CheckpointError: its description does not fit it.
    """
    model = predictor.model
    if not isinstance(model, ClipFusedDetector):
        return ()
    facts = predictor.facts.members
    members = [member for member in model.members if isinstance(member, Detector)]
    described, built = ([_built_by(spec) for spec in specs] for specs in (
        [each.spec for each in facts], [member.spec for member in members],
    ))  # fmt: skip
    if described != built:
        raise CheckpointError(f"{model.spec.name} describes other members than it has", hint="fuse them again")
    for member, each in zip(members, facts, strict=True):
        member.spec = each.spec
    return tuple(
        CropPredictor(member, predictor.device, facts=each) for member, each in zip(members[1:], facts[1:], strict=True)
    )


def _built_by(spec: DetectorSpec) -> tuple[object, ...]:
    """What a detector of ``spec`` is built from, and how many faces it scores together."""
    return (spec.family, spec.name, spec.input_px, spec.framing, spec.level, spec.frames_per_clip, spec.reads)


def need_one_detector(predictor: CropPredictor, what: str) -> None:
    """Refuses detectors that are fused clip by clip, for ``what`` scores single faces.

    Raises:
        UsageError: they are.
    """
    if fit_of(predictor) is not None:
        raise UsageError(
            f"{what} scores single faces, and these detectors are fused clip by clip", hint="name a member"
        )


def member_logit(member: CropPredictor, score: ClipScore) -> float | None:
    """The clip logit of a further member; None if it scores sequences and the clip shows fewer faces than one has."""
    return score.logit if score.frames_with_face >= member.spec.frames_per_clip else None


def raise_of(fit: ClipWeights, logits: Sequence[float | None]) -> float:
    """What is added to the lead's faces so that the clip's score is the fused one.

    Args:
        fit: of the fused detectors.
        logits: the clip logits of all members, the lead's first.
    """
    if logits[0] is None:
        return 0.0
    row = np.array([np.nan if logit is None else logit for logit in logits], np.float64)
    return float(fit.fused(row[None])[0]) - logits[0]


def parts_of(predictor: CropPredictor, fit: ClipWeights, logits: Sequence[float | None]) -> tuple[ScorePart, ...]:
    """What each member of fused detectors says of a clip, from the clip logits of all, the lead's first."""
    names = [f"{facts.spec.family}, {facts.spec.name}" for facts in predictor.facts.members]
    return tuple(ScorePart(*row) for row in zip(names, logits, fit.parts(logits), strict=True))


def raised(frames: Sequence[FrameScore], by: float) -> tuple[FrameScore, ...]:
    """The face scores, each larger by ``by``."""
    return tuple(dataclasses.replace(score, logit=score.logit + by) for score in frames)
