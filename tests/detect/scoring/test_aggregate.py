from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest

from detect.config.scoring import AggregateConfig, Aggregation, LearnedAggregate
from detect.scoring.aggregate import (
    STATISTICS,
    aggregate_clip,
    aggregate_tracks,
    names,
    resolved,
    statistics,
    while_training,
)
from shared.errors import ConfigError, UnknownNameError, UsageError
from shared.results.scores import FrameScore
from shared.types import ClipId

CLIP = ClipId("set", "swap", "clip")


def scores(*rows: tuple[int, int, float]) -> list[FrameScore]:
    """Rows of (frame, track, logit)."""
    return [FrameScore(CLIP, frame, frame / 25, track, logit, (0, 0, 9, 9)) for frame, track, logit in rows]


# track 0 is forged (+2, +4, +6), track 1 a bystander in two of the frames (-5, -7).
TWO_FACES = scores((0, 0, 2.0), (0, 1, -5.0), (1, 0, 4.0), (1, 1, -7.0), (2, 0, 6.0))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean", 0.0),  # the bystander hides the forgery
        ("median", 2.0),
        ("max-face", 4.0),
        ("max-track", 4.0),
        ("top-k", 5.0),  # 40 % of five: the two highest
        ("trimmed", (2 + 4 - 5) / 3),  # a fifth dropped at each end
    ],
)
def test_methods_by_hand(method: str, expected: float):
    config = AggregateConfig(method=method, top_share=0.4, trim_share=0.2)  # type: ignore[arg-type]
    assert aggregate_clip(TWO_FACES, config) == pytest.approx(expected)


EVEN = LearnedAggregate((1 / 7,) * 7, 0.0)


@pytest.mark.parametrize("method", names())
def test_no_face_gives_no_logit_rather_than_a_middle_one(method: str):
    config = AggregateConfig(method=method, learned=EVEN)  # type: ignore[arg-type]
    assert aggregate_clip([], config) is None
    assert aggregate_tracks([], config) == []


@pytest.mark.parametrize("method", names())
def test_one_face_is_its_own_aggregate(method: str):
    config = AggregateConfig(method=method, learned=EVEN)  # type: ignore[arg-type]
    assert aggregate_clip(scores((3, 0, -1.5)), config) == pytest.approx(-1.5)


def test_order_of_scores_does_not_matter():
    for method in names():
        config = AggregateConfig(method=method, learned=EVEN)
        assert aggregate_clip(TWO_FACES[::-1], config) == aggregate_clip(TWO_FACES, config)


def test_tracks_keep_their_own_logits():
    tracks = aggregate_tracks(TWO_FACES)
    assert [(track.track, track.logit, track.frames) for track in tracks] == [(0, 4.0, 3), (1, -6.0, 2)]


def test_a_flash_of_a_false_face_does_not_decide_the_clip():
    rows = [(frame, 0, -3.0) for frame in range(40)] + [(7, 1, 9.0)]
    assert aggregate_clip(scores(*rows), AggregateConfig(method="max-track")) == pytest.approx(-3.0)
    every_track = AggregateConfig(method="max-track", min_track_share=0.0)
    assert aggregate_clip(scores(*rows), every_track) == pytest.approx(9.0)


def test_names_and_settings_agree():
    assert {*names(), "auto"} == set(get_args(Aggregation))
    odd = AggregateConfig()
    object.__setattr__(odd, "method", "mena")
    with pytest.raises(UnknownNameError) as caught:
        aggregate_clip(TWO_FACES, odd)
    assert "mean" in str(caught.value.hint)


@pytest.mark.parametrize("change", [{"top_share": 0.0}, {"trim_share": 0.5}, {"min_track_share": 2.0}])
def test_bad_shares_are_refused(change: dict):
    with pytest.raises(ConfigError):
        dataclasses.replace(AggregateConfig(), **change)


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def confident(*values: tuple[int, float]) -> float:
    """The "confident" aggregate, as a score, of (how many, score) groups of faces."""
    rows = [(0, 0, logit(score)) for count, score in values for _ in range(count)]
    found = aggregate_clip(scores(*rows), AggregateConfig(method="confident"))
    assert found is not None
    return float(1 / (1 + np.exp(-found)))


def test_the_rule_of_the_dfdc_winner_by_hand():
    assert confident((12, 0.9), (17, 0.5)) == pytest.approx(0.9)  # 12 > 29 // 2.5 = 11, and 12 > 11
    assert confident((12, 0.9), (18, 0.5)) == pytest.approx((12 * 0.9 + 18 * 0.5) / 30)  # 12 is not more than 12
    assert confident((11, 0.9), (1, 0.5)) == pytest.approx((11 * 0.9 + 0.5) / 12)  # nearly all, yet only eleven
    assert confident((10, 0.1), (1, 0.7)) == pytest.approx(0.1)  # 10 > 0.9 x 11
    assert confident((9, 0.1), (1, 0.7)) == pytest.approx((0.9 + 0.7) / 10)  # 9 is not more than 9


def test_the_winners_rule_does_not_saturate():
    sure = scores(*[(frame, 0, 80.0) for frame in range(20)])
    assert aggregate_clip(sure, AggregateConfig(method="confident")) == pytest.approx(80.0)


def test_a_learned_aggregation_is_the_weighted_sum_of_its_statistics():
    weights = (0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.5)
    config = AggregateConfig(method="learned", learned=LearnedAggregate(weights, -1.0))
    assert aggregate_clip(TWO_FACES, config) == pytest.approx(2 * 2.0 + 4.0 + 0.5 * 4.0 - 1.0)
    assert [round(float(value), 6) for value in statistics(TWO_FACES, config)][2:3] == [2.0]
    assert len(statistics(TWO_FACES, config)) == len(STATISTICS)


def test_a_higher_face_never_lowers_a_learned_aggregate():
    config = AggregateConfig(method="learned", learned=LearnedAggregate((0.1, 0.2, 0.3, 0.1, 0.4, 0.2, 0.6), 0.3))
    before = aggregate_clip(TWO_FACES, config)
    assert before is not None
    for place, score in enumerate(TWO_FACES):
        raised = [*TWO_FACES[:place], dataclasses.replace(score, logit=score.logit + 1.5), *TWO_FACES[place + 1 :]]
        after = aggregate_clip(raised, config)
        assert after is not None
        assert after >= before


@pytest.mark.parametrize("method", ["auto", "learned"])
def test_what_is_not_fitted_yet_computes_nothing(method: str):
    config = AggregateConfig(method=method)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not fitted yet"):
        aggregate_clip(TWO_FACES, config)
    assert while_training(config).method == "max-face"
    assert while_training(AggregateConfig(method="mean")).method == "mean"


def test_the_aggregation_follows_from_settings_and_detector():
    own = AggregateConfig(method="median", learned=EVEN)
    assert resolved(None, own) is own
    assert resolved(AggregateConfig(method="auto"), own) is own
    assert resolved(AggregateConfig(method="learned", trim_share=0.2), own).learned == EVEN
    assert resolved(AggregateConfig(method="mean"), own).method == "mean"
    with pytest.raises(UsageError, match="no learned aggregation"):
        resolved(AggregateConfig(method="learned"), AggregateConfig())


def test_weights_of_another_number_or_sign_are_refused():
    with pytest.raises(ConfigError):
        LearnedAggregate((-0.1,), 0.0)
    with pytest.raises(UsageError, match="7 weights"):
        aggregate_clip(TWO_FACES, AggregateConfig(method="learned", learned=LearnedAggregate((1.0,), 0.0)))
