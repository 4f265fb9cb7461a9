from __future__ import annotations

from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest

from benchmarks import swappers
from benchmarks.app import SETTINGS
from benchmarks.page import markers, put_between
from benchmarks.schema import Measurement
from benchmarks.swappers import DONE, JOB, Job, families, family_config, load_settings, measure
from benchmarks.swappers_job import SWAPPED, TARGETS, _measurements
from benchmarks.swappers_table import MOST_BYTES, markdown, sheet
from forge.image_metrics import Spread
from forge.quality.result import SwapQuality
from shared.errors import ConfigError, RunError, UnknownNameError, UsageError

SETTINGS_FILE = SETTINGS / "swappers.toml"


def job(folder, family: str = "original") -> Job:
    config = family_config({}, family, minutes=1.0, device="cpu")
    return Job(family, str(folder), ("a", "b"), ("a.mp4", "b.mp4"), ("a", "b"), config, "auto")


def test_every_family_has_settings_that_can_be():
    settings = load_settings(SETTINGS_FILE)
    for name in families(settings):
        config = family_config(settings, name, minutes=2.0, device="cpu")
        assert (config.model, config.minutes, config.holdout, config.device) == (name, 2.0, 0.2, "cpu")
        assert 0 < config.width <= 1


def test_a_familys_own_settings_win_and_the_rest_are_its_smallest():
    settings = {"default": {"width": 0.3}, "families": {"saehd": {"width": 0.1, "resolution": 96}}}
    assert family_config(settings, "saehd", minutes=1, device="cpu").model_options["resolution"] == 96
    assert family_config(settings, "saehd", minutes=1, device="cpu").width == 0.1
    assert family_config(settings, "original", minutes=1, device="cpu").width == 0.3
    assert "width" not in family_config(settings, "original", minutes=1, device="cpu").model_options


def test_settings_and_names_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="famlies"):
        family_config({"famlies": {}}, "original", minutes=1, device="cpu")
    with pytest.raises(UnknownNameError):
        families({"families": {"orignal": {}}})
    with pytest.raises(UnknownNameError):
        families({}, ["orignal"])
    assert families({}, ["original"]) == ["original"]


def test_a_job_survives_its_file(tmp_path):
    one = job(tmp_path)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Job) == one


def test_what_is_done_is_not_done_again_and_a_failure_is_reported(tmp_path, monkeypatch):
    done, broken = tmp_path / "done", tmp_path / "broken"
    done.mkdir()
    value = Measurement.of("original: steps", "steps", [5.0])
    (done / DONE).write_bytes(msgspec.json.encode([value]))
    (done / JOB).write_bytes(msgspec.json.encode(job(done)))
    ran = []
    monkeypatch.setattr(swappers, "_run", lambda one: ran.append(one.folder) or "out of memory")
    found, notes = measure([job(done), job(broken)])
    assert found == [value]
    assert ran == [str(broken)]
    assert notes == ("original failed: out of memory",)
    with pytest.raises(RunError, match="no family"):
        measure([job(broken)])
    with pytest.raises(RunError, match="no family"):
        measure([replace(job(done), measured=False)])


def test_a_process_that_fails_leaves_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(swappers.sys, "executable", "/bin/false")
    assert swappers._run(job(tmp_path / "x")) == "ended with 1"
    assert (tmp_path / "x" / swappers.FAILED).exists()


def test_a_metric_has_a_value_a_direction_and_a_note_on_an_embedder_in_the_loss():
    facts = {"clip": "x", "target": "y", "start": 0, "stop": 4, "px": 64, "framing": "full"}
    facts |= {"frames_with_face": 4, "same_frames": True, "same_times": True, "same_sound": True}
    one = SwapQuality(**facts, frames_found=4, pose_error=Spread.of([1.0, 2.0, 9.0]), top1=1.0, embedder_in_loss=True)
    other = SwapQuality(**facts, frames_found=2, pose_error=Spread.of([4.0]), top1=0.5, embedder_in_loss=True)
    found = {m.name: m for m in _measurements("gan", [one, other])}
    assert found["gan: pose_error"].values == (2.0, 4.0)
    assert found["gan: pose_error"].better == "lower"
    assert "does not count" in found["gan: top1"].note
    assert found["gan: frames_found"].values == (1.0, 0.5)
    assert "gan: seam_ratio" not in found


ROWS = [
    Measurement.of("zed: output", "px", [64.0], note="width 0.2"),
    Measurement.of("zed: top1", "share", [0.5, 1.0]),
    Measurement.of("alf: output", "px", [128.0], note="width 0.1, depth 2"),
]


def test_the_table_has_a_row_a_family_with_means_of_both_directions():
    lines = markdown(ROWS, ["gan failed: no memory"]).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[2].startswith("| `alf` | width 0.1, depth 2 | 128 | - |")
    assert "| 75% |" in lines[3]
    assert lines[-1] == "* gan failed: no memory"


def test_the_table_replaces_what_is_between_the_markers(tmp_path):
    page, (begin, end) = tmp_path / "page.md", markers("swappers")
    page.write_text(f"# Swappers\n{begin}\nold\n{end}\nend\n")
    put_between(page, "new\n", name="swappers")
    put_between(page, "newer\n", name="swappers")
    assert page.read_text() == f"# Swappers\n{begin}\nnewer\n{end}\nend\n"
    for text in ("", begin, f"{end}{begin}", f"{begin}{begin}{end}"):
        page.write_text(text)
        with pytest.raises(UsageError, match="no place"):
            put_between(page, "x", name="swappers")


def test_the_sheet_fits_its_limit_and_leaves_failed_families_out(tmp_path, rng):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in (TARGETS, SWAPPED):
            strip = rng.integers(0, 256, (96, 6 * 96, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / name / file), strip)
    data = sheet([(name, tmp_path / name) for name in ("a", "failed", "b")])
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert len(data) <= MOST_BYTES
    assert picture.shape == (3 * 96, 6 * 96 + 150, 3)
    with pytest.raises(UsageError, match="no picture"):
        sheet([("failed", tmp_path / "failed")])
