from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forge.quality import dataset
from forge.quality.dataset import Case, measure_dataset
from forge.quality.features import ClipFeatures
from forge.quality.kept import SUMMARY, KeptResults, measured_by
from forge.quality.measure import Instruments, measure_swap
from shared.cli import run
from shared.errors import StorageError
from tests.forge.quality.test_dataset import Fixed, clip


class Features:
    """Stands for the network: the mean colour of a crop, twice."""

    name, source = "colour", "none"

    def pooled(self, crops: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.tile(crop.mean((0, 1)) / 255, 2) for crop in crops]).astype(np.float32)

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a.astype(float) - b).mean())


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    return [Case(path, path) for path in (clip(tmp_path / f"{level}.mp4", level) for level in (1, 2, 3))]


def instruments() -> Instruments:
    return Instruments(Fixed(), features=Features())  # type: ignore[arg-type]


def kept_in(folder: Path, **changes: Any) -> KeptResults:
    settings = measured_by(instruments(), {}, last=1.0, swapper=None)
    return KeptResults(folder / "out.json", settings | changes)


class Stopping:
    """``measure_swap`` that an interrupt ends at the fakes of some names; remembers the fakes it is given."""

    def __init__(self, *stops: str) -> None:
        self.stops, self.seen = stops, []

    def __call__(self, fake: Path, *given: Any, **named: Any) -> Any:
        self.seen.append(fake.name)
        if fake.name in self.stops:
            raise KeyboardInterrupt
        return measure_swap(fake, *given, **named)


def test_what_was_measured_is_not_measured_again_and_counts_alike(cases, tmp_path, monkeypatch):
    whole = measure_dataset(cases, instruments(), {}).document()
    partial: list[dataset.DatasetQuality] = []
    monkeypatch.setattr(dataset, "measure_swap", Stopping("3.mp4"))
    with pytest.raises(KeyboardInterrupt):
        measure_dataset(cases, instruments(), {}, kept=kept_in(tmp_path), stopped=partial.append)
    document = partial[0].document()
    assert (document["partial"], document["left"]) == (True, 1)
    assert [one["id"] for one in document["quality"]] == ["1.mp4", "2.mp4"]
    assert document["notes"][0].startswith("Partial: the measurement was stopped before 1 fake")
    second = Stopping()
    monkeypatch.setattr(dataset, "measure_swap", second)
    kept = kept_in(tmp_path)
    again = measure_dataset(cases, instruments(), {}, kept=kept).document()
    assert second.seen == ["3.mp4"]
    assert kept.reused == 2
    assert "frechet_colour" in {one["metric"] for one in again["summary"]}
    assert json.dumps(again) == json.dumps(whole)


@pytest.mark.parametrize("change", [{"last": 0.5}, {"finder": {}}, {"swapper": "ab"}, {"people": {"a": "b"}}])
def test_of_other_settings_nothing_is_used(cases, tmp_path, change):
    measure_dataset(cases[:1], instruments(), {}, kept=kept_in(tmp_path))
    assert kept_in(tmp_path).find(cases[0], None) is not None
    assert kept_in(tmp_path, **change).find(cases[0], None) is None


def test_of_another_file_of_that_name_nothing_is_used(cases, tmp_path):
    measure_dataset(cases[:1], instruments(), {}, kept=kept_in(tmp_path))
    cases[0].fake.write_bytes(cases[1].fake.read_bytes())
    assert kept_in(tmp_path).find(cases[0], None) is None


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b'{"clip": 1}'])
def test_what_cannot_be_read_is_measured_again(cases, tmp_path, monkeypatch, suffix, content):
    measure_dataset(cases[:1], instruments(), {}, kept=kept_in(tmp_path))
    for file in (tmp_path / "out.json.partial").glob(f"*.{suffix}"):
        file.write_bytes(content)
    again = Stopping()
    monkeypatch.setattr(dataset, "measure_swap", again)
    measure_dataset(cases[:1], instruments(), {}, kept=kept_in(tmp_path))
    assert again.seen == ["1.mp4"]


def test_a_picture_that_is_wanted_and_missing_is_made(cases, tmp_path, monkeypatch):
    measure_dataset(cases[:1], instruments(), {}, kept=kept_in(tmp_path))
    again = Stopping()
    monkeypatch.setattr(dataset, "measure_swap", again)
    for _ in range(2):
        measure_dataset(cases[:1], instruments(), {}, kept=kept_in(tmp_path), sheets=tmp_path / "sheets")
    assert again.seen == ["1.mp4"]
    assert (tmp_path / "sheets" / "1.mp4.jpg").is_file()


def test_a_fake_without_features_is_kept_too(cases, tmp_path):
    kept, found = kept_in(tmp_path), ClipFeatures([np.ones(3)], [np.ones(3)])
    result = measure_swap(cases[0].fake, cases[0].target, Instruments(Fixed()))
    kept.keep(cases[0], result, ClipFeatures())
    assert kept.find(cases[0], found) == result
    assert (found.fake, found.target) == ([], [])


def test_only_its_own_files_are_removed(tmp_path):
    kept = kept_in(tmp_path)
    kept.folder.mkdir()
    (kept.folder / "notes.txt").write_text("mine")
    (kept.folder / f"{'a' * 64}.json").write_text("{}")
    kept.summarise({"partial": True})
    kept.remove()
    assert [file.name for file in kept.folder.iterdir()] == ["notes.txt"]


def test_a_disk_that_is_full_is_no_failure_of_the_fake(cases, tmp_path, monkeypatch):
    def full(*_given: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("forge.quality.kept.write_bytes", full)
    with pytest.raises(StorageError, match="full"):
        measure_dataset(cases, instruments(), {}, kept=kept_in(tmp_path))


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _light(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.faces.finders.finder.make_finder", lambda *_given, **_named: Fixed())
        monkeypatch.setattr("forge.quality.features.load_features", lambda _place: Features())
        monkeypatch.setattr("forge.quality.features.load_lpips", lambda _place: None)

    def words(self, tmp_path: Path, *more: str) -> list[str]:
        one, two = clip(tmp_path / "1.mp4", 1), clip(tmp_path / "2.mp4", 2)
        return ["forge", "quality", str(one), str(two), "--target", str(one), *more]

    def test_stopped_it_shows_and_keeps_and_the_same_command_goes_on(self, tmp_path, monkeypatch, capsys):
        out = tmp_path / "quality.json"
        words = self.words(tmp_path, "--out", str(out))
        monkeypatch.setattr(dataset, "measure_swap", Stopping("2.mp4"))
        assert run(words) == 130
        told = " ".join(capsys.readouterr().out.split())
        assert "Partial: the measurement was stopped before 1 fake" in told
        assert "partial results:" in told
        assert not out.exists()
        kept = json.loads((tmp_path / "quality.json.partial" / SUMMARY).read_text())
        assert (kept["partial"], [one["id"] for one in kept["quality"]]) == (True, ["1.mp4"])
        second = Stopping()
        monkeypatch.setattr(dataset, "measure_swap", second)
        assert run(words) == 0
        assert second.seen == ["2.mp4"]
        assert "1 fake of 2 had been measured before this call" in " ".join(capsys.readouterr().out.split())
        document = json.loads(out.read_text())
        assert [one["id"] for one in document["quality"]] == ["1.mp4", "2.mp4"]
        assert "partial" not in document
        assert not (tmp_path / "quality.json.partial").exists()

    def test_without_a_file_it_says_what_would_keep_it(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(dataset, "measure_swap", Stopping("2.mp4"))
        assert run(self.words(tmp_path)) == 130
        assert "nothing of this is kept without --out FILE" in " ".join(capsys.readouterr().out.split())
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1.mp4", "2.mp4"]

    def test_stopped_before_anything_it_shows_nothing(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(dataset, "measure_swap", Stopping("1.mp4"))
        assert run(self.words(tmp_path, "--out", str(tmp_path / "quality.json"))) == 130
        assert "Partial" not in capsys.readouterr().out
