"""One fake of each of several targets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from forge.models.checkpoint import load_swapper
from forge.swapping import request
from forge.swapping.several import swap_several
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.errors import MediaError, NoFaceError, UsageError
from tests.factories import write_landmarks
from tests.forge.conftest import files_in


@pytest.fixture
def targets(target, tmp_path) -> list[Path]:
    """A clip, a text that is no clip, and the clip under another name."""
    first, text, second = tmp_path / "one.mp4", tmp_path / "text.mp4", tmp_path / "two.mp4"
    shutil.copyfile(target, first)
    text.write_text("no video")
    second.write_bytes(target.read_bytes() + b"\0")
    return [first, text, second]


@pytest.fixture
def order(swapper, config, tmp_path):
    return {"swapper": swapper, "source": "ann", "dataset": tmp_path / "set", "config": config, "rights": "consent"}


def test_one_that_fails_does_not_lose_the_others_and_models_are_loaded_once(targets, order, tmp_path, monkeypatch):
    loaded: list[Path] = []

    def load(path: Path, *rest: object) -> object:
        loaded.append(path)
        return load_swapper(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(request, "load_swapper", load)
    found = swap_several(targets, **order)
    assert [one.target for one in found] == targets
    assert [one.record.id.name if one.record else None for one in found] == ["one+ann", None, "two+ann"]
    assert isinstance(found[1].error, MediaError)
    assert [one.outcome for one in found][::2] == ["swapped", "swapped"]
    assert len(loaded) == 1
    assert DatasetFolder.open(tmp_path / "set").verify(deep=True) == []


def test_a_rerun_makes_only_what_is_missing(targets, order, tmp_path, target):
    swap_several(targets, **order)
    before = files_in(tmp_path / "set")
    shutil.copyfile(target, targets[1])
    targets[1].write_bytes(targets[1].read_bytes() + b"\0\0")
    again = swap_several(targets, **order)
    assert [one.outcome for one in again] == ["there already", "swapped", "there already"]
    assert set(before) < set(files_in(tmp_path / "set"))


def test_a_target_without_the_person_is_one_of_those_that_fail(targets, order, tmp_path):
    write_landmarks(tmp_path / "none.landmarks.parquet", {})
    found = swap_several(targets[::2], **order, stretch=None)
    assert all(one.record for one in found)
    order["config"] = type(order["config"])(
        finder=f"sidecar:{tmp_path / 'none.landmarks.parquet'}", device="cpu", min_face_px=16
    )
    order["dataset"] = tmp_path / "other"
    found = swap_several(targets[::2], **order)
    assert all(isinstance(one.error, NoFaceError) for one in found)
    assert not (tmp_path / "other").exists()


def test_what_no_target_could_have_is_refused_at_once(targets, order, tmp_path):
    with pytest.raises(UsageError, match="no identity 'carl'"):
        swap_several(targets, **{**order, "source": "carl"})
    (tmp_path / "sub").mkdir()
    twin = Path(shutil.copy(targets[0], tmp_path / "sub" / "one.mp4"))
    with pytest.raises(UsageError, match="would have one name"):
        swap_several([targets[0], twin], **order)
    assert not (tmp_path / "set").exists()


def words(order, config_file: Path, *more: str) -> list[str]:
    return [
        "--run", str(order["swapper"]), "--source", "ann", "--out", str(order["dataset"]), "--rights", "consent",
        "--config", str(config_file), *more,
    ]  # fmt: skip


@pytest.fixture
def settings(config, tmp_path) -> Path:
    path = tmp_path / "swap.toml"
    path.write_text(f'finder = "{config.finder}"\nmin_face_px = 16\ndevice = "cpu"\n[output]\npreset = "ultrafast"\n')
    return path


def test_the_command_ends_with_a_table_and_exit_1_if_one_failed(targets, order, settings, capsys):
    names = [str(path) for path in targets]
    assert run(["--json", "forge", "swap", *names, *words(order, settings)]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["failed"] == 1
    assert [row["outcome"] == "swapped" for row in document["targets"]] == [True, False, True]
    assert "1 of 3 targets could not be swapped" in said.err
    assert run(["forge", "swap", names[0], names[2], *words(order, settings)]) == 0
    assert capsys.readouterr().out.count("there already") == 2


def test_the_command_refuses_what_is_of_one_target(targets, order, settings, tmp_path, capsys):
    names = [str(path) for path in targets]
    for more in (["--name", "x"], ["--patches", str(tmp_path / "p")], ["--frames"], ["--preview", "3"]):
        assert run(["forge", "swap", *names, *words(order, settings, *more)]) == 2
    assert "3 targets for one --preview" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "set").exists()
