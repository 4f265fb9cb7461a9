"""What a swap refuses, and what it leaves behind when it is cut short: nothing."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.swapping.clip import swap_clip
from forge.swapping.config import MaskConfig
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, MediaError, NoFaceError, StorageError, UsageError
from shared.types import ClipId
from tests.forge.conftest import files_in


def test_an_interrupted_swap_leaves_the_dataset_as_it_was(target, swapper, config, tmp_path, monkeypatch):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    swap_clip(target, config=config, name="one", **order)
    before = files_in(tmp_path / "set")
    for place in (
        "forge.swapping.making.sign_clip",
        "forge.swapping.making.MaskWriter.write",
        "shared.dataset.DatasetFolder.add",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, _interrupt)
            with pytest.raises(KeyboardInterrupt):
                swap_clip(target, config=config, name="two", **order)
        assert files_in(tmp_path / "set") == before
    assert DatasetFolder.open(tmp_path / "set").verify() == []


def test_a_swap_interrupted_between_list_and_seal_is_sealed_when_run_again(
    target, swapper, config, tmp_path, monkeypatch
):
    order = {"config": config, "swapper": swapper, "source": "ann", "rights": "consent", "name": "one"}
    swap_clip(target, dataset=tmp_path / "whole" / "set", **order)
    with monkeypatch.context() as patch:
        patch.setattr("shared.dataset.sealing.merge_frames", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            swap_clip(target, dataset=tmp_path / "set", **order)
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.has(ClipId("set", "lightweight", "one"))
    assert folder.verify() != []
    assert swap_clip(target, dataset=tmp_path / "set", **order) == folder.records()[0]
    assert folder.verify(deep=True) == []
    assert files_in(tmp_path / "set") == files_in(tmp_path / "whole" / "set")


def _interrupt(*_args: object, **_settings: object) -> None:
    raise KeyboardInterrupt


def test_a_failed_first_swap_leaves_no_dataset(target, swapper, config, tmp_path, monkeypatch):
    monkeypatch.setattr("forge.swapping.making.sign_clip", _interrupt)
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        with pytest.raises(KeyboardInterrupt):
            swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / name, config=config, rights="consent")
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_full_disk_ends_in_one_sentence(target, swapper, config, tmp_path, monkeypatch):
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("forge.swapping.masks.VideoWriter.write", full)
    with pytest.raises(StorageError, match="the disk is full"):
        swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_without_a_face_nothing_is_written(target, swapper, config, tmp_path):
    empty = pa.table({"frame": pa.array([], pa.int64()), "landmarks": pa.array([], pa.list_(pa.float32(), 136))})
    pq.write_table(empty, tmp_path / "none.parquet")
    config = dataclasses.replace(config, finder=f"sidecar:{tmp_path / 'none.parquet'}")
    with pytest.raises(NoFaceError, match="14 frames"):
        swap_clip(target, swapper=swapper, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_bad_orders_are_refused_before_anything_is_written(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "config": config}
    with pytest.raises(UsageError, match="no identity 'carl'") as caught:
        swap_clip(target, **{**order, "source": "carl"})
    assert "ann, bob" in str(caught.value.hint)
    with pytest.raises(MediaError, match="does not exist"):
        swap_clip(tmp_path / "nothing.mp4", **order)
    (tmp_path / "text.mp4").write_text("this is no video")
    with pytest.raises(MediaError):
        swap_clip(tmp_path / "text.mp4", **order)
    with pytest.raises(CheckpointError, match="no exported swapper"):
        swap_clip(target, **{**order, "swapper": tmp_path})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        swap_clip(target, **{**order, "dataset": tmp_path / "full"}, rights="consent")
    assert files_in(tmp_path / "full") == ["letter.txt"]
    with pytest.raises(StorageError, match="cannot be written"):
        swap_clip(target, **{**order, "dataset": tmp_path / "text.mp4" / "set"}, rights="consent")
    assert not (tmp_path / "set").exists()


def test_an_unknown_person_is_asked_for_rather_than_guessed(target, config, tmp_path):
    torch.manual_seed(0)
    three = save_swapper(build_swapper("lightweight", ["ann", "bob", "carl"], width=0.125), tmp_path / "swapper")
    order = {"swapper": three, "source": "ann", "dataset": tmp_path / "set", "config": config, "rights": "consent"}
    with pytest.raises(UsageError, match="not known whose video"):
        swap_clip(target, **order)
    assert swap_clip(target, **order, target_identity="dora").target_identity == "dora"


def test_a_damaged_swapper_is_refused(target, swapper, config, tmp_path):
    copy = tmp_path / "swapper"
    copy.mkdir()
    for file in swapper.iterdir():
        data = file.read_bytes()
        (copy / file.name).write_bytes(data[:-100] if file.suffix == ".safetensors" else data)
    with pytest.raises(CheckpointError):
        swap_clip(target, swapper=copy, source="ann", dataset=tmp_path / "set", config=config, rights="consent")
    assert not (tmp_path / "set").exists()


def test_settings_that_this_swapper_cannot_follow_are_refused(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "rights": "consent"}
    with pytest.raises(UsageError, match="cannot morph"):
        swap_clip(target, config=dataclasses.replace(config, morph=0.5), **order)
    learned = dataclasses.replace(config, mask=MaskConfig("learned-target"))
    with pytest.raises(UsageError, match=r"has no mask|does not know dora"):
        swap_clip(target, config=learned, **order, target_identity="dora")
    assert not (tmp_path / "set").exists()
