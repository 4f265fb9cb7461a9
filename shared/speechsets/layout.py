"""Files of a set of speech, and its records.

::

    speechset.toml   SpeechSetInfo: name, licence, what it was made of
    manifest.jsonl   a SpeechRecord a line
    speech.csv       what detectors read of it, made from the manifest
    media/           real/NAME.flac, MANIPULATION/NAME.flac; one channel, 16 bits, 16,000 samples a second, signed
    dataset.sig      the seal: digests of all lines, of the settings and the card, signed
    README.md        the card
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.types import Label, Split, check_name

VERSION = 1
SETTINGS = "speechset.toml"
MANIFEST = "manifest.jsonl"
LIST = "speech.csv"
CARD = "README.md"
MEDIA = "media"
RATE = 16_000


@dataclass(frozen=True)
class SpeechSetInfo:
    """The contents of ``speechset.toml``.

    Attributes:
        name: of the set.
        license: SPDX identifier, or "other"; the rights of a recording are in its record.
        seed: of everything random.
        spec: digest of the settings and voices that it is made of; a build continues only the same one.
        voices: the identities of the voicesets.
        manipulations: how its fakes were made.
        made_with: name, version and weights of each engine and voice model; a build continues only with the same ones.
        version: of the layout.
    """

    name: str
    license: str
    seed: int
    spec: str
    voices: tuple[str, ...]
    manipulations: tuple[str, ...]
    made_with: tuple[str, ...] = ()
    version: int = VERSION

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.version != VERSION:
            raise ValueError(f"version {self.version} of the layout is not known here, only {VERSION}")


@dataclass(frozen=True)
class SpeechRecord:
    """One recording of a set.

    Attributes:
        id: ``SET/MANIPULATION/NAME`` or ``SET/real/NAME``.
        path: of the file, relative to the set.
        sha256: of the file.
        content_sha256: of the file before it was signed.
        label: "real" or "fake"; a recording that is fake in part is "fake".
        kind: "real" or "speech".
        speaker: the recorded person whose recording it is, or was made from, or beside which it was made.
        split: train, val or test; all recordings of a speaker are in one.
        manipulation: how a fake was made: an engine, a vocoder, either "in part", conversion or reading; None for a
            real one.
        voice: engine and voice of what an engine read, or identity of a conversion or reading; None without one.
        rights: basis on which the recording may be used.
        seconds: its length.
        spans: fake parts, first and stop sample; of a fake as a whole, the whole of it.
        text: what was read, None where the words are not known.
        parent: id of the real recording of its group, None for a real one.
        source_sha256: of the recording in the voiceset.
        chain: what it went through, by step; see ``shared.speechsets.chain``.
        seed: of its group.
        tool_version: of assay.
    """

    id: str
    path: str
    sha256: str
    content_sha256: str
    label: Label
    kind: str
    speaker: str
    split: Split
    manipulation: str | None
    voice: str | None
    rights: str
    seconds: float
    spans: tuple[tuple[int, int], ...]
    text: str | None
    parent: str | None
    source_sha256: str
    chain: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    tool_version: str = ""

    def __post_init__(self) -> None:
        fake = self.label == "fake"
        if fake != bool(self.manipulation) or fake != (self.kind == "speech") or fake != bool(self.spans):
            raise ValueError(f"{self.id}: a fake has a manipulation, spans and the kind speech, a real recording none")
        last = 0
        for first, stop in self.spans:
            if not last <= first < stop <= round(self.seconds * RATE) + 1:
                raise ValueError(f"{self.id}: spans follow one another within the recording")
            last = stop
