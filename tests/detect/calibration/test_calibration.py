from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from detect.calibration.config import CalibrateConfig
from detect.calibration.files import CALIBRATION_NAME, beside, detector_mark
from detect.calibration.fit import fit_probability, person_weights
from detect.calibration.maps import misfit, read_calibration, write_calibration
from detect.calibration.prediction_sets import ClassLimit, Conformal
from detect.config.scoring import AggregateConfig
from detect.models.external.settings import parse_reference
from shared.errors import CheckpointError, ConfigError, UsageError


def simulated(slope: float, offset: float, count: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of which ``slope x logit + offset`` are the log odds, at even classes."""
    rng = np.random.default_rng(4)
    odds = rng.normal(0, 2.5, count)
    labels = rng.random(count) < expit(odds)
    return labels, (odds - offset) / slope, np.arange(count)


def test_platt_finds_slope_and_offset():
    found = fit_probability(*simulated(0.5, -1.0), "platt")
    assert (found.slope, found.offset) == (pytest.approx(0.5, abs=0.03), pytest.approx(-1.0, abs=0.08))


def test_temperature_finds_the_temperature():
    found = fit_probability(*simulated(0.4, 0.0), "temperature")
    assert (1 / found.slope, found.offset) == (pytest.approx(2.5, abs=0.15), 0.0)


def test_isotonic_never_falls_and_gives_the_probability():
    labels, logits, people = simulated(1.0, 0.0)
    found = fit_probability(labels, logits, people, "isotonic")
    asked = np.linspace(-12, 12, 500)
    odds = found.log_odds(asked)
    assert np.isfinite(odds).all()
    assert (np.diff(odds) >= 0).all()
    np.testing.assert_allclose(expit(found.log_odds(np.array([-1.0, 0.0, 1.0]))), expit([-1.0, 0.0, 1.0]), atol=0.06)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_separated_classes_give_no_infinite_certainty(method: str):
    labels = np.arange(20) % 2 == 1
    logits = np.where(labels, 5.0, -5.0) + np.arange(20) / 100
    found = fit_probability(labels, logits, np.arange(20), method)  # type: ignore[arg-type]
    sure = expit(found.log_odds(np.array([5.0])))[0]
    assert sure == pytest.approx(11 / 12, abs=0.02)  # Platt's target for ten fakes
    assert sure < 1


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_scores_that_fall_are_not_turned_round(method: str):
    labels, logits, people = simulated(1.0, 0.0, 300)
    found = fit_probability(labels, -logits, people, method)  # type: ignore[arg-type]
    assert (np.diff(found.log_odds(np.linspace(-5, 5, 50))) >= 0).all()


def test_people_count_once_in_each_class():
    labels = np.array([False, False, False, True, True])
    weights = person_weights(labels, np.array([0, 0, 1, 0, 0]))
    np.testing.assert_allclose(weights, [0.125, 0.125, 0.25, 0.25, 0.25])
    with pytest.raises(ValueError, match="real and fake"):
        person_weights(labels[:2], np.array([0, 1]))


def test_repeating_a_persons_clips_changes_nothing():
    labels, logits, people = simulated(1.0, 0.5, 200)
    once = fit_probability(labels, logits, people, "platt")
    again = [np.concatenate([part, np.repeat(part[:20], 9)]) for part in (labels, logits, people)]
    often = fit_probability(again[0], again[1], again[2], "platt")
    assert (often.slope, often.offset) == (pytest.approx(once.slope, rel=1e-3), pytest.approx(once.offset, abs=1e-3))


def test_a_prior_shifts_the_probability(make_calibration):
    calibration = make_calibration()
    at_even = calibration.probabilities(np.array([0.0]))
    rare = calibration.probabilities(np.array([0.0]), prior=0.01)
    assert rare / (1 - rare) == pytest.approx(at_even / (1 - at_even) / 99)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a detector folder looks like from outside."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_a_calibration_comes_back_as_it_was(folder, make_calibration):
    assert read_calibration(folder) is None
    write_calibration(folder, make_calibration())
    assert read_calibration(folder) == make_calibration()
    assert json.loads((folder / CALIBRATION_NAME).read_text())["format"] == 3


def test_a_calibration_of_the_first_format_is_read_and_written_in_the_present_one(folder, make_calibration):
    path = write_calibration(folder, make_calibration())
    old = json.loads(path.read_text())
    for name in ("conformal", "conformal_note", "parts", "outside"):
        del old[name]
    for name in ("families", "pastes"):
        del old["population"][name]
    path.write_text(json.dumps({**old, "format": 1}))
    found = read_calibration(folder)
    assert found is not None
    assert dataclasses.replace(found, format=3) == make_calibration()
    assert found.bounds == (-1.5, 1.5)
    write_calibration(folder, found)
    assert read_calibration(folder) == make_calibration()


def test_the_one_miscoverage_of_the_second_format_becomes_that_of_each_class(folder, make_calibration):
    limits = [ClassLimit(threshold, 0.1, 20, 0.8, 0.95) for threshold in (1.0, -1.0)]
    present = dataclasses.replace(make_calibration(), conformal=Conformal(*limits))
    path = write_calibration(folder, present)
    old = json.loads(path.read_text())
    for name in ("real", "fake"):
        del old["conformal"][name]["miscoverage"]
    old["conformal"]["miscoverage"] = 0.1
    path.write_text(json.dumps({**old, "format": 2}))
    found = read_calibration(folder)
    assert found is not None
    assert dataclasses.replace(found, format=3) == present


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text[:-30], "damaged"),
        (lambda text: "[]", "no JSON object"),
        (lambda text: text.replace('"format": 3', '"format": 4'), "format 4"),
        (lambda text: text.replace('"prior": 0.5', '"prior": 1.5'), "between 0 and 1"),
        (lambda text: text.replace('"prior": 0.5', '"prior": "half"'), "damaged"),
        (lambda text: text.replace('"prior"', '"priors"'), "unknown setting"),
        (lambda text: text.replace('"upper_bound": 1.5', '"upper_bound": -1.5'), "hold 0"),
        (lambda text: text.replace('"upper_bound": 1.5', '"upper_bound": Infinity'), "upper_bound is inf"),
        (lambda text: text.replace('"method": "logistic"', '"method": "magic"'), "damaged"),
    ],
)
def test_damage_is_refused(folder, make_calibration, change, match):
    path = write_calibration(folder, make_calibration())
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(CheckpointError, match=match):
        read_calibration(folder)


def test_a_calibration_of_other_scores_is_not_used(make_calibration):
    calibration = make_calibration()
    mark = calibration.weights_sha256
    assert misfit(calibration, mark, calibration.aggregate) is None
    assert "another detector" in str(misfit(calibration, "b" * 64, calibration.aggregate))
    assert "these are by 'mean'" in str(misfit(calibration, mark, AggregateConfig(method="mean")))
    assert "these are by the detector itself" in str(misfit(calibration, mark, None))
    assert "set otherwise" in str(misfit(calibration, mark, AggregateConfig(min_track_share=0.5)))


def test_a_calibration_of_another_finders_faces_is_not_used(folder, make_calibration):
    unknown = make_calibration()
    calibration = dataclasses.replace(unknown, finder="yunet", frames_per_clip=32)
    mark, aggregate = calibration.weights_sha256, calibration.aggregate
    assert misfit(calibration, mark, aggregate, "yunet") is None
    assert "found by yunet; these were found by dlib" in str(misfit(calibration, mark, aggregate, "dlib"))
    assert misfit(calibration, mark, aggregate) is None
    assert misfit(unknown, mark, aggregate, "dlib") is None
    path = write_calibration(folder, calibration)
    assert read_calibration(folder) == calibration
    older = json.loads(path.read_text())
    del older["finder"], older["frames_per_clip"], older["population"]["trained_people"]
    path.write_text(json.dumps(older))
    assert read_calibration(folder) == unknown


def test_a_calibration_lies_in_the_folder_or_beside_the_file(folder, tmp_path):
    net = tmp_path / "net.onnx"
    net.write_bytes(b"net")
    assert beside(folder, CALIBRATION_NAME) == folder / CALIBRATION_NAME
    assert beside(f"local-dir:{folder}", CALIBRATION_NAME) == folder / CALIBRATION_NAME
    assert beside(f"onnx:{net}?px=64", CALIBRATION_NAME) == tmp_path / "net.onnx.calibration.json"
    with pytest.raises(UsageError, match="no file"):
        beside(f"csv:{tmp_path / 'none.csv'}", CALIBRATION_NAME)
    with pytest.raises(CheckpointError, match="no detector"):
        beside(tmp_path / "empty", CALIBRATION_NAME)


def test_the_settings_of_an_external_detector_are_part_of_what_a_calibration_belongs_to(tmp_path):
    net = tmp_path / "net.onnx"
    net.write_bytes(b"net")

    def mark(query: str) -> str:
        return detector_mark(parse_reference(f"onnx:{net}{query}"), "a" * 64)

    assert detector_mark(None, "a" * 64) == mark("") == "a" * 64
    assert len({mark(""), mark("?fake=0"), mark("?fake=1"), mark("?px=64&fake=1")}) == 4
    assert mark("?px=64&fake=1") == mark("?fake=1&px=64")
    (tmp_path / "net.onnx.toml").write_text("fake = 0\n")
    assert mark("") == mark("?fake=0") != "a" * 64


@pytest.mark.parametrize("change", [{"prior": 1.0}, {"fewest_clips": 1}, {"fewest_people": 0}, {"replicates": 3}])
def test_bad_settings_are_refused(change: dict):
    with pytest.raises(ConfigError):
        CalibrateConfig(**change)
