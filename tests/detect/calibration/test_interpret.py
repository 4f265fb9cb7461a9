from __future__ import annotations

import dataclasses

import pytest

from detect.calibration.domain import Domain, Range, write_domain
from detect.calibration.facts import FileFacts
from detect.calibration.interpret import (
    NO_OUTSIDE,
    NO_SETS,
    NOT_CALIBRATED,
    bound_sentence,
    calibrated_score,
    interpret,
    posterior,
    propositions,
    qualify,
    ratio_sentence,
    ratio_words,
    set_sentence,
)
from detect.calibration.maps import Calibration, write_calibration
from detect.calibration.prediction_sets import ClassLimit, Conformal
from detect.inspection.report import write_html
from detect.models import build_detector
from detect.models.checkpoint import DetectorFacts, save_detector
from detect.models.predictor import CropPredictor
from shared.errors import CheckpointError
from shared.results.calibration import OutsideBound, Share
from shared.results.scores import ClipScore, ForensicReport, Outside
from shared.types import ClipId

INSIDE = FileFacts(100.0, 720.0, 1000.0, 0.05, 25.0, "h264")
OUTSIDE = dataclasses.replace(INSIDE, face_px=20.0, codec="mpeg4")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    model = build_detector("test_efficientnet", input_px=64)
    folder = tmp_path_factory.mktemp("interpret") / "detector"
    return save_detector(model, folder, DetectorFacts(model.spec, finder={"name": "toy"}), card="# x\n")


@pytest.fixture(scope="module")
def predictor(untrained):
    return CropPredictor.load(untrained, "cpu")


@pytest.fixture
def calibrated(untrained, predictor, make_calibration):
    """The detector's folder with a calibration and a domain of its own; bare again afterwards."""
    own = dataclasses.replace(make_calibration(), weights_sha256=predictor.digest, aggregate=predictor.facts.aggregate)
    written = [write_calibration(untrained, own)]
    ranges = {"face_px": Range(80, 100, 200, 30)}
    written.append(write_domain(untrained, Domain("toy", "c" * 64, "val", 30, 40, 30, ranges, {"h264": 70})))
    yield untrained
    for path in written:
        path.unlink(missing_ok=True)


def test_a_file_inside_the_domain_has_a_ratio_that_holds(calibrated, predictor):
    found = interpret(calibrated, predictor, 1.0, INSIDE, "toy")
    assert found.calibrated is not None
    assert found.calibrated.holds
    assert found.calibrated.llr == pytest.approx(1 / 2.302585)
    assert found.calibrated.low < found.calibrated.llr < found.calibrated.high
    assert found.calibrated.probability == pytest.approx(0.7311, abs=1e-4)
    assert [prior for prior, _ in found.calibrated.by_prior] == [0.01, 0.1, 0.5]
    assert found.calibrated.by_prior[0][1] == pytest.approx(2.71828 / 99 / (1 + 2.71828 / 99), abs=1e-5)
    assert found.domain == "30 real and 40 fake clips of 30 people in toy (val)"
    assert (found.note, found.outside) == ("", ())


def test_a_file_outside_says_in_what_and_by_how_much(calibrated, predictor):
    found = interpret(calibrated, predictor, 1.0, OUTSIDE, "dlib")
    assert [each.fact for each in found.outside] == ["face_px", "codec", "finder"]
    assert "20 px; validated: 80 to 200 px; 4 times beyond" in found.outside[0].text
    assert "found by dlib, validated: toy" in found.outside[2].text
    assert found.calibrated is not None
    assert not found.calibrated.holds


def test_without_calibration_or_score_there_is_no_probability(untrained, predictor, calibrated):
    assert interpret(untrained, predictor, None, INSIDE, "toy").calibrated is None
    (calibrated / "calibration.json").unlink()
    found = interpret(untrained, predictor, 1.0, OUTSIDE, "toy")
    assert (found.calibrated, found.note) == (None, NOT_CALIBRATED)
    assert len(found.outside) == 2  # the domain is looked at all the same


def test_a_calibration_of_another_detector_is_not_used(untrained, predictor, make_calibration, calibrated):
    write_calibration(untrained, make_calibration())
    found = interpret(untrained, predictor, 1.0, INSIDE, "toy")
    assert found.calibrated is None
    assert "another detector" in found.note
    assert "not used" in found.note


def test_a_calibration_without_a_domain_holds_for_nothing(calibrated, predictor):
    (calibrated / "validated.json").unlink()
    found = interpret(calibrated, predictor, 1.0, INSIDE, "toy")
    assert found.calibrated is not None
    assert not found.calibrated.holds
    assert "does not say on what kind" in found.note


def test_a_damaged_calibration_is_said_and_not_passed_over(calibrated, predictor):
    (calibrated / "calibration.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        interpret(calibrated, predictor, 1.0, INSIDE, "toy")


@pytest.mark.parametrize(
    ("llr", "text"),
    [(0.0, "1"), (1.0, "10"), (0.5, "3.2"), (-0.5, "1/3.2"), (2.0, "100"), (3.1, "1,300"), (-1.0, "1/10"),
     (-0.01, "1"), (1.9990, "100"), (-1.9990, "1/100"), (1.99, "98"), (0.9999, "10"), (2.9999, "1,000")],
)  # fmt: skip
def test_ratios_are_written_with_two_digits(llr: float, text: str):
    assert ratio_words(llr) == text


def test_the_sentence_is_about_the_score(make_calibration):
    score = calibrated_score(make_calibration(), 2.302586, holds=True)
    assert ratio_sentence(score) == (
        "Such a score is 10 times as probable if the faces were forged in a way that it knows as if they were not "
        "forged (log10 likelihood ratio +1.00, moderate support for forged)."
    )
    other = ratio_sentence(calibrated_score(make_calibration(), -2.302585, holds=True))
    assert "10 times as probable if the faces were not forged as if they were forged in a way" in other


def bounded(calibration: Calibration, lower: float, upper: float) -> Calibration:
    """With what was measured on two tools of others."""
    share = Share(0.1, 0.0, 0.3, 20)
    outside = OutsideBound(
        "others", "e" * 64, ("that", "this"), 26, 39, 20, 20, 0, 1.2, share, share, None, None, lower, upper
    )
    return dataclasses.replace(calibration, outside=outside)


def with_sets(calibration: Calibration, real: float, fake: float) -> Calibration:
    """With prediction sets: real up to one logit, fake from another."""
    limits = ClassLimit(real, 0.02, 100, 0.84, 0.95), ClassLimit(fake, 0.1, 110, 0.84, 0.95)
    return dataclasses.replace(calibration, conformal=Conformal(*limits))


def test_a_report_says_both_ratios_and_uses_the_smaller(make_calibration):
    plain = make_calibration()
    score = calibrated_score(bounded(plain, -0.1, 0.6), 2.302586, holds=True)
    assert (score.llr, score.learned_llr) == (0.6, pytest.approx(1.0))
    assert score.words == "weak support for forged"
    assert ratio_sentence(score).startswith(
        "Such a score is 4 times as probable if the faces were forged by a tool that it learned from or by another as "
    )
    assert score.propositions[0].endswith("; or by a tool that was not learned from, such as that, this.")
    assert bound_sentence(score) == (
        "Among the manipulations learned from it would be 10 (log10 +1.00); on 2 tools that were not learned from (26 "
        "real and 39 fake clips of others), ratios of up to 4 for forged are borne out, and the smaller counts."
    )
    other = calibrated_score(bounded(plain, -0.1, 0.6), -2.302586, holds=True)
    assert other.words == "no support for either proposition"
    assert "ratios of up to 1.3 for not forged are borne out, and the smaller counts" in bound_sentence(other)
    wide = calibrated_score(bounded(plain, -3.0, 3.0), 2.302586, holds=True)
    assert wide.llr == wide.learned_llr
    assert bound_sentence(wide).startswith("That is the ratio among the manipulations learned from; on 2 tools")
    assert bound_sentence(calibrated_score(plain, 2.0, holds=True)) == NO_OUTSIDE


@pytest.mark.parametrize(
    ("real", "fake", "verdict", "logit", "expected", "words"),
    [
        (-1.0, 1.0, "fake", 2.0, "fake", "Prediction set: forged (conformal"),
        (-1.0, 1.0, "real", -2.0, "real", "Prediction set: real (conformal"),
        (4.0, -4.0, "fake", 2.0, "inconclusive", "real or forged: the score fits both"),
        (-3.0, 3.0, "fake", 2.0, "inconclusive", "neither: the score is unlike both"),
        (4.0, 3.0, "fake", 2.0, "inconclusive", "Prediction set: real (conformal"),
        (-4.0, -3.0, "real", -2.0, "inconclusive", "Prediction set: forged (conformal"),
    ],
)
def test_a_verdict_needs_a_prediction_set_of_its_own_class_alone(
    make_calibration, real, fake, verdict, logit, expected, words
):
    score = calibrated_score(with_sets(make_calibration(), real, fake), logit, holds=True)
    found, reason = qualify(verdict, "Because.", score)
    assert found == expected
    assert words in reason
    assert "over 100 people with real and 110 with forged clips" in reason
    alone = {"fake": "forged", "real": "real"}[verdict]
    assert (f"its prediction set is not {alone} alone" in reason) == (expected == "inconclusive")


def test_why_there_is_no_prediction_set_is_said(make_calibration):
    plain = make_calibration()
    assert set_sentence(calibrated_score(plain, 1.0, holds=True)) == NO_SETS
    why = dataclasses.replace(plain, conformal_note="No conformal claim: so few.")
    assert set_sentence(calibrated_score(why, 1.0, holds=True)) == "No conformal claim: so few."


def test_a_ratio_at_its_bound_says_so(make_calibration):
    far = calibrated_score(make_calibration(), 9.0, holds=True)
    assert (far.llr, far.at_bound) == (1.5, True)
    assert not calibrated_score(make_calibration(), 1.0, holds=True).at_bound


def test_probabilities_follow_from_the_bounded_ratio_and_not_from_the_line_that_has_no_bound(make_calibration):
    plain = make_calibration()
    bounded = dataclasses.replace(plain, likelihood=dataclasses.replace(plain.likelihood, upper_bound=1.0))
    score = calibrated_score(bounded, 9.0, holds=True)  # a line without bound would tell .988 at a prior of 1 %
    assert score.llr == 1.0
    told = dict(score.by_prior)
    assert told[0.01] == pytest.approx(10 / (10 + 99))
    assert told[0.1] == pytest.approx(10 / (10 + 9))
    assert told[0.5] == score.probability == pytest.approx(10 / 11)


@pytest.mark.parametrize(
    ("llr", "prior", "expected"), [(0.0, 0.2, 0.2), (1.0, 0.5, 10 / 11), (-2.0, 0.5, 1 / 101), (2.0, 0.01, 100 / 199)]
)
def test_a_posterior_is_prior_odds_times_the_ratio(llr: float, prior: float, expected: float):
    assert posterior(llr, prior) == pytest.approx(expected)


def test_propositions_name_the_manipulations():
    assert propositions(("a", "b"))[0] == "The faces were forged in one of these ways: a, b."
    assert "a, b, c, d, e, f and 2 more" in propositions(tuple("abcdefgh"))[0]
    assert "those calibrated on" in propositions(())[0]


@pytest.mark.parametrize(
    ("verdict", "logit", "holds", "expected"),
    [
        ("fake", 2.0, True, "fake"),
        ("fake", 0.1, True, "inconclusive"),
        ("fake", -2.0, True, "inconclusive"),
        ("real", -2.0, True, "real"),
        ("real", 2.0, True, "inconclusive"),
        ("inconclusive", 2.0, True, "inconclusive"),
        ("fake", -2.0, False, "fake"),
    ],
)
def test_a_verdict_needs_a_ratio_that_bears_it_out(make_calibration, verdict, logit, holds, expected):
    found, reason = qualify(verdict, "Because.", calibrated_score(make_calibration(), logit, holds=holds))
    assert found == expected
    assert ("does not bear it out" in reason) == (found != verdict)
    assert qualify(verdict, "Because.", None) == (verdict, "Because.")


@pytest.mark.parametrize("holds", [True, False])
def test_the_page_shows_the_ratio_and_whether_it_holds(make_calibration, tmp_path, holds):
    score = calibrated_score(make_calibration(), 1.0, holds=holds)
    outside = () if holds else (Outside("codec", "the codec is <hevc>", "hevc"),)
    clip = ClipScore(ClipId("suspect", None, "clip"), None, 1.0, 50, 50, 50, 1, "mean")
    report = ForensicReport(
        "clip.mp4", "a" * 64, "a" * 64, 10, "inconclusive", "reason", clip, (), (), (), (),
        {"name": "net", "threshold_from": "val"}, {"assay": "0.1.0"}, calibrated=score, outside=outside, domain="these",
    )  # fmt: skip
    write_html(tmp_path / "r.html", report, timeline=None, exhibits=[], threshold=0.0)
    page = (tmp_path / "r.html").read_text()
    assert "forged in one of these ways: stripes" in page
    assert "weak support for forged" in page
    assert "ENFSI" in page
    assert "Cllr, bits" in page
    assert "no tool outside was measured: the bound is that of the calibration alone" in page
    assert NO_SETS in page
    assert "0.731 if 50&nbsp;% of such files" in page
    assert ("Does not hold for this file" in page) == (not holds)
    assert ("Outside the validated domain" in page) == (not holds)
    assert ("lies inside the domain" in page) == holds
    assert "<hevc>" not in page


def test_the_page_shows_both_ratios_and_the_prediction_set(make_calibration, tmp_path):
    calibration = with_sets(bounded(make_calibration(), -0.1, 0.6), 4.0, -4.0)
    clip = ClipScore(ClipId("suspect", None, "clip"), None, 1.0, 50, 50, 50, 1, "mean")
    report = ForensicReport(
        "clip.mp4", "a" * 64, "a" * 64, 10, "inconclusive", "reason", clip, (), (), (), (),
        {"name": "net", "threshold_from": "val"}, {"assay": "0.1.0"},
        calibrated=calibrated_score(calibration, 2.302586, holds=True), domain="these",
    )  # fmt: skip
    write_html(tmp_path / "r.html", report, timeline=None, exhibits=[], threshold=0.0)
    page = (tmp_path / "r.html").read_text()
    assert "10 &nbsp; (log10 +1.00; bounds by ELUB -1.50 to +1.50)" in page
    assert "ratios between 1/1.3 and 4 are borne out (log10 -0.10 to +0.60)" in page
    assert "that, this" in page
    assert "real or forged: the score fits both" in page
