"""The demo's commands for speech, driven and generated faces; what they left, where the demo was run (ASSAY_DEMO)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shared.commands import demo_kinds
from shared.commands.demo_kinds import KindsConfig, drive, generate, second_engine, speak

SMALL = KindsConfig(voice_steps=3, crowd=2, crowd_seconds=0.04, px=64)


def starts(lines: list[list[str]]) -> list[str]:
    return [" ".join(line[:2]) for line in lines]


def test_a_sentence_is_read_converted_and_inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo_kinds, "second_engine", lambda: "espeak")
    lines: list[list[str]] = []
    speak(tmp_path, SMALL, 7, lines.append)
    each = ["forge speak", "voices extract"]
    assert starts(lines) == [
        "forge speak", *each, *each, "forge train-voice", "forge convert", f"inspect {tmp_path}/said-as-voice-2.wav",
    ]  # fmt: skip
    assert lines[5][lines[5].index("--steps") + 1] == "3"
    assert [line[line.index("--engine") + 1] for line in (lines[1], lines[3])] == ["hibari", "espeak"]


def test_voices_that_are_there_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo_kinds, "second_engine", lambda: "espeak")
    for voice in ("voice-1", "voice-2"):
        (tmp_path / "voices" / voice).mkdir(parents=True)
    lines: list[list[str]] = []
    speak(tmp_path, SMALL, 7, lines.append)
    assert "voices extract" not in starts(lines)


def test_without_a_second_engine_the_first_voice_is_inspected(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(demo_kinds, "find_spec", lambda name: None)
    assert second_engine() == ""
    lines: list[list[str]] = []
    speak(tmp_path, SMALL, 7, lines.append)
    assert starts(lines) == ["forge speak", f"inspect {tmp_path}/said.wav"]
    assert "assay[speech]" in capsys.readouterr().out


def test_an_actor_is_driven_by_another_and_by_the_sentence(tmp_path: Path):
    lines: list[list[str]] = []
    drive(tmp_path, tmp_path / "a.mp4", tmp_path / "b.mp4", lines.append)
    assert [line[line.index("--drive") + 1] for line in lines] == [f"{tmp_path}/b.mp4", f"{tmp_path}/said.wav"]
    assert all("--drive-rights" in line for line in lines)


def test_a_crowd_is_filmed_once(tmp_path: Path):
    lines: list[list[str]] = []
    generate(tmp_path, SMALL, 7, lines.append)
    films = sorted((tmp_path / "clips" / "crowd").glob("*.mp4"))
    times = [film.stat().st_mtime_ns for film in films]
    generate(tmp_path, SMALL, 7, lines.append)
    assert len(films) == SMALL.crowd
    assert [film.stat().st_mtime_ns for film in films] == times
    assert starts(lines) == ["faces extract", "forge train-generator", "forge generate"] * 2


def test_the_crowd_is_large_enough_for_a_certificate():
    crowd = KindsConfig().crowd
    assert crowd * (crowd - 1) // 2 >= 1000


@pytest.mark.skipif("ASSAY_DEMO" not in os.environ, reason="ASSAY_DEMO names no folder of a demo")
def test_the_speech_of_the_demo_is_not_called_real_and_the_new_faces_are_certified():
    demo = Path(os.environ["ASSAY_DEMO"])
    report = json.loads((demo / "case-speech" / "report.json").read_text())
    stills = json.loads((demo / "new-faces" / "stills.json").read_text())
    assert report["verdict"] != "real"
    assert len(stills["statement"]["stills"]) >= 3
