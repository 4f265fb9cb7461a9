"""What a stranger does to somebody's set, through the command line: none of it is sealed with the owner's key."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from shared.commands.dataset import app
from shared.console import console
from shared.dataset import DatasetFolder, verify_dataset
from shared.dataset.commit import PendingKey, labels_path, write_pending
from shared.dataset.frame_table import labels_of, read_frame_table, write_frame_labels
from shared.dataset.manifest import append_record, read_manifest, write_manifest
from shared.dataset.seal import read_seal
from shared.errors import ManifestError, UsageError
from shared.provenance.identity import SigningIdentity
from shared.provenance.trust import known_signers, trust_signer
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel

MakeSet = Callable[..., DatasetFolder]
Assay = Callable[..., dict]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Changes who is at the machine: each has keys and known signers of their own. The owner is there first."""

    def be(who: str) -> None:
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / f"home-{who}"))

    be("owner")
    return be


@pytest.fixture
def assay(capsys: pytest.CaptureFixture[str]) -> Iterator[Assay]:
    """Runs ``assay --json dataset ...``; gives the document it prints, raises what it raises."""

    def run(*arguments: object) -> dict:
        capsys.readouterr()
        console.configure(quiet=True, json_mode=True)
        command = typer.main.get_command(app)
        command.main([str(argument) for argument in arguments], prog_name="dataset", standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    yield run
    console.configure()


@pytest.fixture
def dataset(make_set: MakeSet) -> DatasetFolder:
    made = make_set(("ann", "bob"), [("ann", "bob")])
    made.assign_splits((1.0, 0.0, 0.0))
    return made


def _own() -> str:
    return SigningIdentity.load_or_create().fingerprint


def _relabel(dataset: DatasetFolder) -> ClipId:
    """The fake as a real clip: line, labels, and no signature inside that says otherwise."""
    *reals, fake = read_manifest(dataset.path / "manifest.jsonl")
    path = dataset.media_path(fake)
    shutil.copy(dataset.path.parent / "toy-bob.mp4", path)
    real = dataclasses.replace(
        fake,
        id=ClipId(dataset.name, None, "relabelled"),
        kind="real",
        label="real",
        source_identity=None,
        faked=(),
        masks=None,
        sha256=sha256_file(path),
    )
    write_manifest(dataset.path / "manifest.jsonl", [*reals, real])
    table = dataset.path / "frames.parquet"
    rows = [
        dataclasses.replace(row, clip=real.id, label="real") if row.clip == fake.id else row
        for row in labels_of([read_frame_table(table)])
    ]
    write_frame_labels(table, rows)
    return real.id


def _writers(dataset: DatasetFolder, clip: Path) -> dict[str, tuple[object, ...]]:
    path = dataset.path
    return {
        "add": ("add", path, clip, "--identity", "eve", "--rights", "consent"),
        "split": ("split", path, "--train", "1", "--val", "0", "--test", "0"),
        "sign": ("sign", path),
        "remove": ("remove", path, str(dataset.records()[0].id)),
    }


def test_a_set_that_a_stranger_relabelled_and_sealed_is_neither_sound_nor_sealed_again(
    dataset: DatasetFolder, assay: Assay, home: Callable[[str], None], make_clip: Callable[..., Path]
):
    clip = make_clip("new.mp4")
    assert assay("verify", dataset.path)["ok"]
    home("stranger")
    stranger = _own()
    trust_signer(read_seal(dataset.path).fingerprint)  # his own tools do as he says
    _relabel(dataset)
    assay("sign", dataset.path)
    home("owner")
    with pytest.raises(ManifestError, match="unknown signer"):
        assay("verify", dataset.path)
    files = {path: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()}
    for writer in _writers(dataset, clip).values():
        with pytest.raises(ManifestError, match=f"unknown signer, .*, fingerprint {stranger}"):
            assay(*writer)
    with pytest.raises(ManifestError, match="unknown signer"):
        dataset.check_writable()  # what swap and build ask before they begin
    assert {path: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()} == files
    assert set(known_signers()) == {_own()}


def test_verify_says_by_whom_and_that_a_strangers_set_is_as_the_stranger_sealed_it(
    dataset: DatasetFolder, assay: Assay, home: Callable[[str], None], capsys: pytest.CaptureFixture[str]
):
    owner = SigningIdentity.load_or_create()
    found = assay("verify", dataset.path)
    assert (found["ok"], found["signer"], found["fingerprint"]) == (True, owner.name, owner.fingerprint)
    console.configure(quiet=False)
    command = typer.main.get_command(app)
    command.main(["verify", str(dataset.path)], prog_name="dataset", standalone_mode=False)
    assert f"is sound, by {owner.name}" in " ".join(capsys.readouterr().out.split())
    home("analyst")
    with pytest.raises(ManifestError, match="unknown signer, assay local signer") as caught:
        command.main(["verify", str(dataset.path)], prog_name="dataset", standalone_mode=False)
    assert caught.value.exit_code == 1
    assert "is as this signer sealed it" in " ".join(capsys.readouterr().out.split())
    [problem] = verify_dataset(dataset.path)
    assert (problem.kind, problem.severity) == ("signer", "error")
    assert owner.fingerprint in problem.message
    assert assay("verify", dataset.path, "--signer", owner.fingerprint)["ok"]


def test_a_colleague_is_accepted_by_fingerprint_which_the_next_seal_records(
    dataset: DatasetFolder, assay: Assay, home: Callable[[str], None], make_clip: Callable[..., Path]
):
    clip = make_clip("new.mp4")
    owner, before = _own(), sha256_file(dataset.path / "dataset.sig")
    home("colleague")
    shown = assay("identity", "--trust", ":".join(owner[i : i + 2].upper() for i in range(0, 64, 2)))
    assert [entry["fingerprint"] for entry in shown["trusted"]] == [owner]
    assert assay("verify", dataset.path)["ok"]
    assay("add", dataset.path, clip, "--identity", "eve", "--rights", "consent")
    assert assay("verify", dataset.path)["problems"] == []
    [accepted] = read_seal(dataset.path).accepted
    assert (accepted.fingerprint, accepted.sha256, accepted.by) == (owner, before, _own())
    colleague = _own()
    home("reader")
    assay("identity", "--trust", colleague)
    found = assay("verify", dataset.path)
    assert found["ok"]
    assert [problem["severity"] for problem in found["problems"]] == ["warning"] * 3
    assert all("whom the set's signer names" in problem["message"] for problem in found["problems"])
    assay("identity", "--distrust", colleague)
    with pytest.raises(ManifestError, match="unknown signer"):
        assay("verify", dataset.path)
    for wrong in (("--trust", "0123"), ("--distrust", colleague)):
        with pytest.raises(UsageError):
            assay("identity", *wrong)


def _plant(dataset: DatasetFolder) -> tuple[ClipRecord, list[FrameLabel]]:
    """A line and a file of a clip that nobody sealed."""
    ann = dataset.records()[0]
    planted = dataclasses.replace(ann, id=ClipId(dataset.name, None, "planted"), path="media/real/planted.mp4")
    shutil.copy(dataset.media_path(ann), dataset.path / planted.path)
    append_record(dataset.path / "manifest.jsonl", planted)
    return planted, [FrameLabel(planted.id, frame, frame, frame / 25, "real") for frame in range(6)]


def _key_of(dataset: DatasetFolder, kind: str) -> PendingKey | None:
    seal = read_seal(dataset.path)
    if kind == "another key":
        return PendingKey(SigningIdentity.load_or_create(dataset.path.parent / "other"), seal.series, seal.number)
    number = seal.number - 1 if kind == "an earlier seal" else seal.number
    return None if kind == "no key" else PendingKey(SigningIdentity.load_or_create(), seal.series, number)


@pytest.mark.parametrize("kind", ["no key", "another key", "an earlier seal", "another line", "other labels"])
def test_planted_labels_are_never_sealed_and_the_clip_can_be_taken_out(
    dataset: DatasetFolder, assay: Assay, make_clip: Callable[..., Path], kind: str
):
    clip = make_clip("new.mp4")
    planted, labels = _plant(dataset)
    key, table = _key_of(dataset, kind), labels_path(dataset.path, planted.id)
    if key is None:
        write_frame_labels(table, labels)
    else:
        said = dataclasses.replace(planted, rights="other") if kind == "another line" else planted
        write_pending(dataset.path, said, labels, key)
    if kind == "other labels":
        write_frame_labels(table, [dataclasses.replace(label, seconds=9.0) for label in labels])
    seal = (dataset.path / "dataset.sig").read_bytes()
    for writer in _writers(dataset, clip).values():
        with pytest.raises(ManifestError, match="planted"):
            assay(*writer)
    assert (dataset.path / "dataset.sig").read_bytes() == seal
    with pytest.raises(ManifestError, match="1 problem found"):
        assay("verify", dataset.path, "--quick")
    assay("remove", dataset.path, planted.id)
    assert assay("verify", dataset.path)["problems"] == []
    assert not (dataset.path / planted.path).exists()


def test_what_the_owner_left_waiting_is_sealed(dataset: DatasetFolder, assay: Assay):
    planted, labels = _plant(dataset)
    key = _key_of(dataset, "the owner's own")
    assert key is not None
    write_pending(dataset.path, planted, labels, key)
    found = assay("verify", dataset.path, "--quick")
    assert found["ok"]
    assert [problem["kind"] for problem in found["problems"]] == ["added"]
    assay("split", dataset.path, "--train", "1", "--val", "0", "--test", "0")
    assert str(planted.id) in read_seal(dataset.path).clips
    assert not any((dataset.path / ".pending").iterdir())


def test_labels_planted_for_a_sealed_clip_are_passed_over(
    dataset: DatasetFolder, assay: Assay, make_clip: Callable[..., Path]
):
    clip = make_clip("new.mp4")
    fake = dataset.records()[2]
    rows = [dataclasses.replace(row, label="real") for row in dataset.frame_labels(fake.id)]
    write_frame_labels(labels_path(dataset.path, fake.id), rows)
    assay("add", dataset.path, clip, "--identity", "eve", "--rights", "consent")
    assert [row.label for row in dataset.frame_labels(fake.id)] == ["fake"] * 4 + ["real"] * 2
    assert assay("verify", dataset.path)["problems"] == []


def test_an_older_set_put_back_is_noticed(
    dataset: DatasetFolder, assay: Assay, make_clip: Callable[..., Path], tmp_path: Path
):
    clip = make_clip("new.mp4")
    older = tmp_path / "older"
    shutil.copytree(dataset.path, older)
    assay("add", dataset.path, clip, "--identity", "eve", "--rights", "consent")
    [warning] = assay("verify", older)["problems"]
    assert (warning["severity"], warning["kind"]) == ("warning", "seal")
    shutil.rmtree(dataset.path)
    shutil.copytree(older, dataset.path)
    [problem] = verify_dataset(dataset.path)
    assert "is older than one that was here before" in problem.message
    with pytest.raises(ManifestError, match="older seal"):
        assay("add", dataset.path, clip, "--identity", "eve", "--rights", "consent")
    assay("sign", dataset.path)
    assert assay("verify", dataset.path)["problems"] == []


def test_an_older_seal_planted_as_a_stopped_writers_takes_no_place(
    dataset: DatasetFolder, assay: Assay, make_clip: Callable[..., Path], tmp_path: Path
):
    clip = make_clip("new.mp4")
    names = ("dataset.sig", "manifest.jsonl", "frames.parquet", "README.md")
    older = {name: (dataset.path / name).read_bytes() for name in names}
    assay("add", dataset.path, clip, "--identity", "eve", "--rights", "consent")
    newer = {name: (dataset.path / name).read_bytes() for name in names}
    drafts = dataset.path / ".pending" / "commit"
    drafts.mkdir(parents=True)
    for name, data in older.items():
        (drafts / name).write_bytes(data)
    with pytest.raises(ManifestError, match="no seal that comes after"):
        assay("split", dataset.path, "--train", "1", "--val", "0", "--test", "0")
    assert {name: (dataset.path / name).read_bytes() for name in names} == newer
    with pytest.raises(ManifestError):
        assay("verify", dataset.path)
    shutil.rmtree(drafts)
    assert assay("verify", dataset.path)["problems"] == []
