"""Groups of a set of speech: one utterance of a speaker each, and the fakes that are made from it and beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.targets import CONVERSION, READING
from shared.types import Split
from shared.voices.reader import Voiceset

REAL = "real"
"""What the recording of a group is called among its fakes, which are called by their manipulation."""

_LEAST_SECONDS = 1.2


@dataclass(frozen=True)
class Group:
    """One utterance of a speaker, with what everything random of its group follows from."""

    voiceset: Voiceset
    number: int
    splits: Mapping[str, Split]
    seed: int
    turn: int

    @property
    def name(self) -> str:
        """Of its files: the speaker, and the number of the utterance."""
        return f"{self.voiceset.info.identity}-{self.number:04d}"

    def record_id(self, spec: SpeechSetSpec, what: str) -> str:
        """The id of one of its recordings."""
        return f"{spec.name}/{what}/{self.name}"

    def rng(self, what: str) -> np.random.Generator:
        """The chance of one thing in the group, named by a word."""
        text = f"{self.seed} {self.name} {what}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def groups_of(voicesets: Sequence[Voiceset], splits: Mapping[str, Split], spec: SpeechSetSpec) -> Iterator[Group]:
    """The groups of a set, in order; utterances shorter than 1.2 s are passed over."""
    turn = 0
    for one in sorted(voicesets, key=lambda each: each.info.identity):
        long_enough = [number for number, each in enumerate(one.utterances) if each.seconds >= _LEAST_SECONDS][
            : spec.per_speaker
        ]
        for number in long_enough:
            yield Group(one, number, splits, spec.seed, turn)
            turn += 1


def group_manipulations(group: Group, spec: SpeechSetSpec) -> list[str]:
    """The manipulations of a group, in order; engines and vocoders of partial fakes come in turn."""
    found = list(spec.vocoders)
    if spec.vocoders:
        found.append(f"{spec.vocoders[group.turn % len(spec.vocoders)]}-in-part")
    if spec.engines:
        name = spec.engines[group.turn % len(spec.engines)]
        found += [name, f"{name}-in-part"]
    return found + _by_models(spec)


def manipulations_of(spec: SpeechSetSpec) -> tuple[str, ...]:
    """All manipulations of a set."""
    whole = (*spec.vocoders, *spec.engines)
    return (*whole, *(f"{name}-in-part" for name in whole), *_by_models(spec))


def _by_models(spec: SpeechSetSpec) -> list[str]:
    """The manipulations by voice models, which every group has."""
    return [name for name, run in ((CONVERSION, spec.model), (READING, spec.reader)) if run is not None]
