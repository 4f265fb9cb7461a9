from __future__ import annotations

import numpy as np
import pytest

from detect.config import AggregateConfig
from detect.inspection.exhibits import choose
from detect.inspection.inspect import block_interval, decide
from detect.scoring.aggregate import aggregate_clip
from shared.results.scores import FrameScore
from shared.types import ClipId

CLIP = ClipId("suspect", None, "clip")


def scores(logits, *, track=0, rate=10.0):
    return [
        FrameScore(CLIP, index, index / rate, track, float(logit), (0.0, 0.0, 9.0, 9.0))
        for index, logit in enumerate(logits)
    ]


def test_no_frames_no_interval():
    assert block_interval([], block_seconds=1.0, seed=0) is None


def test_one_block_gives_no_interval():
    assert block_interval(scores([1.0] * 9), block_seconds=1.0, seed=0) is None


def test_equal_scores_give_a_point():
    low, high = block_interval(scores([2.0] * 40), block_seconds=1.0, seed=0)
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)


def test_blocks_widen_the_interval_where_neighbours_agree():
    steps = np.repeat([-2.0, 2.0, -2.0, 2.0, -2.0, 2.0], 10)
    by_second = block_interval(scores(steps), block_seconds=1.0, seed=0)
    by_frame = block_interval(scores(steps), block_seconds=0.1, seed=0)
    assert by_second[1] - by_second[0] > 2 * (by_frame[1] - by_frame[0])


def test_the_interval_is_the_same_for_the_same_seed():
    values = scores(np.linspace(-1, 3, 60))
    assert block_interval(values, block_seconds=1.0, seed=4) == block_interval(values, block_seconds=1.0, seed=4)


@pytest.mark.parametrize("method", ["max-face", "max-track", "top-k"])
def test_a_forged_face_among_bystanders_is_not_called_real_by_an_interval_of_another_number(method):
    ways = AggregateConfig(method=method)
    forged = scores(np.tile([4.0, 4.2], 30))
    crowd = [*forged, *scores([-5.0] * 60, track=1), *scores([-5.0] * 60, track=2)]
    logit = aggregate_clip(crowd, ways)
    low, high = block_interval(crowd, ways, block_seconds=1.0, seed=0)
    assert low - 1e-9 <= logit <= high + 1e-9
    assert low > 4.0 - 1e-9
    assert decide(logit, (low, high), 0.0)[0] == "fake"


def test_a_frame_that_is_drawn_twice_counts_twice():
    three = scores([0.0] * 10 + [3.0] * 10 + [6.0] * 10)
    # means of three whole blocks are whole numbers; with a frame counted once, two equal blocks would leave halves
    lone = {block_interval(three, block_seconds=1.0, seed=seed, rounds=1)[0] for seed in range(30)}
    assert lone == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0} & lone
    assert len(lone) >= 5


def test_an_interval_of_a_long_crowded_clip_takes_no_minute():
    crowd = [score for track in range(4) for score in scores(np.sin(np.arange(600)), track=track, rate=5.0)]
    low, high = block_interval(crowd, block_seconds=1.0, seed=0, rounds=20)
    assert low < high


@pytest.mark.parametrize(("logit", "interval"), [(4.1, (-1.88, -1.86)), (-0.5, (0.2, 0.9)), (0.0, (-0.4, -0.1))])
def test_a_score_and_an_interval_on_different_sides_are_inconclusive(logit, interval):
    verdict, reason = decide(logit, interval, 0.0)
    assert verdict == "inconclusive"
    assert "on the other side" in reason


@pytest.mark.parametrize(
    ("logit", "interval", "threshold", "verdict", "word"),
    [
        (None, None, 0.0, "inconclusive", "No usable face"),
        (3.0, None, 0.0, "inconclusive", "too little"),
        (0.4, (-0.2, 1.0), 0.0, "inconclusive", "holds the threshold"),
        (2.0, (1.0, 3.0), 0.5, "fake", "above its threshold"),
        (-2.0, (-3.0, -1.0), 0.5, "real", "others it may miss"),
    ],
)
def test_verdicts(logit, interval, threshold, verdict, word):
    found, reason = decide(logit, interval, threshold)
    assert found == verdict
    assert word in reason


def test_problems_make_any_score_inconclusive():
    verdict, reason = decide(5.0, (4.0, 6.0), 0.0, ["the frames are damaged"])
    assert verdict == "inconclusive"
    assert "the frames are damaged" in reason


def test_exhibits_hold_the_extremes_and_every_face_in_order_of_time():
    mixed = scores([0.0, 5.0, 1.0, -4.0, 2.0, 0.5]) + scores([0.1, 0.2], track=1)
    shown = choose(mixed, 5)
    assert [score.frame for score, _ in shown] == sorted(score.frame for score, _ in shown)
    assert {"highest score", "lowest score", "first of this face"} <= {why for _, why in shown}
    assert {score.track for score, _ in shown} == {0, 1}
    assert len(shown) == 5


def test_no_exhibits_without_scores():
    assert choose([], 6) == []
