"""A small vocoder trained on humming speakers for a few steps."""

from __future__ import annotations

import pytest

from forge.speaking.vocoding.config import VocoderConfig
from forge.speaking.vocoding.training import train_vocoder
from tests.forge.speaking.conversion.conftest import voicesets

__all__ = ["voicesets"]

SMALL_VOCODER = VocoderConfig(width=8, blocks=1, steps=4, batch=2, frames=16, warmup_steps=2, device="cpu",
                              log_every=2, save_every=2)  # fmt: skip


@pytest.fixture
def vocoder_run(voicesets, tmp_path):
    """A run of a vocoder of r0 and r1."""
    train_vocoder(voicesets[:2], tmp_path / "vocoder-run", SMALL_VOCODER, steps=2)
    return tmp_path / "vocoder-run"
