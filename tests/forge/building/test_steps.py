"""Shots of files as people have them: people who lie, files that are cut off, sound that is not wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forge.building.intermediates import ShotFacts, read_facts, read_found
from forge.building.pieces import _facts
from forge.building.steps import make_shot
from forge.building.tasks import ShotTask
from forge.swapping.tracks import FoundFaces
from shared.storage import sha256_file
from shared.video import Encoding
from tests.factories import write_clip


def shot(source: Path, out: Path, *, audio: bool = True, frames: int | None = None) -> tuple[ShotFacts, FoundFaces]:
    digest = sha256_file(source)
    make_shot(ShotTask(str(out), str(source), digest, 0, frames, None, "dlib", 8, 24.0, "cpu", audio=audio))
    return read_facts(out), read_found(out)


def test_a_file_that_is_cut_off_says_how_many_frames_it_should_have(tmp_path):
    pictures = (np.full((64, 64, 3), 9 * index, np.uint8) for index in range(24))
    clip = write_clip(tmp_path / "a.mp4", pictures, encoding=Encoding(crf=0, preset="ultrafast"))
    assert shot(clip, tmp_path / "whole")[0].notes == {}
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 4 // 5])
    _facts.cache_clear()
    count = _facts(clip)[2]
    facts, _ = shot(clip, tmp_path / "cut")
    assert 0 < len(facts.pts) == count < 24
    assert facts.notes["source_frames"] == f"{count} of 24 declared"
    assert "source_frames" not in shot(clip, tmp_path / "piece", frames=3)[0].notes


@pytest.mark.needs_media
def test_a_lying_person_is_found_by_turning_and_the_shot_says_so(media, tmp_path):
    facts, found = shot(media / "cases" / "28-sideways" / "24-sideways.mp4", tmp_path / "shot")
    assert facts.notes["source_turned"].startswith("faces found ")
    assert len(found.faces) > 0.9 * len(facts.pts)


@pytest.mark.needs_media
def test_sound_that_nothing_takes_is_left_out_when_asked(media, tmp_path):
    facts, _ = shot(media / "cases" / "34-wma" / "17-wma.wmv", tmp_path / "shot", audio=False, frames=4)
    assert (facts.sound, facts.notes["source_sound"]) == (None, "left out as asked: wmav2")
