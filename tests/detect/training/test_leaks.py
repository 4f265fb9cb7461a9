"""A set whose splits share a person, a clip or pictures stops the training; --allow-leak is written into the card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detect.config.training import TrainConfig
from detect.data.duplicates import find_duplicates, look_of
from shared.cli import run
from shared.config import write_toml
from shared.console import console
from shared.dataset import DatasetFolder
from shared.storage import sha256_file
from shared.video import Encoding, VideoReader
from tests.factories import write_clip


@pytest.fixture
def copy(toy_set: Path, tmp_path: Path) -> Path:
    """A toy set to spoil."""
    shutil.copytree(toy_set, tmp_path / "toy", ignore=shutil.ignore_patterns(".faces"))
    return tmp_path / "toy"


def rewrite(dataset: Path, name: str, **changes: Any) -> None:
    """Changes the manifest line of one real clip."""
    file = dataset / "manifest.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if str(line["id"]).endswith(f"/real/{name}"):
            line.update(changes)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def line_of(dataset: Path, name: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in (dataset / "manifest.jsonl").read_text().splitlines()]
    return next(line for line in lines if str(line["id"]).endswith(f"/real/{name}"))


def encoded_anew(source: Path, target: Path, *, crf: int, scale: float = 1.0, skip: int = 0) -> None:
    """``source`` encoded again, smaller and without its first ``skip`` frames."""
    with VideoReader(source) as reader:
        images = [frame.image for frame in reader.frames()][skip:]
    height, width = (round(side * scale) // 2 * 2 for side in images[0].shape[:2])
    target.unlink(missing_ok=True)
    smaller = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images]
    write_clip(target, smaller, encoding=Encoding(preset="ultrafast", crf=crf))


def same_person(dataset: Path) -> None:
    rewrite(dataset, "ann", split="test")


def same_clip(dataset: Path) -> None:
    rewrite(dataset, "eve", parent=line_of(dataset, "ann")["id"])


def same_content(dataset: Path) -> None:
    rewrite(dataset, "eve", content_sha256=line_of(dataset, "ann")["sha256"])


def same_looks(dataset: Path) -> None:
    ann, gus = line_of(dataset, "ann"), line_of(dataset, "gus")
    encoded_anew(dataset / ann["path"], dataset / gus["path"], crf=35)
    rewrite(dataset, "gus", sha256=sha256_file(dataset / gus["path"]))


LEAKS = [
    (same_person, "identity ann in train (toy/stripes/ann-faked), test (toy/real/ann)"),
    (same_clip, "clip and its parent: toy/real/ann in val (toy/real/eve), train (toy/real/ann)"),
    (same_content, "in train (toy/real/ann), val (toy/real/eve)"),
    (same_looks, "pictures that look alike in train (toy/real/ann), test (toy/real/gus)"),
]


@pytest.mark.parametrize(("spoil", "said"), LEAKS)
def test_it_stops_the_training_with_a_sentence_and_is_noted_when_allowed(
    copy: Path, tmp_path: Path, toy_config: TrainConfig, capsys: pytest.CaptureFixture,
    spoil: Callable[[Path], None], said: str,
):  # fmt: skip
    write_toml(tmp_path / "toy.toml", toy_config)
    spoil(copy)
    words = ["detect", "train", str(copy), "--run", str(tmp_path / "r"), "--config", str(tmp_path / "toy.toml")]
    assert run([*words, "--steps", "1"]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "the splits leak" in error
    assert said in error
    assert "--allow-leak" in error
    assert "Traceback" not in error
    assert not (tmp_path / "r").exists()
    assert run([*words, "--steps", "1", "--allow-leak"]) == 0
    assert said in " ".join(capsys.readouterr().err.split())
    card = (tmp_path / "r" / "detector" / "README.md").read_text()
    assert "The splits leaked when this was trained" in card
    assert said in card


class TestDuplicates:
    def found(self, dataset: Path) -> list[str]:
        return [str(leak) for leak in find_duplicates(DatasetFolder.open(dataset))]

    def test_a_clean_set_has_none_and_is_looked_at_once(self, copy: Path, monkeypatch: pytest.MonkeyPatch):
        assert self.found(copy) == []
        files = {record.sha256 for record in DatasetFolder.open(copy).records()}
        assert len(list((copy / ".faces" / "looks").glob("*.png"))) == len(files) > 8
        monkeypatch.setattr("detect.data.duplicates.clip_reader", lambda *_: pytest.fail("read again"))
        assert self.found(copy) == []

    def test_a_clip_made_smaller_and_cut_is_found(self, copy: Path):
        ann, gus = line_of(copy, "ann"), line_of(copy, "gus")
        encoded_anew(copy / ann["path"], copy / gus["path"], crf=30, scale=0.5, skip=2)
        rewrite(copy, "gus", sha256=sha256_file(copy / gus["path"]), frames=6)
        assert self.found(copy) == ["pictures that look alike in train (toy/real/ann), test (toy/real/gus)"]

    def test_within_a_split_nothing_is_a_leak(self, copy: Path):
        ann, bob = line_of(copy, "ann"), line_of(copy, "bob")
        encoded_anew(copy / ann["path"], copy / bob["path"], crf=30)
        rewrite(copy, "bob", sha256=sha256_file(copy / bob["path"]))
        assert self.found(copy) == []

    def test_two_people_before_one_wall_are_not_one_clip(self, copy: Path):
        """Gus is filmed in ann's room: all but the face is equal."""
        ann, gus = line_of(copy, "ann"), line_of(copy, "gus")
        with VideoReader(copy / ann["path"]) as one, VideoReader(copy / gus["path"]) as other:
            pairs = list(zip((f.image for f in one.frames()), (f.image for f in other.frames()), strict=True))
        (copy / gus["path"]).unlink()
        images = []
        for room, person in pairs:
            image = room.copy()
            image[12:84, 12:84] = np.clip(person[12:84, 12:84].astype(int) + 15, 0, 255)
            images.append(image)
        write_clip(copy / gus["path"], images, encoding=Encoding())
        rewrite(copy, "gus", sha256=sha256_file(copy / gus["path"]))
        assert self.found(copy) == []

    @pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no video")])
    def test_what_cannot_be_read_is_passed_over(self, copy: Path, damage: Callable[[Path], None]):
        damage(copy / line_of(copy, "gus")["path"])
        with console.warnings_kept() as told:
            assert self.found(copy) == []
        assert told == ["1 of 16 clips cannot be read and were not searched for duplicates"]

    def test_what_is_not_compared_is_said(self, copy: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("detect.data.duplicates._MAX_PICTURES", 8)
        with console.warnings_kept() as told:
            assert self.found(copy) == []
        assert told == ["56 of 64 pictures were not searched for duplicates, 8 clips not at all: only 8 are compared"]
        same_looks(copy)
        monkeypatch.setattr("detect.data.duplicates._MAX_PICTURES", 80_000)
        monkeypatch.setattr("detect.data.duplicates.MAX_PAIRS", 1)
        with console.warnings_kept() as told:
            assert len(self.found(copy)) == 1
        assert told == ["the search for duplicates ended at 1 pairs of clips; there may be more"]

    def test_a_damaged_look_is_taken_anew(self, copy: Path):
        folder = DatasetFolder.open(copy)
        record = folder.records()[0]
        cache = copy / ".faces" / "looks"
        first = look_of(folder, record, cache)
        assert first.shape == (4, 32, 32)
        kept = next(cache.glob("*.png"))
        kept.write_bytes(b"\x89PNG nothing")
        np.testing.assert_array_equal(look_of(folder, record, cache), first)
