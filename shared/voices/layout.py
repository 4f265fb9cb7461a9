"""Files of a voiceset: the utterances of one identity.

::

    voiceset.toml      VoicesetInfo: identity, rights, source files with their hashes, settings, counts
    utterances.jsonl   an Utterance a line, in the order of sources and times
    sounds/            00000000.flac, ...: the utterance of line 0, ...; one channel, 16 bits, 16,000 samples a second
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.errors import ConfigError
from shared.types import check_name

VERSION = 1
SETTINGS = "voiceset.toml"
TABLE = "utterances.jsonl"
SOUNDS = "sounds"

MOST_UTTERANCES = 1_000_000
MOST_TEXT = 2_000
"""Characters of the text of one utterance."""


def check_rights(rights: str) -> None:
    """Refuses a voice without a statement on what basis it may be used.

    Raises:
        ConfigError: empty, or longer than 200 characters.
    """
    if not rights.strip() or len(rights) > 200:
        raise ConfigError(
            "say on what basis the voice may be used", hint="--rights consent, CC-BY-4.0, public-domain, synthetic, ..."
        )


@dataclass(frozen=True)
class ExtractSettings:
    """Settings of the extraction of a voice.

    Attributes:
        identity: who speaks.
        rights: basis on which the voice may be used: consent, public-domain, CC-BY-4.0, synthetic, ...
        shortest_seconds: shorter stretches of speech are left out.
        longest_seconds: longer ones are cut at their longest pause.
        lowest_rate: recordings with fewer samples a second are left out: they hold no upper half of speech.
        most_clipped: utterances with a larger share of clipped samples are left out.
        quietest_db: utterances below this level, in dB of full scale, are left out.
    """

    identity: str
    rights: str
    shortest_seconds: float = 1.0
    longest_seconds: float = 12.0
    lowest_rate: int = 8_000
    most_clipped: float = 0.01
    quietest_db: float = -55.0

    def __post_init__(self) -> None:
        try:
            check_name(self.identity, "identity")
        except ValueError as error:
            raise ConfigError(str(error), hint="for example ann or speaker-07") from error
        check_rights(self.rights)
        if not 0.2 <= self.shortest_seconds < self.longest_seconds <= 60:
            raise ConfigError(
                "an utterance has .2 to 60 seconds, and its longest length is above its shortest",
                hint="leave --shortest and --longest at their defaults",
            )


@dataclass(frozen=True)
class SourceSound:
    """A recording that utterances come from. ``name`` is its file name; ``sha256`` identifies the file.

    ``synthetic`` is set where its signature or its mark says that a model made it.
    """

    name: str
    sha256: str
    seconds: float
    rate: int
    channels: int
    codec: str
    synthetic: bool = False


@dataclass(frozen=True)
class VoicesetInfo:
    """The contents of ``voiceset.toml``.

    ``left_out`` counts stretches of speech that are not in the set, by reason; ``unread`` names the recordings that
    could not be read, with the reason.
    """

    identity: str
    rights: str
    sources: tuple[SourceSound, ...]
    utterances: int
    seconds: float
    rate: int
    version: int = VERSION
    table_sha256: str = ""
    left_out: dict[str, int] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.identity, "identity")
        check_rights(self.rights)
        if self.version != VERSION:
            raise ValueError(f"version {self.version} of the layout is not known here, only {VERSION}")
        if not 0 <= self.utterances <= MOST_UTTERANCES:
            raise ValueError(f"a voiceset has up to {MOST_UTTERANCES} utterances, not {self.utterances}")

    @property
    def synthetic(self) -> bool:
        """Whether any of its recordings is known to be synthetic speech."""
        return self.rights == "synthetic" or any(source.synthetic for source in self.sources)


@dataclass(frozen=True)
class Utterance:
    """One line of ``utterances.jsonl``.

    Attributes:
        path: of the sound, relative to the voiceset.
        sha256: of that file.
        source: position of its recording in :attr:`VoicesetInfo.sources`.
        start: time in the recording, in seconds, as a fraction: ``1234/16000``.
        seconds: its length.
        level_db: of the parts that are not silent, in dB of full scale.
        text: what is said, None where it is not known.
    """

    path: str
    sha256: str
    source: int
    start: str
    seconds: float
    level_db: float
    text: str | None = None


def sound_name(number: int) -> str:
    """The path of an utterance's sound, relative to the voiceset."""
    return f"{SOUNDS}/{number:08d}.flac"
