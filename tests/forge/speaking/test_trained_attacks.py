"""A set of speech with readings and twins of trained models: labels, rights, splits, and builds that go on."""

import csv

import pytest

from forge.speaking.conversion.checkpoint import load_voice_model
from forge.speaking.reading.checkpoint import load_text_model
from forge.speaking.reading.training import train_text
from shared.audio.writing import write_sound
from shared.cli import run
from shared.provenance.read import read_provenance
from shared.speechsets.folder import read_speech_set, verify
from shared.voices.extract import extract_voice
from shared.voices.layout import ExtractSettings
from tests.forge.speaking.conversion.conftest import hum, voicesets
from tests.forge.speaking.reading.conftest import SMALL_TEXT, hum_engine, text_run, trained, voice_run
from tests.forge.speaking.vocoding.conftest import vocoder_run

__all__ = ["hum_engine", "text_run", "trained", "vocoder_run", "voice_run", "voicesets"]


@pytest.fixture
def speakers(voicesets, tmp_path):
    """Three speakers who are no identities of the models, and one who is: s0, s1, s2 and r1."""
    for name, pitch in (("s0", 95), ("s1", 130), ("s2", 170), ("r1", 145)):
        file = tmp_path / f"{name}.wav"
        write_sound(file, hum(1.6, pitch, seed=pitch))
        extract_voice([file], tmp_path / "speakers" / name, ExtractSettings(name, f"consent of {name}"))
    return tmp_path / "speakers"


def build(speakers, out, *more):
    return run(["forge", "speech-set", str(speakers), "--out", str(out), "--per-speaker", "1", "--codecs", "none",
                "--engines", "", *more])  # fmt: skip


def test_readings_are_labelled_signed_and_apart_by_split(speakers, text_run, tmp_path, capsys):
    out = tmp_path / "set"
    assert build(speakers, out, "--vocoders", "", "--read", str(text_run)) == 0
    opened = read_speech_set(out)
    assert opened.info.manipulations == ("reading",)
    voice = load_voice_model(text_run)
    encoder = load_text_model(text_run, voice)
    digests = f"{voice.weights_sha256[:16]} {encoder.weights_sha256[:16]}"
    assert opened.info.made_with == (f"reading {digests}, phones by hum 1",)
    made = [each for each in opened.records if each.manipulation == "reading"]
    assert len(made) == 4
    split_of = {each.speaker: each.split for each in opened.records}
    for each in made:
        name = each.voice.removeprefix("reading:")
        assert split_of.get(name, each.split) == each.split
        assert (each.label, each.kind, each.rights, each.parent) == (
            "fake", "speech", "consent", f"set/real/{each.speaker}-0000")  # fmt: skip
        assert each.spans == ((0, round(each.seconds * 16_000)),)
        known = read_provenance(opened.file(each))
        assert known.says_fake
        record = known.record
        assert (record["identity"], record["identity_rights"], record["text"]) == (name, "consent", each.text)
        assert record["weights_sha256"] == voice.weights_sha256
        assert record["text_weights_sha256"] == encoder.weights_sha256
        assert (record["speaker"], record["vocoder"]) == (each.speaker, "griffin-lim")
        assert record["phones_by"] == "hum 1, low"
    assert len({each.text for each in made}) == 4
    rows = [row for row in csv.DictReader((out / "speech.csv").open()) if row["engine"] == "reading"]
    assert {row["speaker"]: row["parent"] for row in rows} == {
        name: f"media/real/{name}-0000.flac" for name in ("s0", "s1", "s2", "r1")
    }
    assert verify(out) == []
    assert build(speakers, out, "--vocoders", "", "--read", str(text_run)) == 0
    train_text(text_run, SMALL_TEXT, steps=3)
    assert build(speakers, out, "--vocoders", "", "--read", str(text_run)) == 2
    assert "was begun with other versions: reading" in " ".join(capsys.readouterr().err.split())


def test_a_stopped_build_goes_on_and_ends_the_same(speakers, text_run, tmp_path, monkeypatch):
    from forge.speaking.building import build as building

    arguments = ["--vocoders", "", "--read", str(text_run)]
    assert build(speakers, tmp_path / "a" / "set", *arguments) == 0
    append, calls = building.append, []

    def stopping(path, record):
        append(path, record)
        calls.append(record.id)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(building, "append", stopping)
    assert build(speakers, tmp_path / "b" / "set", *arguments) == 130
    monkeypatch.setattr(building, "append", append)
    assert build(speakers, tmp_path / "b" / "set", *arguments) == 0
    one, two = (read_speech_set(tmp_path / name / "set").records for name in ("a", "b"))
    assert [(each.id, each.content_sha256) for each in one] == [(each.id, each.content_sha256) for each in two]


def test_readings_need_a_text_encoder_and_a_voice_for_everybody(speakers, voice_run, text_run, tmp_path, capsys):
    for name in ("s0", "s1", "s2"):
        (speakers / name).rename(tmp_path / name)
    (tmp_path / "voices" / "r0").rename(speakers / "r0")
    (tmp_path / "voices" / "r2").rename(speakers / "r2")
    assert build(speakers, tmp_path / "set", "--vocoders", "", "--read", str(text_run)) == 2
    assert "no identity for r2" in " ".join(capsys.readouterr().err.split())
    (text_run / "text").rename(tmp_path / "text")
    assert build(speakers, tmp_path / "set", "--vocoders", "", "--read", str(voice_run)) == 1
    assert "has no text encoder" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "set").exists()


def test_a_trained_vocoder_makes_twins_and_what_models_say(speakers, text_run, vocoder_run, tmp_path, capsys):
    out = tmp_path / "set"
    more = ["--read", str(text_run), "--convert", str(text_run), "--vocoder-run", str(vocoder_run)]
    assert build(speakers, out, "--vocoders", "istft", *more) == 0
    opened = read_speech_set(out)
    assert {each.manipulation for each in opened.records} == {
        None, "istft", "istft-in-part", "conversion", "reading"
    }  # fmt: skip
    assert opened.info.made_with[-1].startswith("istft ")
    for each in opened.records:
        record = read_provenance(opened.file(each)).record
        assert record.get("vocoder") == ("istft" if each.label == "fake" else None)
        assert len(record.get("vocoder_weights_sha256", "")) == (64 if each.label == "fake" else 0)
    assert verify(out) == []
    for arguments, why in (
        (["--vocoders", "istft"], "of which run"),
        (["--vocoders", "griffin-lim", "--vocoder-run", str(vocoder_run)], "nothing in the set is made by the run"),
    ):
        assert build(speakers, tmp_path / "other", *arguments) == 2
        assert why in " ".join(capsys.readouterr().err.split())
