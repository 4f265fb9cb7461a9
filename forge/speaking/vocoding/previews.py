"""Previews of a training: a held-out utterance as it was recorded, by the vocoder, and by Griffin-Lim."""

from __future__ import annotations

import numpy as np

from forge.speaking.conversion.features import FRAMING
from forge.speaking.conversion.inversion import sound_of
from forge.speaking.conversion.previews import spectrograms
from forge.speaking.output import write_speech
from forge.speaking.vocoders import TRAINED
from forge.speaking.vocoding.checkpoint import VocoderModel
from forge.speaking.vocoding.data import Spoken
from forge.speaking.vocoding.synthesis import sound_by
from shared.audio.features import log_spectrogram
from shared.storage import write_bytes
from shared.training.run import Run

_MOST_FRAMES = 240
_MIDDLE, _SCALE = -13.0, 4.0


def write_previews(run: Run, model: VocoderModel, spoken: Spoken) -> None:
    """Writes ``previews/latest.png`` and a sound.

    Raises:
        StorageError, ProvenanceError: writing or signing failed.
    """
    count = min(_MOST_FRAMES, len(spoken.features))
    mel, pitch = spoken.features.mel[:count], spoken.features.pitch[:count]
    samples = (count - 1) * FRAMING.hop
    made = sound_by(model.network, mel, pitch, samples)
    facts = {"rights": ", ".join(model.facts.rights), "step": model.facts.steps, "weights_sha256": model.weights_sha256}
    write_speech(run.previews / "latest.wav", made, manipulation=TRAINED, facts=facts)
    shown = [
        ("recorded", spoken.samples[:samples]),
        ("by the vocoder", made.samples),
        ("by Griffin-Lim", sound_of(mel, pitch, samples).samples),
    ]
    pictures = [(name, _shown(one)) for name, one in shown]
    write_bytes(run.previews / "latest.png", spectrograms(pictures, model.facts.steps, unit="frequency bin"))


def _shown(samples: np.ndarray) -> np.ndarray:
    """(T, bins): the log power spectrogram in the range of what is plotted."""
    return (log_spectrogram(samples, FRAMING) - _MIDDLE) / _SCALE
