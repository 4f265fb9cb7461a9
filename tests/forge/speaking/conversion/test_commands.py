"""``assay forge train-voice`` and ``assay forge convert``."""

import json

import pytest

from shared.audio.reading import read_sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.marking.sound import read_sound_mark
from shared.provenance.read import read_provenance
from tests.forge.speaking.conversion.conftest import RATE, hum

SETTINGS = """width = 12
code = 4
rank = 2
batch = 2
frames = 32
device = "cpu"
"""


@pytest.fixture
def trained(voicesets, tmp_path, capsys):
    (tmp_path / "small.toml").write_text(SETTINGS)
    voices = [str(one.path) for one in voicesets]
    arguments = ["--population", voices[2], "--steps", "2", "--config", str(tmp_path / "small.toml")]
    assert run(["--json", "forge", "train-voice", *voices[:2], "--run", str(tmp_path / "run"), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["identities"]] == ["r0", "r1"]
    assert told["steps"] == 2
    return tmp_path / "run"


def test_a_conversion_says_what_it_is(trained, tmp_path, capsys):
    source, out = tmp_path / "ann.wav", tmp_path / "out.flac"
    write_sound(source, hum(6.0, 120))
    arguments = ["forge", "convert", str(trained), str(source), "--out", str(out)]
    assert run(["--json", *arguments, "--to", "r1", "--rights", "consent"]) == 0
    told = json.loads(capsys.readouterr().out)
    sound = read_sound(out)
    assert (sound.rate, len(sound)) == (RATE, 6 * RATE)
    known = read_provenance(out)
    assert known is not None
    assert known.valid
    assert known.says_fake
    assert known.record["kind"] == "speech"
    assert known.record["statement"] == "synthetic speech"
    assert (known.record["identity"], known.record["identity_rights"]) == ("r1", "consent")
    assert len(known.record["weights_sha256"]) == 64
    found = read_sound_mark(sound.samples, sound.rate)
    assert found.payload is not None
    assert found.payload.text == told["mark"]
    assert run([*arguments, "--to", "bob", "--rights", "consent"]) == 2
    assert run([*arguments, "--to", "r1", "--rights", ""]) == 2
    assert (
        run(["forge", "convert", str(trained), str(source), "--out", str(source), "--to", "r1", "--rights", "x"]) == 2
    )
    assert "the recording itself" in " ".join(capsys.readouterr().err.split())


def test_no_model_is_an_error(tmp_path):
    source = tmp_path / "ann.wav"
    write_sound(source, hum(1.0, 120))
    arguments = ["forge", "convert", str(tmp_path), str(source), "--to", "r1", "--rights", "x", "--out"]
    assert run([*arguments, str(tmp_path / "out.wav")]) == 1
    assert not (tmp_path / "out.wav").exists()
