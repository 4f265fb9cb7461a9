from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from detect.calibration import quality
from detect.calibration.curves import CalibrationData, plot_calibration
from detect.calibration.evaluation_section import calibration_section, held_out_odds, in_sample, with_calibration
from detect.calibration.fit import person_weights
from detect.calibration.likelihood import cllr_min, probability_metrics, ratio_metrics
from detect.calibration.prediction_sets import ClassLimit, Conformal, Miscoverage
from detect.calibration.quality import QUALITY, HeldOutOdds, people_of, quality_of, resampled_quality
from detect.scoring.samples import ScoredClip
from shared.bootstrap import BootstrapSettings
from tests.factories import clip_record, scored_once

BOOTSTRAP = BootstrapSettings(replicates=60)


def clip(name: str, person: str, logit: float | None, manipulation: str | None = None) -> ScoredClip:
    """A clip of one face in one frame, or of none."""
    return scored_once(clip_record(person, manipulation, name=name, source=person), logit)


def told(count: int = 80, seed: int = 0) -> HeldOutOdds:
    """Clips of count / 4 people, two of each class a person, with scores that are calibrated as they are."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2 == 1
    odds = 2 * rng.normal(np.where(labels, 1.0, -1.0), 1.0)
    people = np.arange(count) // 4
    return HeldOutOdds(labels, 1 / (1 + np.exp(-odds)), np.round(odds / np.log(10), 1), people, people, 0.5)


def test_a_draw_of_everybody_is_the_value_itself():
    data = told()
    weights = person_weights(data.labels, data.people)
    found = resampled_quality(data, weights[None])
    expected = {
        **ratio_metrics(data.labels, data.llrs, weights),
        **probability_metrics(data.labels, data.probabilities, weights, 0.5),
    }
    assert set(found) == set(expected) == set(QUALITY)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value), name


def test_a_draw_counts_people_as_often_as_they_are_drawn():
    data = told(40)
    twice = np.concatenate([np.arange(40), np.flatnonzero(data.people == 3)])
    weights = np.ones(40)
    weights[data.people == 3] = 2
    found = resampled_quality(data, weights[None])
    assert found["cllr_min"][0] == pytest.approx(cllr_min(data.labels[twice], data.llrs[twice]))
    missing = resampled_quality(data, np.where(data.labels, 1.0, 0.0)[None])
    assert np.isnan(missing["cllr"][0])
    assert np.isnan(missing["cllr_min"][0])


def test_every_measure_has_an_interval_and_its_value_is_plausible():
    found = {each.metric: each for each in quality_of(told(400), BOOTSTRAP)}
    assert tuple(found) == QUALITY
    for each in found.values():
        assert each.low is not None
        assert each.high is not None
        assert 0 <= each.low <= each.value <= each.high
        assert each.low < each.high
        assert (each.num_real, each.num_fake, each.clusters, each.level) == (200, 200, 100, "clip")
    assert found["ece"].value < 0.06
    assert found["cllr"].value == pytest.approx(found["cllr_min"].value + found["cllr_cal"].value)


def test_draws_are_taken_in_chunks_that_bound_memory(monkeypatch):
    data = told(40)
    whole = quality_of(data, BOOTSTRAP)
    seen = []

    def watched(of: HeldOutOdds, weights: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(weights.shape)
        return resampled_quality(of, weights)

    monkeypatch.setattr(quality, "resampled_quality", watched)
    monkeypatch.setattr(quality, "_CHUNK_ELEMENTS", 1000)
    for each, once in zip(quality_of(data, BOOTSTRAP), whole, strict=True):
        assert (each.value, each.low, each.high) == pytest.approx((once.value, once.low, once.high))
    assert seen == [(25, 40), (25, 40), (10, 40)]


def test_one_class_gives_nothing_and_one_cluster_no_interval():
    data = told(40)
    assert quality_of(data.part(data.labels)) == ()
    alone = dataclasses.replace(data, clusters=np.zeros(40, int))
    assert {each.low for each in quality_of(alone, BOOTSTRAP)} == {None}


@pytest.fixture
def clips() -> list[ScoredClip]:
    """Ten people: a real clip (-1.5), a fake of a known kind (+1.5) and one of a kind that is new."""
    made = []
    for number in range(10):
        name, shift = f"p{number}", 0.1 * number
        made += [clip(name, name, -1.5 + shift), clip(name, name, 1.5 - shift, "stripes")]
        made.append(clip(name, name, -1.2 + shift, "unheard-of"))
    return [*made, clip("blind", "p0", None, "stripes")]


def test_scores_become_probability_and_llr_and_none_stays_none(clips, make_calibration):
    found = with_calibration(clips, make_calibration())
    real = found[0].score
    assert real.probability == pytest.approx(1 / (1 + np.exp(1.5)))
    assert real.llr == pytest.approx(-1.5 / np.log(10))
    assert (found[-1].score.probability, found[-1].score.llr) == (None, None)
    assert found[0].frames == clips[0].frames


def test_known_and_new_manipulations_stand_beside_each_other(clips, make_calibration):
    section = calibration_section(clips, make_calibration(), bootstrap=BOOTSTRAP)
    by = {(part.by, part.name): part for part in section.parts}
    assert list(by) == [
        ("known", "manipulations of the calibration"),
        ("new", "manipulations that are new to it"),
        ("manipulation", "stripes"),
        ("manipulation", "unheard-of"),
    ]
    known, new = section.parts[:2]
    assert (known.real, known.fake) == (10, 10)
    assert known.evaluations[0].metric == new.evaluations[0].metric == "cllr"
    assert known.evaluations[0].value < 0.8 < 1.0 < new.evaluations[0].value
    assert section.find("ece") is not None
    assert section.find("nothing") is None
    assert section.fitted_on.startswith("30 real and 40 fake clips of toy (val)")
    assert (section.prior, section.lower_bound, section.upper_bound) == (0.5, -1.5, 1.5)
    assert "does not say" in section.notes[-1]
    assert [part.calibrated for part in section.parts] == [True, False, True, False]
    assert {part.trained for part in section.parts} == {None}
    assert {part.covered for part in section.parts} == {section.covered_real} == {None}


def test_coverage_is_told_apart_for_what_was_learned_from_and_what_was_not(clips, make_calibration):
    limits = ClassLimit(0.5, 0.05, 30, 0.8, 0.97), ClassLimit(-0.45, 0.1, 40, 0.8, 0.97)
    calibration = dataclasses.replace(make_calibration(), conformal=Conformal(*limits))
    trained = {"manipulation": frozenset({"stripes"}), "family": None, "paste": None}
    section = calibration_section(clips, calibration, bootstrap=BOOTSTRAP, trained=trained)
    by = {(part.by, part.name): part for part in section.parts}
    known, new = by["manipulation", "stripes"], by["manipulation", "unheard-of"]
    assert (known.trained, known.calibrated, new.trained, new.calibrated) == (True, True, False, False)
    assert known.covered is not None
    assert new.covered is not None
    assert (known.covered.value, known.covered.people) == (1.0, 10)
    assert new.covered.value == pytest.approx(0.2)  # those of the two people with -0.4 and -0.3
    assert section.covered_fake == known.covered
    assert section.covered_real is not None
    assert section.covered_real.value == 1.0
    assert section.miscoverage == Miscoverage(0.05, 0.1)
    assert "Nothing is promised for unheard-of." in section.notes[-1]


def test_families_and_pastes_are_told_apart_where_there_are_several(make_calibration):
    made = []
    for number in range(8):
        name = f"p{number}"
        made.append(clip(name, name, -1.5))
        for family, paste in (("compact", "feather"), ("dfl", "poisson")):
            facts = {"architecture": family, "factors": {"paste": paste}}
            made.append(scored_once(clip_record(name, f"by-{family}", name=name, source=name, **facts), 1.5))
    population = dataclasses.replace(make_calibration().population, families=("compact",))
    calibration = dataclasses.replace(make_calibration(), population=population)
    parts = calibration_section(made, calibration, bootstrap=BOOTSTRAP).parts
    found = {(part.by, part.name): part.calibrated for part in parts if part.by in ("family", "paste")}
    assert found == {("family", "compact"): True, ("family", "dfl"): False, ("paste", "feather"): None,
                     ("paste", "poisson"): None}  # fmt: skip


@pytest.mark.parametrize(
    ("fitted", "measured", "said"),
    [("val", "val", "These are the clips"), ("val", "all", "Among these"), ("all", "val", "Among these"),
     ("all", "all", "These are the clips"), ("val", "test", None)],
)  # fmt: skip
def test_clips_that_the_calibration_was_fitted_on_are_said(make_calibration, fitted, measured, said):
    population = dataclasses.replace(make_calibration().population, split=fitted)
    notes = in_sample(population, population.manifest_sha256, measured)
    assert [note.startswith(said) for note in notes] == ([] if said is None else [True])
    assert in_sample(population, "d" * 64, measured) == ()


def test_real_clips_alone_give_a_section_without_measures(clips, make_calibration):
    section = calibration_section([each for each in clips if each.record.label == "real"], make_calibration())
    assert section.evaluations == section.parts == ()


def test_people_are_counted_as_asked(clips):
    records = [each.record for each in clips]
    assert np.unique(people_of(records, "target")).size == 10
    assert np.unique(people_of(records, "clip")).size == len(records)
    assert people_of(records, "target")[0] == people_of(records, "target")[1]


@pytest.mark.usefixtures("real_plots")
def test_the_picture_is_drawn_twice_alike(clips, make_calibration):
    calibration = make_calibration()
    data, _ = held_out_odds(clips, calibration, BOOTSTRAP)
    logits = np.array([each.score.logit for each in clips if each.score.logit is not None])
    one, two = (plot_calibration(CalibrationData(data, logits, calibration, "title")) for _ in range(2))
    assert one == two
    image = cv2.imdecode(np.frombuffer(one.png, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[0] > 700
    assert image.std() > 10
