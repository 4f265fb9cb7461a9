"""Values of a scan of a third-party dataset: clips, issues, notes."""

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
    """A fault of the dataset that is reported to the user.

    Attributes:
        fault: "missing" (listed without a file), "damaged" (not readable), "unlisted" (a file without a label),
            "contradiction" (between two sources), "duplicate" (a name used twice), "outside" (a path or link leads out
            of the set), "unknown-label", "leak" (a clip in two of the set's splits).
        where: path inside the set, or a name in one of its lists.
        message: the fault and how it was handled.
    """

    fault: Fault
    where: str
    message: str


@dataclass(frozen=True)
class FoundClip:
    """A clip of a third-party dataset, as described by its lists and names.

    Attributes:
        name: of the clip, safe in a path, without the rendition.
        media: its video or pictures.
        where: its path in the set.
        target: the filmed person; see :func:`unknown` if the set does not name one.
        manipulation: None for a real clip.
        source: the person whose face or motion is used.
        rendition: the set's name of its compression; "original" if there is none.
        mask: pictures or a video that mark forged pixels.
        parent: name of the real clip it was made from, if that is in the set in the same rendition.
        factors: further properties.
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
        """The name in a dataset, with the rendition if there are several."""
        return self.name if self.rendition == "original" else f"{self.name}@{self.rendition}"


@dataclass(frozen=True)
class Scan:
    """The result of scanning a dataset.

    Attributes:
        clips: in the order of the set's folders and names.
        issues: its faults.
        notes: remarks for the user on the set and how it was read.
        named: number of clips that its lists name, with those that are not in ``clips``; 0 where they are not counted.
    """

    clips: tuple[FoundClip, ...]
    issues: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()
    named: int = 0


@dataclass(frozen=True)
class ScanOptions:
    """Options of a scan, for facts that the set does not contain.

    Attributes:
        renditions: only these compressions are read; empty for all.
        labels: meaning of the set's label words, if ambiguous ("1": "fake").
        lists: folder or file of split lists, if not inside the set.
    """

    renditions: tuple[str, ...] = ()
    labels: Mapping[str, Label] = field(default_factory=dict)
    lists: Path | None = None

    def wants(self, rendition: str) -> bool:
        """Whether clips of this compression are read."""
        asked = {compression_level(name) for name in self.renditions}
        return not asked or rendition in asked


def compression_level(name: str) -> str:
    """A compression's name, with FaceForensics++'s ``raw`` as ``c0``, which is the same."""
    return _COMPRESSION.get(name, name)


def asked(word: str) -> str:
    """The options by which the user gives the meaning of a label."""
    return f"say --label {word}=real or --label {word}=fake"


def unknown(name: str) -> str:
    """An identity for an unnamed person, unique to one clip, so that it links no clips."""
    return f"{UNKNOWN}{name}"
