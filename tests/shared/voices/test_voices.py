"""Voicesets: what is speech is kept, what cannot be used is said, through the command line."""

import hashlib
import json

import numpy as np
import pytest

from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.cli import run
from shared.errors import VoicesetError
from shared.voices.extract import _cut_to_length
from shared.voices.reader import read_voiceset, voicesets_in

RATE = 16_000


def probabilities(sound):
    """A stand-in for the network: what is loud is speech."""
    size = 512
    padded = np.pad(sound.samples, (0, -len(sound) % size)).reshape(-1, size)
    return (np.abs(padded).max(axis=1) > 0.01).astype(np.float32) * 0.9


def speech(*stretches, gain=0.3):
    """Tones of these lengths, in seconds, with half a second of silence around each."""
    quiet = np.zeros(RATE // 2, np.float32)
    parts = [quiet]
    for seconds in stretches:
        time = np.arange(round(seconds * RATE)) / RATE
        parts += [(gain * np.sin(2 * np.pi * 180 * time) * (0.6 + 0.4 * np.sin(9 * time))).astype(np.float32), quiet]
    return Sound(np.concatenate(parts), RATE)


@pytest.fixture(autouse=True)
def _loud_is_speech(monkeypatch):
    monkeypatch.setattr("shared.audio.speech.speech_probabilities", probabilities)
    monkeypatch.setattr("shared.voices.extract.speech_probabilities", probabilities)


@pytest.fixture
def recording(tmp_path):
    write_sound(tmp_path / "ann.wav", speech(2.0, 0.4, 1.5))
    return tmp_path / "ann.wav"


def test_a_voiceset_is_made_listed_and_shown(tmp_path, recording, capsys):
    out = tmp_path / "voices" / "ann"
    arguments = ["voices", "extract", str(recording), "--rights", "consent", "--out", str(out), "--identity", "ann"]
    assert run(arguments) == 0
    made = read_voiceset(out)
    assert [round(one.seconds, 1) for one in made.utterances] == [2.2, 1.7]
    assert made.info.left_out == {"too short": 1}
    assert made.info.rights == "consent"
    assert not made.info.synthetic
    first = made.sound(0)
    numerator, denominator = map(int, made.utterances[0].start.split("/"))
    begin = numerator * RATE // denominator
    whole = speech(2.0, 0.4, 1.5).samples
    assert np.abs(first.samples - whole[begin : begin + len(first)]).max() < 1e-3
    capsys.readouterr()
    assert run(["--json", "voices", "list", str(tmp_path / "voices")]) == 0
    assert json.loads(capsys.readouterr().out)["voicesets"][0]["identity"] == "ann"
    assert run(["--json", "voices", "show", str(out)]) == 0
    assert len(json.loads(capsys.readouterr().out)["lines"]) == 2
    assert run(arguments) == 2
    assert run([*arguments, "--force"]) == 0


def test_a_known_text_makes_one_utterance(tmp_path, recording):
    (tmp_path / "t.txt").write_text("ann the words that are said\n\nother ones\n")
    out = tmp_path / "v"
    assert run(["voices", "extract", str(recording), "--rights", "consent", "--out", str(out), "--identity", "ann",
                "--texts", str(tmp_path / "t.txt")]) == 0  # fmt: skip
    (only,) = read_voiceset(out).utterances
    assert only.text == "the words that are said"
    assert only.seconds == pytest.approx(5.0, abs=0.2)


def test_each_recording_is_a_person(tmp_path, recording, capsys):
    (tmp_path / "in").mkdir()
    recording.rename(tmp_path / "in" / "ann.wav")
    write_sound(tmp_path / "in" / "bob.flac", speech(1.2))
    write_sound(tmp_path / "in" / "carl.flac", speech(0.3))
    assert run(["voices", "extract", str(tmp_path / "in"), "--each", "--rights", "consent", "--out",
                str(tmp_path / "v")]) == 0  # fmt: skip
    assert [path.name for path in voicesets_in(tmp_path / "v")] == ["ann", "bob"]
    told = " ".join(capsys.readouterr().err.split())
    assert "no voiceset of carl: no utterance" in told
    assert "1 too short" in told


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (Sound(np.zeros(3 * RATE, np.float32), RATE), "is silent"),
        (Sound(speech(2.0).samples[:48_000:4], 4000), "4000 samples a second"),
        (Sound(np.clip(9 * speech(2.0).samples, -1, 1), RATE), "1 clipped"),
        (speech(0.3), "1 too short"),
        (speech(2.0, gain=0.0), "is silent"),
    ],
)
def test_what_is_no_voice_is_one_sentence(tmp_path, capsys, sound, why):
    write_sound(tmp_path / "a.wav", sound)
    out = tmp_path / "v"
    code = run(["voices", "extract", str(tmp_path / "a.wav"), "--rights", "consent", "--out", str(out),
                "--identity", "ann"])  # fmt: skip
    assert code == 1
    assert why in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (["--identity", "ann", "--rights", " "], "on what basis"),
        (["--rights", "consent"], "who speaks"),
        (["--identity", "a/b", "--rights", "consent"], "identity"),
        (["--identity", "ann", "--each", "--rights", "consent"], "called like the file"),
        (["--identity", "ann", "--rights", "consent", "--longest", "0.5"], "longest length"),
        (["--identity", "ann"], "--rights"),
    ],
)
def test_wrong_usage(tmp_path, recording, capsys, extra, why):
    assert run(["voices", "extract", str(recording), "--out", str(tmp_path / "v"), *extra]) == 2
    assert why in " ".join(capsys.readouterr().err.split())


def test_a_marked_recording_is_known_to_be_synthetic(tmp_path):
    from shared.marking.payload import Payload
    from shared.marking.sound import mark_sound

    rng = np.random.default_rng(3)
    noisy = (0.05 * rng.normal(size=5 * RATE)).astype(np.float32)
    write_sound(tmp_path / "a.wav", Sound(mark_sound(noisy, RATE, Payload.of("speech", "ab" * 32)), RATE))
    assert run(["voices", "extract", str(tmp_path / "a.wav"), "--rights", "consent", "--out", str(tmp_path / "v"),
                "--identity", "ann"]) == 0  # fmt: skip
    assert read_voiceset(tmp_path / "v").info.synthetic


def marked(path, kind, *, quiet=0.0):
    """A recording with a mark, and silence before it."""
    from shared.marking.payload import Payload
    from shared.marking.sound import mark_sound

    noisy = (0.05 * np.random.default_rng(3).normal(size=5 * RATE)).astype(np.float32)
    samples = mark_sound(noisy, RATE, Payload.of(kind, "ab" * 32))
    write_sound(path, Sound(np.concatenate([np.zeros(round(quiet * RATE), np.float32), samples]), RATE))
    return ["voices", "extract", str(path), "--rights", "consent", "--out", str(path.parent / "v"),
            "--identity", "ann"]  # fmt: skip


def test_a_mark_behind_long_silence_is_found(tmp_path):
    assert run(marked(tmp_path / "a.wav", "speech", quiet=12.0)) == 0
    assert read_voiceset(tmp_path / "v").info.synthetic


def test_the_mark_of_a_set_without_a_signature_is_refused(tmp_path, capsys):
    assert run(marked(tmp_path / "a.wav", "set")) == 1
    assert "the mark of a set" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "v").exists()


def test_a_damaged_voiceset_is_refused(tmp_path, recording):
    out = tmp_path / "v"
    assert run(["voices", "extract", str(recording), "--rights", "consent", "--out", str(out), "--identity", "a"]) == 0
    table = (out / "utterances.jsonl").read_text()
    (out / "utterances.jsonl").write_text(table.splitlines()[0] + "\n")
    with pytest.raises(VoicesetError, match="states 2 utterances and lists 1"):
        read_voiceset(out)
    (out / "utterances.jsonl").write_text(table.replace('"source":0', '"source":7'))
    with pytest.raises(VoicesetError, match="contradicts"):
        read_voiceset(out)
    moved = table.replace("sounds/", "../sounds/")
    (out / "utterances.jsonl").write_text(moved)
    with pytest.raises(VoicesetError, match="was changed"):
        read_voiceset(out)
    settings = (out / "voiceset.toml").read_text()
    old, new = (hashlib.sha256(text.encode()).hexdigest() for text in (table, moved))
    (out / "voiceset.toml").write_text(settings.replace(old, new))
    with pytest.raises(VoicesetError, match="would leave"):
        read_voiceset(out).sound(0)
    (out / "voiceset.toml").write_text(settings)
    (out / "utterances.jsonl").write_text(table)
    first = out / "sounds" / "00000000.flac"
    (out / "sounds" / "00000001.flac").replace(first)
    with pytest.raises(VoicesetError, match=r"00000000\.flac was changed"):
        read_voiceset(out).sound(0)
    with pytest.raises(VoicesetError, match="is missing"):
        read_voiceset(out).sound(1)


def test_long_speech_is_cut_where_it_is_least_likely(monkeypatch):
    sound = speech(30.0)
    chance = np.full(len(sound) // 512 + 1, 0.9, np.float32)
    chance[[260, 520, 700]] = 0.1
    monkeypatch.setattr("shared.voices.extract.speech_probabilities", lambda _: chance)
    spans = _cut_to_length(sound, [(8000, 8000 + 30 * RATE)], 12.0)
    assert all(stop - first <= 12 * RATE for first, stop in spans)
    assert [first for first, _ in spans[1:]] == [stop for _, stop in spans[:-1]]
    assert round(520.5 * 512) in [first for first, _ in spans]
