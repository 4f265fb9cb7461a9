"""Builds a labelled set of speech: groups of a recording and its fakes, which leave by one chain.

A group has a real utterance, its twin by each vocoder, one twin in part, a sentence read by an engine, the utterance
with a phrase replaced by an engine, and, with voice models, the utterance in another identity's voice and a sentence
that an identity reads. Everything random follows from the seed, the speaker and the utterance, so a build that was
stopped goes on where it was, and ends with the same set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
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


def build_speech_set(voicesets: Sequence[Voiceset], out: Path, spec: SpeechSetSpec) -> SpeechSet:
    """Makes the set, or goes on with one that was begun; see the module.

    Raises:
        CheckpointError: a trained model is missing or damaged.
        UsageError: voices that are synthetic, of one name, or too few; a speaker without an identity to convert to;
            or ``out`` is taken.
        UnknownNameError: no such engine or vocoder.
        SpeechError: an engine or a vocoder is missing.
        StorageError, ProvenanceError: writing or signing failed.
    """
    _check(voicesets, spec)
    splits = speaker_splits([one.info.identity for one in voicesets], fractions=spec.fractions, seed=spec.seed)
    models = SetModels.of(spec)
    models.need_targets(splits)
    tables = {one.info.identity: one.info.table_sha256 for one in voicesets}
    # A model counts by its weights, in ``made_with``, wherever it lies.
    settings = {name: value for name, value in asdict(spec).items() if name not in ("model", "reader", "vocoder")}
    info = SpeechSetInfo(
        name=spec.name,
        license=spec.license,
        seed=spec.seed,
        spec=digest({"spec": settings, "voices": tables}),
        voices=tuple(sorted(tables)),
        manipulations=manipulations_of(spec),
        made_with=(*_engines_of(spec), *models.made_with()),
    )
    with folder_lock(out.parent / f".{out.name}.lock", timeout_seconds=5):
        done = {record.id for record in begin(out, info).records}
        groups = list(groups_of(voicesets, splits, spec))
        with console.progress("making speech", len(groups), unit="group") as tick:
            for group in groups:
                _make_group(group, spec, models, out, done)
                tick()
        records = read_speech_set(out).records
        need_disjoint(records)
        need_targets_disjoint(records)
        finish(out, card_of(info, records))
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
