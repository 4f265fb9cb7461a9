from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lipsync import Ingredients, Plan, held_out, phones_model, ship
from benchmarks.lipsync_measure import Driven, best, correlations, driven_measurements, heard_measurements
from detect.inspection.evidence.mouth_sound import Sync
from forge.reenacting.lipsync.checkpoint import Material, load_lipsync_model
from forge.reenacting.lipsync.features import STEPS
from forge.reenacting.lipsync.lessons import SpeakingClip, phone_lessons
from forge.reenacting.lipsync.mouth import parameters_of
from forge.reenacting.lipsync.visemes import TimedPhone
from tests.forge.reenacting.conftest import speaking, syllables


def _clip(name: str = "ann", seed: int = 0) -> SpeakingClip:
    return SpeakingClip(name, syllables(seed=seed), speaking())


def _own(clip: SpeakingClip) -> np.ndarray:
    """The mouth's own parameters, at every step of the sound."""
    times = np.arange(49) / STEPS
    return np.stack([np.interp(times, clip.performance.seconds, one) for one in parameters_of(clip.motion).T], axis=1)


def test_a_mouth_agrees_with_itself_and_less_with_itself_moved():
    clip = _clip()
    assert np.allclose(correlations(clip, _own(clip)), 1)
    assert correlations(clip, _own(clip), late=0.12)[0] < 0  # half a period of its four openings a second
    moved = np.roll(_own(clip), 5, axis=0)
    assert best(clip, moved)[0] > correlations(clip, moved)[0] + 0.5


def test_every_speaker_is_measured_by_a_model_without_it(tmp_path):
    phones = [TimedPhone(symbol, n / 6, (n + 1) / 6) for n, symbol in enumerate("pɑmibu")]
    clips = (_clip("ann"), _clip("bob", 1))
    materials = tuple(Material(clip.name, "synthetic", str(n) * 64, 1.0) for n, clip in enumerate(clips))
    voices = (Material("voice", "synthetic", "9" * 64, 1.0),)
    given = Ingredients(clips, tuple(phone_lessons([(syllables(), phones)])), materials, voices)
    plan = Plan(phone_steps=2, clip_steps=1)
    start = phones_model(given, tmp_path, plan)
    assert start.facts.materials == voices
    cases = list(held_out(given, start, tmp_path, plan))
    assert [[one.name for one in model.facts.materials] for _, model in cases] == [["bob", "voice"], ["ann", "voice"]]
    made = {one.name: one for one in heard_measurements(cases, start, "g")}
    assert len(made["g: opening, model"].values) == 2
    assert made["g: opening, smoothed energy"].median > 0.5
    folder = ship(cases[0][1], {"opening": 0.5}, tmp_path / "shipped")
    assert load_lipsync_model(folder).weights_sha256 == cases[0][1].weights_sha256
    assert "| opening | 0.5 |" in (folder / "README.md").read_text()


def test_driven_clips_stand_beside_a_wrong_sound_and_the_mouth_before():
    syncs = [Sync(np.full(51, level), 0.1, 9, None, None) for level in (0.5, 0.2, 0.1)]
    made = {one.name: one.median for one in driven_measurements([Driven("d", *syncs)])}
    assert made["driven mouth, its sound: strength"] == pytest.approx(0.5)
    assert made["driven mouth, another sound: strength"] == pytest.approx(0.2)
    assert made["mouth before, the driving sound: strength"] == pytest.approx(0.1)
