"""Previews of a training: what an engine's sentence is in a trained voice, from its sound and from its phones."""

from __future__ import annotations

import numpy as np
import torch

from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.conversion.convert import converted_features
from forge.speaking.conversion.features import FRAMING
from forge.speaking.conversion.inversion import sound_of
from forge.speaking.conversion.previews import spectrograms
from forge.speaking.output import write_speech
from forge.speaking.reading.checkpoint import TextModel
from forge.speaking.reading.material import Lesson
from forge.speaking.reading.read import MANIPULATION, read_features
from forge.speaking.targets import target_facts
from shared.storage import write_bytes
from shared.training.run import Run


def write_previews(run: Run, voice: VoiceModel, encoder: TextModel, lesson: Lesson) -> None:
    """Writes ``previews/latest.png`` and a sound, in the voice of the first identity.

    Raises:
        StorageError, ProvenanceError: writing or signing failed.
    """
    identity = voice.facts.identities[0]
    with torch.random.fork_rng(devices=[]):
        converted, _ = converted_features(lesson.features, voice, 0)
        mel, pitch = read_features(lesson.phones, voice, encoder, 0, lesson.voice)
    sound = sound_of(mel, pitch, (len(mel) - 1) * FRAMING.hop)
    facts = {**target_facts(voice, identity), "rights": identity.rights, "step": encoder.facts.steps}
    write_speech(run.previews / "latest.wav", sound, manipulation=MANIPULATION, facts=facts)
    shown: list[tuple[str, np.ndarray]] = [
        (f"{encoder.facts.front_end.engine}", lesson.features.mel),
        (f"its sound in the voice of {identity.name}", converted),
        (f"its phones in the voice of {identity.name}", mel),
    ]
    write_bytes(run.previews / "latest.png", spectrograms(shown, encoder.facts.steps))
