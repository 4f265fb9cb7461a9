"""Every tampering is found and named; nothing untouched is accused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.dataset import DatasetFolder, Problem, verify_dataset
from shared.dataset.frame_table import labels_of, read_frame_table, write_frame_labels
from shared.dataset.manifest import read_manifest, write_manifest
from shared.dataset.seal import write_seal
from shared.errors import ManifestError
from shared.provenance.identity import SigningIdentity
from shared.storage import sha256_file

MakeSet = Callable[..., DatasetFolder]


@pytest.fixture
def dataset(make_set: MakeSet) -> DatasetFolder:
    made = make_set(("ann", "bob"), [("ann", "bob")])
    made.assign_splits((1.0, 0.0, 0.0))
    return made


def _errors(dataset: DatasetFolder, **options: object) -> list[Problem]:
    found = verify_dataset(dataset.path, **options)  # type: ignore[arg-type]
    return [problem for problem in found if problem.severity == "error"]


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _edit_line(dataset: DatasetFolder, index: int, **changes: object) -> None:
    path = dataset.path / "manifest.jsonl"
    lines = path.read_text().splitlines()
    lines[index] = json.dumps(json.loads(lines[index]) | changes, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n")


def _sealed_files(dataset: DatasetFolder) -> list[Path]:
    kept = [path for path in dataset.path.rglob("*") if path.is_file() and path.name != ".lock"]
    return sorted(kept)


def test_an_untouched_set_is_not_accused(dataset: DatasetFolder):
    assert dataset.verify() == []
    assert dataset.verify(deep=False) == []
    copied = dataset.path.parent / "copy"
    shutil.copytree(dataset.path, copied)
    assert DatasetFolder.open(copied).verify() == []


def test_a_flipped_byte_is_found_in_every_file(dataset: DatasetFolder):
    files = _sealed_files(dataset)
    assert len(files) == 15  # 3 clips, 3 masks, settings, manifest, 4 tables of splits, frames, card, seal
    for path in files:
        whole = path.read_bytes()
        for at in sorted({0, len(whole) // 3, max(0, len(whole) - 2)}):
            if whole:
                _flip(path, at)
            else:  # the table of a split without clips
                path.write_bytes(b"\n")
            try:
                found = _errors(dataset)
            except ManifestError:  # dataset.toml no longer says that it is one
                found = [path]
            assert found, f"byte {at} of {path.name}"
            path.write_bytes(whole)
    assert dataset.verify() == []


def test_a_swapped_label_is_found_by_seal_and_signed_facts(dataset: DatasetFolder):
    clip = dataset.records()[2]
    _edit_line(dataset, 2, kind="real", label="real", id="toy/real/bob+ann", source_identity=None, faked=[], masks=None)
    kinds = {problem.kind for problem in _errors(dataset)}
    assert {"added", "removed", "label"} <= kinds
    # Whoever holds the key may seal the lie, and the clip still says what it is.
    relabelled = [record if record.id != clip.id else None for record in read_manifest(dataset.path / "manifest.jsonl")]
    assert None not in relabelled
    rows = labels_of([read_frame_table(dataset.path / "frames.parquet")])
    real = [
        dataclasses.replace(row, clip=read_manifest(dataset.path / "manifest.jsonl")[2].id, label="real")
        if row.clip == clip.id
        else row
        for row in rows
    ]
    write_frame_labels(dataset.path / "frames.parquet", real)
    dataset.seal()
    messages = [problem.message for problem in _errors(dataset)]
    assert "is listed as real, and its signed manifest says that a trained model had a hand in it" in messages
    assert "label is listed as 'real' and signed as 'fake'" in messages


def test_a_swapped_frame_label_is_found(dataset: DatasetFolder):
    path = dataset.path / "frames.parquet"
    rows = labels_of([read_frame_table(path)])
    rows[-1] = dataclasses.replace(rows[-1], label="fake")
    write_frame_labels(path, rows)
    messages = {problem.message for problem in _errors(dataset, deep=False)}
    assert messages == {
        "frames.parquet was changed after the set was sealed",
        "frame 5 is labelled fake, the clip's faked ranges leave it out",
    }


def test_a_removed_line_is_named(dataset: DatasetFolder):
    path = dataset.path / "manifest.jsonl"
    gone = dataset.records()[1].id
    write_manifest(path, [record for record in dataset.records() if record.id != gone])
    found = _errors(dataset, deep=False)
    assert ("removed", gone) in [(problem.kind, problem.clip) for problem in found]
    assert any("labels toy/real/toy-bob" in problem.message for problem in found)
    orphans = [problem for problem in dataset.verify() if problem.kind == "orphan"]
    assert [problem.severity for problem in orphans] == ["warning"]


def test_an_added_clip_is_named(dataset: DatasetFolder):
    records = dataset.records()
    copied = "media/real/copied.mp4"
    shutil.copy(dataset.media_path(records[0]), dataset.path / copied)
    twin = dataclasses.replace(records[0], id=dataclasses.replace(records[0].id, name="copied"), path=copied)
    write_manifest(dataset.path / "manifest.jsonl", [*records, twin])
    kinds = {problem.kind for problem in _errors(dataset) if problem.clip == twin.id}
    assert kinds == {"added", "label"}


def test_a_moved_split_is_named_and_its_leak_too(dataset: DatasetFolder):
    _edit_line(dataset, 0, split="test")
    found = _errors(dataset, deep=False)
    assert [(problem.kind, problem.clip) for problem in found] == [
        ("changed", dataset.records()[0].id),
        ("leak", None),
    ]
    assert "identity ann in train (toy/toyswap/bob+ann), test (toy/real/toy-ann" in found[1].message


def test_a_replaced_mask_is_found_even_with_its_digest_in_the_line(dataset: DatasetFolder):
    fake = dataset.records()[2]
    paths = dataset.mask_paths(fake)
    shutil.copy(paths["region"], paths["alpha"])
    (problem,) = _errors(dataset)
    assert (problem.kind, problem.clip) == ("file", fake.id)
    assert "bob+ann.alpha.mkv has other bytes" in problem.message
    assert fake.masks is not None
    digests = (sha256_file(paths["alpha"]), *(fake.masks.sha256 or ())[1:])
    masks = dataclasses.replace(fake.masks, sha256=digests)
    write_manifest(dataset.path / "manifest.jsonl", [*dataset.records()[:2], dataclasses.replace(fake, masks=masks)])
    kinds = [problem.kind for problem in _errors(dataset)]
    assert kinds == ["changed", "label"]  # the seal, and the digests that were signed into the clip


def test_an_edited_signature_is_found(dataset: DatasetFolder):
    seal = dataset.path / "dataset.sig"
    whole = seal.read_text()
    plain = json.loads(whole)
    plain["statement"]["clips"].popitem()
    seal.write_text(json.dumps(plain))
    assert any("does not fit what it signs" in problem.message for problem in _errors(dataset))
    seal.unlink()
    assert [problem.kind for problem in _errors(dataset)] == ["seal"]
    seal.write_text(whole)
    assert _errors(dataset) == []


def test_what_is_planted_beside_a_clip_is_named_links_too(dataset: DatasetFolder, tmp_path: Path):
    clip = dataset.media_path(dataset.records()[0])
    clip.with_suffix(".landmarks.parquet").write_bytes(b"planted")
    clip.with_suffix(".json").write_text("{}")
    (clip.parent / "link.mp4").symlink_to(tmp_path / "anything")
    (clip.parent / "more").symlink_to(tmp_path, target_is_directory=True)
    found = {problem.message.split(" is ")[0].rpartition("/")[2]: problem for problem in dataset.verify()}
    assert set(found) == {f"{clip.stem}.landmarks.parquet", f"{clip.stem}.json", "link.mp4", "more"}
    assert {problem.kind for problem in found.values()} == {"orphan"}
    assert found["more"].message.endswith("a link that was put there")


def test_a_set_sealed_anew_by_a_stranger_is_found(dataset: DatasetFolder, tmp_path: Path):
    mine = SigningIdentity.load_or_create()
    stranger = SigningIdentity.load_or_create(tmp_path / "stranger")
    write_manifest(dataset.path / "manifest.jsonl", dataset.records()[:2])
    rows = labels_of([read_frame_table(dataset.path / "frames.parquet")])
    write_frame_labels(dataset.path / "frames.parquet", [row for row in rows if row.clip.manipulation is None])
    write_seal(dataset.path, dataset.name, stranger, drafts=dataset.path)
    found = dataset.verify()
    assert [(problem.kind, problem.severity) for problem in found if problem.kind != "orphan"] == [("signer", "error")]
    assert any(problem.kind == "signer" for problem in _errors(dataset, signer=mine.fingerprint))
    assert not any(problem.kind == "signer" for problem in _errors(dataset, signer=stranger.fingerprint))


def test_a_clip_with_other_pictures_of_the_same_length_is_found(dataset: DatasetFolder):
    ann, bob, _ = dataset.records()
    shutil.copy(dataset.media_path(bob), dataset.media_path(ann))
    messages = [problem.message for problem in _errors(dataset)]
    assert f"{ann.path} has other bytes than the manifest says" in messages
    assert f"id is listed as '{ann.id}' and signed as '{bob.id}'" in messages


def test_counts_that_do_not_agree_are_found(dataset: DatasetFolder):
    _edit_line(dataset, 0, frames=7)
    messages = [problem.message for problem in _errors(dataset)]
    assert "its video has 6 frames, the manifest says 7" in messages
    assert "1 of 7 frames have no label, the first is 6" in messages


def test_missing_files_and_paths_that_lead_out_are_found(dataset: DatasetFolder):
    ann, bob, fake = dataset.records()
    dataset.media_path(ann).unlink()
    dataset.mask_paths(fake)["changed"].unlink()
    _edit_line(dataset, 1, path="../../secret.mp4")
    found = [(problem.clip, problem.message) for problem in _errors(dataset) if problem.kind == "file"]
    assert (ann.id, f"{ann.path} is missing") in found
    assert any(clip == fake.id and message.endswith("changed.mkv is missing") for clip, message in found)
    assert any(clip == bob.id and "would leave" in message for clip, message in found)


def test_a_manifest_that_cannot_be_read_ends_the_search_and_names_the_line(dataset: DatasetFolder):
    _edit_line(dataset, 1, colour="blue")
    (problem,) = _errors(dataset)
    assert problem.kind == "manifest"
    assert "line 2" in problem.message


def test_a_clip_without_a_signature_is_a_warning(dataset: DatasetFolder, tmp_path: Path):
    ann = dataset.records()[0]
    plain = tmp_path / "toy-ann.mp4"
    shutil.copy(plain, dataset.media_path(ann))
    listed = [dataclasses.replace(ann, sha256=sha256_file(plain)), *dataset.records()[1:]]
    write_manifest(dataset.path / "manifest.jsonl", listed)
    dataset.seal()
    (problem,) = dataset.verify()
    assert (problem.kind, problem.severity) == ("provenance", "warning")
