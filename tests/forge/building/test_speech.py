"""``[speech]`` of a build: planned and refused before any work, split by the same people, made last, gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.toy_set import toy_set
from forge.speaking.building import build as speaking
from shared.audio.writing import write_sound
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.speechsets.folder import read_speech_set, verify
from shared.speechsets.splits import speaker_splits
from shared.voices.extract import extract_voice
from shared.voices.layout import ExtractSettings
from tests.forge.speaking.conversion.conftest import hum

SPEECH = """
[speech]
voices = ["voices"]
engines = []
vocoders = ["griffin-lim"]
codecs = ["none"]
per_speaker = 1
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of four toy people's clips without fakes, and the voices of two of them and of somebody else."""
    monkeypatch.setattr("shared.voices.extract.speech_spans", lambda sound, _=None: [(0, len(sound))])
    monkeypatch.setattr("forge.speaking.vocoders._ROUNDS", 2)
    path = toy_set(tmp_path / "clips", groups=(2, 2), frames=4)
    text = path.read_text()
    path.write_text(text[: text.index("[[swapper]]")] + SPEECH)
    for number, name in enumerate(("p1", "p2", "zoe")):
        file = tmp_path / f"{name}.wav"
        write_sound(file, hum(1.6, 100 + 30 * number, seed=number))
        extract_voice([file], tmp_path / "clips" / "voices" / name, ExtractSettings(name, "consent"))
    return path


@pytest.fixture
def build(tmp_path: Path, settings: Path) -> Callable[..., int]:
    """Runs the build with some further options."""
    return lambda *more: run(["--json", "forge", "build", str(settings), "--out", str(tmp_path / "set"), *more])


def test_faces_and_speech_are_split_by_the_same_people(build, tmp_path, capsys):
    out = tmp_path / "set"
    assert build("--dry-run") == 0
    assert json.loads(capsys.readouterr().out)["speech"] == 9
    assert not out.exists()
    assert build("--jobs", "1") == 0
    assert json.loads(capsys.readouterr().out)["speech"] == 9
    assert DatasetFolder.open(out).verify(deep=True) == []
    assert verify(out / "speech") == []
    assert run(["dataset", "verify-speech", str(out / "speech")]) == 0
    opened = read_speech_set(out / "speech")
    assert (opened.info.name, opened.info.license) == ("toy-speech", "CC0-1.0")
    assert {each.manipulation for each in opened.records} == {None, "griffin-lim", "griffin-lim-in-part"}
    splits = {each.speaker: each.split for each in opened.records}
    assert (splits["p1"], splits["p2"], splits["zoe"]) == ("train", "test", "val")
    capsys.readouterr()
    assert build() == 0
    assert json.loads(capsys.readouterr().out)["made"] == 0


def test_a_stopped_build_goes_on(build, tmp_path, monkeypatch):
    append, calls = speaking.append, []

    def stopping(path, record):
        append(path, record)
        calls.append(record.id)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(speaking, "append", stopping)
    assert build("--jobs", "1") == 130
    monkeypatch.setattr(speaking, "append", append)
    assert build() == 0
    records = read_speech_set(tmp_path / "set" / "speech").records
    assert [each.id for each in records][:4] == calls
    assert len(records) == 9
    assert verify(tmp_path / "set" / "speech") == []


@pytest.mark.parametrize(
    ("old", "new", "code", "why"),
    [
        ('voices = ["voices"]', 'voices = ["nowhere"]', 1, "holds no voiceset"),
        ('voices = ["voices"]', "voices = []", 2, "names no voices"),
        ('vocoders = ["griffin-lim"]', 'vocoders = ["griffin-lin"]', 2, "did you mean griffin-lim"),
        ('vocoders = ["griffin-lim"]', 'vocoders = ["istft"]', 2, "of which run"),
        ("per_speaker = 1", 'convert = "runs/voices"', 1, "voice.json"),
        ("per_speaker = 1", "per_speakers = 1", 2, "per_speakers"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_work(build, settings, tmp_path, capsys, old, new, code, why):
    settings.write_text(settings.read_text().replace(old, new))
    assert build() == code
    assert why in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "set").exists()


def test_other_settings_are_refused_before_any_work(build, settings, capsys):
    assert build("--jobs", "1") == 0
    settings.write_text(settings.read_text().replace("per_speaker = 1", "per_speaker = 1\nlight = 0.25"))
    capsys.readouterr()
    assert build("--dry-run") == 2
    assert "was begun with other voices or settings" in " ".join(capsys.readouterr().err.split())


def test_known_people_keep_their_split_and_others_fill_the_empty_ones():
    known = {"ann": "train", "bob": "test", "nobody": "val"}
    assert speaker_splits(["ann", "bob"], seed=0, known=known) == {"ann": "train", "bob": "test"}
    assert speaker_splits(["ann", "bob", "cleo"], seed=0, known=known)["cleo"] == "val"
    names = [f"p{number}" for number in range(20)]
    assert speaker_splits(names, seed=3, known={}) == speaker_splits(names, seed=3)
    found = speaker_splits(names, seed=3, known=dict.fromkeys(names[:15], "train"))
    assert sorted(found[name] for name in names[15:]).count("train") == 0
