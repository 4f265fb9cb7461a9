"""Lists of labelled recordings: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from detect.speech.utterances import Utterance, need_apart, read_speech, write_speech
from shared.cli import run
from shared.errors import LeakError, ManifestError

HEAD = "path,label,speaker,engine,codec,split,spans\n"


def test_a_list_is_read_as_it_was_written(tmp_path):
    (tmp_path / "a.wav").touch()
    given = [
        Utterance(tmp_path / "a.wav", False, "ann", codec="mp3", split="train"),
        Utterance(tmp_path / "b" / "c.wav", True, "ann", "world", "mp3", "train", ((0.5, 1.25), (2.0, 2.5)), "a.wav"),
        Utterance(tmp_path / "d.wav", True, "bob", "espeak", split=None),
    ]
    write_speech(tmp_path / "speech.csv", given)
    found = read_speech(tmp_path)
    assert list(found.utterances) == given
    assert read_speech(tmp_path / "speech.csv").digest == found.digest
    assert len(found.digest) == 64
    assert given[1].fake_spans(9.0) == ((0.5, 1.25), (2.0, 2.5))
    assert given[2].fake_spans(9.0) == ((0.0, 9.0),)
    assert given[0].fake_spans(9.0) == ()
    with pytest.raises(ManifestError, match="is not in"):
        write_speech(tmp_path / "b" / "speech.csv", given[:1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\na.wav,real\n", "no column speaker"),
        (HEAD + "a.wav,true,ann,,,,\n", "line 2 has the label 'true'"),
        (HEAD + "a.wav,real,ann,,,dev,\n", "line 2 has the split 'dev'"),
        (HEAD + "a.wav,fake,,x,,,\n", "lacks its path or speaker"),
        (HEAD + "a.wav,real,ann,,,,0-1\n", "is real and has fake spans"),
        (HEAD + "a.wav,fake,ann,x,,,0-1;x\n", "has the span 'x'"),
        (HEAD + "a.wav,fake,ann,x,,,2-1\n", "do not follow one another"),
        (HEAD + "a.wav,fake,ann,x,,,0-nan\n", "do not follow one another"),
        (HEAD + "../a.wav,fake,ann,x,,,\n", "would leave"),
        (HEAD + "/etc/a.wav,fake,ann,x,,,\n", "would leave"),
        (HEAD + "a.wav,fake,ann,x,,,,more\n", "more fields than the header"),
        (HEAD, "lists no recording"),
        ("\xff\x00", "no list of speech"),
    ],
)
def test_damaged_lists_are_refused_with_their_line(tmp_path, text, words):
    (tmp_path / "speech.csv").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=words):
        read_speech(tmp_path)


def test_what_is_no_list_is_a_sentence_on_the_command_line(tmp_path, capsys):
    assert run(["detect", "speech", "train", str(tmp_path), "--run", str(tmp_path / "run")]) == 1
    assert "speech.csv does not exist" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "speech.csv").write_text(HEAD + "a.wav,real,ann,,,train,\n")
    assert run(["detect", "speech", "train", str(tmp_path), "--run", str(tmp_path / "run")]) == 1
    assert "no fake recording in its train split" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_readers_are_in_one_split_and_voices_of_engines_may_be_in_both(tmp_path):
    def one(speaker: str, *, fake: bool) -> Utterance:
        return Utterance(tmp_path / "x.wav", fake, speaker, "e" if fake else "")

    need_apart(
        [one("ann", fake=False), one("robot", fake=True)], [one("bob", fake=False), one("robot", fake=True)], "x"
    )
    with pytest.raises(LeakError, match="share speakers: ann"):
        need_apart([one("ann", fake=False)], [one("ann", fake=False)], "train and val")
    with pytest.raises(LeakError, match="ann"):  # a twin of a reader who is real in the other
        need_apart([one("ann", fake=False)], [one("ann", fake=True)], "train and val")
