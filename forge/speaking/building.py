"""Builds a labelled set of speech: groups of a recording and its fakes, which leave by one chain.

A group has a real utterance, its twin by each vocoder, one twin in part, a sentence read by an engine, the utterance
with a phrase replaced by an engine, and, with a voice model, the utterance in another identity's voice. Everything
random follows from the seed, the speaker and the utterance, so a build that was stopped goes on where it was, and ends
with the same set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

import shared
from forge.speaking.contract import Speech, engine_named, say
from forge.speaking.conversion.checkpoint import VoiceModel, load_voice_model
from forge.speaking.conversion.convert import converted
from forge.speaking.partial import PartialFake, span_with_speech, with_speech, with_twin
from forge.speaking.sentences import phrase, sentence
from forge.speaking.set_files import card_of, write_signed
from forge.speaking.targets import CONVERSION, need_targets, need_targets_disjoint, target_facts, targets_of
from forge.speaking.vocoders import available_vocoders, vocoded
from shared.audio.codecs import CODECS
from shared.audio.rates import resampled
from shared.audio.sound import Sound
from shared.config import digest, need
from shared.console import console
from shared.errors import ConfigError, SpeechError, UsageError
from shared.registry import near_matches
from shared.speechsets.chain import Chain, drawn_chain, length_for, sent_through, speech_bounds
from shared.speechsets.folder import SpeechSet, append, begin, finish, read_speech_set
from shared.speechsets.layout import MEDIA, RATE, SpeechRecord, SpeechSetInfo
from shared.speechsets.splits import FRACTIONS, need_disjoint, speaker_splits
from shared.storage import folder_lock, replacing, sha256_file
from shared.types import Split, check_name
from shared.voices.reader import Voiceset

_LEAST_SECONDS = 1.2
_WORDS_A_SECOND = 2.3


@dataclass(frozen=True)
class SpeechSetSpec:
    """What a set is made of.

    Attributes:
        name: of the set.
        license: SPDX identifier, or "other".
        engines: that read sentences; groups take them and their voices in turn.
        vocoders: of the twins.
        model: folder of a voice model that converts utterances to its identities in turn.
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
        if not self.engines and not self.vocoders and self.model is None:
            raise ConfigError(
                "a set without engines, vocoders and a voice model has no fakes", hint="--engines or --vocoders"
            )
        for name in self.codecs:
            if name not in CODECS:
                raise ConfigError(f"no codec is named {name!r}", hint=near_matches(name, list(CODECS)))


@dataclass(frozen=True, eq=False)
class _Member:
    """One recording of a group, before the chain."""

    name: str
    sound: Sound
    manipulation: str | None = None
    voice: str | None = None
    text: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    target: dict[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """One utterance of a speaker, with what everything random of its group follows from."""

    voiceset: Voiceset
    number: int
    splits: dict[str, Split]
    seed: int
    turn: int

    @property
    def name(self) -> str:
        return f"{self.voiceset.info.identity}-{self.number:04d}"

    def rng(self, what: str) -> np.random.Generator:
        text = f"{self.seed} {self.name} {what}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def build_speech_set(voicesets: Sequence[Voiceset], out: Path, spec: SpeechSetSpec) -> SpeechSet:
    """Makes the set, or goes on with one that was begun; see the module.

    Raises:
        UsageError: voices that are synthetic, of one name, or too few; a speaker without an identity to convert to;
            or ``out`` is taken.
        UnknownNameError: no such engine or vocoder.
        SpeechError: an engine or a vocoder is missing.
        StorageError, ProvenanceError: writing or signing failed.
    """
    _check(voicesets, spec)
    splits = speaker_splits([one.info.identity for one in voicesets], fractions=spec.fractions, seed=spec.seed)
    if spec.model is not None:
        need_targets(_voice_model(spec.model), splits)
    tables = {one.info.identity: one.info.table_sha256 for one in voicesets}
    # The voice model counts by its weights, in ``made_with``, wherever it lies.
    settings = {name: value for name, value in asdict(spec).items() if name != "model"}
    info = SpeechSetInfo(
        name=spec.name,
        license=spec.license,
        seed=spec.seed,
        spec=digest({"spec": settings, "voices": tables}),
        voices=tuple(sorted(tables)),
        manipulations=_manipulations(spec),
        made_with=_made_with(spec),
    )
    with folder_lock(out.parent / f".{out.name}.lock", timeout_seconds=5):
        done = {record.id for record in begin(out, info).records}
        groups = list(_groups(voicesets, splits, spec))
        with console.progress("making speech", len(groups), unit="group") as tick:
            for group in groups:
                _make_group(group, spec, out, done)
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
        if name not in available_vocoders():
            vocoded(Sound(np.zeros(RATE, np.float32), RATE), name)  # says what is missing


def _manipulations(spec: SpeechSetSpec) -> tuple[str, ...]:
    whole = (*spec.vocoders, *spec.engines)
    return (*whole, *(f"{name}-in-part" for name in whole), *((CONVERSION,) if spec.model else ()))


def _made_with(spec: SpeechSetSpec) -> tuple[str, ...]:
    """Name, version and digest of weights of each engine, as it says itself with a word, and of the voice model."""
    spoken = (say("one", engine=name, seed=spec.seed).info for name in spec.engines)
    found = [f"{info.name} {info.version} {(info.weights or 'no weights')[:16]}" for info in spoken]
    if spec.model is not None:
        found.append(f"{CONVERSION} {_voice_model(spec.model).weights_sha256[:16]}")
    return tuple(found)


@lru_cache(maxsize=1)
def _voice_model(folder: Path) -> VoiceModel:
    return load_voice_model(folder)


def _groups(voicesets: Sequence[Voiceset], splits: dict[str, Split], spec: SpeechSetSpec) -> Iterator[_Group]:
    turn = 0
    for one in sorted(voicesets, key=lambda each: each.info.identity):
        long_enough = [number for number, each in enumerate(one.utterances) if each.seconds >= _LEAST_SECONDS][
            : spec.per_speaker
        ]
        for number in long_enough:
            yield _Group(one, number, splits, spec.seed, turn)
            turn += 1


def _make_group(group: _Group, spec: SpeechSetSpec, out: Path, done: set[str]) -> None:
    prefix = f"{spec.name}/real/{group.name}"
    planned = [prefix, *(f"{spec.name}/{name}/{group.name}" for name in _group_manipulations(group, spec))]
    if all(each in done for each in planned):
        return
    chain, members, count = _planned(group, spec)
    for member in members:
        record_id = f"{spec.name}/{member.name}/{group.name}"
        if record_id not in done:
            append(out, _written(member, group, spec, chain, count, out, record_id))
            done.add(record_id)


def group_sounds(voicesets: Sequence[Voiceset], spec: SpeechSetSpec) -> Iterator[tuple[str, str | None, Sound, Sound]]:
    """Every recording of a set, unwritten: speaker, manipulation, the sound as made, and the sound after the chain."""
    splits: dict[str, Split] = {one.info.identity: "train" for one in voicesets}
    for group in _groups(voicesets, splits, spec):
        chain, members, count = _planned(group, spec)
        for member in members:
            chained, _ = sent_through(member.sound, chain, count, _noise_seed(group, member))
            yield group.voiceset.info.identity, member.manipulation, resampled(member.sound, RATE), chained


def _planned(group: _Group, spec: SpeechSetSpec) -> tuple[Chain, list[_Member], int]:
    """The chain of a group, its recordings, and how many samples each of them gets."""
    chain = drawn_chain(group.rng("chain"), codecs=spec.codecs, most_seconds=spec.most_seconds, light=spec.light)
    members = _members(group, spec)
    lengths = (_needed(each, chain) for each in members)
    return chain, members, max(length_for([each.sound for each in members], chain), *lengths)


def _noise_seed(group: _Group, member: _Member) -> int:
    return int(group.rng(f"noise {member.name}").integers(1 << 30))


def _needed(member: _Member, chain: Chain) -> int:
    """Samples after which the fake part of a partial fake has ended, with a tenth of a second behind it."""
    if "-in-part" not in member.name:
        return 0
    first, _ = speech_bounds(member.sound)
    return member.spans[-1][1] - first + round((chain.lead_seconds + 0.1) * RATE)


def _group_manipulations(group: _Group, spec: SpeechSetSpec) -> list[str]:
    """The manipulations of a group, in order; engines and vocoders of partial fakes come in turn."""
    found = list(spec.vocoders)
    if spec.vocoders:
        found.append(f"{spec.vocoders[group.turn % len(spec.vocoders)]}-in-part")
    if spec.engines:
        name = spec.engines[group.turn % len(spec.engines)]
        found += [name, f"{name}-in-part"]
    return [*found, CONVERSION] if spec.model is not None else found


def _members(group: _Group, spec: SpeechSetSpec) -> list[_Member]:
    real = resampled(group.voiceset.sound(group.number), RATE)
    rng = group.rng("members")
    members = [_Member("real", real, text=group.voiceset.utterances[group.number].text)]
    first, stop = speech_bounds(real)
    first, stop = first, min(stop, first + round((spec.most_seconds - 0.5) * RATE))
    seed = int(rng.integers(1 << 30))
    span = span_with_speech(rng, real, first, stop)
    for name in spec.vocoders:
        twin = vocoded(real, name, seed=seed)
        members.append(_Member(name, twin, name, spans=((0, len(twin)),)))
        if name == spec.vocoders[group.turn % len(spec.vocoders)]:
            members.append(_partial(f"{name}-in-part", with_twin(real, twin, [span]), None, None))
    if spec.engines:
        members += _engine_members(group, spec, real, span, rng, seconds=(stop - first) / RATE)
    if spec.model is not None:
        members.append(_converted_member(group, _voice_model(spec.model), real, seed))
    order = ["real", *_group_manipulations(group, spec)]
    return sorted(members, key=lambda member: order.index(member.name))


def _engine_members(
    group: _Group, spec: SpeechSetSpec, real: Sound, span: tuple[int, int], rng: np.random.Generator, *, seconds: float
) -> list[_Member]:
    name = spec.engines[group.turn % len(spec.engines)]
    voices = engine_named(name).voices()
    voice = voices[group.turn // len(spec.engines) % len(voices)]
    seed = int(rng.integers(1 << 30))

    def spoken(text: str) -> Speech:
        return say(text, engine=name, voice=voice, seed=seed)

    speech, text = _long_enough(rng, seconds, spoken)
    whole = resampled(speech.sound, RATE)
    label = f"{name}:{voice}"
    words = phrase(rng)
    fake = with_speech(real, [span], [_spoken_part(spoken(words).sound)])
    return [
        _Member(name, whole, name, label, text, ((0, len(whole)),)),
        _partial(f"{name}-in-part", fake, label, words),
    ]


def _converted_member(group: _Group, model: VoiceModel, real: Sound, seed: int) -> _Member:
    """The utterance in the voice of one of :func:`targets_of`, in turn."""
    others = targets_of(model, group.voiceset.info.identity, group.splits)
    identity = others[group.turn % len(others)]
    made = converted(real, model, identity.name, seed=seed)
    text = group.voiceset.utterances[group.number].text
    voice, facts = f"{CONVERSION}:{identity.name}", target_facts(model, identity)
    return _Member(CONVERSION, made, CONVERSION, voice, text, ((0, len(made)),), facts)


def _long_enough(rng: np.random.Generator, seconds: float, spoken: Callable[[str], Speech]) -> tuple[Speech, str]:
    """A sentence whose speech is as long as the recording's, so that the recording need not be cut for it."""
    words = max(4, round(seconds * _WORDS_A_SECOND))
    text = sentence(rng, words=words)
    speech = spoken(text)
    for _ in range(3):
        first, stop = speech_bounds(speech.sound)
        if (stop - first) / speech.sound.rate >= seconds:
            break
        text = f"{text} {sentence(rng, words=max(4, words // 2))}"
        speech = spoken(text)
    return speech, text


def _spoken_part(sound: Sound) -> Sound:
    first, stop = speech_bounds(sound)
    return sound.cut(first, stop)


def _partial(name: str, fake: PartialFake, voice: str | None, text: str | None) -> _Member:
    return _Member(name, fake.sound, name, voice, text, fake.segments)


def _written(
    member: _Member, group: _Group, spec: SpeechSetSpec, chain: Chain, count: int, out: Path, record_id: str
) -> SpeechRecord:
    sound, offset = sent_through(member.sound, chain, count, _noise_seed(group, member))
    spans = _placed(member, offset, count)
    fake = member.manipulation is not None
    facts: dict[str, str | int | None] = {
        "id": record_id,
        "kind": "speech" if fake else "real",
        "label": "fake" if fake else "real",
        "statement": "synthetic speech" if fake else "recorded speech",
        "manipulation": member.manipulation,
        "speaker": group.voiceset.info.identity,
        "voice": member.voice,
        "text": (member.text or "")[:500] or None,
        "rights": group.voiceset.info.rights,
        "segments": ",".join(f"{first}-{stop}" for first, stop in spans),
        "seed": spec.seed,
        **member.target,
    }
    path = f"{MEDIA}/{member.name}/{group.name}.flac"
    place = out / path
    with replacing(place) as draft:
        content = write_signed(
            draft, sound, facts, fake=fake, whole=member.voice is not None and member.name in spec.engines
        )
        whole_sha = sha256_file(draft)
    return SpeechRecord(
        id=record_id,
        path=path,
        sha256=whole_sha,
        content_sha256=content,
        label="fake" if fake else "real",
        kind="speech" if fake else "real",
        speaker=group.voiceset.info.identity,
        split=group.splits[group.voiceset.info.identity],
        manipulation=member.manipulation,
        voice=member.voice,
        rights=group.voiceset.info.rights,
        seconds=count / RATE,
        spans=spans,
        text=member.text,
        parent=f"{spec.name}/real/{group.name}" if fake else None,
        source_sha256=group.voiceset.utterances[group.number].sha256,
        chain=chain.facts(),
        seed=spec.seed,
        tool_version=shared.__version__,
    )


def _placed(member: _Member, offset: int, count: int) -> tuple[tuple[int, int], ...]:
    """The spans after the chain: moved by its offset; a fake as a whole is fake with all of its silence."""
    if member.spans and member.spans[0][0] == 0 and member.spans[-1][1] >= len(member.sound):
        return ((0, count),)
    moved = ((max(0, first + offset), min(count, stop + offset)) for first, stop in member.spans)
    return tuple((first, stop) for first, stop in moved if first < stop)
