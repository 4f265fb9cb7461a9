from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from detect.metrics import classification as metrics
from detect.metrics.bootstrap import evaluate_samples, intervals, weighted_metrics
from detect.metrics.classification import MetricSettings
from shared.bootstrap import BootstrapSettings, sample_clusters
from shared.dataset.splits import clip_clusters
from shared.types import ClipRecord
from tests.factories import clip_record

SETTINGS = MetricSettings()


def record(name: str, target: str, source: str | None = None) -> ClipRecord:
    return clip_record(target, None if source is None else "swap", name=name, source=source or "")


def tied_samples(rng: np.random.Generator, count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = rng.random(count) < 0.4
    logits = np.round(rng.normal(0, 1, count) + labels, 1)  # rounding makes ties
    return labels, logits, rng.integers(0, 9, count)


def test_unit_weights_reproduce_every_plain_metric(rng: np.random.Generator):
    labels, logits, clusters = tied_samples(rng)
    weighted = weighted_metrics(labels, logits, clusters, np.ones((1, 9)), SETTINGS)
    plain = metrics.all_metrics(labels, logits, SETTINGS)
    assert weighted.keys() == plain.keys()
    for name, value in plain.items():
        assert weighted[name][0] == pytest.approx(value, abs=1e-12), name


def test_weights_mean_repetition(rng: np.random.Generator):
    labels, logits, clusters = tied_samples(rng)
    weights = sample_clusters(9, 5, rng)
    drawn = weighted_metrics(labels, logits, clusters, weights, SETTINGS)
    for row in range(5):
        repeats = weights[row, clusters].astype(int)
        again_labels, again_logits = np.repeat(labels, repeats), np.repeat(logits, repeats)
        assert drawn["auc"][row] == pytest.approx(roc_auc_score(again_labels, again_logits))
        assert drawn["ap"][row] == pytest.approx(average_precision_score(again_labels, again_logits))
        assert drawn["eer"][row] == pytest.approx(metrics.equal_error_rate(again_labels, again_logits))
        assert drawn["tpr@fpr5%"][row] == pytest.approx(metrics.tpr_at_fpr(again_labels, again_logits, 0.05))
        assert drawn["log_loss"][row] == pytest.approx(metrics.log_loss(again_labels, again_logits))
        assert drawn["accuracy@0.5"][row] == pytest.approx(metrics.accuracy(again_labels, again_logits))


def test_a_row_without_a_class_is_nan_for_rankings():
    labels = np.array([0, 0, 1, 1], bool)
    drawn = weighted_metrics(labels, np.arange(4.0), np.array([0, 1, 2, 3]), np.array([[1.0, 1, 0, 0]]), SETTINGS)
    assert np.isnan(drawn["auc"][0])
    assert np.isfinite(drawn["log_loss"][0])


def test_rows_are_chunked_without_changing_values(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch):
    labels, logits, clusters = tied_samples(rng)
    weights = sample_clusters(9, 40, rng)
    whole = weighted_metrics(labels, logits, clusters, weights, SETTINGS)
    monkeypatch.setattr("detect.metrics.bootstrap._CHUNK_ELEMENTS", 300)
    chunked = weighted_metrics(labels, logits, clusters, weights, SETTINGS)
    for name in whole:
        np.testing.assert_array_equal(whole[name], chunked[name])


def test_interval_holds_the_value_and_is_repeatable(rng: np.random.Generator):
    labels, logits, clusters = tied_samples(rng, 400)
    first = evaluate_samples(labels, logits, clusters, level="clip")
    for evaluation in first:
        assert evaluation.low is not None
        assert evaluation.low <= evaluation.value <= evaluation.high
        assert (evaluation.num_real + evaluation.num_fake, evaluation.clusters) == (400, 9)
    assert first == evaluate_samples(labels, logits, clusters, level="clip")
    assert first != evaluate_samples(labels, logits, clusters, level="clip", bootstrap=BootstrapSettings(seed=1))


def test_copies_of_a_clip_do_not_narrow_the_interval(rng: np.random.Generator):
    """Fifty frames of one clip are correlated, which a bootstrap over frames would ignore."""
    labels, logits = np.arange(20) % 2 == 0, rng.normal(0, 1, 20)
    clusters = np.arange(20) // 2
    once = intervals(labels, logits, clusters, SETTINGS, BootstrapSettings())["auc"]
    many = intervals(*(np.repeat(a, 50) for a in (labels, logits, clusters)), SETTINGS, BootstrapSettings())["auc"]
    naive = intervals(*(np.repeat(a, 50) for a in (labels, logits)), np.arange(1000), SETTINGS, BootstrapSettings())[
        "auc"
    ]
    assert many == pytest.approx(once)
    assert naive[1] - naive[0] < 0.4 * (once[1] - once[0])


def test_coverage_is_near_what_is_claimed():
    """Over repeated sets of 40 correlated clusters, the 95 % interval holds the true AUC about 95 % of the time."""
    rng = np.random.default_rng(4)
    true_auc = 0.7602  # P(N(1, 2) > 0) for two unit normals a distance 1 apart
    settings = BootstrapSettings(replicates=200)
    held = 0
    for _ in range(120):
        shift = np.repeat(rng.normal(0, 0.7071, 40), 4)  # variance 1/2 shared, 1/2 own: unit variance in all
        labels = np.tile([False, False, True, True], 40)
        logits = shift + rng.normal(0, 0.7071, 160) + labels
        clusters = np.repeat(np.arange(40), 4)
        low, high = intervals(labels, logits, clusters, SETTINGS, settings)["auc"]
        held += low <= true_auc <= high
    assert 0.87 <= held / 120 <= 1.0


@pytest.mark.parametrize(
    ("labels", "clusters"),
    [([0, 1, 0, 1], [0, 0, 0, 0]), ([0, 0, 1, 1], [0, 1, 2, 2]), ([1, 1, 1, 1], [0, 1, 2, 3])],
)
def test_fewer_than_two_clusters_a_class_give_no_interval(labels: list, clusters: list):
    evaluations = evaluate_samples(np.array(labels, bool), np.arange(4.0), np.array(clusters), level="clip")
    assert evaluations
    assert all(evaluation.low is None and evaluation.high is None for evaluation in evaluations)
    assert "no interval" in str(evaluations[0])


def test_one_class_leaves_ranking_metrics_out():
    evaluations = evaluate_samples(np.ones(3, bool), np.zeros(3), np.arange(3), level="clip")
    assert [evaluation.metric for evaluation in evaluations] == ["accuracy@0.5", "log_loss", "brier", "ece"]


def test_clusters_are_connected_identities():
    records = [
        record("a", "ann"),
        record("b", "bob"),
        record("ab", "bob", "ann"),
        record("c", "cid"),
        record("dc", "cid", "dan"),
        record("e", "eve"),
    ]
    group = clip_clusters(records)
    by_name = {clip.name: number for clip, number in group.items()}
    assert by_name["a"] == by_name["b"] == by_name["ab"]
    assert by_name["c"] == by_name["dc"]
    assert len(set(by_name.values())) == 3
    target = {clip.name: number for clip, number in clip_clusters(records, "target").items()}
    assert target["b"] == target["ab"] != target["a"]
    assert clip_clusters([]) == {}


def test_a_thousand_replicates_of_ten_thousand_frames_take_seconds(rng: np.random.Generator):
    labels, logits, clusters = rng.random(10_000) < 0.5, rng.normal(0, 1, 10_000), rng.integers(0, 40, 10_000)
    started = time.thread_time()
    intervals(labels, logits, clusters, SETTINGS, BootstrapSettings())
    assert time.thread_time() - started < 20


@pytest.mark.parametrize("turned", [False, True])
def test_separation_from_few_people_is_no_certainty(turned: bool):
    """Eight people, an AUC of 1 (or 0): no interval of one point, at any level."""
    labels = np.arange(32) % 2 == 0
    logits = np.where(labels, 2.0, -2.0) * (-1 if turned else 1) + np.linspace(0, 1, 32)
    bounds = intervals(labels, logits, np.arange(32) // 4, SETTINGS, BootstrapSettings(replicates=50))
    bound = 0.025 ** (1 / 8)
    assert bounds["auc"] == ((0.0, pytest.approx(1 - bound)) if turned else (pytest.approx(bound), 1.0))
    for name in ("accuracy@0.5", "eer", "tpr@fpr1%"):
        assert bounds[name][1] - bounds[name][0] > 0.05, name


def test_a_nearly_perfect_detector_shows_no_more_than_a_perfect_one(rng: np.random.Generator):
    labels = np.arange(40) % 2 == 0
    logits = np.where(labels, 3.0, 0.0) + rng.normal(0, 1.2, 40)
    clusters = np.arange(40) // 10
    found = evaluate_samples(labels, logits, clusters, level="clip")[0]
    assert 0.9 < found.value < 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 4))
