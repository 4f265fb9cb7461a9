"""The benchmark of a voice model: word errors, pitch, targets, and the speaker encoder's input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.resemblyzer import SpeakerEncoder, mel_power
from benchmarks.voice import pitch_correlation, plain_words, targets_of, word_errors
from shared.audio.sound import Sound

RATE = 16_000


def glide(start: float, stop: float, seconds: float = 1.0) -> np.ndarray:
    hertz = np.linspace(start, stop, round(seconds * RATE))
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    return (0.2 * sum(np.sin(order * phase) / order for order in range(1, 8))).astype(np.float32)


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("the meeting is at nine", 0),
        ("the meeting at nine", 1),
        ("a meeting is at nine now", 2),
        ("", 5),
    ],
)
def test_word_errors(heard: str, errors: int):
    assert word_errors(plain_words("The meeting is at nine."), heard.split()) == errors


def test_pitch_of_another_range_correlates_and_of_another_course_does_not():
    rising, higher, falling = glide(100, 150), glide(180, 270), glide(150, 100)
    assert pitch_correlation(rising, higher) == pytest.approx(1, abs=0.02)
    assert pitch_correlation(rising, falling) == pytest.approx(-1, abs=0.05)
    assert pitch_correlation(rising, np.zeros(RATE, np.float32)) is None


def test_targets_are_the_speaker_and_others_in_turn():
    names = ["a", "b", "c", "d"]
    assert targets_of("b", names, 0, 2) == ["b", "a", "c"]
    assert targets_of("b", names, 1, 2) == ["b", "d", "a"]
    assert targets_of("a", names, 0, 9) == names


def test_mel_power_peaks_at_the_band_of_a_tone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    found = mel_power(tone)
    assert found.shape == (101, 40)
    # 1 kHz is 15 on Slaney's scale, whose 40 bands reach 45.2 at 8 kHz.
    assert found[50].argmax() == round(15 / 45.245 * 41) - 1
    assert mel_power(2 * tone)[50].max() == pytest.approx(4 * found[50].max(), rel=1e-4)


def test_the_encoder_reads_its_weights_and_gives_unit_vectors(tmp_path):
    folder = tmp_path / "resemblyzer"
    folder.mkdir()
    torch.manual_seed(0)
    parts = {"lstm": torch.nn.LSTM(40, 256, 3), "linear": torch.nn.Linear(256, 256)}
    state = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    torch.save({"model_state": state}, folder / "pretrained.pt")
    encoder = SpeakerEncoder.found(tmp_path)
    assert encoder is not None
    found = encoder.embedded(Sound(glide(100, 150, 0.5), RATE))
    assert found.shape == (256,)
    assert np.linalg.norm(found) == pytest.approx(1)
    again = encoder.embedded(Sound(0.5 * glide(100, 150, 0.5), RATE))
    assert found @ again > 0.99
