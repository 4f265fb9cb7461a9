from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.bootstrap import BootstrapSettings
from shared.errors import UsageError
from shared.results.quality import QualityReport, mean_quality, read_quality

SPREAD = {"n": 10, "median": 0.5, "low": 0.4, "high": 0.6, "mean": 0.5}


def write(path: Path, clips: dict[str, dict[str, object]], **more: object) -> Path:
    entries = [{"id": name, "px": 256, "same_sound": True, **values} for name, values in clips.items()]
    path.write_text(json.dumps({"quality": entries, **more}))
    return path


def test_spreads_and_single_numbers_are_read_and_counts_are_not(tmp_path: Path):
    file = write(
        tmp_path / "q.json",
        {"set/a/one": {"mask_ssim": SPREAD, "flicker_ratio": 2.0, "top1": None, "embedder": "net"}},
        summary=[{"metric": "mask_ssim", "unit": "SSIM", "better": "higher"}],
        failures=[{"clip": "x", "reason": "no face"}],
        notes=["of 10 faces"],
    )
    report = read_quality([file])
    values = report.clips["set/a/one"]
    assert sorted(values) == ["flicker_ratio", "mask_ssim"]
    assert (values["mask_ssim"].total, values["mask_ssim"].count, values["mask_ssim"].level) == (5.0, 10, "frame")
    assert (values["flicker_ratio"].count, values["flicker_ratio"].level) == (1, "clip")
    assert (report.units, report.better) == ({"mask_ssim": "SSIM"}, {"mask_ssim": "higher"})
    assert (report.failures, report.notes) == (1, ("of 10 faces",))


def test_means_weigh_frames_and_are_of_the_clips_asked_for(tmp_path: Path):
    file = write(
        tmp_path / "q.json",
        {
            "s/m/a": {"mask_ssim": {**SPREAD, "n": 10, "mean": 0.2}},
            "s/m/b": {"mask_ssim": {**SPREAD, "n": 30, "mean": 0.6}},
            "s/m/c": {"mask_ssim": {**SPREAD, "n": 30, "mean": 9.9}},
        },
    )
    report = read_quality([file])
    both = mean_quality(report, {"s/m/a": 0, "s/m/b": 1, "s/m/unmeasured": 2}, BootstrapSettings(replicates=200))
    assert [one.metric for one in both] == ["mask_ssim"]
    assert both[0].value == pytest.approx((10 * 0.2 + 30 * 0.6) / 40)
    assert both[0].num_fake == 40
    assert both[0].clusters == 2
    assert both[0].low == pytest.approx(0.2)
    assert both[0].high == pytest.approx(0.6)
    assert mean_quality(report, {"s/m/a": 0})[0].low is None
    assert mean_quality(QualityReport(), {"s/m/a": 0}) == ()


def test_a_later_file_overrules_an_earlier_one(tmp_path: Path):
    first = write(tmp_path / "1.json", {"s/m/a": {"seam_ratio": 1.0}})
    second = write(tmp_path / "2.json", {"s/m/a": {"seam_ratio": 3.0}})
    assert read_quality([first, second]).clips["s/m/a"]["seam_ratio"].total == 3.0


@pytest.mark.parametrize("text", ["", "[]", '{"quality": 3}', '{"quality": [{"no": "id"}]}', "{"])
def test_other_files_are_refused(tmp_path: Path, text: str):
    (tmp_path / "q.json").write_text(text)
    with pytest.raises(UsageError, match=r"q\.json"):
        read_quality([tmp_path / "q.json"])


@pytest.mark.parametrize(
    "text",
    [
        '{"quality": [], "summary": 3}',
        '{"quality": [], "failures": 3}',
        '{"quality": [], "notes": {"a": 1}}',
        '{"quality": [], "summary": [{"metric": ["a"]}]}',
        '{"quality": [{"id": ["a"]}]}',
        '{"quality": ' + "[" * 100_000,
        '{"quality": [{"id": "a", "x": ' + '{"a":' * 100_000,
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, text: str):
    (tmp_path / "q.json").write_text(text)
    with pytest.raises(UsageError, match=r"q\.json"):
        read_quality([tmp_path / "q.json"])


@pytest.mark.parametrize(
    "value", [{"mean": 10**400, "n": 3}, {"mean": 0.5, "n": 10**400}, {"mean": 1e308, "n": 9}, {"mean": True, "n": 1}]
)
def test_numbers_beyond_all_measure_are_not_taken(tmp_path: Path, value: dict[str, object]):
    file = write(tmp_path / "q.json", {"s/m/a": {"mask_ssim": value, "seam_ratio": 1.0}})
    try:
        report = read_quality([file])
    except UsageError:
        return
    assert list(report.clips["s/m/a"]) == ["seam_ratio"]
    assert mean_quality(report, {"s/m/a": 0})[0].value == 1.0


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"gone\.json"):
        read_quality([tmp_path / "gone.json"])
