"""What an engine is: text in, samples out, with a description that goes into the record."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol

from shared.audio.sound import Sound
from shared.errors import SpeechError, UsageError
from shared.registry import Registry

EngineKind = Literal["formant", "diphone", "statistical", "neural"]

MOST_CHARACTERS = 5_000
"""Characters of a text that is read at once."""


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine and its voice.

    Attributes:
        name: under which it is registered.
        kind: how it makes sound.
        version: of the program or package.
        voice: that reads.
        weights: SHA-256 of the model file, None for engines without one.
        licence: of engine and voice.
    """

    name: str
    kind: EngineKind
    version: str
    voice: str
    weights: str | None
    licence: str


@dataclass(frozen=True)
class Phone:
    """One phone: its symbol in the engine's own alphabet, and its samples from ``first`` up to ``stop``."""

    symbol: str
    first: int
    stop: int


@dataclass(frozen=True, eq=False)
class Speech:
    """What an engine said.

    Attributes:
        sound: at the engine's own rate.
        info: the engine.
        phones: in order and without gaps between them, empty where the engine does not tell.
    """

    sound: Sound
    info: EngineInfo
    phones: tuple[Phone, ...] = ()

    def __post_init__(self) -> None:
        last = 0
        for phone in self.phones:
            if not last <= phone.first <= phone.stop <= len(self.sound):
                raise ValueError(f"phones overlap or leave the sound at {phone}")
            last = phone.stop


class SpeechEngine(Protocol):
    """Reads text aloud."""

    def missing(self) -> str | None:
        """What has to be installed before it can speak, in one sentence; None when nothing is missing."""
        ...

    def voices(self) -> tuple[str, ...]:
        """Names of its voices on this machine, the default first; empty when something is missing."""
        ...

    def speak(self, text: str, *, voice: str, seed: int) -> Speech:
        """The text, read by a voice of :meth:`voices`.

        Args:
            text: as :func:`checked_text` returns it.
            voice: one of the engine's.
            seed: of what is random in it; engines without chance ignore it.

        Raises:
            SpeechError: it is missing, failed, or gave nothing.
        """
        ...


engines: Registry[SpeechEngine] = Registry("speech engine")
"""All engines by name; filled by the modules of :mod:`forge.speaking.engines`."""

DEFAULT_ENGINE = "hibari"


def checked_text(text: str) -> str:
    """The text as one line of visible characters, composed (NFC).

    Raises:
        UsageError: nothing to say, or more than :data:`MOST_CHARACTERS`.
    """
    if len(text) > 4 * MOST_CHARACTERS:
        raise UsageError(f"the text has {len(text):,} characters", hint=f"at most {MOST_CHARACTERS:,} are read at once")
    plain = unicodedata.normalize("NFC", text)
    visible = "".join(" " if unicodedata.category(each)[0] in "ZC" else each for each in plain)
    line = " ".join(visible.split())
    if not any(each.isalnum() for each in line):
        raise UsageError("there is nothing to say", hint="give a text with words in it")
    if len(line) > MOST_CHARACTERS:
        raise UsageError(f"the text has {len(line):,} characters", hint=f"at most {MOST_CHARACTERS:,} are read at once")
    return line


def engine_named(name: str) -> SpeechEngine:
    """The engine registered under a name.

    Raises:
        UnknownNameError: there is none.
    """
    _registered()
    return engines.create(name)


def engine_names() -> list[str]:
    """The names of all engines, installed or not."""
    _registered()
    return engines.names()


def _registered() -> None:
    """Imports the modules of the engines, which register them."""
    import_module("forge.speaking.engines")


@dataclass(frozen=True)
class EngineState:
    """Whether an engine can speak on this machine: its voices, or what is missing."""

    name: str
    voices: tuple[str, ...]
    missing: str | None


def engine_states() -> list[EngineState]:
    """The states of all engines, by name."""
    found = [(name, engine_named(name)) for name in engine_names()]
    return [EngineState(name, engine.voices(), engine.missing()) for name, engine in found]


def say(text: str, *, engine: str = DEFAULT_ENGINE, voice: str | None = None, seed: int = 0) -> Speech:
    """Text to speech by a named engine.

    Raises:
        UsageError: nothing to say, too long, or no such voice.
        UnknownNameError: no such engine.
        SpeechError: it is missing, failed, or gave nothing.
    """
    line = checked_text(text)
    chosen = engine_named(engine)
    why = chosen.missing()
    if why is not None:
        raise SpeechError(f"the engine {engine} cannot speak: {why}", hint="assay forge engines lists those that can")
    known = chosen.voices()
    if voice is not None and voice not in known:
        raise UsageError(f"{engine} has no voice {voice!r} here", hint=f"its voices: {', '.join(known)}")
    return chosen.speak(line, voice=voice or known[0], seed=seed)
