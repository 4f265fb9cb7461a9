from __future__ import annotations

import json

import pytest

from shared.cli import run
from shared.faces.pastes.presets import presets


def test_all_presets_are_listed(capsys):
    assert run(["--json", "forge", "pastes"]) == 0
    listed = json.loads(capsys.readouterr().out)["pastes"]
    assert [one["name"] for one in listed] == list(presets())
    assert all(one["description"] and one["tools"] and one["variants"] for one in listed)
    assert "sharpening stands in" in next(one["description"] for one in listed if one["name"] == "box-restored")
    assert run(["forge", "pastes"]) == 0
    assert "segment-square" in capsys.readouterr().out


def test_one_is_shown_with_its_settings_and_ranges(capsys):
    assert run(["--json", "forge", "pastes", "box"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in shown["variants"]] == ["inswapper", "visomaster", "simswap"]
    assert shown["variants"][0]["drawn"]["square.side"] == "1.6 to 1.7"
    assert run(["--json", "forge", "pastes", "box:simswap"]) == 0
    (only,) = json.loads(capsys.readouterr().out)["variants"]
    assert (only["settings"]["mask"]["erode_px"], only["settings"]["square"]["side"]) == (20.0, 1.85)
    assert run(["forge", "pastes", "ellipse:deep-live-cam"]) == 0
    assert "in 30% of draws" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [("elipse", "no paste is named 'elipse'", "did you mean ellipse?"), ("box:x", "no variant 'x'", "box:simswap")],
)
@pytest.mark.parametrize("command", ["pastes", "swap"])
def test_an_unknown_name_is_refused_with_near_ones(capsys, tmp_path, command, name, message, hint):
    swap = ["swap", str(tmp_path / "a.mp4"), "--run", "r", "--source", "ann", "--out", str(tmp_path / "o"), "--paste"]
    assert run(["forge", *(["pastes"] if command == "pastes" else swap), name]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert hint in said


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('paste = "box"\n[square]\npx = 3\n', "square.px must lie between 16 and 2048"),
        ('paste = "box"\n[mask]\nspace = "sky"\n', "sky"),
        ("paste = 3\n", "paste is 3"),
        ('paste = "segment-square"\n[mask]\nspace = "frame"\n', "mixed in itself"),
    ],
)
def test_settings_beside_a_paste_are_checked(capsys, tmp_path, settings, message):
    (tmp_path / "swap.toml").write_text(settings)
    words = ["swap", str(tmp_path / "a.mp4"), "--run", "r", "--source", "ann", "--out", str(tmp_path / "o")]
    assert run(["forge", *words, "--config", str(tmp_path / "swap.toml")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
