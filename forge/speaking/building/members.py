"""The recordings of a group: the real one, and its fakes as they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from forge.speaking.building.groups import REAL, Group, group_manipulations
from forge.speaking.building.models import Reader, SetModels
from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.contract import Speech, engine_named, say
from forge.speaking.conversion.checkpoint import VoiceModel
from forge.speaking.conversion.convert import converted
from forge.speaking.conversion.inversion import Inversion
from forge.speaking.partial import PartialFake, span_with_speech, with_speech, with_twin
from forge.speaking.reading.read import ReadText, read_text, reader_facts
from forge.speaking.sentences import phrase, sentence
from forge.speaking.targets import CONVERSION, READING, target_facts, targets_of
from forge.speaking.vocoders import TRAINED, vocoded
from shared.audio.rates import resampled
from shared.audio.sound import Sound
from shared.speechsets.chain import speech_bounds
from shared.speechsets.layout import RATE

_WORDS_A_SECOND = 2.3

S = TypeVar("S", Speech, ReadText)


@dataclass(frozen=True, eq=False)
class Member:
    """One recording of a group, before the chain."""

    name: str
    sound: Sound
    manipulation: str | None = None
    voice: str | None = None
    text: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    target: dict[str, str | int | None] = field(default_factory=dict)


def members_of(group: Group, spec: SpeechSetSpec, models: SetModels) -> list[Member]:
    """The recordings of a group, in order."""
    real = resampled(group.voiceset.sound(group.number), RATE)
    rng = group.rng("members")
    members = [Member(REAL, real, text=group.voiceset.utterances[group.number].text)]
    first, stop = speech_bounds(real)
    first, stop = first, min(stop, first + round((spec.most_seconds - 0.5) * RATE))
    seed = int(rng.integers(1 << 30))
    span = span_with_speech(rng, real, first, stop)
    for name in spec.vocoders:
        twin = vocoded(real, name, seed=seed, model=models.vocoder if name == TRAINED else None)
        facts = models.inversion.facts() if name == TRAINED else {}
        members.append(Member(name, twin, name, spans=((0, len(twin)),), target=facts))
        if name == spec.vocoders[group.turn % len(spec.vocoders)]:
            part = _partial(f"{name}-in-part", with_twin(real, twin, [span]), None, None)
            members.append(replace(part, target=facts))
    if spec.engines:
        members += _engine_members(group, spec, real, span, rng, seconds=(stop - first) / RATE)
    if models.converter is not None:
        members.append(_converted_member(group, models.converter, models.inversion, real, seed))
    if models.reader is not None:
        members.append(_read_member(group, models.reader, models.inversion, seconds=(stop - first) / RATE))
    order = [REAL, *group_manipulations(group, spec)]
    return sorted(members, key=lambda member: order.index(member.name))


def _engine_members(
    group: Group, spec: SpeechSetSpec, real: Sound, span: tuple[int, int], rng: np.random.Generator, *, seconds: float
) -> list[Member]:
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
        Member(name, whole, name, label, text, ((0, len(whole)),)),
        _partial(f"{name}-in-part", fake, label, words),
    ]


def _converted_member(group: Group, model: VoiceModel, inversion: Inversion, real: Sound, seed: int) -> Member:
    """The utterance in the voice of one of :func:`targets_of`, in turn."""
    others = targets_of(model, group.voiceset.info.identity, group.splits)
    identity = others[group.turn % len(others)]
    made = converted(real, model, identity.name, inversion=inversion, seed=seed)
    text = group.voiceset.utterances[group.number].text
    voice, facts = f"{CONVERSION}:{identity.name}", {**target_facts(model, identity), **inversion.facts()}
    return Member(CONVERSION, made, CONVERSION, voice, text, ((0, len(made)),), facts)


def _read_member(group: Group, reader: Reader, inversion: Inversion, *, seconds: float) -> Member:
    """A sentence in the voice of one of :func:`targets_of`, in turn, who may be the speaker of the group."""
    rng = group.rng(READING)
    voices = targets_of(reader.voice, group.voiceset.info.identity, group.splits, itself=True)
    name = voices[group.turn % len(voices)].name
    seed = int(rng.integers(1 << 30))

    def spoken(text: str) -> ReadText:
        return read_text(text, reader.voice, reader.encoder, name, inversion=inversion, seed=seed)

    made, text = _long_enough(rng, seconds, spoken)
    facts = reader_facts(made, reader.voice, reader.encoder, name, inversion)
    return Member(READING, made.sound, READING, f"{READING}:{name}", text, ((0, len(made.sound)),), facts)


def _long_enough(rng: np.random.Generator, seconds: float, spoken: Callable[[str], S]) -> tuple[S, str]:
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


def _partial(name: str, fake: PartialFake, voice: str | None, text: str | None) -> Member:
    return Member(name, fake.sound, name, voice, text, fake.segments)
