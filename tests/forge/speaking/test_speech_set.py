"""A set of speech: built, stopped and continued, sealed, verified and audited through the command line."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forge.speaking.contract import EngineInfo, Speech
from forge.speaking.sentences import phrase, sentence
from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.cli import run
from shared.errors import UsageError
from shared.provenance.read import read_provenance
from shared.speechsets.audit import PROBES
from shared.speechsets.folder import begin, list_of, read_speech_set, verify
from shared.speechsets.layout import SpeechSetInfo
from shared.voices.extract import extract_voice
from shared.voices.layout import ExtractSettings

RATE = 16_000


def hum(seconds, pitch, rate=RATE, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * pitch * order * time) / order for order in range(1, 12))
    gate = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
    return Sound((0.1 * tone * gate + 0.002 * rng.normal(size=time.size)).astype(np.float32), rate)


class _Engine:
    def missing(self):
        return None

    def voices(self):
        return ("one", "two")


@pytest.fixture
def voices(tmp_path, monkeypatch):
    """Four speakers with two utterances each, and an engine that hums as long as its text is."""
    from shared.audio.writing import write_sound

    monkeypatch.setattr("shared.voices.extract.speech_spans", lambda sound, _=None: [(0, len(sound))])
    for module in ("build", "members"):
        monkeypatch.setattr(f"forge.speaking.building.{module}.engine_named", lambda _: _Engine())
    monkeypatch.setattr("forge.speaking.vocoders._ROUNDS", 2)
    monkeypatch.setattr("shared.speechsets.audit._TREES", 10)

    def say(text, *, engine, voice=None, seed):
        return Speech(hum(0.3 + 0.06 * len(text), 210, 24_000), EngineInfo(engine, "neural", "1", voice, None, "x"))

    for module in ("build", "members"):
        monkeypatch.setattr(f"forge.speaking.building.{module}.say", say)
    for number in range(4):
        files = []
        for take in range(2):
            files.append(tmp_path / f"{number}-{take}.wav")
            write_sound(files[-1], hum(1.6 + 0.2 * take, 100 + 20 * number, seed=10 * number + take))
        extract_voice(files, tmp_path / "voices" / f"r{number}", ExtractSettings(f"r{number}", "consent"))
    return tmp_path / "voices"


def build(voices, out, *extra):
    return run(["forge", "speech-set", str(voices), "--out", str(out), "--per-speaker", "1", "--codecs",
                "none,g711-alaw", *extra])  # fmt: skip


def test_a_set_is_made_verified_and_audited(voices, tmp_path, capsys):
    out = tmp_path / "set"
    assert build(voices, out) == 0
    opened = read_speech_set(out)
    made_by = sorted({record.manipulation or "real" for record in opened.records})
    assert made_by == ["griffin-lim", "griffin-lim-in-part", "hibari", "hibari-in-part", "real"]
    assert len(opened.records) == 20
    for record in opened.records:
        group = [each for each in opened.records if record.speaker == each.speaker]
        assert len({each.seconds for each in group}) == 1
        assert len({json.dumps(each.chain) for each in group}) == 1
        assert len({each.split for each in group}) == 1
        sound = read_sound(opened.file(record))
        assert len(sound) == round(record.seconds * RATE)
        known = read_provenance(opened.file(record))
        assert known.valid
        assert known.says_fake == (record.label == "fake")
        assert known.record["manipulation"] == record.manipulation
    partial = next(record for record in opened.records if record.manipulation == "hibari-in-part")
    ((first, stop),) = partial.spans
    assert 0 < first < stop <= round(partial.seconds * RATE)
    assert partial.voice.startswith("hibari:")
    rows = (out / "speech.csv").read_text().splitlines()
    assert rows[0] == "path,label,speaker,engine,codec,split,spans,parent,chain"
    old = [replace(record, chain={"codec": "none"}) for record in opened.records]
    assert list_of(old).splitlines()[0] == "path,label,speaker,engine,codec,split,spans,parent"
    assert f"{first / RATE:.6f}-{stop / RATE:.6f}" in "\n".join(rows)
    assert run(["dataset", "verify-speech", str(out)]) == 0
    assert verify(out) == []
    capsys.readouterr()
    run(["--json", "dataset", "audit-speech", str(out)])
    probes = json.loads(capsys.readouterr().out)["probes"]
    assert {one["name"] for one in probes} == {probe.name for probe in PROBES}
    assert next(one for one in probes if one["name"] == "length")["area"] == 0.5


def test_a_stopped_build_goes_on_and_ends_the_same(voices, tmp_path, monkeypatch):
    quick = ["--vocoders", ""]
    whole, parts = tmp_path / "a" / "set", tmp_path / "b" / "set"
    assert build(voices, whole, *quick) == 0
    from forge.speaking.building import build as building

    real, calls = building.append, []

    def stopping(path, record):
        real(path, record)
        calls.append(record.id)
        if len(calls) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(building, "append", stopping)
    assert build(voices, parts, *quick) == 130
    with (parts / "manifest.jsonl").open("ab") as file:
        file.write(b'{"id": "half a li')
    monkeypatch.setattr(building, "append", real)
    assert build(voices, parts, *quick) == 0
    first, second = read_speech_set(whole).records, read_speech_set(parts).records
    assert [one.id for one in first] == [one.id for one in second]
    assert [one.content_sha256 for one in first] == [one.content_sha256 for one in second]
    assert build(voices, parts, *quick, "--seed", "5") == 2


@pytest.mark.parametrize("missing", [("media", "manifest.jsonl"), ("manifest.jsonl",)])
def test_a_set_stopped_while_it_was_begun_goes_on(tmp_path, missing):
    info = SpeechSetInfo("set", "other", 1, "ab", ("ann",), ("hibari",))
    out = tmp_path / "set"
    begin(out, info)
    for name in missing:
        (out / name).rmdir() if name == "media" else (out / name).unlink()
    assert begin(out, info).records == ()
    assert (out / "media").is_dir()
    assert (out / "manifest.jsonl").read_bytes() == b""
    with pytest.raises(UsageError, match="other voices or settings"):
        begin(out, replace(info, name="other"))


def test_what_was_changed_is_named(voices, tmp_path, capsys):
    out = tmp_path / "set"
    assert build(voices, out, "--vocoders", "") == 0
    opened = read_speech_set(out)
    fake = next(record for record in opened.records if record.label == "fake")
    data = bytearray(opened.file(fake).read_bytes())
    data[len(data) // 2] ^= 1
    opened.file(fake).write_bytes(bytes(data))
    (out / "speech.csv").write_text((out / "speech.csv").read_text().replace("fake", "real"))
    assert verify(out) == ["speech.csv: does not match the manifest", f"{fake.id}: the file was changed"]
    (out / "speech.csv").write_bytes(b"\xff")
    (out / "media" / "more.wav").write_bytes(b"x")
    assert "speech.csv: is no text in UTF-8" in verify(out)
    assert "media/more.wav: no line of the manifest names it" in verify(out)
    text = (out / "manifest.jsonl").read_text()
    (out / "manifest.jsonl").write_text(text.replace('"speaker":"r0"', '"speaker":"r9"'))
    assert any("record was changed" in problem for problem in verify(out))
    assert run(["dataset", "verify-speech", str(out)]) == 1
    assert "differs from its seal" in " ".join(capsys.readouterr().err.split())


def test_synthetic_voices_and_other_folders_are_refused(voices, tmp_path, capsys):
    settings = voices / "r0" / "voiceset.toml"
    settings.write_text(settings.read_text().replace('rights = "consent"', 'rights = "synthetic"'))
    assert build(voices, tmp_path / "set") == 2
    assert "no real voice" in " ".join(capsys.readouterr().err.split())
    settings.write_text(settings.read_text().replace('rights = "synthetic"', 'rights = "consent"'))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.txt").write_text("x")
    assert build(voices, tmp_path / "other") == 2
    assert build(voices, tmp_path / "set", "--codecs", "mp4") == 2
    assert build(voices / "r1", tmp_path / "set") == 2
    assert run(["dataset", "audit-speech", str(tmp_path / "other")]) == 1


def test_sentences_are_many_and_as_long_as_asked():
    rng = np.random.default_rng(1)
    texts = {sentence(rng, words=12) for _ in range(50)}
    assert len(texts) == 50
    assert all(10 <= len(text.split()) <= 24 and text[0].isupper() and text.endswith(".") for text in texts)
    assert len({phrase(rng) for _ in range(40)}) > 30


def test_settings_are_sealed(voices, tmp_path):
    out = tmp_path / "set"
    assert build(voices, out, "--vocoders", "") == 0
    assert verify(out) == []
    settings = out / "speechset.toml"
    settings.write_text(settings.read_text().replace('license = "other"', 'license = "CC0-1.0"'))
    assert verify(out) == ["speechset.toml: changed after the seal"]


def test_a_build_does_not_go_on_with_another_version_of_an_engine(voices, tmp_path, monkeypatch, capsys):
    from forge.speaking.building import build as building

    out, say = tmp_path / "set", building.say
    assert build(voices, out, "--vocoders", "") == 0
    assert read_speech_set(out).info.made_with == ("hibari 1 no weights",)
    assert build(voices, out, "--vocoders", "") == 0

    def newer(text, *, engine, voice=None, seed):
        speech = say(text, engine=engine, voice=voice, seed=seed)
        return replace(speech, info=replace(speech.info, version="2"))

    monkeypatch.setattr(building, "say", newer)
    assert build(voices, out, "--vocoders", "") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "was begun with other versions: hibari 1 no weights, hibari 2 no weights" in told


def test_a_voice_model_converts_each_utterance_to_another_identity(voices, tmp_path, monkeypatch):
    names = [SimpleNamespace(name=name, rights="consent of x") for name in ("x1", "x2")]
    facts = SimpleNamespace(identities=names, population_rights=("CC-BY-4.0",))
    model = SimpleNamespace(facts=facts, weights_sha256="ab" * 32)
    monkeypatch.setattr("forge.speaking.building.models.load_voice_model", lambda _: model)
    monkeypatch.setattr(
        "forge.speaking.building.members.converted", lambda sound, *_, **__: sound.with_samples(-sound.samples)
    )
    out = tmp_path / "set"
    assert build(voices, out, "--vocoders", "", "--engines", "", "--convert", str(tmp_path / "run")) == 0
    opened = read_speech_set(out)
    assert opened.info.made_with == ("conversion abababababababab",)
    made = [each for each in opened.records if each.manipulation == "conversion"]
    assert len(made) == 4
    assert all(each.voice != f"conversion:{each.speaker}" for each in made)
    assert {each.voice for each in made} == {"conversion:x1", "conversion:x2"}
    known = read_provenance(opened.file(made[0]))
    assert known.says_fake
    said = {name: known.record[name] for name in ("identity", "identity_rights", "population_rights", "weights_sha256")}
    assert said == {
        "identity": made[0].voice.partition(":")[2],
        "identity_rights": "consent of x",
        "population_rights": "CC-BY-4.0",
        "weights_sha256": "ab" * 32,
    }
    assert verify(out) == []


def test_no_conversion_has_the_voice_of_a_speaker_of_another_split():
    from forge.speaking.targets import need_targets, need_targets_disjoint, targets_of

    identities = [SimpleNamespace(name=name) for name in ("ann", "bob", "cleo")]
    model = SimpleNamespace(facts=SimpleNamespace(identities=identities))
    splits = {"ann": "train", "bob": "test"}
    assert [each.name for each in targets_of(model, "ann", splits)] == ["cleo"]
    need_targets(model, splits)
    with pytest.raises(UsageError, match="no identity for ann"):
        need_targets(model, {"ann": "train", "bob": "test", "cleo": "val"})

    def record(speaker, split, voice):
        return SimpleNamespace(id=speaker, speaker=speaker, split=split, manipulation="conversion", voice=voice)

    need_targets_disjoint([record("ann", "train", "conversion:cleo"), record("bob", "test", "conversion:bob")])
    with pytest.raises(UsageError, match="the voice of bob"):
        need_targets_disjoint([record("ann", "train", "conversion:bob"), record("bob", "test", "conversion:cleo")])
