"""``assay dataset``: each command once as a user calls it, and what it says when it is called wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from shared.commands.dataset import app
from shared.console import console
from shared.dataset import DatasetFolder
from shared.errors import AssayError, ConfigError, ManifestError, MediaError, UsageError
from shared.provenance.identity import SigningIdentity

MakeSet = Callable[..., DatasetFolder]


@pytest.fixture
def assay(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., dict]]:
    """Runs ``assay --json dataset ...``; gives the document it prints, raises what it raises."""

    def run(*arguments: object) -> dict:
        capsys.readouterr()  # what a command before this one said
        console.configure(quiet=True, json_mode=True)
        command = typer.main.get_command(app)
        command.main([str(argument) for argument in arguments], prog_name="dataset", standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    yield run
    console.configure()


def test_a_set_from_its_first_clip_to_its_splits(
    assay: Callable[..., dict], make_clip: Callable[..., Path], tmp_path: Path
):
    place = tmp_path / "portraits"
    assert assay("init", place, "--license", "CC-BY-4.0")["name"] == "portraits"
    ids = []
    for length, who in enumerate(("ann", "bob", "cleo"), start=6):
        clip = make_clip(f"{who}.mp4", ticks=range(length))
        ids += assay("add", place, clip, "--identity", who, "--rights", "consent", "--crf", 30)["added"]
    assert ids[0] == "portraits/real/ann@h264-crf30"
    assert assay("split", place, "--seed", 3)["clips"] == {"train": 1, "val": 1, "test": 1}
    shown = assay("show", place)
    assert (shown["clips"], shown["frames"]) == (3, 6 + 7 + 8)
    assert shown["groups"] == [["ann"], ["bob"], ["cleo"]]
    assert {entry["identity"]: entry["clips"] for entry in shown["identities"]} == {"ann": 1, "bob": 1, "cleo": 1}
    found = assay("verify", place)
    assert (found["ok"], found["problems"]) == (True, [])
    assert found["fingerprint"] == SigningIdentity.load_or_create().fingerprint
    by_hand = assay("split", place, "--group", "train=ann,bob", "--group", "test=cleo")
    assert by_hand["identities"] == {"train": ["ann", "bob"], "test": ["cleo"]}
    assert assay("remove", place, ids[2]) == {"removed": [ids[2]], "left": 2}
    assert assay("verify", place, "--quick")["ok"]


def test_several_clips_are_added_in_one_go(assay: Callable[..., dict], make_clip: Callable[..., Path], tmp_path: Path):
    assay("init", tmp_path / "set", "--name", "toy")
    clips = [make_clip("one.mp4"), make_clip("two.mp4", ticks=range(5))]
    added = assay("add", tmp_path / "set", *clips, "--identity", "ann", "--rights", "consent", "--codec", "libx264")
    assert added["added"] == ["toy/real/one@h264-crf18", "toy/real/two@h264-crf18"]


def test_a_clip_that_cannot_be_read_is_named_and_the_others_are_added(
    assay: Callable[..., dict], make_clip: Callable[..., Path], tmp_path: Path
):
    assay("init", tmp_path / "set", "--name", "toy")
    bad, who = tmp_path / "bad.mp4", ("--identity", "ann", "--rights", "consent")
    bad.write_bytes(b"no video")
    added = assay("add", tmp_path / "set", make_clip("one.mp4"), bad, *who)
    assert added["added"] == ["toy/real/one@h264-crf18"]
    assert list(added["unread"]) == ["bad.mp4"]
    with pytest.raises(MediaError, match="not a video that can be read"):
        assay("add", tmp_path / "set", bad, *who)


def test_verify_ends_with_a_list_and_an_error(make_set: MakeSet, capsys: pytest.CaptureFixture[str]):
    dataset = make_set(("ann",), [("bob", "ann")])
    dataset.media_path(dataset.records()[1]).unlink()
    console.configure(json_mode=True)
    command = typer.main.get_command(app)
    with pytest.raises(ManifestError, match="1 problem found") as caught:
        command.main(["verify", str(dataset.path)], prog_name="dataset", standalone_mode=False)
    console.configure()
    assert caught.value.exit_code == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert not document["ok"]
    assert document["problems"] == [
        {
            "severity": "error",
            "kind": "file",
            "clip": "toy/toyswap/ann+bob",
            "message": "media/toyswap/ann+bob.mp4 is missing",
        }
    ]
    assert "ann+bob.mp4 is missing" in told.err.replace("\n", "")


def test_a_change_of_ones_own_is_sealed_by_hand(assay: Callable[..., dict], make_set: MakeSet):
    dataset = make_set()
    card = dataset.path / "README.md"
    card.write_text(card.read_text() + "\nMy own words.\n")
    with pytest.raises(ManifestError, match="1 problem found"):
        assay("verify", dataset.path)
    assert assay("sign", dataset.path)["clips"] == 1
    assert assay("verify", dataset.path)["ok"]


def test_signing_shows_the_fingerprint_that_verify_takes(assay: Callable[..., dict], make_set: MakeSet):
    dataset = make_set()
    fingerprint = assay("sign", dataset.path)["fingerprint"]
    assert fingerprint == SigningIdentity.load_or_create().fingerprint
    assert assay("verify", dataset.path, "--signer", fingerprint)["ok"]
    with pytest.raises(ManifestError, match="another signer"):
        assay("verify", dataset.path, "--signer", "00" * 32)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["add", "SET", "a.mp4", "b.mp4", "--identity", "ann", "--rights", "x", "--name", "n"], UsageError, "one name"),
        (["add", "SET", "a.mp4", "--identity", "ann", "--rights", "x", "--crf", "99"], ConfigError, "crf"),
        (["add", "SET", "a.mp4", "--identity", "ann", "--rights", "x", "--codec", "h26"], ConfigError, "codec"),
        (["add", "SET", "a.mp4", "--identity", "ann", "--rights", "x"], AssayError, "a.mp4"),
        (["split", "SET", "--train", "2"], UsageError, "sum to 1"),
        (["split", "SET", "--group", "train:ann"], UsageError, "not understood"),
        (["split", "SET", "--group", "holdout=ann"], UsageError, "not understood"),
        (["split", "SET", "--group", "train=ann,zoe"], UsageError, "identity zoe is in no clip"),
        (["remove", "SET", "ann"], UsageError, "dataset/manipulation/name"),
        (["remove", "SET", "toy/real/zoe"], ManifestError, "is not in"),
        (["init", "SET"], UsageError, "not empty"),
        (["show", "SET/media"], ManifestError, "is not a dataset"),
    ],
)
def test_what_was_put_wrongly_is_said_and_changes_nothing(
    assay: Callable[..., dict], make_set: MakeSet, arguments: list[str], error: type[AssayError], says: str
):
    dataset = make_set()
    with pytest.raises(error, match=says):
        assay(*(argument.replace("SET", str(dataset.path)) for argument in arguments))
    assert dataset.verify() == []


def test_every_command_shows_an_example():
    for name in ("init", "add", "show", "verify", "split", "sign", "remove"):
        told = CliRunner().invoke(app, [name, "--help"]).output
        assert f"assay dataset {name}" in " ".join(told.split()), name
