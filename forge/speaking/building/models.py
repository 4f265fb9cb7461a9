"""The trained models of a set of speech, opened once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.contract import say
from forge.speaking.conversion.checkpoint import VoiceModel, load_voice_model
from forge.speaking.conversion.inversion import GRIFFIN_LIM, Inversion
from forge.speaking.reading.checkpoint import TextModel, load_text_model
from forge.speaking.targets import CONVERSION, READING, need_targets
from forge.speaking.vocoders import TRAINED
from forge.speaking.vocoding.checkpoint import VocoderModel, load_vocoder
from forge.speaking.vocoding.synthesis import inversion_of
from shared.types import Split


@dataclass(frozen=True, eq=False)
class Reader:
    """A voice model and its text encoder."""

    voice: VoiceModel
    encoder: TextModel

    @classmethod
    def of(cls, run: Path) -> Reader:
        """Those in a run.

        Raises:
            CheckpointError: one is missing or damaged, or the text encoder is of another voice model.
        """
        voice = load_voice_model(run)
        return cls(voice, load_text_model(run, voice))

    def made_with(self) -> str:
        """What the set says of it: both weights, and the engine of the phones, as it says itself with a word."""
        front = self.encoder.facts.front_end
        info = say("one", engine=front.engine, voice=front.voices[0]).info
        weights = f"{self.voice.weights_sha256[:16]} {self.encoder.weights_sha256[:16]}"
        return f"{READING} {weights}, phones by {info.name} {info.version}"


@dataclass(frozen=True, eq=False)
class SetModels:
    """The models of a set.

    Attributes:
        converter: voice model that converts utterances, None without one.
        reader: what reads sentences, None without one.
        vocoder: the trained one, None without one.
    """

    converter: VoiceModel | None = None
    reader: Reader | None = None
    vocoder: VocoderModel | None = None

    @classmethod
    def of(cls, spec: SpeechSetSpec) -> SetModels:
        """Those that a set asks for.

        Raises:
            CheckpointError: there is none in a folder, or it is damaged.
        """
        return cls(
            None if spec.model is None else load_voice_model(spec.model),
            None if spec.reader is None else Reader.of(spec.reader),
            None if spec.vocoder is None else load_vocoder(spec.vocoder),
        )

    @property
    def inversion(self) -> Inversion:
        """From the spectrograms of voice models to sound."""
        return GRIFFIN_LIM if self.vocoder is None else inversion_of(self.vocoder)

    def need_targets(self, splits: Mapping[str, Split]) -> None:
        """Finds voices for every speaker of a set, before anything is written.

        Raises:
            UsageError: there is none for one of them.
        """
        if self.converter is not None:
            need_targets(self.converter, splits)
        if self.reader is not None:
            need_targets(self.reader.voice, splits, itself=True)

    def made_with(self) -> tuple[str, ...]:
        """What each is called, with the start of the SHA-256 of its weights.

        Raises:
            SpeechError: the engine of a reader's phones is missing, or failed.
        """
        found: list[str] = []
        if self.converter is not None:
            found.append(f"{CONVERSION} {self.converter.weights_sha256[:16]}")
        if self.reader is not None:
            found.append(self.reader.made_with())
        if self.vocoder is not None:
            found.append(f"{TRAINED} {self.vocoder.weights_sha256[:16]}")
        return tuple(found)
