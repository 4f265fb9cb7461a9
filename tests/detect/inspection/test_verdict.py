from __future__ import annotations

import numpy as np
import pytest

from detect.calibration.interpret import NOT_CALIBRATED, Interpretation
from detect.config.scoring import AggregateConfig
from detect.inspection.verdict import at_chance, block_interval, decide, validation_words
from detect.scoring.aggregate import aggregate_clip
from shared.results.scores import CalibratedScore, Evaluation, FrameScore, Outside
from shared.types import ClipId

CLIP = ClipId("suspect", None, "clip")


def interpreted(llr: float = 2.0, *, holds: bool = True, outside: tuple[Outside, ...] = ()) -> Interpretation:
    """A calibration that gives ``llr``, for files like those of the domain "toy"."""
    score = CalibratedScore(
        holds, llr, llr - 0.1, llr + 0.1, -3.0, 3.0, False, "support", "", ("fake", "real"), 0.9, 0.5, (), "", "", ()
    )
    return Interpretation(score, "", outside, "toy")


def validation(auc: float, low: float | None, high: float | None) -> tuple[Evaluation, ...]:
    return (
        Evaluation("auc", auc, "clip", 20, 24, low, high, 9),
        Evaluation("false_alarm_rate", 0.05, "clip", 20, 0, 0.0, 0.2, 9),
    )


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
    assert decide(logit, (low, high), 0.0, interpreted())[0] == "fake"


def test_a_frame_that_is_sampled_twice_counts_twice():
    three = scores([0.0] * 10 + [3.0] * 10 + [6.0] * 10)
    # means of three whole blocks are whole numbers; with a frame counted once, two equal blocks would leave halves
    lone = {block_interval(three, block_seconds=1.0, seed=seed, rounds=1)[0] for seed in range(30)}
    assert lone == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0} & lone
    assert len(lone) >= 5


def test_an_interval_of_a_long_clip_with_many_faces_takes_no_minute():
    crowd = [score for track in range(4) for score in scores(np.sin(np.arange(600)), track=track, rate=5.0)]
    low, high = block_interval(crowd, block_seconds=1.0, seed=0, rounds=20)
    assert low < high


@pytest.mark.parametrize(("logit", "interval"), [(4.1, (-1.88, -1.86)), (-0.5, (0.2, 0.9)), (0.0, (-0.4, -0.1))])
def test_a_score_and_an_interval_on_different_sides_are_inconclusive(logit, interval):
    verdict, reason = decide(logit, interval, 0.0, interpreted())
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
    found, reason = decide(logit, interval, threshold, interpreted(-2.0 if verdict == "real" else 2.0))
    assert found == verdict
    assert word in reason


@pytest.mark.parametrize(
    ("calibration", "why"),
    [
        (Interpretation(None, NOT_CALIBRATED), "has not been calibrated"),
        (interpreted(holds=False), "does not hold for this file"),
        (interpreted(holds=False, outside=(Outside("codec", "the codec is hevc", "hevc"),)), "the codec is hevc"),
    ],
)
@pytest.mark.parametrize("logit", [5.0, -5.0, 0.1])
def test_without_a_calibration_that_holds_there_is_no_verdict(calibration, why, logit):
    verdict, reason = decide(logit, (logit - 0.01, logit + 0.01), 0.0, calibration, validation(1.0, 1.0, 1.0))
    assert verdict == "not validated"
    assert why in reason
    assert f"{logit:+.2f}" in reason


def test_a_detector_at_chance_gives_no_verdict_and_says_so():
    poor = validation(0.62, 0.41, 0.8)
    verdict, reason = decide(5.0, (4.0, 6.0), 0.0, interpreted(), poor)
    assert (verdict, at_chance(poor)) == ("not validated", True)
    assert "cannot tell fake from real" in reason
    assert "cannot tell fake from real" in validation_words(poor)


@pytest.mark.parametrize(
    ("auc", "low", "chance"), [(0.9, 0.7, False), (0.9, 0.5, True), (0.375, None, True), (0.9, None, False)]
)
def test_a_detector_is_at_chance_where_the_interval_of_its_auc_holds_a_half(auc, low, chance):
    assert at_chance(validation(auc, low, None if low is None else 1.0)) == chance
    assert not at_chance(())


def test_validation_is_given_with_counts_and_intervals():
    told = validation_words(validation(0.9, 0.7, 0.98))
    assert "AUC 0.90 (0.70 to 0.98; 20 real and 24 fake clips)" in told
    assert "false alarms at the threshold 0.05 (0.00 to 0.20; 20 real clips)" in told
    assert "does not say" in validation_words(())
