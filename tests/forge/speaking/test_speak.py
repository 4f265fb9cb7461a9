"""Speech that was made says so: in its mark, its signature and its tags, whatever the file."""

import json

import numpy as np
import pytest

from forge.speaking.contract import EngineInfo, Phone, Speech
from forge.speaking.output import write_speech
from shared.audio.sound import Sound
from shared.cli import run
from shared.errors import UsageError
from shared.marking.files import read_marks
from shared.provenance.read import read_provenance
from shared.video.container import opened

RATE = 24_000


def murmur(seconds=5.0, rate=RATE):
    rng = np.random.default_rng(5)
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * 130 * order * time) / order for order in range(1, 20))
    return Sound((0.06 * tone * (1 + np.sin(8 * time)) + 0.02 * rng.normal(size=time.size)).astype(np.float32), rate)


@pytest.fixture
def engine(monkeypatch):
    """An engine of a murmur with two phones."""
    info = EngineInfo("hibari", "neural", "1", "heart", "ab" * 32, "Apache-2.0")
    speech = Speech(murmur(), info, (Phone("m", 0, 9000), Phone('"', 9000, RATE)))
    monkeypatch.setattr("forge.speaking.contract.say", lambda text, **_: speech)
    monkeypatch.setattr("shared.marking.sound.SPEEDS", (1.0,))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".m4a"])
def test_a_spoken_file_says_what_it_is(tmp_path, engine, capsys, suffix):
    out = tmp_path / f"said{suffix}"
    assert run(["--json", "forge", "speak", "Nine lamps.", "--out", str(out), "--phones", str(tmp_path / "p.csv")]) == 0
    document = json.loads(capsys.readouterr().out)
    known = read_provenance(out)
    assert known is not None
    assert known.valid
    assert known.says_fake
    assert known.embedded
    assert known.record["kind"] == "speech"
    assert known.record["statement"] == "synthetic speech"
    assert known.record["text"] == "Nine lamps."
    assert known.record["engine"] == "hibari"
    payload = read_marks(out).sound.payload
    assert payload.kind == "speech"
    assert payload.text == document["mark"]
    with opened(out) as container:
        tags = {**container.metadata, **container.streams.audio[0].metadata}
    assert any("synthetic speech" in value for value in tags.values())
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == '"m",0,9000,0.000000,0.375000'
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "what should be said"),
        (["one", "--file", "x.txt"], "what should be said"),
        (["--file", "absent.txt"], "does not exist"),
        (["...", "--out", "a.wav"], "nothing to say"),
        (["one", "--out", "a.opus"], "signature cannot be in a .opus"),
        (["one", "--out", "a.txt"], "not written as .txt"),
        (["one", "--engine", "espaek"], "did you mean espeak"),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, capsys, arguments, why):
    monkeypatch.chdir(tmp_path)
    assert run(["forge", "speak", *arguments]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.glob("*.wav")) == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["one", "--phones", "p.txt"], "not written as .txt"),
        (["one", "--phones", "p"], "file without suffix"),
        (["--file", "text.csv", "--phones", "./text.csv"], "also --out or --file"),
    ],
)
def test_times_of_phones_have_a_file_of_their_own(tmp_path, monkeypatch, capsys, arguments, why):
    monkeypatch.setattr("forge.speaking.contract.say", lambda *_, **__: pytest.fail("spoken"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.csv").write_text("Nine lamps.")
    assert run(["forge", "speak", *arguments]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
    assert [one.name for one in tmp_path.iterdir()] == ["text.csv"]


def test_times_of_phones_are_asked_of_an_engine_that_has_none(tmp_path, engine, monkeypatch, capsys):
    info = EngineInfo("hibari", "neural", "1", "heart", "ab" * 32, "Apache-2.0")
    monkeypatch.setattr("forge.speaking.contract.say", lambda text, **_: Speech(murmur(1.0), info))
    out = tmp_path / "a.wav"
    assert run(["forge", "speak", "one", "--out", str(out), "--phones", str(tmp_path / "p.csv")]) == 2
    assert "does not tell the times" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_what_cannot_carry_a_mark_is_not_written(tmp_path):
    with pytest.raises(UsageError, match="carries no mark"):
        write_speech(tmp_path / "a.wav", murmur(1.0, 4000), manipulation="x", facts={})


def test_engines_are_listed(capsys):
    assert run(["--json", "forge", "engines"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)["engines"]}
    assert "heart" in listed["hibari"]["voices"] or listed["hibari"]["missing"]
    assert set(listed) == {"espeak", "festival", "flite", "hibari", "piper"}
