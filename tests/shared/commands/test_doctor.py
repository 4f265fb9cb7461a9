from __future__ import annotations

import json

import pytest
import typer

from shared.commands import doctor as command
from shared.console import console
from shared.errors import AssayError


@pytest.fixture
def doctor(capsys, tmp_path, monkeypatch):
    """Runs ``assay --json doctor`` and gives its exit's error, if any, and what it prints."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    app = typer.Typer()
    app.command()(command.doctor)
    console.configure(json_mode=True)

    def run(*arguments: str) -> tuple[AssayError | None, dict]:
        error = None
        try:
            typer.main.get_command(app).main(args=list(arguments), standalone_mode=False)
        except AssayError as caught:
            error = caught
        return error, json.loads(capsys.readouterr().out)

    yield run
    console.configure()


def find(document: dict, area: str, what: str) -> dict:
    return next(f for f in document["findings"] if (f["area"], f["what"]) == (area, what))


def test_a_machine_that_runs_the_tests_is_healthy(doctor):
    pytest.importorskip("dlib")
    error, document = doctor()
    assert error is None
    assert document["healthy"]
    assert find(document, "codec", "encoders")["state"] == "ok"
    assert find(document, "device", "cpu")["state"] == "ok"
    assert find(document, "finder", "auto")["detail"] == "works: dlib-hog+dlib68"
    assert find(document, "detector", "dlib-hog")["state"] == "ok"
    assert find(document, "landmarks", "dlib68")["state"] == "ok"
    assert find(document, "identity", "dlib")["state"] == "ok"
    assert find(document, "weights", "dlib-68-points")["state"] == "ok"
    assert {finding["state"] for finding in document["findings"]} <= {"ok", "note"}

    # Finders that lack their weights are noted with the reason; the way to get them stands at the weights.
    assert find(document, "detector", "yunet")["state"] == "note"
    assert "'yunet'" in find(document, "detector", "yunet")["detail"]
    assert "assay weights fetch yunet" in find(document, "weights", "yunet")["advice"]


def test_every_finding_that_asks_for_something_says_what_to_do(doctor):
    _, document = doctor("--quick")
    missing = [f for f in document["findings"] if f["area"] == "weights" and f["detail"].startswith("missing")]
    assert all("assay weights fetch" in f["advice"] or "pip install" in f["advice"] for f in missing)


def test_a_missing_essential_library_ends_with_an_error(doctor, monkeypatch):
    monkeypatch.setattr(command, "_ESSENTIAL", ("numpy", "no-such-library"))
    error, document = doctor("--quick")
    assert error is not None
    assert error.exit_code == 1
    assert "no-such-library" in str(error)
    assert not document["healthy"]
    assert find(document, "version", "no-such-library")["advice"] == "pip install no-such-library"


def test_a_missing_encoder_that_datasets_need_is_broken_others_are_noted(doctor, monkeypatch):
    monkeypatch.setattr(command, "_ENCODERS", ("libx264", "no-such-encoder"))
    error, document = doctor("--quick")
    assert error is None
    assert find(document, "codec", "encoders")["state"] == "note"
    assert "no-such-encoder" in find(document, "codec", "encoders")["detail"]
    monkeypatch.setattr(command, "_has_codec", lambda codecs, name, mode: name != "libx264")
    error, document = doctor("--quick")
    assert error is not None
    assert find(document, "codec", "encoders")["state"] == "broken"


def test_a_full_disk_is_noted(doctor, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage(10, 9, 1))
    _, document = doctor("--quick")
    assert find(document, "disk", "cache")["state"] == "note"
