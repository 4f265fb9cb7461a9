from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from detect.aggregate import aggregate_clip, aggregate_tracks, names
from detect.config import AggregateConfig, Aggregation
from shared.errors import ConfigError, UnknownNameError
from shared.scores import FrameScore
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


@pytest.mark.parametrize("method", names())
def test_no_face_gives_no_logit_rather_than_a_middle_one(method: str):
    config = AggregateConfig(method=method)  # type: ignore[arg-type]
    assert aggregate_clip([], config) is None
    assert aggregate_tracks([], config) == []


@pytest.mark.parametrize("method", names())
def test_one_face_is_its_own_aggregate(method: str):
    config = AggregateConfig(method=method)  # type: ignore[arg-type]
    assert aggregate_clip(scores((3, 0, -1.5)), config) == pytest.approx(-1.5)


def test_order_of_scores_does_not_matter():
    for method in names():
        config = AggregateConfig(method=method)
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
    assert set(names()) == set(get_args(Aggregation))
    odd = AggregateConfig()
    object.__setattr__(odd, "method", "mena")
    with pytest.raises(UnknownNameError) as caught:
        aggregate_clip(TWO_FACES, odd)
    assert "mean" in str(caught.value.hint)


@pytest.mark.parametrize("change", [{"top_share": 0.0}, {"trim_share": 0.5}, {"min_track_share": 2.0}])
def test_bad_shares_are_refused(change: dict):
    with pytest.raises(ConfigError):
        dataclasses.replace(AggregateConfig(), **change)
