"""A clip without a scored frame has no score, and a metric is printed with what it takes to believe it."""

from __future__ import annotations

import pytest

from shared.results.scores import ClipScore, Evaluation
from shared.types import ClipId

CLIP = ClipId("set", None, "bob")


def score(logit: float | None, frames_scored: int) -> ClipScore:
    return ClipScore(
        clip=CLIP,
        label="real",
        logit=logit,
        frames_read=10,
        frames_with_face=8,
        frames_scored=frames_scored,
        tracks=1,
        aggregation="mean",
    )


def test_a_score_needs_frames_and_frames_give_a_score():
    assert score(1.5, 8).logit == 1.5
    assert score(None, 0).probability is None
    for logit, frames in ((0.0, 0), (None, 8)):
        with pytest.raises(ValueError, match="exactly when"):
            score(logit, frames)


def test_a_metric_is_shown_with_interval_level_and_counts():
    evaluation = Evaluation("auc", 0.91, "clip", 20, 30, low=0.85, high=0.96)
    assert str(evaluation) == "auc 0.910 [0.850, 0.960] (clip, 20 real / 30 fake)"


def test_a_missing_interval_is_said():
    assert "no interval" in str(Evaluation("auc", 0.91, "clip", 1, 1))
