"""Whose voice it is: as the user says, as the signature says, or unstated."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from forge.reenacting.lipsync.voice import Voice, stated_voice, voice_of
from forge.speaking.output import write_speech
from forge.swapping.request import UNSTATED
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.errors import ConfigError, UsageError
from tests.forge.reenacting.conftest import syllables


def test_what_is_said_counts_first_and_rights_are_needed(tmp_path, capsys):
    path = tmp_path / "ann.wav"
    write_sound(path, syllables())
    assert stated_voice(path, Voice("ann", "consent")) == Voice("ann", "consent")
    assert stated_voice(path, Voice(None, None)) == Voice(None, UNSTATED)
    assert "--drive-rights" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ConfigError, match="basis"):
        stated_voice(path, Voice("ann", " "))


@pytest.mark.parametrize(
    ("facts", "voice"),
    [
        ({"engine": "flite", "voice": "slt"}, Voice("flite-slt", "synthetic")),
        ({"identity": "bob", "identity_rights": "consent"}, Voice("bob", "consent")),
    ],
)
def test_synthetic_speech_says_whose_voice_it_has(tmp_path, facts, voice):
    path = tmp_path / "speech.wav"
    sound = syllables(3.0)
    write_speech(path, Sound(sound.samples, sound.rate), manipulation="test", facts=facts)
    assert stated_voice(path, Voice(None, None)) == voice
    assert stated_voice(path, Voice("ann", "licence")) == Voice("ann", "licence")


@pytest.mark.parametrize(
    ("factors", "voice"),
    [
        ({}, Voice("ann", "consent")),
        ({"sound_from": "target"}, Voice("ann", "consent")),
        ({"sound_from": "driver", "drive_rights": "licence"}, Voice("bob", "licence")),
        ({"sound_from": "driver"}, Voice("bob", None)),
    ],
)
def test_a_fake_with_the_drivers_sound_has_the_drivers_voice(factors, voice):
    record = SimpleNamespace(target_identity="ann", source_identity="bob", rights="consent", factors=factors)
    assert voice_of(record) == voice


def test_the_voice_of_a_fake_that_does_not_name_it_has_to_be_said(tmp_path, monkeypatch):
    path = tmp_path / "fake.mp4"
    signed = SimpleNamespace(valid=True, says_fake=True, record={"kind": "reenact"})
    monkeypatch.setattr("forge.reenacting.lipsync.voice.read_provenance", lambda _: signed)
    with pytest.raises(UsageError, match="does not say whose voice"):
        stated_voice(path, Voice(None, None))
    assert stated_voice(path, Voice("bob", "consent")) == Voice("bob", "consent")
