"""Exports: signed bytes kept, splits and people kept, read back by those who will read them."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.dataset import DatasetFolder
from shared.dataset.formats.export_deepfakebench import chosen_frames
from shared.dataset.formats.export_faceforensics import compression, pair_lists
from shared.dataset.formats.export_webdataset import key_of
from shared.dataset.formats.exporting import ExportConfig, export_dataset
from shared.dataset.formats.importing import ImportConfig, import_set
from shared.errors import LeakError, ManifestError, UnknownNameError, UsageError
from shared.provenance.read import read_provenance
from shared.storage import sha256_file
from shared.types import ClipRecord
from shared.video import VideoReader, read_mask_frames

MakeSet = Callable[..., DatasetFolder]
GROUPS = {"train": ["ann", "bob"], "val": ["cleo", "dan"], "test": ["eve"]}


@pytest.fixture
def dataset(make_set: MakeSet) -> DatasetFolder:
    """Five people, both orders of a pair in train, one order in val, eve alone in test; signed, with masks."""
    made = make_set(("ann", "bob", "cleo", "dan", "eve"), (("ann", "bob"), ("bob", "ann"), ("cleo", "dan")))
    made.assign_groups(GROUPS)  # type: ignore[arg-type]
    return made


def _said(record: ClipRecord) -> tuple[object, ...]:
    return (
        record.label,
        record.kind,
        record.id.manipulation,
        record.target_identity,
        record.source_identity,
        record.split,
        record.faked,
    )


def _files(out: Path) -> Mapping[str, Mapping[str, str]]:
    return json.loads((out / "assay-export.json").read_text())["clips"]


def test_faceforensics_and_back_gives_the_same_labels_people_and_splits(dataset: DatasetFolder, tmp_path: Path):
    export_dataset("faceforensics", dataset.path, tmp_path / "ff")
    report = import_set("faceforensics", tmp_path / "ff", tmp_path / "back", ImportConfig("terms", name="back"))
    back = DatasetFolder.open(tmp_path / "back")
    assert report.issues == ()
    assert report.leaks == ()
    by_bytes = {record.sha256: record for record in back.records()}
    assert len(by_bytes) == len(dataset) == 8
    for record in dataset.records():
        assert _said(by_bytes[record.sha256]) == _said(record)
        if record.masks is not None:
            pair = (dataset.mask_paths(record)["changed"], back.mask_paths(by_bytes[record.sha256])["changed"])
            ours, theirs = (np.stack(list(read_mask_frames(path))) > 0 for path in pair)
            assert np.array_equal(ours, theirs)
    assert [str(problem) for problem in back.verify() if problem.severity == "error"] == []


def test_faceforensics_names_and_pairs(dataset: DatasetFolder, tmp_path: Path):
    out = tmp_path / "ff"
    export_dataset("faceforensics", dataset.path, out)
    numbers = {who: number for number, who in json.loads((out / "assay-export.json").read_text())["identities"].items()}
    assert sorted(numbers.values()) == ["000", "001", "002", "003", "004"]
    ann, bob = numbers["ann"], numbers["bob"]
    videos = {path.relative_to(out).as_posix() for path in (out / "manipulated_sequences").rglob("*.mp4")}
    assert f"manipulated_sequences/toyswap/raw/videos/{bob}_{ann}.mp4" in videos
    assert f"manipulated_sequences/toyswap/raw/videos/{ann}_{bob}.mp4" in videos
    assert json.loads((out / "train.json").read_text()) == [sorted([ann, bob])]
    assert json.loads((out / "test.json").read_text()) == [[numbers["eve"]] * 2]


def test_signed_clips_stay_signed_and_the_seal_goes_along(dataset: DatasetFolder, tmp_path: Path):
    export_dataset("faceforensics", dataset.path, tmp_path / "ff")
    files = _files(tmp_path / "ff")
    for record in dataset.records():
        path = tmp_path / "ff" / files[str(record.id)]["file"]
        assert sha256_file(path) == record.sha256 == files[str(record.id)]["sha256"]
        found = read_provenance(path)
        assert found is not None
        assert found.valid
    for name in ("manifest.jsonl", "dataset.sig", "frames.parquet", "README.md"):
        assert (tmp_path / "ff/assay" / name).read_bytes() == (dataset.path / name).read_bytes()
    said = json.loads((tmp_path / "ff/assay-export.json").read_text())
    assert (said["dataset"], said["seal_sha256"]) == (dataset.name, sha256_file(dataset.path / "dataset.sig"))


def test_a_set_of_faceforensics_keeps_its_numbers(tmp_path: Path, make_clip: Callable[..., Path]):
    for index, place in enumerate(("original_sequences/youtube", "manipulated_sequences/Face2Face")):
        for name in (("071", "054"), ("071_054", "054_071"))[index]:
            path = tmp_path / "ff" / place / "c23/videos" / f"{name}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            make_clip(f"{name}.mp4", ticks=range(3 + len(list(tmp_path.rglob("*.mp4"))))).rename(path)
    (tmp_path / "ff/train.json").write_text('[["071", "054"]]')
    import_set("faceforensics", tmp_path / "ff", tmp_path / "set", ImportConfig("terms"))
    export_dataset("faceforensics", tmp_path / "set", tmp_path / "again", ExportConfig(link=True))
    for path in (tmp_path / "ff").rglob("*.mp4"):
        assert (tmp_path / "again" / path.relative_to(tmp_path / "ff")).read_bytes() == path.read_bytes()
    assert json.loads((tmp_path / "again/train.json").read_text()) == [["054", "071"]]


def test_faceforensics_cannot_say_splits_that_leak(dataset: DatasetFolder, tmp_path: Path):
    records = [
        dataclasses.replace(record, split="test" if record.id.manipulation else "train") for record in dataset.records()
    ]
    (dataset.path / "manifest.jsonl").write_bytes(b"".join(_lines(records)))
    dataset.seal()
    with pytest.raises(LeakError):
        export_dataset("faceforensics", dataset.path, tmp_path / "ff")
    assert not (tmp_path / "ff").exists()


def _lines(records: list[ClipRecord]) -> list[bytes]:
    from shared.dataset.manifest import encode_record

    return [encode_record(record) + b"\n" for record in records]


def test_pairs_and_compressions_by_hand():
    pairs = {"train": {("000", "003"), ("003", "000"), ("000", "000"), ("007", "007")}}
    assert pair_lists(pairs)["train"] == [["000", "003"], ["007", "007"]]  # type: ignore[arg-type]
    words = ("h264-crf23", "h264-crf0", "original", "hevc-crf23", "c40")
    assert [compression(word) for word in words] == ["c23", "c0", "raw", "hevc-crf23", "c40"]


def test_deepfakebench_frames_masks_and_labels_and_back(dataset: DatasetFolder, tmp_path: Path):
    out = tmp_path / "bench"
    export_dataset("deepfakebench", dataset.path, out, ExportConfig(frames=3))
    listed = json.loads((out / "dataset_json/toy.json").read_text())["toy"]
    entry = listed["toy_Fake-toyswap"]["train"]["bob+ann"]
    assert [Path(frame).stem for frame in entry["frames"]] == ["000000", "000002", "000003"]
    assert [frame.replace("frames", "masks") for frame in entry["frames"]] == entry["masks"]
    record = next(record for record in dataset.records() if record.id.name == "bob+ann")
    with VideoReader(dataset.media_path(record)) as reader:
        third = list(reader)[2].image
    assert np.array_equal(np.asarray(Image.open(out / "rgb" / entry["frames"][1])), third)
    assert "toy_Fake-toyswap: 1\n" in (out / "label_dict.yaml").read_text()
    back = import_set("deepfakebench", out, tmp_path / "back", ImportConfig("terms"))
    assert back.issues == ()
    counts = {(split, label): count for (split, label, _, _), count in back.counts.items()}
    assert counts[("train", "fake")] == counts[("train", "real")] == 2
    assert counts[("test", "real")] == 1


def test_deepfakebench_takes_forged_frames_only_and_needs_splits(make_set: MakeSet, tmp_path: Path):
    made = make_set(("ann", "bob"), (("ann", "bob"),))
    real, _, fake = made.records()
    assert chosen_frames(dataclasses.replace(real, frames=10), 4) == [0, 3, 6, 9]
    assert chosen_frames(fake, 0) == [0, 1, 2, 3]
    assert chosen_frames(dataclasses.replace(fake, faked=((1, 2), (4, 6))), 2) == [1, 5]
    with pytest.raises(UsageError, match="without a split"):
        export_dataset("deepfakebench", made.path, tmp_path / "bench")


def test_hugging_face_loads_it_offline(dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = tmp_path / "hf"
    export_dataset("huggingface", dataset.path, out)
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 4, "validation": 3, "test": 1}
    by_id = {str(record.id): record for record in dataset.records()}
    for row in loaded["train"].cast_column("video", datasets.Video(decode=False)):
        record = by_id[row["id"]]
        assert (row["label"], row["target_identity"], row["split"]) == (record.label, record.target_identity, "train")
        assert row["manipulation"] == (record.id.manipulation or "")
        assert sha256_file(Path(row["video"]["path"])) == record.sha256
        assert bool(row["mask_file"]) == (record.masks is not None)
        assert not row["mask_file"] or (out / row["mask_file"]).is_file()
    card = (out / "README.md").read_text()
    assert "path: data/validation/**" in card
    assert "manifest.jsonl\n  default" not in card


def test_webdataset_reads_every_clip_once(dataset: DatasetFolder, tmp_path: Path):
    import webdataset

    out = tmp_path / "shards"
    export_dataset("webdataset", dataset.path, out, ExportConfig(shard_bytes=40_000))
    shards = sorted(path.name for path in out.glob("*.tar"))
    assert all((out / name).stat().st_size <= 40_000 or _clips_in(out / name) == 1 for name in shards)
    assert len([name for name in shards if name.startswith("train")]) > 1
    seen = {}
    for name in shards:
        for sample in webdataset.WebDataset(str(out / name), shardshuffle=False):
            facts = json.loads(sample["json"])
            seen[facts["id"]] = (sample, name)
    for record in dataset.records():
        sample, name = seen[str(record.id)]
        assert sample["mp4"] == dataset.media_path(record).read_bytes()
        assert name.partition("-")[0] == {"train": "train", "val": "validation", "test": "test"}[str(record.split)]
        assert ("mask.mkv" in sample) == (record.masks is not None)
        assert sample["__key__"] == key_of(record)
    assert len(seen) == len(dataset)


def _clips_in(shard: Path) -> int:
    with tarfile.open(shard) as tar:
        return sum(name.endswith(".json") for name in tar.getnames())


def test_equal_sets_give_equal_shards(dataset: DatasetFolder, tmp_path: Path):
    for name in ("one", "two"):
        export_dataset("webdataset", dataset.path, tmp_path / name)
    shards = sorted((tmp_path / "one").glob("*.tar"))
    assert len(shards) == 3
    for shard in shards:
        assert shard.read_bytes() == (tmp_path / "two" / shard.name).read_bytes()


@pytest.mark.parametrize("layout", ["faceforensics", "huggingface", "webdataset", "deepfakebench"])
def test_a_changed_clip_is_not_exported(dataset: DatasetFolder, tmp_path: Path, layout: str):
    path = dataset.media_path(dataset.records()[0])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ManifestError, match="missing or was changed"):
        export_dataset(layout, dataset.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_refused(dataset: DatasetFolder, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="webdatasets"):
        export_dataset("webdatasets", dataset.path, tmp_path / "out")
    with pytest.raises(UsageError, match="lies in the dataset"):
        export_dataset("webdataset", dataset.path, dataset.path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        export_dataset("webdataset", dataset.path, tmp_path / "full")
    with pytest.raises(UsageError, match="shards"):
        ExportConfig(shard_bytes=1)
    with pytest.raises(UsageError, match="frames"):
        ExportConfig(frames=-1)
    empty = DatasetFolder.init(tmp_path / "empty", "empty")
    with pytest.raises(ManifestError, match="holds no clips"):
        export_dataset("webdataset", empty.path, tmp_path / "out")
    manifest = dataset.path / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes().replace(b'"ann"', b'"eve"'))
    with pytest.raises(ManifestError, match="not as it was sealed"):
        export_dataset("webdataset", dataset.path, tmp_path / "out")


def test_the_command(dataset: DatasetFolder, tmp_path: Path, assay: Callable[..., dict]):
    done = assay("export", dataset.path, "webdataset", tmp_path / "shards", "--shard-mb", 1)
    assert done["clips"] == 8
    assert set(done["files"]) == {str(record.id) for record in dataset.records()}
    with pytest.raises(UnknownNameError):
        assay("export", dataset.path, "coco", tmp_path / "coco")
