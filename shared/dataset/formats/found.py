"""What is found in somebody else's set before anything is copied: clips, what is missing, what contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared.types import Kind, Label, Split

Fault = Literal["missing", "damaged", "unlisted", "contradiction", "duplicate", "outside", "unknown-label", "leak"]

UNKNOWN = "unknown-"

_COMPRESSION = {"raw": "c0"}


@dataclass(frozen=True)
class Video:
    """A clip that is a video file."""

    path: Path


@dataclass(frozen=True)
class Pictures:
    """A clip that is a sequence of picture files, in the order of time."""

    files: tuple[Path, ...]


@dataclass(frozen=True)
class Packed:
    """A clip that is a sequence of pictures in one folder of a tar archive ("" for its top)."""

    archive: Path
    folder: str


Media = Video | Pictures | Packed


@dataclass(frozen=True)
class Issue:
    """Something that is not as the set's own lists say: counted and listed, never passed over.

    Attributes:
        fault: "missing" (listed, not there), "damaged" (there, not readable), "unlisted" (there, without a label),
            "contradiction" (two places say two things), "duplicate" (one name twice), "outside" (a path or link leads
            out of the set), "unknown-label", "leak" (one clip in two of the set's own splits).
        where: path inside the set, or a name in one of its lists.
        message: what is wrong and what was done about it.
    """

    fault: Fault
    where: str
    message: str


@dataclass(frozen=True)
class FoundClip:
    """One clip of somebody else's set, as its own lists and names describe it.

    Attributes:
        name: of the clip, safe in a path, without the rendition.
        media: where its pictures are.
        where: the place inside the set, for the record.
        target: whose video it is; see :func:`unknown` where the set does not say.
        manipulation: None for a real clip.
        source: whose face or motion was put in.
        rendition: the set's own name for how it was compressed; "original" where it has none.
        mask: pictures or a video that mark forged pixels.
        parent: name of the real clip it was made from, when that is in the set in the same rendition.
        factors: what else the set says.
    """

    name: str
    media: Media
    where: str
    target: str
    manipulation: str | None = None
    kind: Kind = "real"
    source: str | None = None
    split: Split | None = None
    rendition: str = "original"
    mask: Media | None = None
    parent: str | None = None
    factors: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> Label:
        """Real without a manipulation."""
        return "real" if self.manipulation is None else "fake"

    @property
    def listed_name(self) -> str:
        """The name it gets in a dataset: with the rendition, where there are several."""
        return self.name if self.rendition == "original" else f"{self.name}@{self.rendition}"


@dataclass(frozen=True)
class Scan:
    """All that was found in a set.

    Attributes:
        clips: in the order of the set's folders and names.
        issues: see :class:`Issue`.
        notes: what a user should know of this set and of how it was read.
    """

    clips: tuple[FoundClip, ...]
    issues: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanOptions:
    """What a user may say about a set that it does not say itself.

    Attributes:
        renditions: only these compressions are read; empty for all.
        labels: what the set's own label words mean, where they could be read both ways ("1": "fake").
        lists: folder or file of split lists, where they do not lie inside the set.
    """

    renditions: tuple[str, ...] = ()
    labels: Mapping[str, Label] = field(default_factory=dict)
    lists: Path | None = None

    def wants(self, rendition: str) -> bool:
        """Whether clips of this compression are asked for."""
        asked = {compression_level(name) for name in self.renditions}
        return not asked or rendition in asked


def compression_level(name: str) -> str:
    """FaceForensics++ says ``raw`` and ``c0`` for one thing; here it is always ``c0``."""
    return _COMPRESSION.get(name, name)


def asked(word: str) -> str:
    """The question what a label of another set means: its own word is no ground to guess."""
    return f"say --label {word}=real or --label {word}=fake"


def unknown(name: str) -> str:
    """An identity for somebody the set does not name: of this clip alone, so that it links to nobody by accident."""
    return f"{UNKNOWN}{name}"
