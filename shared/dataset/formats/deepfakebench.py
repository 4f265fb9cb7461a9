"""DeepfakeBench's ``dataset_json``, as its rearrange.py writes and its dataset class reads it.

::

    {"FF-DF": {"FF-real": {"train": {"c23": {"000":     {"label": "FF-real", "frames": [...]}}}, ...},
               "FF-DF":   {"train": {"c23": {"000_003": {"label": "FF-DF", "frames": [...], "masks": [...]}}}, ...}}}
    {"Celeb-DF-v2": {"CelebDFv2_real": {"train": {"id0_0000": {...}}, "val": ..., "test": ...}, "CelebDFv2_fake": ...}}

The FaceForensics++ family has a level of compressions between split and clip, all others have none. A clip's class
follows from its label word; frames are sorted by the number in their names (2 before 10).

These files list clips in several splits: all of Celeb-DF's test videos are also in train, and val often equals test.
Such a clip gets one split here, test before val before train, and is reported as a leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.dataset.formats.found import FoundClip, Pictures, Scan, ScanOptions, asked, compression_level, unknown
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, natural, read_json, read_list, split_word
from shared.dataset.names import safe_name
from shared.errors import ManifestError
from shared.registry import near_matches
from shared.types import SPLITS, Kind, Label, Split

# Labels in DeepfakeBench's label_dict; words of new sets are read by their ending.
_LABELS: dict[str, Label] = {
    **dict.fromkeys(("FF-SH", "FF-F2F", "FF-DF", "FF-FS", "FF-NT", "FF-FH"), "fake"),
    "FF-real": "real",
    **dict.fromkeys(("DFDCP_FakeA", "DFDCP_FakeB"), "fake"),
}
_FF_METHODS: dict[str, tuple[str, Kind]] = {
    "FF-DF": ("Deepfakes", "swap"),
    "FF-F2F": ("Face2Face", "reenact"),
    "FF-FS": ("FaceSwap", "swap"),
    "FF-NT": ("NeuralTextures", "reenact"),
    "FF-SH": ("FaceShifter", "swap"),
    "FF-FH": ("FaceShifter", "swap"),
}
LABEL_DICT = "label_dict.yaml"

_LABEL_LINE = re.compile(r"[ \t]*([^\s:#]+):[ \t]*([01])[ \t]*(?:#.*)?")
_FRAME_ROOTS = ("rgb", "datasets/rgb", "datasets")
_HELD_OUT: tuple[Split, ...] = ("test", "val", "train")


@dataclass(frozen=True)
class _Entry:
    """One clip as listed in one split of one file."""

    dataset: str
    word: str
    split: Split
    level: str
    name: str
    facts: Mapping[str, Any]


@IMPORTERS.register("deepfakebench")
def scan_deepfakebench(root: Path, options: ScanOptions) -> Scan:
    """Clips of all ``*.json`` of ``root`` (and its ``dataset_json``), or of the file that ``options.lists`` names.

    Raises:
        ManifestError: a file is damaged or has another shape.
        UsageError: no such folder.
    """
    found = Findings(root)
    clips: dict[tuple[str, str, str], list[_Entry]] = {}
    for path in _files(found, options):
        for entry in _entries(found, path):
            if options.wants(entry.level):
                clips.setdefault((entry.word, entry.level, entry.name), []).append(entry)
    refused: set[str] = set()
    said: dict[str, Label] = {**_label_dict(root / LABEL_DICT), **options.labels}
    for entries in clips.values():
        _clip(found, entries, said, refused)
    if not clips:
        found.issue("missing", root, "no dataset_json lists a clip")
    return found.done()


def _files(found: Findings, options: ScanOptions) -> list[Path]:
    if options.lists is not None and options.lists.is_file():
        return [options.lists]
    places = [options.lists] if options.lists else [found.root, found.root / "dataset_json"]
    named = [path for place in places for path in sorted(place.glob("*.json"))]
    return [path for path in named if path.name != "assay-export.json"]


def _entries(found: Findings, path: Path) -> Iterator[_Entry]:
    for dataset, words in _items(read_json(path), path):
        for word, splits in _items(words, path):
            for split_name, listed in _items(splits, path):
                split = split_word(split_name)
                if split is None:
                    found.issue("contradiction", f"{path.name}: {word}", f"{split_name!r} is no split; left out")
                    continue
                for level, name, facts in _levels(listed, path):
                    yield _Entry(dataset, word, split, level, name, facts)


def _levels(listed: Any, path: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Compression level, clip and facts, for files with or without compression levels."""
    for key, value in _items(listed, path):
        if isinstance(value, dict) and "frames" in value:
            yield "original", key, value
            continue
        for name, facts in _items(value, path):
            if not isinstance(facts, dict) or "frames" not in facts:
                raise ManifestError(f"{path}: {key}/{name} lists no frames", hint="rearrange.py writes this file")
            yield compression_level(key), name, facts


def _items(value: Any, path: Path) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ManifestError(f"{path} is not of DeepfakeBench's shape", hint="dataset, label, split, [level,] clip")
    yield from value.items()


def _clip(found: Findings, entries: list[_Entry], said: Mapping[str, Label], refused: set[str]) -> None:
    splits: set[Split] = {entry.split for entry in entries}
    first = entries[0]
    where = f"{first.word}/{first.name}"
    split: Split = min(splits, key=_HELD_OUT.index)
    if len(splits) > 1:
        listed = " and ".join(name for name in SPLITS if name in splits)
        found.issue("leak", where, f"it is listed in {listed}; it counts as {split} here")
    word = str(first.facts.get("label", first.word))
    label = label_of(word, said)
    if label is None:
        if word not in refused:
            refused.add(word)
            hint = near_matches(word, sorted(_LABELS))
            found.issue("unknown-label", where, f"{word!r} is in no label_dict; {asked(word)} ({hint})")
        else:
            found.issue("unknown-label", where, f"{word!r} is in no label_dict; left out")
        return
    frames = _pictures(found, where, first.facts.get("frames", []))
    if frames is None:
        return
    masks = _pictures(found, where, first.facts["masks"]) if first.facts.get("masks") and label == "fake" else None
    found.add(_described(first, frames, masks, label, split, where))


def _described(
    entry: _Entry, frames: Pictures, masks: Pictures | None, label: Label, split: Split, where: str
) -> FoundClip:
    name = safe_name(entry.name)
    family = entry.word.startswith("FF-") or entry.word.startswith("FF_")
    method, kind = _FF_METHODS.get(entry.word, (safe_name(entry.word), "swap"))
    people = entry.name.split("_")
    target, source = safe_name(people[0]), people[1] if len(people) > 1 else ""
    known = bool(source) and (family or people[0].startswith("id"))
    prefix = "" if family or people[0].startswith("id") else f"{safe_name(entry.dataset)}-"
    return FoundClip(
        name=name,
        media=frames,
        where=where,
        target=f"{prefix}{target if family or known else name}" if people[0][:2] != "id" else target,
        manipulation=method if label == "fake" else None,
        kind=kind if label == "fake" else "real",
        source=(safe_name(source) if known else unknown(f"{method}-{name}")) if label == "fake" else None,
        split=split,
        rendition=entry.level,
        mask=masks,
        factors={"list": safe_name(entry.dataset), "label_word": entry.word},
    )


def label_of(word: str, said: Mapping[str, Label]) -> Label | None:
    """The class of a label word: from the options, from label_dict, or by its ending (``_real``, ``_FakeA``)."""
    if word in said:
        return said[word]
    if word in _LABELS:
        return _LABELS[word]
    for ending in word.lower().replace("-", "_").split("_")[1:]:
        if ending == "real":
            return "real"
        if ending.startswith("fake"):
            return "fake"
    return None


def _label_dict(path: Path) -> dict[str, Label]:
    """The entries of a ``label_dict`` in a configuration beside the set; 0 is real and 1 is fake."""
    if not path.is_file():
        return {}
    matches = (_LABEL_LINE.fullmatch(line) for line in read_list(path).splitlines())
    return {match[1]: "fake" if match[2] == "1" else "real" for match in matches if match}


def _pictures(found: Findings, where: str, listed: Any) -> Pictures | None:
    if not isinstance(listed, list) or not listed:
        found.issue("missing", where, "its list names no frames; left out")
        return None
    below = [found.root / place for place in _FRAME_ROOTS]
    paths = {str(text): found.resolve(str(text), below=below) for text in listed}
    absent = [text for text, path in paths.items() if path is None]
    if absent:
        found.issue(
            "missing", where, f"{len(absent)} of {len(paths)} frames are not there, the first is {absent[0][:120]}"
        )
    there = [path for path in paths.values() if path is not None]
    if not there:
        return None
    odd = [path for path in there if not path.stem.isdigit()]
    if odd:
        found.issue("contradiction", where, f"{odd[0].name} is not named by a number; natural order is taken")
    return Pictures(
        tuple(sorted(there, key=lambda path: (0, int(path.stem), ()) if not odd else (1, 0, natural(path.name))))
    )
