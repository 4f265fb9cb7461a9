"""Whose voice it is: as the user says, as the signature says, or unstated."""

from __future__ import annotations

import pytest

from forge.reenacting.lipsync.voice import Voice, stated_voice
from forge.speaking.output import write_speech
from forge.swapping.request import UNSTATED
from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.errors import ConfigError
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
