from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks.scoring as bench
from benchmarks.schema import Measurement
from benchmarks.scoring import ScoringConfig, flops_per_image, measure, network_alone
from detect.models import build_detector
from detect.models.predictor import CropPredictor
from shared.actors import Actor, film
from shared.device import pick_device
from shared.errors import UsageError

TINY = ScoringConfig(
    backbone="test_efficientnet", px=64, device="cpu", precision="float32", frames=4, repeats=1, batch=4
)


def test_shares_are_of_the_slowest_stage_and_of_all_in_a_row(monkeypatch: pytest.MonkeyPatch):
    """Stages of 10, 2 and 5 clips/s take 0.1 + 0.5 + 0.2 s a clip in a row; 1 clip/s is half the slowest."""
    alone = [Measurement.of(f"way: {name}", "clips/s", [rate]) for name, rate in (("a", 10.0), ("b", 2.0), ("c", 5.0))]
    whole = Measurement.of("way: end to end", "clips/s", [1.0])
    for cores, targets in ((2, (bench.TARGET, None)), (1, (None, bench.TARGET))):
        monkeypatch.setattr(bench, "available_cores", lambda cores=cores: cores)
        found = bench.against(whole, alone, 32.0, "way")
        assert [one.median for one in found] == pytest.approx([1.0, 32.0, 50.0, 80.0])
        assert (found[2].target, found[3].target) == targets
        assert found[2].note == "b"


def test_the_network_is_held_against_the_matrix_rate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "matrix_rate", lambda *_arguments, **_settings: 1e10)
    predictor = CropPredictor(build_detector("test_efficientnet", input_px=64), pick_device("cpu", "float32"))
    alone, loaded, share = network_alone(predictor, TINY)
    assert share.median == pytest.approx(100 * alone.median * flops_per_image(TINY) / 1e10, rel=1e-4)
    assert loaded.median > 0
    assert flops_per_image(TINY) > 1e6


def test_both_ways_are_measured_on_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "matrix_rate", lambda *_arguments, **_settings: 1e10)
    clip = film(Actor.from_seed(3), tmp_path / "a.mp4", seconds=0.4, px=160, seed=1)
    found, settings, notes = measure([clip], TINY)
    rates = {one.name: one for one in found}
    assert settings["clips"] == 1
    assert settings["faces_of_dataset"] == 4
    for way in ("dataset", "videos"):
        assert rates[f"{way}: end to end"].median > 0
        share = rates[f"{way}: share of its slowest stage alone"].median
        assert 0 < share < 250
    assert rates["dataset: end to end, faces"].median == pytest.approx(
        4 * rates["dataset: end to end"].median, rel=1e-4
    )
    assert any("core" in note for note in notes)


def test_no_clips_are_refused():
    with pytest.raises(UsageError, match="no clips"):
        measure([], TINY)
