from __future__ import annotations

import json
import tomllib

import pytest
import typer

from shared import weights
from shared.commands import weights as command
from shared.console import console
from shared.errors import UsageError, WeightsError
from shared.weights.table import TABLE


@pytest.fixture
def assay(tmp_path, monkeypatch, capsys):
    """Runs ``assay --json weights ...`` and gives the document it prints."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    console.configure(json_mode=True)

    def run(*arguments: str) -> dict:
        typer.main.get_command(command.app).main(args=list(arguments), standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    yield run
    console.configure()


def test_list_names_every_file_its_licence_and_the_way_to_it(assay):
    rows = {row["name"]: row for row in assay("list")["weights"]}
    assert set(rows) == {entry.name for entry in TABLE}
    assert rows["s3fd"]["place"] == ""
    assert "fetch s3fd" in rows["s3fd"]["advice"]
    assert all(row["license"] and len(row["sha256"]) == 64 for row in rows.values())


def test_everything_a_package_must_carry_is_in_an_extra_of_the_project():
    from pathlib import Path

    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = " ".join(word for group in project["optional-dependencies"].values() for word in group)
    for entry in TABLE:
        for distribution in entry.distribution.split():
            assert distribution in extras


@pytest.mark.needs_media
def test_import_then_verify(assay, small_weights):
    imported = assay("import", str(small_weights / "yunet"))["imported"]
    assert list(imported) == ["yunet"]
    assert assay("verify", "yunet")["weights"] == {"yunet": "ok"}


def test_importing_nothing_that_is_known_is_a_failure(assay, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(WeightsError, match="none of the files"):
        assay("import", str(tmp_path / "notes.txt"))


def test_verify_fails_on_a_damaged_file_and_on_a_missing_one_that_was_named(assay):
    weights.weights_home().mkdir(parents=True)
    (weights.weights_home() / "yunet_n_dynamic.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="'yunet' are damaged"):
        assay("verify")
    with pytest.raises(WeightsError, match="'s3fd' are missing"):
        assay("verify", "s3fd")


def test_fetch_goes_on_after_a_failure_and_reports_it(assay, monkeypatch, tmp_path, capsys):
    def fetch(name: str, *, timeout_seconds: float) -> object:
        if name == "s3fd":
            raise WeightsError("no route to host", hint="by hand")
        return tmp_path / name

    monkeypatch.setattr(weights, "fetch", fetch)
    with pytest.raises(WeightsError, match="1 of 2 not fetched: no route to host"):
        assay("fetch", "s3fd", "yunet")
    document = json.loads(capsys.readouterr().out)
    assert list(document["fetched"]) == ["yunet"]
    assert document["failed"] == ["no route to host"]


def test_fetch_needs_a_name(assay):
    with pytest.raises(UsageError, match="--all"):
        assay("fetch")
