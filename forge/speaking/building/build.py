"""Builds a labelled set of speech: groups of a recording and its fakes, which leave by one chain.

A group has a real utterance, its twin by each vocoder, one twin in part, a sentence read by an engine, the utterance
with a phrase replaced by an engine, and, with voice models, the utterance in another identity's voice and a sentence
that an identity reads. Everything random follows from the seed, the speaker and the utterance, so a build that was
stopped goes on where it was, and ends with the same set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from forge.speaking.building.files import card_of
from forge.speaking.building.groups import REAL, Group, group_manipulations, groups_of, manipulations_of
from forge.speaking.building.models import SetModels
from forge.speaking.building.records import planned, written
from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.contract import engine_named, say
from forge.speaking.targets import need_targets_disjoint
from forge.speaking.vocoders import TRAINED, available_vocoders, vocoded
from shared.audio.rates import resampled
from shared.audio.sound import Sound
from shared.config import digest
from shared.console import console
from shared.errors import SpeechError, UsageError
from shared.speechsets.folder import SpeechSet, append, begin, finish, read_speech_set
from shared.speechsets.layout import RATE, SpeechSetInfo
from shared.speechsets.splits import need_disjoint, speaker_splits
from shared.storage import folder_lock
from shared.types import Split
from shared.voices.reader import Voiceset


@dataclass(frozen=True, eq=False)
class PlannedSpeechSet:
    """A set of speech that can be made.

    Attributes:
        voicesets: of its speakers.
        spec: what it is made of.
        splits: of its speakers.
        models: the trained ones.
        info: what the set says of itself.
    """

    voicesets: tuple[Voiceset, ...]
    spec: SpeechSetSpec
    splits: Mapping[str, Split]
    models: SetModels
    info: SpeechSetInfo

    @property
    def groups(self) -> list[Group]:
        """Its groups, in order."""
        return list(groups_of(self.voicesets, self.splits, self.spec))

    @property
    def recordings(self) -> int:
        """How many recordings it has."""
        return sum(1 + len(group_manipulations(group, self.spec)) for group in self.groups)


def build_speech_set(voicesets: Sequence[Voiceset], out: Path, spec: SpeechSetSpec) -> SpeechSet:
    """Makes the set, or goes on with one that was begun; see the module.

    Raises:
        AssayError: see :func:`plan_speech_set` and :func:`make_speech_set`.
    """
    return make_speech_set(plan_speech_set(voicesets, spec), out)


def plan_speech_set(
    voicesets: Sequence[Voiceset], spec: SpeechSetSpec, *, splits: Mapping[str, Split] | None = None
) -> PlannedSpeechSet:
    """The plan of a set, after all that would refuse to make it; writes nothing.

    Args:
        voicesets: of its speakers.
        spec: what it is made of.
        splits: of people who are in a split already; the others are spread over the splits.

    Raises:
        CheckpointError: a trained model is missing or damaged.
        UsageError: voices that are synthetic, of one name, or too few; a speaker without an identity to convert to.
        UnknownNameError: no such engine or vocoder.
        SpeechError: an engine or a vocoder is missing.
    """
    _check(voicesets, spec)
    names = [one.info.identity for one in voicesets]
    chosen = speaker_splits(names, fractions=spec.fractions, seed=spec.seed, known=splits)
    models = SetModels.of(spec)
    models.need_targets(chosen)
    tables = {one.info.identity: one.info.table_sha256 for one in voicesets}
    # A model counts by its weights, in ``made_with``, wherever it lies.
    settings = {name: value for name, value in asdict(spec).items() if name not in ("model", "reader", "vocoder")}
    given = {} if splits is None else {"splits": chosen}
    info = SpeechSetInfo(
        name=spec.name,
        license=spec.license,
        seed=spec.seed,
        spec=digest({"spec": settings, "voices": tables, **given}),
        voices=tuple(sorted(tables)),
        manipulations=manipulations_of(spec),
        made_with=(*_engines_of(spec), *models.made_with()),
    )
    return PlannedSpeechSet(tuple(voicesets), spec, chosen, models, info)


def make_speech_set(plan: PlannedSpeechSet, out: Path) -> SpeechSet:
    """Makes a set, or what is missing of one that was begun, and seals it.

    Raises:
        UsageError: ``out`` is taken, or was begun otherwise.
        SpeechError: an engine or a vocoder failed.
        StorageError, ProvenanceError: writing or signing failed.
    """
    with folder_lock(out.parent / f".{out.name}.lock", timeout_seconds=5):
        done = {record.id for record in begin(out, plan.info).records}
        groups = plan.groups
        with console.progress("making speech", len(groups), unit="group") as tick:
            for group in groups:
                _make_group(group, plan.spec, plan.models, out, done)
                tick()
        records = read_speech_set(out).records
        need_disjoint(records)
        need_targets_disjoint(records)
        finish(out, card_of(plan.info, records))
    return read_speech_set(out)


def _check(voicesets: Sequence[Voiceset], spec: SpeechSetSpec) -> None:
    names = [one.info.identity for one in voicesets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two voicesets are called {twice[0]}", hint="give every person a name of their own")
    for one in voicesets:
        if one.info.synthetic:
            raise UsageError(
                f"{one.path} holds synthetic speech: it is no real voice", hint="name voicesets of recordings"
            )
    for name in spec.engines:
        why = engine_named(name).missing()
        if why is not None:
            raise SpeechError(f"the engine {name} cannot speak: {why}", hint="leave it out, or install it")
    for name in spec.vocoders:
        if name not in (*available_vocoders(), TRAINED):
            vocoded(Sound(np.zeros(RATE, np.float32), RATE), name)  # says what is missing


def _engines_of(spec: SpeechSetSpec) -> tuple[str, ...]:
    """Name, version and digest of weights of each engine, as it says itself with a word."""
    spoken = (say("one", engine=name, seed=spec.seed).info for name in spec.engines)
    return tuple(f"{info.name} {info.version} {(info.weights or 'no weights')[:16]}" for info in spoken)


def _make_group(group: Group, spec: SpeechSetSpec, models: SetModels, out: Path, done: set[str]) -> None:
    if all(group.record_id(spec, each) in done for each in (REAL, *group_manipulations(group, spec))):
        return
    whole = planned(group, spec, models)
    for member in whole.members:
        record_id = group.record_id(spec, member.name)
        if record_id not in done:
            append(out, written(whole, member, spec, out))
            done.add(record_id)


def group_sounds(voicesets: Sequence[Voiceset], spec: SpeechSetSpec) -> Iterator[tuple[str, str | None, Sound, Sound]]:
    """Every recording of a set, unwritten: speaker, manipulation, the sound as made, and the sound after the chain."""
    splits: dict[str, Split] = {one.info.identity: "train" for one in voicesets}
    models = SetModels.of(spec)
    for group in groups_of(voicesets, splits, spec):
        whole = planned(group, spec, models)
        for member in whole.members:
            chained, _ = whole.chained(member)
            yield group.voiceset.info.identity, member.manipulation, resampled(member.sound, RATE), chained
