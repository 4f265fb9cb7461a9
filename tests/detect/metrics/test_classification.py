from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from detect.metrics import classification as metrics

# Four real, four fake, sorted by score: R R F R F F R F -> a hand-countable ranking.
HAND_LABELS = np.array([0, 0, 1, 0, 1, 1, 0, 1], bool)
HAND_LOGITS = np.arange(8.0) - 3.5


def test_auc_counts_pairs_by_hand():
    # fakes at ranks 2, 4, 5, 7 beat 2, 3, 3, 4 reals: 12 of 16 pairs.
    assert metrics.auc(HAND_LABELS, HAND_LOGITS) == pytest.approx(12 / 16)


def test_auc_counts_a_tie_as_half():
    # one fake tied with the one real, one fake above it: (0.5 + 1) / 2.
    assert metrics.auc(np.array([0, 1, 1], bool), np.array([0.0, 0.0, 2.0])) == pytest.approx(0.75)


def test_average_precision_by_hand():
    # from the top: F R F F R F R R -> precisions at the fakes 1/1, 2/3, 3/4, 4/6.
    assert metrics.average_precision(HAND_LABELS, HAND_LOGITS) == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 6) / 4)


def test_equal_error_rate_is_interpolated_not_the_nearest_point():
    # three reals, two fakes, from the top F R F R R: ROC (0,.5) (1/3,.5) (1/3,1) ...; FPR = FNR inside the upright
    # step at FPR 1/3. The nearest measured points have (1/3, FNR 1/2) and (1/3, FNR 0).
    labels = np.array([1, 0, 1, 0, 0], bool)
    assert metrics.equal_error_rate(labels, np.array([5.0, 4, 3, 2, 1])) == pytest.approx(1 / 3)
    # one tie group of both classes: the ROC is the diagonal, so the rate is one half, where argmin gives 0 or 1.
    assert metrics.equal_error_rate(np.array([0, 1], bool), np.zeros(2)) == pytest.approx(0.5)


def test_equal_error_rate_at_the_ends():
    labels = np.array([0, 0, 1, 1], bool)
    assert metrics.equal_error_rate(labels, np.array([0.0, 1, 2, 3])) == pytest.approx(0.0)
    assert metrics.equal_error_rate(labels, np.array([3.0, 2, 1, 0])) == pytest.approx(1.0)


def test_tpr_at_fpr_takes_only_reachable_thresholds():
    labels = np.array([0] * 20 + [1] * 4, bool)
    logits = np.concatenate((np.arange(20.0), [18.5, 19.5, 10.5, 25.0]))
    # 5 % of 20 reals is one false alarm: the threshold just above real 18 lets real 19 through and catches three.
    assert metrics.tpr_at_fpr(labels, logits, 0.05) == pytest.approx(3 / 4)
    # 1 % of 20 is none: only the fakes above 19.
    assert metrics.tpr_at_fpr(labels, logits, 0.01) == pytest.approx(2 / 4)


def test_tpr_is_zero_when_the_top_score_is_shared_with_a_real():
    assert metrics.tpr_at_fpr(np.array([0, 1, 1], bool), np.array([3.0, 3.0, 3.0]), 0.01) == 0.0


def test_accuracy_at_two_thresholds():
    labels, logits = np.array([0, 0, 1, 1], bool), np.array([-1.0, 0.0, 0.0, 1.0])
    assert metrics.accuracy(labels, logits) == pytest.approx(3 / 4)  # the real at exactly 0.5 is called fake
    strict = metrics.MetricSettings(threshold=0.6)
    assert metrics.accuracy(labels, logits, strict) == pytest.approx(3 / 4)  # now the fake at 0.5 is missed


def test_log_loss_and_brier_by_hand():
    labels, logits = np.array([1, 0], bool), np.array([math.log(3), 0.0])  # scores 0.75 and 0.5
    assert metrics.log_loss(labels, logits) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert metrics.brier(labels, logits) == pytest.approx((0.25**2 + 0.5**2) / 2)


def test_log_loss_does_not_clip_a_confident_mistake():
    assert metrics.log_loss(np.array([0], bool), np.array([500.0])) == pytest.approx(500.0)


def test_log_loss_agrees_with_scikit_learn(rng: np.random.Generator):
    labels, logits = rng.random(200) < 0.4, rng.normal(0, 2, 200)
    expected = sklearn_log_loss(labels, 1 / (1 + np.exp(-logits)))
    assert metrics.log_loss(labels, logits) == pytest.approx(expected)


def test_calibration_error_by_hand():
    # two bins of two: scores .25 .25 | .75 .75; fakes none in the first, both in the second.
    logits = np.array([-math.log(3), -math.log(3), math.log(3), math.log(3)])
    labels = np.array([0, 0, 1, 1], bool)
    assert metrics.expected_calibration_error(labels, logits, metrics.MetricSettings(bins=2)) == pytest.approx(0.25)
    # equal scores share a bin however many bins are asked for: mean score .25, half fakes.
    same = metrics.expected_calibration_error(np.array([0, 1], bool), logits[:2], metrics.MetricSettings(bins=5))
    assert same == pytest.approx(0.25)


def test_calibration_error_of_a_calibrated_score_is_small(rng: np.random.Generator):
    logits = rng.normal(0, 2, 20_000)
    labels = rng.random(logits.size) < 1 / (1 + np.exp(-logits))
    assert metrics.expected_calibration_error(labels, logits) < 0.02
    assert metrics.expected_calibration_error(labels, 4 * logits) > 0.1


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_gives_none_for_rankings_and_a_number_for_losses(label: int):
    values = metrics.all_metrics(np.full(3, label, bool), np.array([0.5, 1.0, -1.0]))
    assert [name for name, value in values.items() if value is None] == ["auc", "ap", "eer", "tpr@fpr1%", "tpr@fpr5%"]


def test_no_sample_gives_no_number():
    assert set(metrics.all_metrics(np.zeros(0, bool), np.zeros(0)).values()) == {None}


@pytest.mark.parametrize(
    ("labels", "logits"),
    [([0, 1], [0.0]), ([0, 2], [0.0, 1.0]), ([0, 1], [0.0, np.nan]), ([[0, 1]], [[0.0, 1.0]])],
)
def test_bad_samples_are_refused(labels: list, logits: list):
    with pytest.raises(ValueError, match="must"):
        metrics.auc(np.array(labels), np.array(logits))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="threshold"):
        metrics.MetricSettings(threshold=1.0)
    with pytest.raises(ValueError, match="bin"):
        metrics.MetricSettings(bins=0)


def test_best_threshold_cuts_separated_classes_in_the_middle_of_the_gap():
    labels = np.array([0, 0, 1, 1], bool)
    assert metrics.best_threshold(labels, np.array([-3.0, -2.0, 4.0, 5.0])) == pytest.approx(1.0)


def test_best_threshold_by_hand():
    # cutting above -1 or above 1 both gain 2/3; the wider gap is 1..5.
    labels = np.array([0, 1, 0, 0, 1, 1], bool)
    logits = np.array([-2.0, -1.0, 0.0, 1.0, 5.0, 6.0])
    assert metrics.best_threshold(labels, logits) == pytest.approx(3.0)
    assert metrics.best_threshold(np.ones(2, bool), np.zeros(2)) is None
    assert metrics.best_threshold(np.array([0, 1], bool), np.zeros(2)) == 0.0
