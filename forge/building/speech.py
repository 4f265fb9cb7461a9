"""``[speech]`` of a ``set.toml``: a set of speech in a folder of the dataset, of the same people in the same splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.audio.codecs import CODECS
from shared.config import need
from shared.types import Split

if TYPE_CHECKING:
    from forge.building.spec import SetSpec
    from forge.speaking.building.build import PlannedSpeechSet

FOLDER = "speech"
"""Folder of the set of speech in the dataset."""


@dataclass(frozen=True)
class SpeechConfig:
    """The voices of a set and the ways of forging them; see ``assay forge speech-set --help``.

    A voiceset that is called like an ``[[identity]]`` is of that person, and in their split. Others are spread over the
    splits.

    Attributes:
        voices: voicesets, or folders of them, and ``convert``, ``read`` and ``vocoder_run``, which name runs: relative
            to the settings file.
        engines: that read sentences.
        vocoders: of twins.
        convert: run of a voice model that converts each utterance.
        read: run of a voice model with a text encoder, whose voices read sentences.
        vocoder_run: run of a trained vocoder.
        per_speaker: utterances of each voice.
        codecs: of the chains.
        light: share of chains that change little.
        seconds: longest recording.
    """

    voices: tuple[str, ...]
    engines: tuple[str, ...] = ("hibari",)
    vocoders: tuple[str, ...] = ("griffin-lim",)
    convert: str | None = None
    read: str | None = None
    vocoder_run: str | None = None
    per_speaker: int = 4
    codecs: tuple[str, ...] = tuple(CODECS)
    light: float = 0.5
    seconds: float = 6.0

    def __post_init__(self) -> None:
        need(bool(self.voices), "[speech] names no voices", 'voices = ["voices"]')


def plan_speech(spec: SetSpec, splits: Mapping[str, Split], out: Path) -> PlannedSpeechSet | None:
    """The set of speech that ``spec`` asks for in the dataset ``out``, None where it asks for none; writes nothing.

    Args:
        spec: the settings.
        splits: of the people of the set.
        out: the dataset.

    Raises:
        AssayError: see :func:`forge.speaking.building.build.plan_speech_set`; also a set of other settings is there.
    """
    config = spec.speech
    if config is None:
        return None
    from forge.speaking.building.build import plan_speech_set
    from forge.speaking.building.spec import SpeechSetSpec
    from shared.speechsets.folder import need_same
    from shared.voices.reader import read_voiceset, voicesets_in

    def run(name: str | None) -> Path | None:
        return None if name is None else spec.file(name)

    wanted = SpeechSetSpec(
        f"{spec.set.name}-{FOLDER}",
        license=spec.set.license or "other",
        engines=config.engines,
        vocoders=config.vocoders,
        model=run(config.convert),
        reader=run(config.read),
        vocoder=run(config.vocoder_run),
        per_speaker=config.per_speaker,
        codecs=config.codecs,
        light=config.light,
        fractions=spec.splits.fractions,
        most_seconds=config.seconds,
        seed=spec.set.seed,
    )
    sets = [read_voiceset(path) for name in config.voices for path in voicesets_in(spec.file(name))]
    planned = plan_speech_set(sets, wanted, splits=splits)
    need_same(out / FOLDER, planned.info)
    return planned
