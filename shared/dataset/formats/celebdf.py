"""Celeb-DF v1 and v2 (Li et al., CVPR 2020) and Celeb-DF++.

::

    Celeb-real/idA_NNNN.mp4    YouTube-real/NNNNN.mp4    Celeb-synthesis/idA_idB_NNNN.mp4
    List_of_testing_videos.txt               "1 YouTube-real/00170.mp4": label and path
    Celeb-synthesis/{FaceSwap,FaceReenact,TalkingFace}/METHOD/...              (Celeb-DF++)

In the list, **1 is real and 0 is fake**, the opposite of the usual convention. The label is taken from the folder, and
a list that contradicts it is reported. A is the target person, B the source. Listed videos are test, all others are
train. Some mirrors insert ``videos/``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from shared.dataset.formats.found import FoundClip, Scan, ScanOptions, Video, unknown
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, folders_in, read_list
from shared.dataset.names import safe_name
from shared.types import Kind, Label

TEST_LIST = "List_of_testing_videos.txt"

_LISTED_AS: dict[str, Label] = {"1": "real", "0": "fake"}
_REAL = ("Celeb-real", "YouTube-real")
_SYNTHESIS = "Celeb-synthesis"
_CATEGORIES: dict[str, Kind] = {"FaceSwap": "swap", "FaceReenact": "reenact", "TalkingFace": "reenact"}
_FAKE_NAME = re.compile(r"(id\d+)_(id\d+)_(\d+)(?:_.*)?")
_ONE_ID = re.compile(r"(id\d+)_.*")

# Top folder, methods, file stem: common to a line of the list and a file, with or without videos/.
_Key = tuple[str, ...]


@IMPORTERS.register("celeb-df")
def scan_celebdf(root: Path, options: ScanOptions) -> Scan:
    """Clips of Celeb-DF v1, v2 or ++; the test list's videos in test, all others in train.

    Raises:
        ManifestError: the list cannot be read.
        UsageError: no such folder.
    """
    found = Findings(root)
    listed = _test_list(found, options)
    for top in _REAL:
        for path in found.videos(root / top):
            name = safe_name(path.stem)
            who = _ONE_ID.fullmatch(path.stem)
            target = who[1] if who else f"youtube-{name}"
            label = name if top == "Celeb-real" else f"youtube-{name}"
            clip = FoundClip(label, Video(path), found.where(path), target, factors={"origin": top})
            _add(found, clip, _key(found.where(path)), listed)
    reals = {clip.name for clip in found.clips}
    for manipulation, kind, path in _synthesis(found):
        clip = _fake(found, path, manipulation, kind, reals)
        _add(found, clip, _key(found.where(path)), listed)
    for key in sorted(set(listed or {}) - {_key(clip.where) for clip in found.clips}):
        found.issue("missing", "/".join(key), f"{TEST_LIST} lists it, the folder does not hold it")
    return found.done()


def _add(found: Findings, clip: FoundClip, key: _Key, listed: dict[_Key, str] | None) -> None:
    if listed is None:
        found.add(clip)
        return
    said = listed.get(key)
    if said is not None and _LISTED_AS.get(said) != clip.label:
        found.issue(
            "contradiction", clip.where, f"{TEST_LIST} gives label {said} (1 is real), its folder says {clip.label}"
        )
    found.add(dataclasses.replace(clip, split="train" if said is None else "test"))


def _synthesis(found: Findings) -> Iterator[tuple[str, Kind, Path]]:
    place = found.root / _SYNTHESIS
    for path in found.videos(place):
        yield _SYNTHESIS, "swap", path
    for category, kind in _CATEGORIES.items():
        for path in found.videos(place / category):
            yield category, kind, path
        for method in folders_in(place / category):
            if method.name != "videos":
                for path in found.videos(method):
                    yield safe_name(method.name), kind, path


def _fake(found: Findings, path: Path, manipulation: str, kind: Kind, reals: set[str]) -> FoundClip:
    name = safe_name(path.stem)
    pair, alone = _FAKE_NAME.fullmatch(path.stem), _ONE_ID.fullmatch(path.stem)
    if pair:
        target, source, parent = pair[1], pair[2], f"{pair[1]}_{pair[3]}"
    else:
        target, source, parent = alone[1] if alone else unknown(name), None, name
        source = unknown(f"{manipulation}-{name}") if kind == "swap" else None
    return FoundClip(
        name=name,
        media=Video(path),
        where=found.where(path),
        target=target,
        manipulation=manipulation,
        kind=kind,
        source=source,
        parent=parent if parent in reals else None,
    )


def _test_list(found: Findings, options: ScanOptions) -> dict[_Key, str] | None:
    """The label by key, as written; None, with a note, if there is no list."""
    path = options.lists or found.root / TEST_LIST
    path = path / TEST_LIST if path.is_dir() else path
    if not path.is_file():
        found.issue("missing", TEST_LIST, "without it no clip has a split (--lists names it)")
        return None
    listed: dict[_Key, str] = {}
    for number, line in enumerate(read_list(path).splitlines(), start=1):
        label, _, place = line.strip().partition(" ")
        if not line.strip():
            continue
        if label not in _LISTED_AS or not place.strip():
            found.issue("unknown-label", f"{path.name}, line {number}", f"{line.strip()[:80]!r} is not LABEL PATH")
            continue
        listed[_key(place.strip())] = label
    return listed


def _key(place: str) -> _Key:
    *folders, name = place.replace("\\", "/").split("/")
    return (*(folder for folder in folders if folder not in ("videos", ".", "")), Path(name).stem)
