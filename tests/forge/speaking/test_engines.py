"""Every registered engine keeps one contract; a missing one says what to install."""

import stat
import sys

import numpy as np
import pytest

from forge.speaking.contract import Phone, Speech, checked_text, engine_named, engine_names, say
from forge.speaking.engines.espeak import phones_from_starts
from forge.speaking.engines.flite import phones_in
from forge.speaking.programs import own_folder, run_program
from shared.audio.sound import Sound, is_silent
from shared.errors import SpeechError, UnknownNameError, UsageError

TEXT = "Nine bright lamps."
PROGRAM = """#!{python}
import sys, wave, pathlib
arguments = sys.argv[1:]
if "-lv" in arguments:
    print("Voices available: kal slt unknown")
    raise SystemExit
source = next(each for each in arguments if each.endswith("text.txt"))
letters = len(pathlib.Path(source).read_text())
with wave.open(arguments[arguments.index("-o") + 1], "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(16000)
    file.writeframes(b"\\x00\\x20\\x00\\xe0" * 400 * letters)
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Stand-ins for flite and text2wave: they read the text file and write a tone as long as the text."""
    for name in ("flite", "text2wave"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PROGRAM.format(python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (tmp_path / "voices" / "english" / "kal_diphone").mkdir(parents=True)
    monkeypatch.setattr("forge.speaking.engines.festival._FOLDERS", (tmp_path / "voices",))


@pytest.mark.parametrize("name", engine_names())
def test_the_contract(name, programs):
    engine = engine_named(name)
    why = engine.missing()
    if why is not None:
        assert "install" in why
        assert engine.voices() == ()
        with pytest.raises(SpeechError, match="cannot speak"):
            say(TEXT, engine=name)
        return
    voices = engine.voices()
    assert voices
    speech = say(TEXT, engine=name, seed=1)
    assert speech.info.name == name
    assert speech.info.voice == voices[0]
    assert speech.info.licence
    assert speech.sound.rate >= 8000
    assert 0.4 < speech.sound.seconds < 8
    assert not is_silent(speech.sound.samples)
    if speech.info.kind == "neural":
        assert len(speech.info.weights or "") == 64
    with pytest.raises(UsageError, match="no voice"):
        say(TEXT, engine=name, voice="nobody")


def test_hibari_repeats_itself_by_seed():
    pytest.importorskip("hibari")
    first, again, other = (say("Nine.", seed=seed).sound.samples for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_espeak_tells_the_times_of_phones():
    pytest.importorskip("espeakng_loader")
    short, long = say("Lamp.", engine="espeak"), say("Lamp, lamp.", engine="espeak")
    assert "l" in [phone.symbol for phone in short.phones]
    assert sum(phone.symbol == "l" for phone in long.phones) == 2
    assert long.phones[-1].stop == len(long.sound)
    vowel = next(phone for phone in short.phones if "æ" in phone.symbol)
    inside = short.sound.samples[vowel.first : vowel.stop]
    assert np.abs(inside).mean() > np.abs(short.sound.samples).mean()


def test_every_listed_voice_of_espeak_is_another_voice():
    pytest.importorskip("espeakng_loader")
    heard = [
        say("No.", engine="espeak", voice=name).sound.samples.tobytes() for name in engine_named("espeak").voices()
    ]
    assert len(set(heard)) == len(heard)


def test_phones_follow_one_another():
    assert phones_from_starts([("a", 0), ("b", 40), ("", 40), ("c", 90)], 80) == (
        Phone("a", 0, 40),
        Phone("_", 40, 80),
    )
    info = say("Nine.", engine="hibari").info
    with pytest.raises(ValueError, match="overlap"):
        Speech(Sound(np.zeros(10, np.float32), 16_000), info, (Phone("a", 0, 8), Phone("b", 6, 9)))


def test_text_is_made_harmless_or_refused():
    assert checked_text("one\x00two\n\tthree\u202e") == "one two three"
    for bad in ("", " ... \n", "\x00"):
        with pytest.raises(UsageError, match="nothing to say"):
            checked_text(bad)
    with pytest.raises(UsageError, match="characters"):
        checked_text("word " * 1100)
    with pytest.raises(UsageError, match="characters"):
        checked_text("w" * 10**6)
    with pytest.raises(UnknownNameError, match="no speech engine"):
        say("one", engine="hibary")


def test_programs_are_limited():
    with own_folder() as folder:
        assert run_program([sys.executable, "-c", "print(input())"], folder, text="; echo x\n") == "; echo x\n"
        with pytest.raises(SpeechError, match="did not end within 1 s"):
            run_program([sys.executable, "-c", "import time; time.sleep(60)"], folder, seconds=1)
        with pytest.raises(SpeechError, match="failed: no such thing"):
            run_program([sys.executable, "-c", "raise SystemExit('no such thing')"], folder)
        with pytest.raises(SpeechError, match="cannot be started"):
            run_program([str(folder / "absent")], folder)
        seen = run_program([sys.executable, "-c", "import os; print(sorted(os.environ))"], folder)
        assert "ASSAY" not in seen


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit another process")
def test_programs_are_limited_in_memory_and_print_and_leave_no_children():
    import time

    late = "import time; time.sleep(1.5); open('late', 'w')"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {late!r}])"
    with own_folder() as folder:
        run_program([sys.executable, "-c", parent], folder)
        assert len(run_program([sys.executable, "-c", "print('x' * (3 << 20))"], folder)) == 1 << 20
        with pytest.raises(SpeechError, match="MemoryError"):
            run_program([sys.executable, "-c", "import time; time.sleep(0.3); bytearray(5 << 30)"], folder)
        time.sleep(1.5)
        assert not list(folder.iterdir())


def test_flite_tells_phones_a_line_a_sentence_each_from_its_own_begin():
    said = "pau:0.200 g:0.300 ow:0.500 \npau:0.100 n:0.250 \n"
    found = phones_in(said, 1000, 700)
    assert [(one.symbol, one.first, one.stop) for one in found] == [
        ("pau", 0, 200), ("g", 200, 300), ("ow", 300, 500), ("pau", 500, 600), ("n", 600, 700),
    ]  # fmt: skip
    assert phones_in("no phones here", 1000, 700) == ()
