"""Several writers of one set: files and lines change together, and nobody's clip is written over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.dataset import DatasetFolder, add_real_clip
from shared.dataset.index import ManifestIndex
from shared.errors import ManifestError, StorageError
from shared.storage import replacing_folder
from shared.types import ClipRecord
from shared.video import Encoding

MakeSet = Callable[..., DatasetFolder]
QUICK = Encoding(preset="ultrafast")


def _files(dataset: DatasetFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()}


def test_a_file_is_not_put_over_that_of_a_clip_listed_meanwhile(make_set: MakeSet, make_clip: Callable[..., Path]):
    dataset, clip = make_set(), make_clip()
    late = DatasetFolder.open(dataset.path).stage_media(f"media/real/clip@{QUICK.name}.mp4")
    late.__enter__().write_bytes(b"late")
    add_real_clip(dataset, clip, identity="bob", rights="consent", encoding=QUICK)
    before = _files(dataset)
    assert [name for name, data in before.items() if data == b"late"], "drafts of one name are files of their own"
    with pytest.raises(ManifestError, match="which is listed"):
        late.__exit__(None, None, None)
    assert _files(dataset) == {name: data for name, data in before.items() if data != b"late"}
    assert dataset.verify() == []


def test_masks_that_clips_share_may_be_made_again_but_not_otherwise(make_set: MakeSet):
    dataset = make_set(("ann",), [("bob", "ann")])
    masks = dataset.records()[1].masks
    assert masks is not None
    same = dataset.mask_paths(dataset.records()[1])["alpha"].read_bytes()
    with dataset.stage_media(masks.alpha, shared=True) as draft:
        draft.write_bytes(same)
    other = dataset.stage_media(masks.alpha, shared=True)
    other.__enter__().write_bytes(same + b"\0")
    with pytest.raises(ManifestError, match="belongs to"):
        other.__exit__(None, None, None)
    assert dataset.verify() == []


def test_nobody_comes_between_a_clips_file_and_its_line_and_a_failure_takes_the_file_away(make_set: MakeSet):
    dataset = make_set()
    patient = DatasetFolder.open(dataset.path, lock_seconds=0.1)
    placed = dataset.path / "media/x/y.mkv"
    held = ExitStack()
    with dataset.stage_media("media/x/y.mkv", held=held) as draft:
        draft.write_bytes(b"whole")
        draft.with_suffix(".c2pa").write_bytes(b"signed")
    assert placed.read_bytes() == b"whole"
    with pytest.raises(StorageError, match="written by another process"):
        patient.assign_splits((1.0, 0.0, 0.0))
    held.__exit__(KeyError, KeyError(), None)
    assert list(placed.parent.iterdir()) == []
    patient.assign_splits((1.0, 0.0, 0.0))
    assert dataset.verify() == []


def test_of_two_who_make_one_folder_the_first_wins(tmp_path: Path):
    late = replacing_folder(tmp_path / "set", over=False)
    draft = late.__enter__()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "first").touch()
    with pytest.raises(StorageError, match="made by another process meanwhile"):
        late.__exit__(None, None, None)
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "first"]
    assert not draft.exists()


def test_an_empty_set_goes_unless_somebody_is_making_a_clip_in_it(tmp_path: Path):
    dataset = DatasetFolder.init(tmp_path / "set", "toy")
    with dataset.stage_media("media/x/y.mkv") as draft:
        draft.write_bytes(b"half")
        DatasetFolder.open(dataset.path).remove_empty()
        assert draft.exists()
    (dataset.path / "media/x/y.mkv").unlink()
    dataset.remove_empty()
    assert not dataset.path.exists()


def test_an_interrupt_after_a_clip_is_listed_leaves_its_files(make_set: MakeSet, monkeypatch: pytest.MonkeyPatch):
    dataset = make_set(("ann",), [("bob", "ann")])
    listed = dataset.records()[1]
    masks = dataset.mask_paths(listed)
    labels = dataset.frame_labels(listed.id)
    kept = {path: path.read_bytes() for path in (dataset.media_path(listed), *masks.values())}
    dataset.remove([listed.id])
    append = ManifestIndex.append

    def interrupted_after(index: ManifestIndex, record: ClipRecord) -> None:
        append(index, record)
        raise KeyboardInterrupt

    def add_again() -> None:
        with ExitStack() as held:
            for path, data in kept.items():
                with dataset.stage_media(path.relative_to(dataset.path).as_posix(), held=held) as draft:
                    draft.write_bytes(data)
            dataset.add(listed, labels)

    with monkeypatch.context() as patch:
        patch.setattr(ManifestIndex, "append", interrupted_after)
        with pytest.raises(KeyboardInterrupt):
            add_again()
    assert {path: path.read_bytes() for path in kept} == kept
    dataset.check_writable()
    assert dataset.verify() == []
