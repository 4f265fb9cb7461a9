"""What a set of speech is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forge.speaking.vocoders import TRAINED
from shared.audio.codecs import CODECS
from shared.config import need
from shared.errors import ConfigError
from shared.registry import near_matches
from shared.speechsets.splits import FRACTIONS
from shared.types import check_name


@dataclass(frozen=True)
class SpeechSetSpec:
    """What a set is made of.

    Attributes:
        name: of the set.
        license: SPDX identifier, or "other".
        engines: that read sentences; groups take them and their voices in turn.
        vocoders: of the twins.
        model: folder of a voice model that converts utterances to its identities in turn.
        reader: run of a voice model with a text encoder, whose identities read sentences in turn.
        vocoder: run of a trained vocoder, of the twins by it, and in place of Griffin-Lim in what the models say.
        per_speaker: utterances of each voice.
        codecs: that a chain may have.
        light: share of chains that change little, see :func:`shared.speechsets.chain.drawn_chain`.
        fractions: of speakers in train, val and test.
        most_seconds: longest recording.
        seed: of everything random.
    """

    name: str
    license: str = "other"
    engines: tuple[str, ...] = ("hibari",)
    vocoders: tuple[str, ...] = ("griffin-lim",)
    model: Path | None = None
    reader: Path | None = None
    vocoder: Path | None = None
    per_speaker: int = 4
    codecs: tuple[str, ...] = tuple(CODECS)
    light: float = 0.5
    fractions: tuple[float, float, float] = FRACTIONS
    most_seconds: float = 6.0
    seed: int = 0

    def __post_init__(self) -> None:
        try:
            check_name(self.name, "name")
        except ValueError as error:
            raise ConfigError(str(error), hint="for example speech-1") from error
        if not 1 <= self.per_speaker <= 10_000 or not 1.5 <= self.most_seconds <= 30:
            raise ConfigError("a set has 1 to 10,000 utterances a speaker, of 1.5 to 30 s", hint="look at the options")
        need(0 <= self.light <= 1, f"light is a share from 0 to 1, got {self.light}")
        if not (self.engines or self.vocoders or self.model or self.reader):
            raise ConfigError(
                "a set without engines, vocoders and a voice model has no fakes", hint="--engines or --vocoders"
            )
        if TRAINED in self.vocoders and self.vocoder is None:
            raise ConfigError(f"the vocoder {TRAINED} is a trained one: of which run?", hint="--vocoder-run RUN")
        if self.vocoder is not None and TRAINED not in self.vocoders and self.model is None and self.reader is None:
            raise ConfigError("nothing in the set is made by the run of a vocoder", hint=f"--vocoders {TRAINED}")
        for name in self.codecs:
            if name not in CODECS:
                raise ConfigError(f"no codec is named {name!r}", hint=near_matches(name, list(CODECS)))
