"""``assay forge train-text`` and ``assay forge speak --run``."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from forge.speaking.conversion.checkpoint import load_voice_model
from forge.speaking.reading import read as reading
from forge.speaking.reading.checkpoint import load_text_model
from forge.speaking.reading.read import read_text
from shared.audio.reading import read_sound
from shared.cli import run
from shared.errors import CheckpointError, SpeechError, UsageError
from shared.marking.sound import read_sound_mark
from shared.provenance.read import read_provenance
from tests.forge.speaking.reading.conftest import HumEngine

TEXT = "Nine small lamps burned behind the wooden door of the mill and nobody knew why."


def test_a_text_in_a_trained_voice_says_what_it_is(text_run, tmp_path, capsys):
    out, phones = tmp_path / "out.flac", tmp_path / "out.csv"
    arguments = ["--run", str(text_run), "--identity", "r1", "--out", str(out), "--phones", str(phones)]
    assert run(["--json", "forge", "speak", " ".join([TEXT] * 3), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    sound = read_sound(out)
    known = read_provenance(out)
    assert known is not None
    assert known.valid
    assert known.says_fake
    record = known.record
    assert (record["kind"], record["label"], record["statement"]) == ("speech", "fake", "synthetic speech")
    assert (record["identity"], record["identity_rights"], record["rights"]) == ("r1", "consent", "consent")
    assert record["phones_by"] == "hum 1, low"
    assert record["text"].startswith("Nine small lamps")
    assert len(record["weights_sha256"]) == len(record["text_weights_sha256"]) == 64
    assert record["segments"] == f"0-{len(sound)}"
    assert told["engine"]["name"] == "hum"
    found = read_sound_mark(sound.samples, sound.rate)
    assert found.payload is not None
    assert found.payload.text == told["mark"]
    rows = list(csv.DictReader(phones.open()))
    assert [row["phone"] for row in rows[:4]] == ["n", "i", "n", "e"]
    assert int(rows[-1]["stop"]) == len(sound)


def test_training_by_the_command(voice_run, tmp_path, capsys):
    (tmp_path / "small.toml").write_text('engine = "hum"\nwidth = 12\nbatch = 2\ndevice = "cpu"\n')
    arguments = ["--voices", "low", "--sentences", "3", "--steps", "2", "--config", str(tmp_path / "small.toml")]
    assert run(["--json", "forge", "train-text", str(voice_run), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["engine"], told["voices"], told["steps"], told["sentences"]) == ("hum", ["low"], 2, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--identity", "r1"], 2, "of which run"),
        (["--run", "RUN"], 2, "which identity"),
        (["--run", "RUN", "--identity", "r1", "--engine", "hum"], 2, "does not go with --run"),
        (["--run", "RUN", "--identity", "bob"], 2, "no identity 'bob'"),
        (["--run", "RUN", "--identity", "r1", "--voice", "dumb"], 2, "did not learn from a voice 'dumb'"),
        (["--run", "NOWHERE", "--identity", "r1"], 1, "voice.json"),
    ],
)
def test_wrong_usage(text_run, tmp_path, capsys, arguments, code, why):
    places = {"RUN": str(text_run), "NOWHERE": str(tmp_path / "nowhere")}
    out = tmp_path / "out.wav"
    assert run(["forge", "speak", TEXT, "--out", str(out), *(places.get(each, each) for each in arguments)]) == code
    assert why in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_run_without_a_text_encoder(voice_run, tmp_path, capsys):
    arguments = ["--run", str(voice_run), "--identity", "r1", "--out", str(tmp_path / "out.wav")]
    assert run(["forge", "speak", TEXT, *arguments]) == 1
    assert "has no text encoder" in " ".join(capsys.readouterr().err.split())
    assert run(["forge", "train-text", str(tmp_path / "nowhere")]) == 1


def test_readings_last_as_long_as_the_engines_speech(text_run):
    model = load_voice_model(text_run)
    encoder = load_text_model(text_run, model)
    one, other = (read_text(TEXT, model, encoder, name, seed=3) for name in ("r0", "r1"))
    again = read_text(TEXT, model, encoder, "r0", seed=3)
    assert len(one.sound) == len(other.sound) == 800 * sum(map(str.isalpha, TEXT))
    assert np.array_equal(one.sound.samples, again.sound.samples)
    assert not np.array_equal(one.sound.samples, other.sound.samples)
    assert one.phones == other.phones
    with pytest.raises(UsageError, match="nothing to say"):
        read_text("...", model, encoder, "r0")


def test_what_the_engine_cannot_pronounce_is_refused(text_run, monkeypatch):
    model = load_voice_model(text_run)
    encoder = load_text_model(text_run, model)
    spoken = HumEngine().speak(TEXT, voice="low", seed=0)
    silent = replace(spoken, sound=spoken.sound.with_samples(spoken.sound.samples * 0.001))
    monkeypatch.setattr(reading, "say", lambda *args, **more: silent)
    with pytest.raises(SpeechError, match="pronounces nothing"):
        read_text(TEXT, model, encoder, "r0")


def test_phones_that_were_never_heard_are_named(text_run, capsys):
    model = load_voice_model(text_run)
    encoder = load_text_model(text_run, model)
    letters = ("aa", *encoder.facts.inventory[1:])
    fewer = replace(encoder, facts=replace(encoder.facts, inventory=letters))
    read_text(encoder.facts.inventory[0] * 20, model, fewer, "r0")
    assert f"never heard are guessed: {encoder.facts.inventory[0]}" in " ".join(capsys.readouterr().err.split())


def test_weights_that_are_no_numbers_in_the_end_are_a_sentence(text_run):
    model = load_voice_model(text_run)
    encoder = load_text_model(text_run, model)
    with torch.no_grad():
        for each in encoder.encoder.parameters():
            each.mul_(1e30)
    with pytest.raises(CheckpointError, match="no numbers"):
        read_text(TEXT, model, encoder, "r0")
