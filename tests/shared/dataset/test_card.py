"""The dataset's own folder, as ``load_dataset("SET")`` reads it: the set's splits, under the seal."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.dataset import DatasetFolder
from shared.dataset.card import SPLIT_NAMES, render_card
from shared.dataset.held import TARGET_STILL
from shared.dataset.layout import SPLIT_TABLES

MakeSet = Callable[..., DatasetFolder]
PEOPLE = ("ann", "bob", "cid")


@pytest.fixture
def dataset(make_set: MakeSet) -> DatasetFolder:
    made = make_set(PEOPLE, [("bob", "bob")])
    made.assign_groups({"train": ["ann"], "val": ["bob"], "test": ["cid"]})
    return made


def front_matter(dataset: DatasetFolder) -> dict[str, str]:
    """Split to file, as the card's YAML lists them."""
    text = (dataset.path / "README.md").read_text().split("---\n")[1]
    return dict(re.findall(r"  - split: (\S+)\n    path: (\S+)\n", text))


def test_each_split_has_a_table_of_its_own_and_the_card_lists_it(dataset: DatasetFolder):
    named = front_matter(dataset)
    assert list(named) == ["train", "validation", "test"]
    lines = (dataset.path / "manifest.jsonl").read_text().splitlines()
    for split in ("train", "val", "test"):
        table = (dataset.path / named[SPLIT_NAMES[split]]).read_text().splitlines()
        assert table == [line for line in lines if f'"split":"{split}"' in line]
        assert table
    assert (dataset.path / SPLIT_TABLES[None]).read_bytes() == b""
    assert dataset.verify() == []


def test_load_dataset_gives_the_sets_own_splits(
    dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = datasets.load_dataset(str(dataset.path), cache_dir=str(tmp_path / "cache"))
    assert {name: list(rows["target_identity"]) for name, rows in loaded.items()} == {
        "train": ["ann"],
        "validation": ["bob", "bob"],
        "test": ["cid"],
    }


def test_a_set_without_splits_is_unsplit_and_the_tables_follow_the_splits(make_set: MakeSet):
    dataset = make_set(PEOPLE)
    assert front_matter(dataset) == {"unsplit": "clips-unsplit.jsonl"}
    dataset.assign_groups({"train": ["ann", "bob"], "test": ["cid"]})
    assert list(front_matter(dataset)) == ["train", "test"]
    dataset.assign_groups({"train": ["ann"], "test": ["bob", "cid"]})
    assert (dataset.path / "clips-test.jsonl").read_text().count("\n") == 2
    assert front_matter(make_set((), name="empty")) == {}


def test_the_seal_covers_the_tables(dataset: DatasetFolder):
    table = dataset.path / "clips-train.jsonl"
    table.write_bytes(table.read_bytes() + (dataset.path / "clips-test.jsonl").read_bytes())
    assert any("clips-train.jsonl" in problem.message for problem in dataset.verify(deep=False))
    table.unlink()
    assert any("clips-train.jsonl" in problem.message for problem in dataset.verify(deep=False))


def test_the_card_says_that_clips_of_stills_have_no_real_frame(dataset: DatasetFolder):
    assert "made of a still" not in (dataset.path / "README.md").read_text()
    fake = next(one for one in dataset.records() if one.label == "fake")
    held = dataclasses.replace(fake, factors={TARGET_STILL: "photograph"})
    said = render_card(dataset.info, [held])
    assert "1 clip made of a still (`target_still` in the factors)" in said
    assert "No frame of these is real" in said


def test_the_card_describes_generated_stills_of_its_own_only(dataset: DatasetFolder):
    fake = next(one for one in dataset.records() if one.label == "fake")
    made = dataclasses.replace(fake, kind="generate")
    assert "are still pictures, of one frame" in render_card(dataset.info, [made])
    assert "are still pictures" not in render_card(dataclasses.replace(dataset.info, controls="imported"), [made])


def test_the_card_says_how_the_tables_load(make_set: MakeSet):
    dataset = make_set(("ann",), [("bob", "ann")])
    card = (dataset.path / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    stated = [line.split("name: ")[1] for line in front.splitlines() if line.startswith("  - name:")]
    assert stated == list(json.loads((dataset.path / "manifest.jsonl").read_text().splitlines()[0]))
    assert "2 clips of 2 identities" in body
    assert "- synthetic: 2 clips" in body
