from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from forge.cli import app
from forge.models.registry import swappers
from shared.console import console
from shared.errors import UnknownNameError


def run(capsys: pytest.CaptureFixture[str], *words: str, as_json: bool = True) -> str:
    console.configure(json_mode=as_json)
    capsys.readouterr()
    try:
        result = CliRunner().invoke(app, ["models", *words], catch_exceptions=False)
    finally:
        console.configure()
    assert result.exit_code == 0, result.output
    return result.stdout if as_json else result.output


def test_every_family_is_listed_with_its_differences(capsys):
    listed = {row["name"]: row for row in json.loads(run(capsys))["models"]}
    assert sorted(listed) == swappers.names()
    assert listed["lightweight"] == {
        "name": "lightweight",
        "input_px": 64,
        "output_px": 64,
        "framing": "full",
        "mask": True,
        "can_morph": False,
        "latent": 512,
        "parameters": 54_166_344,
        "source": "deepfakes/faceswap",
        "recipe": "",
    }
    assert all(row["source"] and row["latent"] > 0 for row in listed.values())


def test_the_table_fits_eighty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(capsys, as_json=False)
    assert max(map(len, shown.splitlines())) <= 80
    for name in swappers.names():
        assert f" {name} " in shown


def test_one_family_shows_its_options_with_defaults_and_its_facts(capsys):
    told = json.loads(run(capsys, "deepfake-tf"))["model"]
    assert told["recipe"] == "deepfake-tf"
    assert told["options"] == {"width": 1.0, "mask": True, "mask_width": 0.25, "framing": "full"}
    assert "eight bits" in told["about"]
    options = json.loads(run(capsys, "dfaker"))["model"]["options"]
    assert options["output_px"] == 128


def test_output_has_no_markup(capsys):
    shown = run(capsys, "dlight", as_json=False)
    assert "``" not in shown
    assert "====" not in shown
    assert "lopsided" in shown


def test_an_unknown_family_is_refused_with_the_nearest(capsys):
    with pytest.raises(UnknownNameError) as caught:
        run(capsys, "dfakr")
    assert "dfaker" in caught.value.hint
