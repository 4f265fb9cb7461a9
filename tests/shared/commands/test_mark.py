"""``assay mark``: what it writes it reads, and what cannot be is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shared.actors import cast, portrait
from shared.cli import run
from shared.marking.notice import with_notice
from shared.provenance.read import read_provenance
from shared.video.images import encode_png, read_picture


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.png"
    path.write_bytes(encode_png(portrait(cast(1, 3)[0], px=224, seed=1).image))
    return path


def _said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = run(["--json", "mark", *map(str, words)])
    out = capsys.readouterr().out
    return code, json.loads(out[out.index("{\n") :])


def test_what_is_written_is_read_on_both_layers(picture, tmp_path, capsys):
    marked = tmp_path / "marked.png"
    assert run(["mark", "write", str(picture), "--out", str(marked)]) == 0
    copied = tmp_path / "stripped.png"
    copied.write_bytes(encode_png(read_picture(marked)))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, found = _said(capsys, "read", tmp_path)
    assert code == 1  # one of the files cannot be read, the others are
    broken, with_both, stripped = found["files"]
    assert "error" in broken
    assert (with_both["signed"], with_both["marked"], with_both["signature names the mark"]) == (True, True, True)
    assert (stripped["signed"], stripped["marked"], stripped["signature names the mark"]) == (False, True, None)
    assert stripped["picture"]["payload"] == with_both["picture"]["payload"]
    assert stripped["picture"]["kind"] == "own"
    assert stripped["picture"]["false_alarm_rate"] == 1e-6
    assert "proves nothing" in found["absence"]
    signature = read_provenance(marked)
    assert signature is not None
    assert [action.name for action in signature.actions] == ["c2pa.opened", "c2pa.watermarked"]
    assert not signature.says_fake


def test_a_fake_whose_signature_was_stripped_is_not_marked_as_somebody_s_own(picture, tmp_path):
    declared, stripped, again = (tmp_path / f"{name}.png" for name in ("declared", "stripped", "again"))
    assert run(["mark", "write", str(picture), "--out", str(declared), "--kind", "swap"]) == 0
    known = read_provenance(declared)
    assert known is not None
    assert known.says_fake  # so does the signature of what was declared as made by a model
    stripped.write_bytes(encode_png(read_picture(declared)))
    assert run(["mark", "write", str(stripped), "--out", str(again)]) == 0
    known = read_provenance(again)
    assert known is not None
    assert known.says_fake
    assert (known.record or {})["kind"] == "swap"


def test_a_notice_is_seen_in_the_corner(picture, tmp_path):
    out = tmp_path / "noticed.png"
    assert run(["mark", "write", str(picture), "--out", str(out), "--notice"]) == 0
    before, after = read_picture(picture).astype(int), read_picture(out).astype(int)
    changed = np.abs(after - before).max(axis=2) > 60
    assert changed[-12:, :60].any()
    assert not changed[:-14].any()
    plain = np.full((100, 300, 3), 200, np.uint8)
    labelled = with_notice(plain)
    assert (labelled[:88] == 200).all()
    assert labelled[88:].min() < 60 < 200 < labelled[88:].max()


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("write", "{own}", "--out", "{own}", "--force"), 2, "is the source itself"),
        (("write", "{own}", "--out", "{there}"), 2, "is there"),
        (("write", "{own}", "--out", "out.gif"), 2, "is not written as .gif"),
        (("write", "{own}", "--out", "out.png", "--kind", "joke"), 2, "no kind 'joke'"),
        (("write", "{own}", "--out", "out.png", "--sound"), 2, "is no video with sound"),
        (("write", "none.png", "--out", "out.png"), 1, "none.png"),
        (("write", "{text}", "--out", "out.png"), 1, "notes.png"),
        (("read", "{empty}"), 2, "holds no picture"),
        (("read", "none.png"), 1, "none.png"),
    ],
)
def test_what_cannot_be_is_refused(words, code, reason, picture, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.png").write_bytes(b"kept")
    (tmp_path / "notes.png").write_text("no picture")
    places = {"own": picture, "empty": "empty", "there": "there.png", "text": "notes.png"}
    assert run(["mark", *(word.format(**places) for word in words)]) == code
    assert reason in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "there.png").read_bytes() == b"kept"
    assert not (tmp_path / "out.png").exists()
