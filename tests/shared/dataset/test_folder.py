"""A dataset folder: whole after every step, also after one that was cut short."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from shared.dataset import DatasetFolder, add_real_clip
from shared.dataset.manifest import write_manifest
from shared.dataset.seal import read_seal
from shared.errors import LeakError, ManifestError, MediaError, StorageError, UsageError
from shared.provenance.read import read_provenance
from shared.provenance.trust import trust_signer
from shared.provenance.types import CAPTURE, PROCEDURAL
from shared.storage import folder_lock, sha256_file
from shared.types import ClipId, Face, FrameLabel
from shared.video import Encoding, audio_digest, probe

MakeSet = Callable[..., DatasetFolder]
QUICK = Encoding(preset="ultrafast")


def _errors(dataset: DatasetFolder) -> list[str]:
    return [str(problem) for problem in dataset.verify() if problem.severity == "error"]


def test_a_new_dataset_is_empty_and_sound(tmp_path: Path):
    dataset = DatasetFolder.init(tmp_path / "set", "toy", "A toy.", "CC-BY-4.0")
    again = DatasetFolder.open(tmp_path / "set")
    assert (again.name, again.info.description, again.info.license) == ("toy", "A toy.", "CC-BY-4.0")
    assert again.records() == []
    assert again.frame_labels() == []
    assert dataset.verify() == []


def test_a_set_that_lists_nothing_says_whether_it_is_being_built(tmp_path: Path, make_set: MakeSet):
    """A build lists its clips together when it ends; until then "assign splits" would mislead."""
    dataset = DatasetFolder.init(tmp_path / "set", "toy", "A toy.", "CC-BY-4.0")
    assert "lists no clip" in str(dataset.without_clips("train", "assign splits"))
    (dataset.path / "media" / "real").mkdir(parents=True)
    error = dataset.without_clips("train", "assign splits")
    assert "still being built" in str(error)
    assert "assay forge build" in str(error.hint)
    assert "has no clip in its train split" in str(make_set().without_clips("train", "assign splits"))


def test_a_place_that_is_taken_or_a_bad_name_is_refused(tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        DatasetFolder.init(tmp_path / "full", "toy")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    with pytest.raises(UsageError, match="dataset 'a/b'"):
        DatasetFolder.init(tmp_path / "new", "a/b")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ManifestError, match="is not a dataset"):
        DatasetFolder.open(tmp_path / "full")


def test_a_set_of_a_later_version_is_refused(make_set: MakeSet):
    dataset = make_set()
    settings = dataset.path / "dataset.toml"
    settings.write_text(settings.read_text().replace("version = 1", "version = 99"))
    with pytest.raises(ManifestError, match="layout version 99"):
        DatasetFolder.open(dataset.path)


def test_a_real_clip_is_encoded_labelled_and_signed(make_clip: Callable[..., Path], tmp_path: Path):
    clip = make_clip("Ann, at home.mp4", ticks=(0, 1, 2, 5, 9))
    dataset = DatasetFolder.init(tmp_path / "set", "toy")
    record = add_real_clip(dataset, clip, identity="ann", rights="consent", encoding=QUICK)
    assert str(record.id) == f"toy/real/Ann-at-home@{QUICK.name}"
    assert (record.kind, record.label, record.frames, record.width, record.height) == ("real", "real", 5, 64, 48)
    assert record.factors == {"original_sha256": sha256_file(clip), "title": "Ann, at home"}
    media = dataset.media_path(record)
    assert sha256_file(media) == record.sha256 != record.content_sha256
    assert probe(media, count=True).frames_counted == 5
    labels = dataset.frame_labels(record.id)
    assert [(label.frame, label.label, label.box) for label in labels] == [(i, "real", None) for i in range(5)]
    assert [label.seconds for label in labels] == [0, 0.04, 0.08, 0.2, 0.36]
    found = read_provenance(media)
    assert found is not None
    assert found.digital_source_types == (CAPTURE,)
    assert [action.name for action in found.actions] == ["c2pa.opened", "c2pa.transcoded"]
    assert found.ingredients[0].sha256 == sha256_file(clip)


def test_two_builds_of_one_clip_differ_only_by_their_salt(make_clip: Callable[..., Path], tmp_path: Path):
    clip = make_clip()
    made = []
    for place in ("one", "two"):
        dataset = DatasetFolder.init(tmp_path / place, "toy")
        made.append(add_real_clip(dataset, clip, identity="ann", rights="consent", encoding=QUICK))
    assert made[0].content_sha256 == made[1].content_sha256
    assert dataclasses.replace(made[0], sha256=made[1].sha256) == made[1]


class _Finder:
    """Finds one face in each frame but the second."""

    name = "scripted"

    def find(self, frames: list[np.ndarray]) -> list[list[Face]]:
        return [self._faces(frame) for frame in frames]

    def refine(self, image: np.ndarray, boxes: list[np.ndarray]) -> list[Face]:
        return self._faces(image)[: len(boxes)]

    def describe(self) -> dict[str, str]:
        return {}

    def _faces(self, image: np.ndarray) -> list[Face]:
        turn = np.linspace(0, 2 * np.pi, 68, dtype=np.float32)
        landmarks = np.stack([22 + 16 * np.cos(turn), 24 + 16 * np.sin(turn)], axis=1)
        return [Face(np.array([4.0, 6.0, 40.0, 42.0], np.float32), landmarks, 0.9)]


def test_faces_that_a_finder_sees_are_labelled(make_clip: Callable[..., Path], tmp_path: Path):
    dataset = DatasetFolder.init(tmp_path / "set", "toy")
    record = add_real_clip(
        dataset,
        make_clip(),
        identity="ann",
        rights="synthetic",
        encoding=QUICK,
        finder=_Finder(),  # type: ignore[arg-type]
    )
    labels = dataset.frame_labels(record.id)
    assert len(labels) == 12
    assert {label.label for label in labels} == {"real"}
    assert labels[0].box is not None
    assert labels[0].face_px == pytest.approx(labels[0].box[2] - labels[0].box[0])
    assert labels[0].track is not None
    found = read_provenance(dataset.media_path(record))
    assert found is not None
    assert found.digital_source_types == (PROCEDURAL,)


@pytest.mark.needs_media
def test_sound_is_kept_and_a_container_without_room_gets_a_sidecar(media: Path, tmp_path: Path):
    clip = next((media / "video_grid").glob("*.mpg"), None) or next((media / "video_grid").rglob("*.mpg"))
    dataset = DatasetFolder.init(tmp_path / "set", "toy")
    record = add_real_clip(dataset, clip, identity="speaker", rights="CC-BY-4.0", encoding=QUICK)
    assert audio_digest(dataset.media_path(record)) == audio_digest(clip)
    assert dataset.verify() == []


def test_adding_again_changes_nothing_and_another_file_is_not_taken_for_it(make_set: MakeSet, tmp_path: Path):
    dataset = make_set(("ann",), [("bob", "ann")])
    fake = dataset.records()[1]
    before = {path: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()}
    assert dataset.add(fake, dataset.frame_labels(fake.id)) == fake
    assert add_real_clip(dataset, tmp_path / "toy-ann.mp4", identity="ann", rights="synthetic", encoding=QUICK)
    assert {path: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()} == before
    shutil.copy(dataset.media_path(fake), tmp_path / "toy-ann.mp4")
    with pytest.raises(ManifestError, match="made from another file"):
        add_real_clip(dataset, tmp_path / "toy-ann.mp4", identity="ann", rights="synthetic", encoding=QUICK)
    with pytest.raises(ManifestError, match="listed already, with other content"):
        dataset.add(dataclasses.replace(fake, rights="consent"), [])


def test_a_fake_brings_masks_whose_digests_are_kept(make_set: MakeSet):
    dataset = make_set(("ann",), [("bob", "ann")])
    fake = dataset.record(ClipId("toy", "toyswap", "ann+bob"))
    assert fake.masks is not None
    paths = dataset.mask_paths(fake)
    assert list(paths) == ["alpha", "changed", "region"]
    assert fake.masks.sha256 == tuple(map(sha256_file, paths.values()))
    assert [label.label for label in dataset.frame_labels(fake.id)] == ["fake"] * 4 + ["real"] * 2
    assert dataset.mask_paths(dataset.records()[0]) == {}
    assert dataset.verify() == []


def test_digests_of_masks_are_filled_in_when_the_maker_left_them_out(make_set: MakeSet):
    dataset = make_set(("ann",), [("bob", "ann")])
    fake = dataset.records()[1]
    assert fake.masks is not None
    bare = dataclasses.replace(fake, masks=dataclasses.replace(fake.masks, sha256=None))
    assert dataset.add(bare, []) == fake


@pytest.mark.parametrize(
    ("change", "labels", "says"),
    [
        ({"path": "media/real/absent.mp4"}, 6, "is missing"),
        ({"sha256": "9" * 64}, 6, "does not match the record"),
        ({"id": ClipId("other", None, "new")}, 6, "another dataset than toy"),
        ({"path": "../outside.mp4"}, 6, "would leave"),
        ({}, 6, "belongs to toy/real/toy-ann"),
        ({}, 5, "1 of 6 frames have no label, the first is 5"),
        ({"frames": 5}, 6, "a label is of frame 5, the clip has 5"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(make_set: MakeSet, change: dict[str, object], labels: int, says: str):
    dataset = make_set()
    record = dataclasses.replace(dataset.records()[0], id=ClipId("toy", None, "new"))
    record = dataclasses.replace(record, **change)  # type: ignore[arg-type]
    rows = [FrameLabel(record.id, index, index, 0.0, "real") for index in range(labels)]
    with pytest.raises(ManifestError, match=says):
        dataset.add(record, rows)
    assert len(dataset) == 1
    assert dataset.verify() == []


def test_labels_have_to_agree_with_the_faked_ranges(make_set: MakeSet):
    dataset = make_set(("ann",), [("bob", "ann")])
    fake = dataclasses.replace(dataset.records()[1], id=ClipId("toy", "toyswap", "new"))
    for faked, says in ((4, "frame 3 is labelled real"), (5, "frame 4 is labelled fake")):
        rows = [
            FrameLabel(fake.id, index, index, 0.0, "fake" if index < faked + (-1 if faked == 4 else 0) else "real")
            for index in range(6)
        ]
        with pytest.raises(ManifestError, match=says):
            dataset.add(fake, rows)


def test_a_draft_that_fails_leaves_nothing_and_a_listed_file_is_not_overwritten(make_set: MakeSet):
    dataset = make_set()
    with suppress(RuntimeError), dataset.stage_media("media/x/y.mkv") as draft:
        draft.write_bytes(b"half")
        draft.with_suffix(".c2pa").write_bytes(b"half")
        raise RuntimeError
    assert list((dataset.path / "media" / "x").iterdir()) == []
    with pytest.raises(ManifestError, match="belongs to"), dataset.stage_media(dataset.records()[0].path):
        pass
    with pytest.raises(ManifestError, match="would leave"), dataset.stage_media("../y.mp4"):
        pass
    with dataset.stage_media("media/x/y.mkv") as draft:
        draft.write_bytes(b"whole")
        draft.with_suffix(".c2pa").write_bytes(b"signed")
    assert sorted(path.name for path in (dataset.path / "media" / "x").iterdir()) == ["y.c2pa", "y.mkv"]


def test_a_clip_that_cannot_be_read_leaves_the_set_as_it_was(make_set: MakeSet, tmp_path: Path):
    dataset = make_set()
    (tmp_path / "text.mp4").write_bytes(b"no video")
    for path in (tmp_path / "text.mp4", tmp_path / "absent.mp4"):
        with pytest.raises(MediaError):
            add_real_clip(dataset, path, identity="bob", rights="consent")
    with pytest.raises(UsageError, match="identity"):
        add_real_clip(dataset, tmp_path / "text.mp4", identity="../bob", rights="consent")
    with pytest.raises(UsageError, match="basis"):
        add_real_clip(dataset, tmp_path / "text.mp4", identity="bob", rights=" ")
    assert dataset.verify() == []


def test_splits_are_assigned_sealed_and_kept(make_set: MakeSet):
    dataset = make_set(("a", "b", "c", "d"), [("a", "b"), ("b", "a"), ("c", "d")])
    with pytest.raises(LeakError):
        dataset.assign_splits(seed=1)
    assert {record.split for record in dataset.records()} == {None}
    dataset.assign_groups({"train": ["a", "b"], "test": ["c", "d"]})
    again = DatasetFolder.open(dataset.path)
    assert {record.id.name for record in again.records(split="test")} == {
        f"toy-c@{QUICK.name}",
        f"toy-d@{QUICK.name}",
        "d+c",
    }
    assert dataset.verify() == []
    dataset.assign_splits((0.5, 0.0, 0.5), seed=2)
    assert {record.split for record in dataset.records()} == {"train", "test"}
    assert dataset.verify() == []
    assert "| test | fake | toyswap | 1 |" in (dataset.path / "README.md").read_text()


def test_a_batch_seals_once_and_readers_see_each_clip_at_once(make_set: MakeSet, make_clip: Callable[..., Path]):
    dataset = make_set()
    seal = (dataset.path / "dataset.sig").read_bytes()
    with dataset.batch():
        record = add_real_clip(dataset, make_clip("new.mp4"), identity="bob", rights="consent", encoding=QUICK)
        assert (dataset.path / "dataset.sig").read_bytes() == seal
        reader = DatasetFolder.open(dataset.path)
        assert reader.has(record.id)
        assert len(reader.frame_labels(record.id)) == 12
        assert [problem.severity for problem in reader.verify()] == ["warning"]
    assert (dataset.path / "dataset.sig").read_bytes() != seal
    assert len(dataset.frame_labels(record.id)) == 12
    assert dataset.verify() == []


def test_one_process_writes_at_a_time(make_set: MakeSet):
    dataset = make_set()
    patient = DatasetFolder.open(dataset.path, lock_seconds=0.1)
    with folder_lock(dataset.path / ".lock"), pytest.raises(StorageError, match="written by another process"):
        patient.assign_splits((1.0, 0.0, 0.0))
    patient.assign_splits((1.0, 0.0, 0.0))


def test_a_set_that_was_tampered_with_is_not_signed_over(make_set: MakeSet, make_clip: Callable[..., Path]):
    dataset = make_set(("ann", "bob"))
    manifest = dataset.path / "manifest.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole.splitlines(keepends=True)[0])
    with pytest.raises(ManifestError, match="not as it was sealed: toy/real/toy-bob"):
        add_real_clip(dataset, make_clip(), identity="cleo", rights="consent", encoding=QUICK)
    with pytest.raises(ManifestError, match="not as it was sealed"):
        dataset.assign_splits((1.0, 0.0, 0.0))
    dataset.seal()
    assert _errors(dataset) == []


def test_a_clip_can_be_taken_out_again(make_set: MakeSet):
    dataset = make_set(("ann", "bob"), [("bob", "ann")])
    ann, bob, fake = dataset.records()
    files = [dataset.media_path(fake), *dataset.mask_paths(fake).values()]
    dataset.remove([fake.id, bob.id])
    assert dataset.records() == [ann]
    assert {label.clip for label in dataset.frame_labels()} == {ann.id}
    assert not any(path.exists() for path in files)
    assert dataset.verify() == []
    with pytest.raises(ManifestError, match="is not in"):
        dataset.remove([fake.id])


def test_a_clip_that_another_was_made_from_stays(make_set: MakeSet):
    dataset = make_set(("ann",), [("bob", "ann")])
    ann, fake = dataset.records()
    write_manifest(dataset.path / "manifest.jsonl", [ann, dataclasses.replace(fake, parent=ann.id)])
    dataset.seal()
    with pytest.raises(ManifestError, match="was made from toy/real/toy-ann"):
        dataset.remove([ann.id])
    assert len(dataset) == 2


def test_what_a_stopped_writer_left_is_finished_by_the_next(make_set: MakeSet, make_clip: Callable[..., Path]):
    dataset = make_set()
    old = {name: (dataset.path / name).read_bytes() for name in ("frames.parquet", "README.md", "dataset.sig")}
    add_real_clip(dataset, make_clip("new.mp4"), identity="bob", rights="consent", encoding=QUICK)
    drafts = dataset.path / ".pending" / "commit"
    drafts.mkdir(parents=True)
    for name in old:  # as if it had been stopped before, or between, moving these three
        shutil.move(dataset.path / name, drafts / name)
        (dataset.path / name).write_bytes(old[name])
    with (dataset.path / "manifest.jsonl").open("ab") as file:
        file.write(b'{"id":"toy/real/torn"')
    assert _errors(dataset) == []
    assert len(dataset.frame_labels()) == 18
    dataset.assign_splits((1.0, 0.0, 0.0))
    assert not drafts.exists()
    assert dataset.verify() == []


_BUILDER = """
import sys
from pathlib import Path
from shared.dataset import DatasetFolder, add_real_clip
from shared.video import Encoding
dataset = DatasetFolder.open(Path(sys.argv[1]))
with dataset.batch():
    for index in range(12):
        add_real_clip(dataset, Path(sys.argv[2]), identity=f"p{index}", rights="consent", name=f"c{index}",
                      encoding=Encoding(preset="ultrafast"))
"""


def test_a_build_killed_at_any_moment_goes_on_to_the_same_set(
    make_clip: Callable[..., Path], tmp_path: Path, rng: np.random.Generator
):
    clip = make_clip()
    dataset = DatasetFolder.init(tmp_path / "set", "toy")
    command = [sys.executable, "-c", _BUILDER, str(dataset.path), str(clip)]
    for _ in range(3):
        before = len(dataset)
        process = subprocess.Popen(command, env=dict(os.environ))
        deadline = time.monotonic() + 240
        while len(dataset) <= before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.1)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert _errors(dataset) == []
    assert subprocess.run(command, check=False).returncode == 0
    assert [record.id.name for record in dataset.records()] == [f"c{index}@{QUICK.name}" for index in range(12)]
    assert [problem for problem in dataset.verify() if problem.kind != "orphan"] == []
    assert len({record.content_sha256 for record in dataset.records()}) == 1


def test_two_machines_may_add_to_one_set(
    make_set: MakeSet, make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = make_set()
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "colleague"))
    (problem,) = DatasetFolder.open(dataset.path).verify()
    assert (problem.kind, problem.severity) == ("signer", "error")
    with pytest.raises(ManifestError, match="unknown signer"):
        add_real_clip(dataset, make_clip(), identity="bob", rights="consent", encoding=QUICK)
    trust_signer(read_seal(dataset.path).fingerprint)
    add_real_clip(dataset, make_clip(), identity="bob", rights="consent", encoding=QUICK)
    assert dataset.verify() == []
