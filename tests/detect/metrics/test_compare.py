from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from detect.metrics.classification import auc
from detect.metrics.compare import (
    ClipLogit,
    compare_clips,
    compare_scores,
    delong,
    placements,
    read_scores,
    write_comparison,
)
from shared.bootstrap import BootstrapSettings
from shared.errors import ManifestError, UsageError

LABELS = np.array([1, 1, 1, 0, 0, 0, 0], bool)
FIRST = np.array([3.0, 1.0, 2.0, 0.0, 1.0, -1.0, 2.5])
SECOND = np.array([2.0, 0.0, 1.0, 0.5, 1.0, -2.0, 3.0])


def kernel(fake: float, real: float) -> float:
    return 1.0 if fake > real else 0.5 if fake == real else 0.0


def brute_force(logits: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Areas and their (2, 2) covariance by the definition, over all pairs."""
    fakes = [x[LABELS] for x in logits]
    reals = [x[~LABELS] for x in logits]
    v10 = np.array(
        [[np.mean([kernel(f, r) for r in real]) for f in fake] for fake, real in zip(fakes, reals, strict=True)]
    )
    v01 = np.array(
        [[np.mean([kernel(f, r) for f in fake]) for r in real] for fake, real in zip(fakes, reals, strict=True)]
    )
    areas = v10.mean(1)
    cov = np.empty((2, 2))
    for r, s in itertools.product(range(2), range(2)):
        ten = sum((v10[r, i] - areas[r]) * (v10[s, i] - areas[s]) for i in range(3)) / 2
        one = sum((v01[r, j] - areas[r]) * (v01[s, j] - areas[s]) for j in range(4)) / 3
        cov[r, s] = ten / 3 + one / 4
    return areas, cov


def test_delong_is_the_definition_over_all_pairs():
    areas, cov = brute_force([FIRST, SECOND])
    found = delong(LABELS, FIRST, SECOND)
    assert found.auc_first == pytest.approx(areas[0])
    assert found.auc_second == pytest.approx(areas[1])
    assert found.auc_first == pytest.approx(auc(LABELS, FIRST))
    assert found.variance == pytest.approx(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    assert found.z == pytest.approx(found.difference / np.sqrt(found.variance))
    assert found.high - found.difference == pytest.approx(1.959964 * np.sqrt(found.variance), rel=1e-5)


def test_placements_by_hand():
    above, below = placements(LABELS, FIRST)
    # 3 beats all four reals; 1 beats two and ties one; 2 beats three
    assert above == pytest.approx([1.0, 2.5 / 4, 0.75])
    # real 0: all fakes above; 1: two above and one tie; -1: all; 2.5: one
    assert below == pytest.approx([1.0, 2.5 / 3, 1.0, 1 / 3])


def test_equal_scores_are_not_different():
    found = delong(LABELS, FIRST, FIRST + 7)
    assert (found.difference, found.variance, found.z, found.p) == (0.0, 0.0, None, 1.0)
    turned = delong(LABELS, np.where(LABELS, 1.0, 0.0), np.where(LABELS, 0.0, 1.0))
    assert (turned.difference, turned.z, turned.p) == (1.0, None, 0.0)


def test_delong_needs_both_classes():
    assert delong(np.ones(3, bool), FIRST[:3], SECOND[:3]) is None
    with pytest.raises(ValueError, match="two samples"):
        delong(np.array([1, 0, 0], bool), FIRST[:3], SECOND[:3])


def test_delong_holds_its_level():
    """Two equally good detectors: about one difference in twenty lies beyond the 5 % level."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) < 60
    beyond = 0
    for _ in range(400):
        common = labels + rng.normal(0, 1, 120)
        beyond += delong(labels, common + rng.normal(0, 1, 120), common + rng.normal(0, 1, 120)).p < 0.05
    assert 0.02 <= beyond / 400 <= 0.085


def test_the_bootstrap_draws_people_for_both_alike():
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(20), 6)
    labels = np.tile([1, 1, 1, 0, 0, 0], 20).astype(bool)
    person = np.repeat(rng.normal(0, 3, 20), 6)
    worse = 1.0 * labels + person + rng.normal(0, 0.5, 120)
    better = 2.0 * labels + person + rng.normal(0, 0.5, 120)
    found = {d.metric: d for d in compare_scores(labels, better, worse, clusters)}["auc"]
    assert found.difference == pytest.approx(auc(labels, better) - auc(labels, worse))
    assert found.low > 0
    assert found.p <= 0.01
    same = {d.metric: d for d in compare_scores(labels, better, better, clusters)}["auc"]
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    few = compare_scores(labels[:6], better[:6], worse[:6], clusters[:6])
    assert few[0].low is None


def test_clips_are_matched_by_id_and_the_unscored_are_counted():
    first = [ClipLogit(f"s/real/{n}", "real", -1.0 * n, n) for n in range(4)]
    first += [ClipLogit(f"s/x/{n}", "fake", 1.0 * n, n) for n in range(4)]
    second = [ClipLogit(c.clip, c.label, None if c.clip == "s/x/0" else c.logit) for c in reversed(first)]
    second.append(ClipLogit("s/x/9", "fake", 2.0))
    found = compare_clips(first, second, bootstrap=BootstrapSettings(replicates=20))
    assert (found.num_real, found.num_fake, found.left_out, found.clusters) == (4, 3, 2, 4)
    assert found.delong.difference == 0.0
    assert not found.notes
    unclustered = compare_clips(second, first)
    assert "too narrow" in unclustered.notes[0]


def test_the_paired_accuracy_is_compared_over_fakes_that_both_scored():
    """By hand: the first detector is above three of four own reals, the second above one and tied with one."""
    first = [ClipLogit(f"s/real/{n}", "real", 0.0, n) for n in range(4)]
    second = list(first)
    for n, (one, other) in enumerate([(1.0, 1.0), (2.0, 0.0), (3.0, -1.0), (-1.0, -2.0)]):
        first.append(ClipLogit(f"s/x/{n}", "fake", one, n, parent=f"s/real/{n}"))
        second.append(ClipLogit(f"s/x/{n}", "fake", other, n, parent=f"s/real/{n}"))
    first.append(ClipLogit("s/x/9", "fake", 5.0, 3, parent="s/real/gone"))
    second.append(ClipLogit("s/x/9", "fake", 5.0, 3, parent="s/real/gone"))
    found = {d.metric: d for d in compare_clips(first, second, bootstrap=BootstrapSettings(replicates=200)).differences}
    assert (found["paired_accuracy"].first, found["paired_accuracy"].second) == (0.75, 0.375)
    assert found["paired_accuracy"].low >= 0.0
    assert found["paired_accuracy"].high <= 1.0
    bare = [ClipLogit(c.clip, c.label, c.logit, c.cluster) for c in first]
    assert "paired_accuracy" not in [d.metric for d in compare_clips(bare, bare).differences]


def test_what_cannot_be_compared_is_refused():
    one = [ClipLogit("s/real/a", "real", 0.0)]
    with pytest.raises(ManifestError, match="no clip in common"):
        compare_clips(one, [ClipLogit("s/real/b", "real", 0.0)])
    with pytest.raises(ManifestError, match="is real in one"):
        compare_clips(one, [ClipLogit("s/real/a", "fake", 0.0)])
    assert compare_clips(one, one).delong is None


def test_scores_are_read_strictly(tmp_path: Path):
    path = tmp_path / "scores.jsonl"
    with pytest.raises(UsageError, match=r"scores\.jsonl does not exist"):
        read_scores(tmp_path)
    path.write_text('{"clip": "s/real/a", "label": "real", "logit": 0.5, "tracks": []}\n')
    assert read_scores(tmp_path) == [ClipLogit("s/real/a", "real", 0.5)]
    path.write_text('{"clip": "s/real/a", "label": "maybe", "logit": 0.5}\n')
    with pytest.raises(UsageError):
        read_scores(tmp_path)
    one = [ClipLogit("s/real/a", "real", 0.0), ClipLogit("s/x/a", "fake", 1.0)]
    write_comparison(tmp_path / "c.json", compare_clips(one, one))
    assert json.loads((tmp_path / "c.json").read_text())["num_fake"] == 1
