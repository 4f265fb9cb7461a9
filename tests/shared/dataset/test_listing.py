from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from shared.dataset import DatasetFolder
from shared.dataset.frame_table import write_frame_labels
from shared.dataset.splits import joined, place_groups
from shared.errors import LeakError, ManifestError, UsageError
from shared.storage import sweep_drafts
from shared.types import ClipId


@pytest.fixture
def taken_out(make_set, tmp_path):
    """A set with two real clips and a fake, and the same clips as they stand before they are listed anywhere."""
    whole = make_set(("ann", "bob"), [("ann", "bob")])
    made = []
    for record in whole.records():
        table = tmp_path / f"{record.id.name}.parquet"
        write_frame_labels(table, whole.frame_labels(record.id))
        made.append((record, table))
    empty = DatasetFolder.init(tmp_path / "empty" / "toy", "toy")
    for folder in ("media", "masks"):
        (empty.path / folder).rmdir()
        (whole.path / folder).rename(empty.path / folder)
    return empty, made


def test_many_clips_are_listed_in_one_step_with_their_splits(taken_out):
    empty, made = taken_out
    placed = [(dataclasses.replace(record, split="train"), table) for record, table in reversed(made)]
    empty.list_all(placed)
    assert empty.records() == [record for record, _ in placed]
    assert empty.verify(deep=True) == []
    before = (empty.path / "manifest.jsonl").read_bytes()
    empty.list_all([(record, None) for record, _ in placed])
    assert (empty.path / "manifest.jsonl").read_bytes() == before


def test_clips_that_were_listed_before_stay_behind_the_new_ones(taken_out):
    empty, made = taken_out
    empty.list_all(made[:1])
    empty.list_all(made[1:])
    assert [record.id for record in empty.records()] == [record.id for record, _ in (*made[1:], *made[:1])]
    assert empty.verify(deep=True) == []


def test_nothing_is_listed_when_one_clip_is_not_what_it_says(taken_out):
    empty, made = taken_out
    record, table = made[-1]
    (empty.path / record.path).write_bytes(b"another file")
    with pytest.raises(ManifestError, match="does not match the record"):
        empty.list_all([*made[:-1], (record, table)])
    assert empty.records() == []
    with pytest.raises(ManifestError, match="cannot be listed"):
        empty.list_all([(made[0][0], None)])


def test_masks_that_another_clip_uses_stay_when_a_clip_is_removed(taken_out, tmp_path):
    empty, made = taken_out
    fake, table = made[-1]
    twin = dataclasses.replace(
        fake, id=ClipId("toy", "toyswap", "twin"), path="media/toyswap/twin.mp4", content_sha256=None
    )
    (empty.path / twin.path).write_bytes((empty.path / fake.path).read_bytes())
    labels = [dataclasses.replace(label, clip=twin.id) for label in _labels(table)]
    write_frame_labels(tmp_path / "twin.parquet", labels)
    empty.list_all([*made, (twin, tmp_path / "twin.parquet")])
    empty.remove([fake.id])
    assert all(path.is_file() for path in empty.mask_paths(empty.record(twin.id)).values())
    assert not (empty.path / fake.path).exists()


def _labels(table):
    from shared.dataset.frame_table import labels_of, read_frame_table

    return labels_of([read_frame_table(table)])


def test_drafts_of_dead_processes_are_swept_and_those_of_living_ones_stay(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "a").mkdir()
    gone = [tmp_path / "a" / f".clip.{int(dead.stdout)}.part.mp4", tmp_path / f".set.{int(dead.stdout)}.old"]
    kept = [tmp_path / f".clip.{os.getppid()}.part.mp4", tmp_path / ".lock", tmp_path / "a" / "clip.1.part.mp4"]
    for path in (gone[0], *kept):
        path.touch()
    gone[1].mkdir()
    (tmp_path / "set").mkdir()  # what took the place of the one moved aside
    assert sweep_drafts(tmp_path) == 2
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_links_join_names_into_groups():
    assert joined([("b",), ("d", "c"), ("a", "b"), ("c", "e")]) == [("a", "b"), ("c", "d", "e")]


def test_groups_are_placed_whole_and_every_split_gets_one():
    import numpy as np

    groups = [("a", "b"), ("c",), ("d",), ("e",)]
    split_of = place_groups(groups, np.array([[2, 0], [1, 0], [1, 0], [1, 0]]), fractions=(0.6, 0.2, 0.2), seed=1)
    assert split_of["a"] == split_of["b"] == "train"
    assert set(split_of.values()) == {"train", "val", "test"}
    with pytest.raises(LeakError, match="3 splits need 3 groups"):
        place_groups(groups[:2], np.ones((2, 2)), fractions=(0.6, 0.2, 0.2), seed=1)
    with pytest.raises(UsageError, match="sum to 1"):
        place_groups(groups, np.ones((4, 2)), fractions=(0.6, 0.2, 0.1), seed=1)
