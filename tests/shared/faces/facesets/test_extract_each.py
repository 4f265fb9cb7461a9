from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from shared.engine.local import LocalEngine
from shared.errors import ConfigError, MediaError, NoFaceError, UsageError
from shared.faces.align import MEAN_FACE
from shared.faces.facesets.extract import extract
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.extract_each import RECORD, Extracted, extract_each, people_in
from shared.faces.facesets.reader import Faceset
from tests.factories import write_clip, write_landmarks

CONFIG = ExtractConfig("each", "consent", finder="sidecar", px=48, min_face_px=20, embed_every=0)
RATE = Fraction(25)


def film(path: Path, seed: int = 0, *, faces: int = 6) -> Path:
    """A clip of six frames of noise with landmarks of the first ``faces`` beside it."""
    image = np.random.default_rng(seed).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    write_clip(path, (np.roll(image, index, axis=1) for index in range(6)))
    write_landmarks(
        path.with_suffix(".landmarks.parquet"), dict.fromkeys(range(faces), (MEAN_FACE - 0.5) * 40 + [64, 48])
    )
    return path


@pytest.fixture
def tree(tmp_path) -> Path:
    """ann.mp4, and bob/ with two clips; a note that is no clip, and an empty folder."""
    clips = tmp_path / "clips"
    film(clips / "ann.mp4", 1)
    film(clips / "bob" / "one.mp4", 2)
    film(clips / "bob" / "two.mp4", 3)
    (clips / "notes.txt").write_text("nothing")
    (clips / "empty").mkdir()
    return clips


def contents(folder: Path) -> dict[str, str]:
    """Digest by name of every file that a person would look for."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_people_are_files_and_folders(tree):
    assert people_in([tree]) == {
        "ann": (tree / "ann.mp4",),
        "bob": (tree / "bob" / "one.mp4", tree / "bob" / "two.mp4"),
    }
    assert list(people_in([tree / "bob" / "two.mp4", tree / "ann.mp4"])) == ["two", "ann"]


def test_two_of_one_name_nobody_and_what_is_not_there_are_refused(tree):
    with pytest.raises(UsageError, match="both called ann"):
        people_in([tree, tree / "ann.mp4"])
    with pytest.raises(UsageError, match="no clip"):
        people_in([tree / "empty"])
    with pytest.raises(MediaError, match="does not exist"):
        people_in([tree / "carl.mp4"])


def test_every_engine_writes_what_an_extraction_of_one_person_writes(tree, tmp_path):
    people = people_in([tree])
    found = extract_each(people, tmp_path / "one", CONFIG, engine=LocalEngine(1))
    assert found == [Extracted("ann", 6), Extracted("bob", 12)]
    extract_each(people, tmp_path / "two", CONFIG, engine=LocalEngine(2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for name, clips in people.items():
        alone = ExtractConfig(**{**vars(CONFIG), "identity": name})
        extract(clips, tmp_path / "alone" / name, alone)
        assert contents(tmp_path / "alone" / name) == contents(tmp_path / "one" / name)


def test_what_is_there_is_not_made_again_unless_its_clip_changed(tree, tmp_path):
    out = tmp_path / "faces"
    extract_each({"ann": [tree / "ann.mp4"]}, out, CONFIG, engine=LocalEngine(1))
    before = (out / "ann" / "faces.parquet").stat().st_mtime_ns
    found = extract_each(people_in([tree]), out, CONFIG, engine=LocalEngine(1))
    assert found == [Extracted("ann", 6, was_there=True), Extracted("bob", 12)]
    assert (out / "ann" / "faces.parquet").stat().st_mtime_ns == before
    film(tree / "ann.mp4", 9)
    with pytest.raises(UsageError, match="there already"):
        extract_each(people_in([tree]), out, CONFIG, engine=LocalEngine(1))
    assert not extract_each(people_in([tree]), out, CONFIG, engine=LocalEngine(1), force=True)[0].was_there


def test_other_settings_are_refused(tree, tmp_path):
    people = {"ann": [tree / "ann.mp4"]}
    extract_each(people, tmp_path / "faces", CONFIG, engine=LocalEngine(1))
    other = ExtractConfig(**{**vars(CONFIG), "px": 64})
    with pytest.raises(UsageError, match="other settings"):
        extract_each(people, tmp_path / "faces", other, engine=LocalEngine(1))
    extract_each(people, tmp_path / "faces", other, engine=LocalEngine(1), force=True)
    assert Faceset.open(tmp_path / "faces" / "ann").info.px == 64
    assert '"px": 64' in (tmp_path / "faces" / RECORD).read_text()


def test_settings_under_which_nothing_was_made_are_not_held_to(tree, tmp_path):
    film(tmp_path / "carl.mp4", 4, faces=0)
    with pytest.raises(NoFaceError):
        extract_each({"carl": [tmp_path / "carl.mp4"]}, tmp_path / "faces", CONFIG, engine=LocalEngine(1))
    other = ExtractConfig(**{**vars(CONFIG), "px": 64})
    assert extract_each({"ann": [tree / "ann.mp4"]}, tmp_path / "faces", other, engine=LocalEngine(1))[0].kept == 6
    assert '"px": 64' in (tmp_path / "faces" / RECORD).read_text()


class Stopped(LocalEngine):
    """Ends after the first task, as a killed run does."""

    def run(self, tasks):
        yield next(iter(super().run(tasks)))
        raise KeyboardInterrupt


def test_made_again_and_stopped_no_old_faceset_is_taken_for_a_new_one(tree, tmp_path):
    out, people = tmp_path / "faces", people_in([tree])
    extract_each(people, out, CONFIG, engine=LocalEngine(1))
    (out / "notes").mkdir()
    other = ExtractConfig(**{**vars(CONFIG), "every": 2})
    with pytest.raises(KeyboardInterrupt):
        extract_each(people, out, other, engine=Stopped(1), force=True)
    assert not (out / "bob").exists()
    assert (out / "notes").is_dir()
    assert not list(out.glob(".*.old"))
    found = extract_each(people, out, other, engine=LocalEngine(1))
    assert found == [Extracted("ann", 3, was_there=True), Extracted("bob", 6)]


def test_a_faceset_of_other_rights_is_not_taken_for_done(tree, tmp_path):
    out, other = tmp_path / "faces", ExtractConfig(**{**vars(CONFIG), "rights": "CC0"})
    extract_each({"ann": [tree / "ann.mp4"]}, out, CONFIG, engine=LocalEngine(1))
    extract_each({"bob": [tree / "bob" / "one.mp4"]}, out, other, engine=LocalEngine(1), force=True)
    with pytest.raises(UsageError, match="there already"):
        extract_each({"ann": [tree / "ann.mp4"]}, out, other, engine=LocalEngine(1))


def test_a_copy_is_read_once_and_missing_landmarks_leave_only_that_person_out(tree, tmp_path):
    (tree / "bob" / "three.mp4").write_bytes((tree / "bob" / "two.mp4").read_bytes())
    (film(tree / "eve.mp4", 5).with_suffix(".landmarks.parquet")).unlink()
    found = {
        one.identity: one for one in extract_each(people_in([tree]), tmp_path / "faces", CONFIG, engine=LocalEngine(1))
    }
    assert found["ann"].kept == 6
    assert (found["bob"].clips, found["bob"].why) == (2, "")
    assert "eve" in found["eve"].why
    assert sorted(path.parent.name for path in (tmp_path / "faces").glob("*/faceset.toml")) == ["ann", "bob"]
    again = extract_each(people_in([tree]), tmp_path / "faces", CONFIG, engine=LocalEngine(1))
    assert [one.was_there for one in again] == [True, True, False]


def test_a_clip_that_cannot_be_read_leaves_the_others_of_that_person(tree, tmp_path):
    (tree / "bob" / "three.mp4").write_bytes(b"no video")
    found = {
        one.identity: one for one in extract_each(people_in([tree]), tmp_path / "all", CONFIG, engine=LocalEngine(1))
    }
    assert (found["bob"].clips, list(found["bob"].unread)) == (2, ["three.mp4"])
    again = extract_each(people_in([tree]), tmp_path / "all", CONFIG, engine=LocalEngine(1))
    assert [one.was_there for one in again] == [True, True]


def test_what_is_no_faceset_is_not_written_over(tree, tmp_path):
    (tmp_path / "faces" / "ann").mkdir(parents=True)
    (tmp_path / "faces" / "ann" / "note").write_text("mine")
    with pytest.raises(UsageError, match="is not a faceset"):
        extract_each(people_in([tree]), tmp_path / "faces", CONFIG, engine=LocalEngine(1), force=True)


def test_people_without_a_face_or_a_readable_clip_are_reported_and_the_others_made(tree, tmp_path):
    film(tree / "carl.mp4", 4, faces=0)
    (tree / "dora.mp4").write_bytes(b"no video")
    found = {
        one.identity: one for one in extract_each(people_in([tree]), tmp_path / "faces", CONFIG, engine=LocalEngine(1))
    }
    assert [name for name, one in found.items() if not one.why] == ["ann", "bob"]
    assert "no face" in found["carl"].why
    assert "dora.mp4" in found["dora"].why
    assert not (tmp_path / "faces" / "carl").exists()


def test_nobody_and_wrong_names_are_errors(tree, tmp_path):
    film(tmp_path / "carl.mp4", faces=0)
    with pytest.raises(NoFaceError, match="carl"):
        extract_each({"carl": [tmp_path / "carl.mp4"]}, tmp_path / "faces", CONFIG, engine=LocalEngine(1))
    with pytest.raises(ConfigError, match="a b") as caught:
        extract_each({"a b": [tree / "ann.mp4"]}, tmp_path / "faces", CONFIG)
    assert "rename" in (caught.value.hint or "")
