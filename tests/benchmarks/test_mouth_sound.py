"""The benchmark of mouth and sound, on series in which the lips follow the sound."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.mouth_sound import SpokenClip, measure, spoken_clips
from detect.inspection.evidence.mouth_sound import MouthTrack
from detect.inspection.evidence.sound import STEP_SECONDS, SoundFacts
from shared.bootstrap import BootstrapSettings
from shared.errors import UsageError
from tests.factories import write_clip


def _clip(seed: int, *, speaks: bool = True) -> SpokenClip:
    rng = np.random.default_rng(seed)
    series = np.convolve(rng.normal(size=360), np.hanning(13), mode="same")[30:330]
    levels = (series - series.min()) / np.ptp(series)
    seconds = np.arange(150) / 25
    opening = 0.2 * np.interp(seconds, (np.arange(300) + 0.5) * STEP_SECONDS, levels) if speaks else np.zeros(150)
    level = tuple((levels * 40 - 60).tolist())
    voiced = tuple((levels > 0.4).tolist())
    sound = SoundFacts(True, 0.0, 16_000, 1, level, (level,) * 7, voiced)
    return SpokenClip(f"clip{seed}", "made", MouthTrack(0, seconds, opening), sound)


def test_clips_in_step_are_told_from_moved_and_exchanged_sound():
    clips = [*(_clip(seed) for seed in range(8)), _clip(9, speaks=False)]
    found, numbers = measure(clips, BootstrapSettings(replicates=100))
    values = {each.name: each for each in found}
    assert values["clips that speak"].median == 8
    for name in ("moved by 0.16 s, either way", "moved by 0.32 s, either way", "sound of another clip"):
        each = values[f"AUC, in step against {name}"]
        assert each.median > 0.95
        assert "over clips" in each.note
    assert abs(values["lag of the sound, in step"].median) < 0.03
    assert len(numbers) == 8
    assert numbers["clip0"]["margin"] > 0


def test_folders_without_speech_are_refused(tmp_path):
    write_clip(tmp_path / "silent.mp4", np.zeros((3, 48, 64, 3), np.uint8))
    with pytest.raises(UsageError, match="fewer than three clips"):
        spoken_clips([tmp_path], "dlib")
