"""Lists of labelled recordings: which file, real or fake, whose voice, by which engine, and which parts.

A list is a CSV file with a header. Its columns: ``path`` (relative to the list), ``label`` (real, fake), ``speaker``;
and, where known, ``engine`` (fakes only: what made them), ``codec``, ``split`` (train, val, test), ``spans`` (of fakes
that are fake in part: ``0.50-1.25;2-2.4`` in seconds) and ``parent`` (the path of the recording that a fake was made
from), ``chain`` (light or full: how much it went through). A folder is read by its list ``speech.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import LeakError, ManifestError
from shared.storage import inside, read_bytes

LIST_NAME = "speech.csv"
Part = Literal["train", "val", "test"]
_MOST_BYTES = 256 << 20
_MOST_ROWS = 2_000_000
_NEEDED = {"path", "label", "speaker"}


@dataclass(frozen=True)
class Utterance:
    """One recording.

    Attributes:
        path: its file.
        fake: whether it is synthetic, in whole or in part.
        speaker: whose voice it is, or is meant to be.
        engine: what made a fake; empty for a real one.
        codec: that it went through, empty if none is known.
        split: that it belongs to; None if the list has none.
        spans: fake parts, (first, stop) in seconds; empty for a real recording, and for a fake as a whole.
        parent: file of the recording that it was made from; empty if none.
        chain: "light" or "full", how much it went through; empty if unknown.
    """

    path: Path
    fake: bool
    speaker: str
    engine: str = ""
    codec: str = ""
    split: Part | None = None
    spans: tuple[tuple[float, float], ...] = ()
    parent: str = ""
    chain: str = ""

    def fake_spans(self, seconds: float) -> tuple[tuple[float, float], ...]:
        """The fake parts of its ``seconds``."""
        return self.spans or (((0.0, seconds),) if self.fake else ())


@dataclass(frozen=True)
class SpeechList:
    """The recordings of one set: its name, a digest of the list, and its ``utterances``."""

    name: str
    digest: str
    utterances: tuple[Utterance, ...]

    def part(self, split: Part) -> tuple[Utterance, ...]:
        """Those of one split.

        Raises:
            ManifestError: it lacks real or fake recordings.
        """
        found = tuple(each for each in self.utterances if each.split == split)
        for fake, what in ((False, "real"), (True, "fake")):
            if not any(each.fake is fake for each in found):
                raise ManifestError(
                    f"{self.name} has no {what} recording in its {split} split",
                    hint="the column split of the list names train, val or test",
                )
        return found


def read_speech(place: Path) -> SpeechList:
    """The set in a folder or of a list.

    Raises:
        ManifestError: there is no list, or it is damaged; with the line.
    """
    path = place / LIST_NAME if place.is_dir() else place
    data = read_bytes(path, _MOST_BYTES, error=ManifestError, hint=f"a set of speech has a list, {LIST_NAME}")
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lacking = _NEEDED - set(rows.fieldnames or ())
        if lacking:
            raise ValueError(f"it has no column {', '.join(sorted(lacking))}")
        found = []
        for number, row in enumerate(rows, 2):
            if number > _MOST_ROWS:
                raise ValueError(f"it has more than {_MOST_ROWS:,} lines")
            found.append(_utterance(row, path.parent, number))
    except (ValueError, csv.Error) as error:
        raise ManifestError(
            f"{path} is no list of speech: {error}", hint="assay docs speech-detectors tells its columns"
        ) from error
    if not found:
        raise ManifestError(f"{path} lists no recording", hint="assay docs speech-detectors tells its columns")
    return SpeechList(path.resolve().parent.name, hashlib.sha256(data).hexdigest(), tuple(found))


def write_speech(path: Path, utterances: Iterable[Utterance]) -> None:
    """Writes a list whose paths are relative to its folder.

    Raises:
        StorageError: writing failed.
        ManifestError: a recording lies outside the folder of the list.
    """
    from shared.storage import write_text

    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["path", "label", "speaker", "engine", "codec", "split", "spans", "parent", "chain"])
    folder = path.parent.resolve()
    for each in utterances:
        place = each.path.resolve()
        if not place.is_relative_to(folder):
            raise ManifestError(f"{each.path} is not in {path.parent}", hint="put the list above its recordings")
        spans = ";".join(f"{first:g}-{stop:g}" for first, stop in each.spans)
        label = "fake" if each.fake else "real"
        table.writerow([place.relative_to(folder).as_posix(), label, each.speaker, each.engine, each.codec,
                        each.split or "", spans, each.parent, each.chain])  # fmt: skip
    write_text(path, out.getvalue())


def need_apart(one: Sequence[Utterance], other: Sequence[Utterance], what: str) -> None:
    """Refuses two splits with a real speaker in common; a voice of an engine may be in both.

    Raises:
        LeakError: with some of the names.
    """
    real = {each.speaker for each in (*one, *other) if not each.fake}
    both = sorted({each.speaker for each in one} & {each.speaker for each in other} & real)
    if both:
        named = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
        raise LeakError(f"{what} share speakers: {named}", hint="put each speaker into one split")


def _utterance(row: dict[str, str | None], folder: Path, number: int) -> Utterance:
    def text(name: str) -> str:
        return (row.get(name) or "").strip()

    if None in row:
        raise ValueError(f"line {number} has more fields than the header")
    label, split = text("label"), text("split")
    if label not in ("real", "fake"):
        raise ValueError(f"line {number} has the label {label!r}, not real or fake")
    if split not in ("", "train", "val", "test"):
        raise ValueError(f"line {number} has the split {split!r}, not train, val or test")
    if not text("path") or not text("speaker"):
        raise ValueError(f"line {number} lacks its path or speaker")
    spans = _spans(text("spans"), number)
    if label == "real" and (spans or text("engine")):
        raise ValueError(f"line {number} is real and has fake spans or an engine")
    try:
        place = inside(folder, text("path"))
    except ManifestError as error:
        raise ValueError(f"line {number}: {error}") from error
    part: Part | None = split or None  # type: ignore[assignment]
    return Utterance(place, label == "fake", text("speaker"), text("engine"), text("codec"), part, spans,
                     text("parent"), text("chain"))  # fmt: skip


def _spans(text: str, number: int) -> tuple[tuple[float, float], ...]:
    spans, last = [], 0.0
    for part in filter(None, text.split(";")):
        ends = part.split("-")
        try:
            first, stop = (float(end) for end in ends)
        except ValueError as error:
            raise ValueError(f"line {number} has the span {part!r}, not 0.50-1.25") from error
        if not (math.isfinite(stop) and last <= first < stop):
            raise ValueError(f"line {number} has spans that do not follow one another")
        spans.append((first, stop))
        last = stop
    return tuple(spans)
