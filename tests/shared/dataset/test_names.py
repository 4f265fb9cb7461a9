from __future__ import annotations

from pathlib import Path

import pytest

from shared.cli import run
from shared.dataset import DatasetFolder
from shared.dataset.names import safe_name, title_note
from shared.types import check_name


@pytest.mark.parametrize(
    ("text", "name"),
    [("talk", "talk"), ("a b%20c", "a-b-20c"), ("-x.y", "x.y"), ("Zoë à Paris", "Zoe-a-Paris"), ("a@b", "a-b")],
)
def test_a_title_in_latin_letters_becomes_a_plain_name(text, name):
    assert safe_name(text) == name


@pytest.mark.parametrize("text", ["张伟", "李娜", "Иван take 2", "…", "", "🙂", "x" * 240, "\udcff\udcfe"])
def test_any_title_becomes_a_name_of_its_own(text):
    name = safe_name(text)
    assert check_name(name) == name
    assert name != safe_name(text + "2")
    assert len(name) <= 180


def test_a_title_is_kept_where_the_name_is_another():
    assert title_note(Path("talk-1.mp4")) == {}
    assert title_note(Path("张伟.mp4")) == {"title": "张伟"}
    assert title_note(Path("a \udcff.mp4")) == {"title": "a ?"}


@pytest.mark.needs_media
def test_files_with_chinese_names_are_listed_under_safe_names_with_their_titles(media: Path, tmp_path: Path):
    assert run(["dataset", "init", str(tmp_path / "set"), "--name", "s"]) == 0
    clips = [str(path) for path in sorted((media / "cases" / "12-unicode-names").iterdir())]
    assert run(["dataset", "add", str(tmp_path / "set"), *clips, "--identity", "li", "--rights", "test"]) == 0
    records = DatasetFolder.open(tmp_path / "set").records()
    assert {record.factors["title"] for record in records} == {"张伟", "李娜"}
    assert len({record.id for record in records}) == 2
    assert all(record.path.isascii() for record in records)


@pytest.mark.needs_media
def test_what_a_label_word_means_is_asked_not_guessed(media: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    table = media / "cases" / "36-label-words" / "l.csv"
    run(["dataset", "import", "csv", str(table.parent), str(tmp_path / "set"), "--rights", "test"])
    said = " ".join("".join(capsys.readouterr()).split())
    for word in ("bonafide", "spoof"):
        assert f"--label {word}=real or --label {word}=fake" in said
