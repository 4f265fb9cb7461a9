"""The Deepfake Detection Challenge's full set (Dolhansky et al., 2020) and its preview.

::

    dfdc_train_part_K/metadata.json   {"x.mp4": {"label": "FAKE", "split": "train", "original": "y.mp4"}, ...}
    test/labels.csv                   filename,label         1 is fake
    dataset.json                      {"method_A/.../x.mp4": {"label": "fake", "set": "train", ...}}     (preview)

A real clip has no original, or null. The set does not name people: a fake and its original share an identity named
after the original, so that they are in one split; the source is unknown. Methods are not named, so the manipulation is
``dfdc``; the preview names two, ``method_A`` and ``method_B``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.dataset.formats.found import FoundClip, Scan, ScanOptions, Video, unknown
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, read_json, read_list, split_word
from shared.dataset.names import safe_name
from shared.errors import ManifestError
from shared.types import Label, Split
from shared.video.container import VIDEO_SUFFIXES

_WORDS: dict[str, Label] = {"REAL": "real", "FAKE": "fake"}
_TEST_WORDS: dict[str, Label] = {"0": "real", "1": "fake"}
_PREVIEW = "dataset.json"


@IMPORTERS.register("dfdc")
def scan_dfdc(root: Path, options: ScanOptions) -> Scan:
    """Clips of all parts under ``root`` with a metadata.json, and of test folders with a labels.csv.

    Raises:
        ManifestError: a list is damaged.
        UsageError: no such folder.
    """
    found = Findings(root)
    for path in found.files(root, (".json",), deep=True):
        if path.name == "metadata.json":
            _part(found, path)
    for path in found.files(root, (".csv",), deep=True):
        if path.name == "labels.csv":
            _test(found, path)
    if not found.clips:
        found.issue("missing", root, "no metadata.json and no labels.csv names a clip that is there")
    _tell_unlisted(found)
    return found.done()


@IMPORTERS.register("dfdc-preview")
def scan_preview(root: Path, options: ScanOptions) -> Scan:
    """Clips of DFDC's preview, as listed in its dataset.json.

    Raises:
        ManifestError: the list is missing or damaged.
        UsageError: no such folder.
    """
    found = Findings(root)
    listed = _entries(options.lists or root / _PREVIEW)
    for place, facts in listed.items():
        label, path = _WORDS.get(str(facts.get("label")).upper()), found.resolve(place)
        if label is None:
            found.issue("unknown-label", place, f"label {facts.get('label')!r} is neither real nor fake; left out")
        elif path is None:
            found.missing(place, place, f"{_PREVIEW} lists it, the folder does not hold it")
        else:
            found.add(_preview_clip(found, path, place, label, facts))
    _tell_unlisted(found)
    return found.done()


def _part(found: Findings, metadata: Path) -> None:
    entries = _entries(metadata)
    for name, facts in entries.items():
        path = metadata.parent / name
        word = str(facts.get("label")).upper()
        if "/" in name or "\\" in name or name.startswith("."):
            found.issue("outside", name[:200], f"{found.where(metadata)} names no file of its folder; left out")
        elif word not in _WORDS:
            found.issue("unknown-label", f"{found.where(metadata)}: {name}", f"label {facts.get('label')!r}; left out")
        elif not path.is_file():
            found.issue("missing", path, f"{found.where(metadata)} lists it")
        elif found.holds(path):
            original = facts.get("original") or None
            split = split_word(metadata.parent.name) or split_word(str(facts.get("split") or ""))
            known = str(original) in entries
            found.add(_clip(found, path, _WORDS[word], split, str(original) if original else None, in_set=known))


def _test(found: Findings, labels: Path) -> None:
    for name, word in _rows(labels):
        path = found.resolve(name, below=(labels.parent, labels.parent / "videos"))
        if word not in _TEST_WORDS:
            found.issue("unknown-label", f"{found.where(labels)}: {name}", f"label {word!r} is not 0 or 1; left out")
        elif path is None:
            found.missing(name, name, f"{found.where(labels)} lists it")
        else:
            found.add(_clip(found, path, _TEST_WORDS[word], split_word(labels.parent.name) or "test", None))


def _clip(
    found: Findings, path: Path, label: Label, split: Split | None, original: str | None, *, in_set: bool = False
) -> FoundClip:
    name = safe_name(path.stem)
    root = safe_name(Path(original).stem) if original else name
    named = original is not None or label == "real"
    return FoundClip(
        name=name,
        media=Video(path),
        where=found.where(path),
        target=f"video-{root}" if named else unknown(f"video-{name}"),
        manipulation="dfdc" if label == "fake" else None,
        kind="swap" if label == "fake" else "real",
        source=unknown(name) if label == "fake" else None,
        split=split,
        parent=root if label == "fake" and in_set else None,
    )


def _preview_clip(found: Findings, path: Path, place: str, label: Label, facts: Mapping[str, Any]) -> FoundClip:
    top, *between, file = place.split("/")
    name = safe_name("-".join([*between, Path(file).stem]))
    target = str(facts.get("target_id") or (between[0] if between else Path(file).stem.split("_")[0]))
    swapped = facts.get("swapped_id")
    source = f"person-{safe_name(str(swapped))}" if swapped else unknown(f"{top}-{name}")
    return FoundClip(
        name=name,
        media=Video(path),
        where=found.where(path),
        target=f"person-{safe_name(target)}",
        manipulation=safe_name(top) if label == "fake" else None,
        kind="swap" if label == "fake" else "real",
        source=source if label == "fake" else None,
        split=split_word(str(facts.get("set", ""))),
    )


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(facts, dict) for facts in content.values()):
        raise ManifestError(f"{path} is not an object of clips", hint="download it again")
    return content


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    for row in csv.DictReader(read_list(path).splitlines()):
        if row.get("filename"):
            yield str(row["filename"]).strip(), str(row.get("label") or "").strip()


def _tell_unlisted(found: Findings) -> None:
    taken = {clip.where for clip in found.clips}
    for path in found.files(found.root, VIDEO_SUFFIXES, deep=True):
        if found.where(path) not in taken:
            found.issue("unlisted", path, "no list gives it a label that can be used; left out")
