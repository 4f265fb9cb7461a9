"""Previews of a training: spectrograms of a held-out utterance, given back and converted, and their sounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forge.speaking.conversion.checkpoint import VoiceFacts, VoiceModel
from forge.speaking.conversion.convert import converted_features
from forge.speaking.conversion.data import Voice
from forge.speaking.conversion.features import FRAMING, VoiceFeatures
from forge.speaking.conversion.inversion import sound_of
from forge.speaking.conversion.network import VoiceSwapper
from forge.speaking.output import write_speech
from shared.plots import figure, png
from shared.storage import write_bytes
from shared.training.run import Run

_MOST_FRAMES = 400


def write_previews(run: Run, swapper: VoiceSwapper, identities: Sequence[Voice], facts: VoiceFacts, step: int) -> None:
    """Writes ``previews/latest.png`` and two sounds: the first identity as itself, and in the second one's voice.

    Raises:
        StorageError, ProvenanceError: writing or signing failed.
    """
    first = identities[0]
    utterance = (first.held_out or first.utterances)[0]
    part = VoiceFeatures(*(each[:_MOST_FRAMES] for each in (utterance.mel, utterance.pitch, utterance.energy)))
    trained = swapper.training
    device = next(swapper.parameters()).device
    model = VoiceModel(swapper.to("cpu"), facts, "")
    shown = [(f"{first.name}, recorded", part.mel)]
    try:
        for number, other in enumerate(identities[:2]):
            mel, pitch = converted_features(part, model, number)
            shown.append((f"in the voice of {other.name}", mel))
            sound = sound_of(mel, pitch, (len(part) - 1) * FRAMING.hop)
            write_speech(
                run.previews / f"latest-{number}.wav", sound, manipulation="voice conversion",
                facts={"identity": other.name, "rights": first.rights, "step": step},
            )  # fmt: skip
    finally:
        swapper.to(device).train(trained)
    write_bytes(run.previews / "latest.png", spectrograms(shown, step))


def spectrograms(shown: Sequence[tuple[str, np.ndarray]], step: int, *, unit: str = "mel band") -> bytes:
    """A PNG of spectrograms (T, D) in the scale of the voice model's, one below the other; ``unit`` is that of D."""
    with figure(7.0, 1.6 * len(shown)) as made:
        rows = made.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, mel) in zip(rows, shown, strict=True):
            seconds = len(mel) * FRAMING.hop_seconds
            axes.imshow(mel.T, origin="lower", aspect="auto", extent=(0, seconds, 0, mel.shape[1]), vmin=-1.4, vmax=1.2)
            axes.set_title(name)
            axes.set_ylabel(unit)
            axes.grid(visible=False)
        rows[-1].set_xlabel(f"seconds (step {step})")
        return png(made)
