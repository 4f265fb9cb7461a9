from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from markupsafe import Markup

from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.evaluation.curves import CurveData, plot_curves
from detect.evaluation.evaluate import evaluate_clips, write_evaluation
from detect.evaluation.page import render_page
from detect.evaluation.result import EvaluationResult, count
from detect.scoring.samples import ScoredClip, clip_samples, frame_samples, scored_clip, track_samples
from shared.errors import ConfigError
from shared.results.scores import FrameScore
from shared.types import ClipId
from tests.factories import clip_record, scored, scored_once

FACTS = {"name": "set"}


def make_clip(
    name: str, target: str, logits: list[float], *, manipulation: str | None = None, rendition: str = "h264-crf23"
) -> ScoredClip:
    """A clip with one face, scored in as many frames as there are logits."""
    record = clip_record(target, manipulation, name=name, rendition=rendition, frames=100)
    return scored(record, [(10 * i, 0, logit) for i, logit in enumerate(logits)])


def evaluate(clips: list[ScoredClip], **settings: object) -> EvaluationResult:
    config = EvaluateConfig(replicates=50, **settings)  # type: ignore[arg-type]
    return evaluate_clips(clips, config, dataset=FACTS, detector={"name": "net"}, operating_point=(0.0, "val"))


def crossed_set() -> list[ScoredClip]:
    """Four people; each has a real clip and two manipulations whose files are all called alike."""
    clips = []
    for number, person in enumerate(("ann", "bob", "cid", "dan")):
        name = f"{number}_{number + 4}"
        clips.append(make_clip(name, person, [-2.0 + number, -1.0]))
        clips.append(make_clip(name, person, [3.0, 4.0], manipulation="strong"))
        clips.append(make_clip(name, person, [-3.0 + number, -2.5], manipulation="weak", rendition="h264-crf40"))
    return clips


def test_fakes_that_share_a_name_stay_different_clips():
    """Keyed by file name, the manipulations of one pair merge into one, and the fakes get fewer and easier."""
    clips = crossed_set()
    result = evaluate(clips)
    auc = result.find("auc")
    assert (auc.num_real, auc.num_fake) == (4, 8)
    real = [clip.score.logit for clip in clips if clip.record.label == "real"]
    fake = [clip.score.logit for clip in clips if clip.record.label == "fake"]
    by_hand = np.mean([(f > r) + 0.5 * (f == r) for f in fake for r in real])
    assert auc.value == pytest.approx(by_hand)
    merged = [np.mean(fake[2 * i : 2 * i + 2]) for i in range(4)]
    assert np.mean([m > r for m in merged for r in real]) > auc.value  # what the merging would have claimed


def test_slices_pit_each_manipulation_against_all_real_clips():
    result = evaluate(crossed_set())
    aucs = {(part.by, part.name): part for part in result.slices}
    strong = aucs["manipulation", "strong"]
    assert (strong.counts.real, strong.counts.fake) == (4, 4)
    assert strong.evaluations[0].value == 1.0
    assert aucs["manipulation", "weak"].evaluations[0].value < 0.5
    worst = aucs["rendition", "h264-crf40"]  # holds fakes only
    assert (worst.counts.real, worst.counts.fake) == (0, 4)
    assert "auc" not in [evaluation.metric for evaluation in worst.evaluations]


def test_a_fake_is_compared_with_the_very_clip_it_was_made_from():
    """Four people: the fakes of three score above their own real, and only two of them above all reals."""
    clips = []
    for person, real, fake in (("ann", -3.0, -2.0), ("bob", 0.0, 4.0), ("cid", 1.0, 5.0), ("dan", 2.0, 1.0)):
        own = scored_once(clip_record(person), real)
        made = clip_record(person, "strong", parent=own.record.id)
        clips += [own, scored_once(made, fake)]
    clips.append(scored_once(clip_record("eve", "strong", parent=ClipId("set", None, "gone")), -9.0))
    result = evaluate(clips)
    paired = result.find("paired_accuracy")
    assert (paired.value, paired.num_real, paired.num_fake) == (0.75, 4, 4)
    assert paired.low is not None
    (strong,) = [part for part in result.slices if part.name == "strong"]
    assert strong.find("paired_accuracy").value == 0.75
    assert result.find("paired_accuracy", "frame") is None
    page = render_page(result, clips, Markup("<svg/>"))
    assert "4 fakes and their own real clips: paired accuracy 0.750" in page
    assert "<th>paired accuracy</th>" in page
    assert evaluate(crossed_set()).find("paired_accuracy") is None  # no parents are known


def test_the_order_of_clips_changes_nothing():
    """Accuracy by class must not rely on real clips standing first."""
    clips = crossed_set()
    forward, backward = evaluate(clips), evaluate(clips[::-1])
    assert forward.counts == backward.counts
    for one, other in zip(forward.evaluations, backward.evaluations, strict=True):
        assert one.metric == other.metric
        assert one.value == pytest.approx(other.value)
        assert (one.num_real, one.num_fake) == (other.num_real, other.num_fake)


def test_a_clip_without_a_face_is_counted_and_not_scored():
    clips = crossed_set()
    blind = make_clip("blind", "eve", [], manipulation="strong")
    assert blind.score.logit is None
    before, after = evaluate(clips), evaluate([*clips, blind])
    assert (after.counts.fake, after.counts.fake_without_face) == (9, 1)
    assert after.find("auc").value == before.find("auc").value  # a filled-in middle value would have moved it
    assert after.find("auc").num_fake == 8
    assert "1 fake without a usable face" in str(after.counts)


def test_levels_count_their_own_samples():
    clips = crossed_set()
    assert clip_samples(clips).labels.size == 12
    assert track_samples(clips).labels.size == 12
    assert frame_samples(clips).labels.size == 24
    result = evaluate(clips)
    assert {e.level for e in result.evaluations} == {"clip", "track", "frame"}
    assert result.find("auc", "frame").num_real == 8
    assert result.find("auc", "frame").clusters == 4  # frames add no clusters


def test_untouched_frames_and_bystanders_keep_their_own_label():
    fake = make_clip("mixed", "ann", [], manipulation="strong")
    rows = [(0, 0, 5.0, "fake"), (1, 0, -4.0, "real"), (0, 1, -3.0, None), (1, 1, -3.0, None)]
    scores = [FrameScore(fake.record.id, frame, 0.0, track, logit, (0, 0, 9, 9)) for frame, track, logit, _ in rows]
    clip = scored_clip(fake.record, scores, [label for *_, label in rows], frames_read=2, config=AggregateConfig())
    assert frame_samples([clip]).labels.tolist() == [True, False]
    assert clip.track_labels == ("fake", None)
    assert track_samples([clip]).labels.tolist() == [True]


def test_one_class_only_is_reported():
    result = evaluate([clip for clip in crossed_set() if clip.record.label == "fake"])
    assert result.find("auc") is None
    assert result.find("log_loss") is not None
    assert any("one class" in note for note in result.notes)


def test_one_group_of_people_gives_values_without_intervals():
    clips = [make_clip("a", "ann", [0.1]), make_clip("b", "ann", [0.5], manipulation="strong")]
    result = evaluate(clips)
    assert result.find("auc").low is None
    assert any("no interval" in note for note in result.notes)


def test_no_clip_at_all_gives_no_number():
    result = evaluate([])
    assert result.evaluations == ()
    assert result.counts == count([])


def test_the_threshold_is_the_detectors_unless_the_user_says():
    clips = crossed_set()
    config = EvaluateConfig(replicates=5)
    own = evaluate_clips(clips, config, dataset=FACTS, detector={}, operating_point=(2.0, "val"))
    assert own.threshold == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert own.threshold_from == "val"
    assert own.find("accuracy@0.881").value == pytest.approx(8 / 12)
    given = evaluate(clips, threshold=0.25)
    assert given.find("accuracy@0.25") is not None
    assert given.threshold_from == "the command"


def test_the_folder_holds_scores_by_clip_id_and_a_picture(tmp_path: Path):
    clips = [*crossed_set(), make_clip("blind", "eve", [])]
    result = evaluate(clips)
    folder = write_evaluation(tmp_path / "eval", result, clips)
    lines = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    assert len({line["clip"] for line in lines}) == 13
    by_id = {line["clip"]: line for line in lines}
    assert by_id["set/real/blind"]["logit"] is None
    assert by_id["set/real/blind"]["score"] is None
    assert by_id["set/strong/0_4"]["logit"] == pytest.approx(3.5)
    document = json.loads((folder / "evaluation.json").read_text())
    assert document["counts"] == {"real": 5, "fake": 8, "real_without_face": 1, "fake_without_face": 0}
    assert {"metric", "value", "level", "num_real", "num_fake", "low", "high", "clusters"} <= set(
        document["evaluations"][0]
    )
    table = pq.read_table(folder / "frames.parquet")
    assert table.num_rows == 24
    assert set(table["label"].to_pylist()) == {"real", "fake"}
    picture = cv2.imread(str(folder / "curves.png"))
    assert picture.shape[0] > 500
    again = write_evaluation(tmp_path / "again", evaluate(clips), clips)
    for name in ("evaluation.json", "scores.jsonl", "curves.png"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("labels", "logits"), [([], []), ([0, 0, 0], [1.0, 2.0, 2.0]), ([0, 1], [0.0, 0.0]), ([1], [-40.0])]
)
def test_curves_survive_thin_data(labels: list, logits: list):
    made = plot_curves(CurveData("thin", np.array(labels, bool), np.array(logits, float)))
    assert made.png.startswith(b"\x89PNG")
    assert made.svg.startswith("<svg")


def test_bad_settings_are_refused():
    for settings in ({"split": "tset"}, {"threshold": 1.0}, {"replicates": 0}):
        with pytest.raises(ConfigError):
            EvaluateConfig(**settings)
