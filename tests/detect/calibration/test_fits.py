"""Fits to simulated scores: what the maps, their quality and the prediction sets are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detect.calibration.calibrate import (
    fit_calibration,
    population_of,
)
from detect.calibration.config import CalibrateConfig
from detect.calibration.cross import FitSamples, left_out_llrs, left_out_odds, make_folds
from detect.calibration.maps import Calibration
from detect.config.scoring import AggregateConfig
from detect.scoring.samples import ScoredClip
from shared.errors import UsageError
from tests.factories import clip_record, scored_once

QUICK = CalibrateConfig(replicates=10)
MARK = "a" * 64


def clip(name: str, person: str, logit: float, source: str | None = None) -> ScoredClip:
    """A clip with one face in one frame; of ``source`` when it is a fake."""
    record = clip_record(person, "stripes" if source else None, name=name, source=source or "", rendition="h264-crf23")
    return scored_once(record, logit)


def simulated(people: int = 60, *, linked: bool = False, slope: float = 2.0) -> list[ScoredClip]:
    """A real and a fake clip of everybody: logits whose natural log odds are ``slope`` times the logit less 0.5."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(people):
        other = (number + 1) % people if linked else number ^ 1
        for fake in (False, True):
            odds = 2 * rng.normal(1.0 if fake else -1.0, 1.0)
            source = f"p{other}" if fake else None
            made.append(clip(f"{number}-{fake}", f"p{number}", odds / slope + 0.5, source))
    return made


def fitted(clips: list[ScoredClip], config: CalibrateConfig = QUICK):
    population = population_of(clips, config, dataset="set", manifest_sha256="c" * 64, split="val")
    return fit_calibration(clips, config, population, aggregate=AggregateConfig(), mark=MARK)


@pytest.fixture(scope="module")
def of_many() -> Calibration:
    """Fitted to many people."""
    return fitted(simulated(400)).calibration


def test_the_maps_are_those_that_the_scores_were_made_with(of_many):
    calibration = of_many
    assert calibration.probability.slope == pytest.approx(2.0, abs=0.35)
    assert calibration.probability.log_odds(np.array([0.5]))[0] == pytest.approx(0.0, abs=0.25)
    llr = calibration.likelihood.llr(np.array([0.5, 1.0]))
    np.testing.assert_allclose(llr, [0.0, 1.0 / np.log(10)], atol=0.15)
    assert (calibration.weights_sha256, calibration.prior) == (MARK, 0.5)
    assert calibration.population.manipulations == ("stripes",)


def test_quality_is_of_people_left_out_and_has_intervals(of_many):
    found = {each.metric: each for each in of_many.quality}
    assert found["cllr"].value == pytest.approx(0.53, abs=0.1)  # normal classes two widths apart: 0.53 bits
    assert found["ece"].value < 0.09
    for each in found.values():
        assert each.low is not None
        assert each.clusters == 200  # people are swapped in pairs


def test_coverage_is_promised_and_measured_over_people(of_many):
    found = of_many.conformal
    assert found is not None
    for limit, promised in ((found.real, 0.98), (found.fake, 0.9)):
        assert limit.people == 400
        assert limit.measured is not None
        assert limit.measured.value == pytest.approx(promised, abs=0.03)
        assert limit.low < promised < limit.high
        assert limit.alone is not None
        assert limit.alone.value < limit.measured.value
    assert of_many.parts == ()  # of one manipulation there is none to leave out


def test_kinds_of_fakes_are_measured_with_and_without_others_like_them():
    """Half of the fakes are of a kind that leaves no trace: fits that had it know it, the others are misled."""
    clips = []
    for number, each in enumerate(simulated(60)):
        person, logit = each.record.target_identity, each.score.logit
        assert logit is not None
        if each.record.label == "real":
            clips.append(clip(f"{number}", person, logit))
        else:
            plain = scored_once(clip_record(person, "plain", name=f"{number}", architecture="dfl"), logit + 1.0)
            hidden = clip_record(person, "traceless", name=f"{number}", architecture="gan", factors={"paste": "p"})
            clips += [plain, scored_once(hidden, logit - 1.2)]
    population = population_of(clips, QUICK, dataset="set", manifest_sha256="c" * 64, split="val")
    assert (population.manipulations, population.families, population.pastes) == (
        ("plain", "traceless"), ("dfl", "gan"), ("p",))  # fmt: skip
    trained = {"manipulation": frozenset({"plain"}), "family": None}
    found = fit_calibration(clips, QUICK, population, aggregate=AggregateConfig(), mark=MARK, trained=trained)
    parts = {(part.by, part.name): part for part in found.calibration.parts}
    assert list(parts) == [("manipulation", "plain"), ("manipulation", "traceless"), ("family", "dfl"),
                           ("family", "gan")]  # fmt: skip
    hidden = parts["manipulation", "traceless"]
    assert (hidden.trained, hidden.fake, hidden.people) == (False, 60, 60)
    assert parts["manipulation", "plain"].trained
    assert parts["family", "gan"].trained is None
    assert hidden.cllr_new is not None
    assert hidden.cllr_new > hidden.cllr_known
    assert hidden.cllr_new > 1  # misleading
    assert hidden.covered_known is not None
    assert hidden.covered_new is not None
    assert hidden.covered_new.value < 0.6 < hidden.covered_known.value


def test_where_clips_count_for_themselves_there_is_no_claim_about_people():
    found = fitted(simulated(40), replace(QUICK, count_by="clip")).calibration
    assert found.conformal is None
    assert found.conformal_note.startswith("No conformal claim: it takes people")


def test_nobody_is_measured_by_a_fit_to_their_own_clips():
    """Scores that say nothing but who somebody is: fitted and measured on the same clips they would look perfect."""
    clips = simulated(40)
    records, labels = [each.record for each in clips], np.array([each.record.label == "fake" for each in clips])
    rng = np.random.default_rng(0)
    samples = FitSamples(labels, rng.normal(size=labels.size), np.arange(labels.size) // 2)
    folds = make_folds(records, labels)
    assert sum(mask.astype(int) for mask in folds.masks).tolist() == [1] * labels.size  # type: ignore[union-attr]
    for mask in folds.masks:
        inside = {person for place in np.flatnonzero(mask) for person in records[place].identities}
        beyond = {person for place in np.flatnonzero(~mask) for person in records[place].identities}
        assert not inside & beyond
    odds = left_out_odds(samples, folds, "isotonic")
    changed = samples.logits.copy()
    changed[folds.masks[0]] += 50  # what is left out changes nothing of what it is told by
    again = left_out_odds(FitSamples(labels, changed, samples.people), folds, "isotonic")
    assert np.unique(again[folds.masks[0]]).size == 1
    assert not np.allclose(again[~folds.masks[0]], odds[~folds.masks[0]])
    kept = left_out_llrs(samples, folds, "logistic")
    shifted = left_out_llrs(FitSamples(labels, changed, samples.people), folds, "logistic")
    assert not np.allclose(kept, shifted)


def test_folds_fall_back_to_filmed_people_and_say_so():
    apart, linked = simulated(20), simulated(20, linked=True)
    for clips, words in ((apart, "linked by any clip"), (linked, "one filmed person")):
        labels = np.array([each.record.label == "fake" for each in clips])
        folds = make_folds([each.record for each in clips], labels)
        assert folds.words.startswith("5 folds")
        assert words in folds.words
    one = simulated(1)
    with pytest.raises(UsageError, match="too few people"):
        make_folds([each.record for each in one], np.array([False, True]))


def test_the_dealing_follows_the_seed():
    clips = simulated(20)
    records, labels = [each.record for each in clips], np.array([each.record.label == "fake" for each in clips])
    masks = [np.stack(make_folds(records, labels, seed).masks) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])


def test_auto_takes_what_does_best_on_left_out_people():
    clips = simulated(60)
    bent = [clip(each.record.id.name, each.record.target_identity, _bent(each.score.logit),
                 each.record.source_identity) for each in clips]  # fmt: skip
    found = fitted(bent, CalibrateConfig(method="auto", ratio="auto", replicates=10)).calibration
    assert found.probability.method != "temperature"  # the middle does not lie at zero
    best = fitted(bent, CalibrateConfig(method=found.probability.method, ratio=found.likelihood.method, replicates=10))
    assert found == best.calibration


def _bent(logit: float | None) -> float:
    assert logit is not None
    return logit + 3.0


def test_too_few_clips_or_people_are_refused_in_one_sentence():
    with pytest.raises(UsageError, match="nothing is calibrated: 4 real and 4 fake clips of set"):
        fitted(simulated(4))
    few = [clip(f"{number}", f"p{number % 3}", 1.0, "x" if number % 2 else None) for number in range(40)]
    with pytest.raises(UsageError, match="show 3 and the fake ones 3 people"):
        fitted(few)
