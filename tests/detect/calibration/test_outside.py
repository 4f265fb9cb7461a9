from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from detect.calibration.calibrate import bound_detector
from detect.calibration.card import outside_text
from detect.calibration.domain import Domain, write_domain
from detect.calibration.interpret import calibrated_score
from detect.calibration.maps import Calibration, read_calibration, write_calibration
from detect.calibration.outside import OutsideScores, misleading_bound, outside_bound, with_outside
from detect.calibration.outside_scores import read_outside
from detect.calibration.prediction_sets import ClassLimit, Conformal
from detect.config.scoring import EvaluateConfig
from detect.models.training_record import LEARNED_NAME
from shared.cli import run
from shared.errors import LeakError, ManifestError, UsageError

LN10 = math.log(10)
MARK = "a" * 64
NEW = "tool-of-others"


def limit(misled: float, groups: int) -> float:
    """log10 of one over the upper limit of Clopper and Pearson at 95 %, by bisection on the binomial tail."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        tail = sum(math.comb(groups, k) * middle**k * (1 - middle) ** (groups - k) for k in range(int(misled) + 1))
        low, high = (middle, high) if tail > 0.05 else (low, middle)
    return -math.log10(high)


def test_without_a_misleading_ratio_the_bound_is_that_of_the_number_of_groups():
    """26 groups: at most 1 - 0.05 ** (1 / 26) = 10.9 % mislead, so ratios of up to 9.2 are borne out."""
    assert misleading_bound(np.full(26, -1.0), np.arange(26)) == pytest.approx(-math.log10(1 - 0.05 ** (1 / 26)))
    assert misleading_bound(np.full(26, -1.0), np.arange(26)) == pytest.approx(0.963, abs=0.001)


def test_ratios_that_mislead_much_bound_and_ones_that_mislead_little_do_not():
    clean = np.full(26, -1.0)
    strong, weak = clean.copy(), clean.copy()
    strong[:3] = 2.0  # three of 26 were told a hundred to one
    weak[:3] = 0.05
    assert misleading_bound(strong, np.arange(26)) == pytest.approx(limit(3, 26))
    assert misleading_bound(weak, np.arange(26)) == pytest.approx(limit(0, 26))
    mixed = clean.copy()
    mixed[:8], mixed[8] = 0.2, 1.5  # nine reach 0.2, which their limit allows; one goes on to 1.5
    assert limit(9, 26) > 0.2
    assert misleading_bound(mixed, np.arange(26)) == pytest.approx(limit(1, 26))


def test_clips_of_one_group_count_as_one():
    llrs = np.concatenate([np.full(20, 2.0), np.full(10, -1.0)])
    groups = np.concatenate([np.zeros(20, int), np.arange(1, 11)])
    assert misleading_bound(llrs, groups) == pytest.approx(limit(1, 11))
    assert misleading_bound(llrs, np.arange(30)) < limit(1, 11)


def test_a_class_that_always_misleads_leaves_no_ratio():
    assert misleading_bound(np.full(9, 1.5), np.arange(9)) == 0.0


def scored(real: float, fake: float, groups: int = 20) -> OutsideScores:
    """A real and a fake clip of each group, all with the same two log10 ratios."""
    labels = np.tile([False, True], groups)
    return OutsideScores(
        "others", "e" * 64, labels, np.where(labels, fake, real) * LN10, np.repeat(np.arange(groups), 2), (NEW,)
    )


def with_sets(calibration: Calibration) -> Calibration:
    return dataclasses.replace(
        calibration, conformal=Conformal(ClassLimit(0.5, 0.1, 30, 0.8, 0.99), ClassLimit(-0.5, 0.1, 30, 0.8, 0.99))
    )


def test_where_fakes_of_others_score_like_real_clips_nothing_is_left_for_not_forged(make_calibration):
    found = outside_bound(with_sets(make_calibration()), scored(-1.4, -1.4))
    assert found.lower_bound == 0.0
    assert (found.misled_fake.value, found.misled_real.value) == (1.0, 0.0)
    assert found.cllr > 1
    assert found.covered_real is not None
    assert found.covered_fake is not None
    assert (found.covered_real.value, found.covered_fake.value) == (1.0, 0.0)
    assert str(found) == "20 real and 20 fake clips of others; 20 and 20 groups of people; 1 tool"


def test_where_ratios_hold_on_others_the_bound_grows_with_their_number(make_calibration):
    few, many = (outside_bound(make_calibration(), scored(-1.4, 1.4, groups)) for groups in (6, 200))
    assert few.upper_bound == pytest.approx(limit(0, 6))
    assert many.upper_bound == pytest.approx(1.4, abs=0.02)  # no ratio went further
    assert few.covered_real is None  # the calibration has no prediction sets


def test_the_smaller_of_both_bounds_is_used_and_both_are_told(make_calibration):
    plain = make_calibration()
    bounded = with_outside(plain, scored(-1.4, 1.4, 6))
    assert bounded.outside is not None
    assert bounded.bounds[1] == bounded.outside.upper_bound < plain.bounds[1] == 1.5
    score = calibrated_score(bounded, 9.0, holds=True)
    assert score.llr == score.upper_bound == bounded.bounds[1]
    assert (score.learned_llr, score.learned_bounds) == (1.5, (-1.5, 1.5))
    assert score.words == "weak support for forged"
    assert score.probability == pytest.approx(10**score.llr / (1 + 10**score.llr))
    told = outside_text(bounded)
    assert "Cllr" in told
    assert NEW in told
    assert "No tool outside was measured" in outside_text(plain)


def test_too_few_groups_bound_nothing(make_calibration):
    with pytest.raises(UsageError, match="others bounds nothing: its real clips with a score show 1 and its fake"):
        outside_bound(make_calibration(), scored(-1.0, 1.0, 1))


@pytest.fixture
def detector(tmp_path: Path, make_calibration) -> Path:
    """A folder with the calibration of a detector whose weights are never loaded."""
    folder = tmp_path / "detector"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    write_calibration(folder, make_calibration())
    write_domain(folder, Domain("toy", "c" * 64, "val", 30, 40, 30, {}, {"h264": 70}))
    return folder


def listed(path: Path, *, tool: str = NEW, detector: str = MARK, groups: int = 12) -> Path:
    clips = [
        {"label": label, "logit": logit, "group": f"pair {number}", "tool": tool if label == "fake" else ""}
        for number in range(groups)
        for label, logit in (("real", -3.0), ("fake", 2.5))
    ]
    clips.append({"label": "fake", "logit": None, "group": "blind", "tool": tool})
    path.write_text(json.dumps({"name": "others", "detector": detector, "clips": clips}))
    return path


def evaluated(folder: Path, *, weights: str = MARK, aggregation: str = "max-face") -> Path:
    """What an evaluation leaves, as far as it is read."""
    folder.mkdir()
    (folder / "evaluation.json").write_text(
        json.dumps({"detector": {"weights_sha256": weights}, "dataset": {"name": "others"}})
    )
    lines = [
        {"clip": f"others/{made}/{number}", "label": "real" if made == "real" else "fake", "cluster": number,
         "logit": -3.0 if made == "real" else 2.5, "aggregation": aggregation}
        for number in range(12) for made in ("real", NEW)
    ]  # fmt: skip
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_scores_are_read_from_a_list_and_from_an_evaluation_alike(detector, tmp_path):
    calibration = read_calibration(detector)
    assert calibration is not None
    assert calibration.aggregate is not None
    way = calibration.aggregate.method
    for path in (listed(tmp_path / "s.json"), evaluated(tmp_path / "evaluation", aggregation=way)):
        found, _ = read_outside(path, detector, calibration, EvaluateConfig())
        assert (found.name, found.tools, found.labels.sum(), found.labels.size) == ("others", (NEW,), 12, 24)
        assert np.unique(found.groups).size == 12
    other = evaluated(tmp_path / "other-way", aggregation="another")
    with pytest.raises(UsageError, match="not made by"):
        read_outside(other, detector, calibration, EvaluateConfig())


def test_a_stored_calibration_is_bounded_and_its_maps_stay(detector, tmp_path):
    before = read_calibration(detector)
    assert before is not None
    result = bound_detector(detector, listed(tmp_path / "s.json"))
    after = read_calibration(detector)
    assert after == result.calibration
    assert after is not None
    assert after.outside is not None
    assert dataclasses.replace(after, outside=None) == before
    assert after.outside.without_face == 1
    assert not any("No tool outside" in note for note in result.notes)
    assert NEW in (detector / "README.md").read_text()


def test_what_was_learned_from_bounds_nothing(detector, tmp_path):
    with pytest.raises(LeakError, match="stripes of others was learned from"):
        bound_detector(detector, listed(tmp_path / "s.json", tool="stripes"))  # by the calibration
    (detector / LEARNED_NAME).write_text(json.dumps({"clips": [], "manipulations": [NEW]}))
    with pytest.raises(LeakError, match=f"{NEW} of others was learned from"):
        bound_detector(detector, listed(tmp_path / "s.json"))


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("{", ManifestError, "damaged"),
        (
            '{"name": "x", "detector": "m", "clips": [{"label": "odd", "logit": 1, "group": "a"}]}',
            ManifestError,
            "label",
        ),
        ('{"name": "x", "detector": "m", "clips": []}', UsageError, "another detector"),
        (None, UsageError, "holds no scores and no dataset"),
    ],
)
def test_what_holds_no_scores_is_refused_in_a_sentence(detector, tmp_path, text, error, match, capsys):
    path = tmp_path / "scores.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=match):
        bound_detector(detector, path)
    assert run(["detect", "calibrate", str(detector), "--outside", str(path)]) == (2 if error is UsageError else 1)
    assert "error" in capsys.readouterr().err.lower()


def test_the_command_line_bounds_and_says_what_is_missing(detector, tmp_path, capsys):
    path = listed(tmp_path / "s.json")
    assert run(["detect", "calibrate", str(detector), "--outside", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tools not learned from: 12 real and 12 fake clips of others" in shown
    assert run(["detect", "calibrate", str(detector)]) == 2
    assert "--dataset SET" in capsys.readouterr().err
    (detector / "calibration.json").unlink()
    assert run(["detect", "calibrate", str(detector), "--outside", str(path)]) == 2
    assert "not calibrated" in capsys.readouterr().err
