from __future__ import annotations

import numpy as np
import pytest

from detect.config.scoring import AggregateConfig
from detect.scoring.aggregate_choice import choose_aggregation, fit_learned, reaggregated
from detect.scoring.samples import ScoredClip
from tests.factories import clip_record, scored


def clip(name: str, person: str, rows: list[tuple[int, int, float]], *, fake: bool) -> ScoredClip:
    """A clip of (frame, track, logit) rows."""
    return scored(clip_record(person, "swap" if fake else None, name=name), rows)


def beside_bystanders(people: int = 12) -> list[ScoredClip]:
    """Two people in every clip, the second one never forged and scored low: only the highest face tells."""
    rng = np.random.default_rng(5)
    clips = []
    for person in range(people):
        for fake in (False, True):
            noise = rng.normal(0, 0.3, 8)
            rows = [(frame, 0, (1.0 if fake else -1.0) + float(noise[frame])) for frame in range(8)]
            low = rng.normal(-6, 5) if fake else rng.normal(-3, 2)
            rows += [(frame, 1, min(float(low), -2.0)) for frame in range(8)]
            clips.append(clip(f"c{person}", f"p{person}", rows, fake=fake))
    return clips


def test_auto_finds_the_aggregation_that_sees_past_bystanders_and_keeps_the_table():
    config, choice = choose_aggregation(beside_bystanders(), AggregateConfig(method="auto"))
    found = {each.method: each for each in choice.candidates}
    assert {"mean", "median", "max-face", "top-k", "trimmed", "max-track", "confident", "learned"} == set(found)
    assert config.method == choice.candidates[0].method
    assert (found["mean"].auc or 0.0) < 1.0 == found["max-face"].auc
    order = [(-(each.auc or 0.0), each.log_loss) for each in choice.candidates]
    assert order == sorted(order)
    assert "24 validation clips" in choice.chosen_by
    assert "| mean |" in choice.table()


def test_a_named_method_stays_and_needs_no_clips():
    wanted = AggregateConfig(method="median")
    config, choice = choose_aggregation([], wanted)
    assert config is wanted
    assert (choice.candidates, choice.table()) == ((), "")


def test_too_few_clips_fall_back_and_say_so():
    few = beside_bystanders(3)
    config, choice = choose_aggregation(few, AggregateConfig(method="learned"))
    assert config.method == "max-face"
    assert "too few" in choice.chosen_by
    auto, told = choose_aggregation(few, AggregateConfig(method="auto"))
    assert auto.learned is None
    assert "learned" not in [each.method for each in told.candidates]
    one_class = [each for each in few if each.record.label == "real"]
    assert "one class" in choose_aggregation(one_class, AggregateConfig(method="auto"))[1].chosen_by


def test_clips_without_a_face_take_no_part_and_stay_without_a_score():
    clips = beside_bystanders()
    blind = clip("blind", "p0", [], fake=True)
    config, choice = choose_aggregation([*clips, blind], AggregateConfig(method="auto"))
    assert choice == choose_aggregation(clips, AggregateConfig(method="auto"))[1]
    assert reaggregated(blind, config).score.logit is None


def test_learned_weights_are_never_negative_and_separate():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2 == 0
    signal = np.where(labels, 1.0, -1.0) + rng.normal(0, 1, 200)
    features = np.stack([signal, -signal, *rng.normal(0, 1, (5, 200))], axis=1)  # the second would want a negative one
    fitted = fit_learned(features, labels)
    assert min(fitted.weights) >= 0
    assert fitted.weights[1] == 0.0
    assert fitted.weights[0] > 5 * max(fitted.weights[2:])


def test_learned_is_scale_free():
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3 == 0
    features = np.where(labels, 2.0, 0.0)[:, None] + rng.normal(0, 1, (60, 7))
    one, other = fit_learned(features, labels), fit_learned(100 * features + 7, labels)
    logits = features @ np.array(one.weights) + one.bias
    np.testing.assert_allclose((100 * features + 7) @ np.array(other.weights) + other.bias, logits, atol=1e-3)


def test_reaggregated_is_the_same_clip_brought_together_anew():
    before = beside_bystanders(1)[0]
    after = reaggregated(before, AggregateConfig(method="mean"))
    assert after.score.aggregation == "mean"
    assert after.score.logit == pytest.approx(np.mean([score.logit for score in before.frames]))
    assert after.frames == before.frames
