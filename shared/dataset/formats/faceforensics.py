"""FaceForensics++ and DeepFakeDetection (Rössler et al., ICCV 2019).

::

    original_sequences/{youtube,actors}/{raw,c0,c23,c40}/videos/NNN.mp4
    manipulated_sequences/METHOD/{raw,c0,c23,c40}/videos/TARGET_SOURCE.mp4
    manipulated_sequences/METHOD/masks/videos/TARGET_SOURCE.mp4
    {train,val,test}.json                     pairs: [["720", "672"], ...]; both orders of a pair are fakes

An id such as ``000_003`` is used in every method's folder, so the method is part of a clip's name here. Actors of
DeepFakeDetection are numbered from 01, YouTube videos from 000; identities have a prefix. DeepFakeDetection has no
official split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.dataset.formats.found import FoundClip, Media, Scan, ScanOptions, Video, compression_level
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, folders_in, read_json
from shared.dataset.names import safe_name
from shared.errors import ManifestError
from shared.types import SPLITS, Kind, Split
from shared.video.container import VIDEO_SUFFIXES

EXPORT_FILE = "assay-export.json"
MASK_FOLDER = "masks"

_REENACTED = frozenset({"Face2Face", "NeuralTextures"})
_SPLIT_PLACES = ("", "splits", "dataset/splits", "FaceForensics/dataset/splits")


@dataclass(frozen=True)
class _Lists:
    """The lists beside the videos.

    Attributes:
        splits: split by a video's number or, in sets exported by Assay, by a file's path.
        people: identity by number, and kind by manipulation, of a set exported by Assay.
    """

    splits: Mapping[str, Split]
    people: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)


@IMPORTERS.register("faceforensics")
def scan_faceforensics(root: Path, options: ScanOptions) -> Scan:
    """Clips of FaceForensics++ and DeepFakeDetection, with masks and the official splits.

    Raises:
        ManifestError: a split list is damaged.
        UsageError: no such folder.
    """
    found = Findings(root)
    lists = _lists(found, options)
    for origin in folders_in(root / "original_sequences"):
        for rendition, path in _videos(found, origin, options):
            found.add(_real(found, path, origin.name, rendition, lists))
    reals = {(clip.name, clip.rendition) for clip in found.clips}
    for method in folders_in(root / "manipulated_sequences"):
        for rendition, path in _videos(found, method, options):
            _fake(found, path, method, rendition, lists, reals)
    _tell_missing(found, lists)
    if not found.clips:
        found.issue("missing", root, "neither original_sequences nor manipulated_sequences holds videos")
    return found.done()


def _videos(found: Findings, place: Path, options: ScanOptions) -> list[tuple[str, Path]]:
    return [
        (compression_level(level.name), path)
        for level in folders_in(place)
        if level.name != MASK_FOLDER and options.wants(compression_level(level.name))
        for path in found.files(level / "videos", VIDEO_SUFFIXES)
    ]


def _real(found: Findings, path: Path, origin: str, rendition: str, lists: _Lists) -> FoundClip:
    name = safe_name(path.stem)
    who = f"actor-{name.split('__')[0]}" if origin == "actors" else lists.people.get(name, name)
    return FoundClip(
        name=f"actor-{name}" if origin == "actors" else name,
        media=Video(path),
        where=found.where(path),
        target=who,
        split=None if origin == "actors" else lists.splits.get(name),
        rendition=rendition,
        factors={"origin": origin},
    )


def _fake(
    found: Findings, path: Path, method: Path, rendition: str, lists: _Lists, reals: set[tuple[str, str]]
) -> None:
    pair, *scene = path.stem.split("__")
    target, underscore, source = pair.partition("_")
    if not underscore or not target or not source:
        found.issue("contradiction", path, "its name is not TARGET_SOURCE; left out")
        return
    actors = bool(scene)
    parent = f"actor-{target}__{scene[0]}" if actors else target
    splits: set[Split | None] = {lists.splits.get(target), lists.splits.get(source)}
    if len(splits) > 1:
        found.issue("contradiction", path, f"{target} and {source} are listed in different splits; it gets none")
    found.add(
        FoundClip(
            name=safe_name(path.stem),
            media=Video(path),
            where=found.where(path),
            target=f"actor-{target}" if actors else lists.people.get(target, target),
            manipulation=safe_name(method.name),
            kind=lists.kinds.get(method.name, "reenact" if method.name in _REENACTED else "swap"),
            source=f"actor-{source}" if actors else lists.people.get(source, source),
            split=None if actors or len(splits) > 1 else splits.pop(),
            rendition=rendition,
            mask=_mask(method, path.stem, rendition),
            parent=parent if (parent, rendition) in reals else None,
            # Their masks show the rectangle that was pasted back, not the face.
            factors={"mask_shape": "box"} if method.name == "Deepfakes" else {},
        )
    )


def _mask(method: Path, stem: str, rendition: str) -> Media | None:
    for place in (method / MASK_FOLDER / rendition / "videos", method / MASK_FOLDER / "videos"):
        for suffix in (".mp4", ".mkv", ".avi"):
            path = place / f"{stem}{suffix}"
            if path.is_file():
                return Video(path)
    return None


def _lists(found: Findings, options: ScanOptions) -> _Lists:
    export = found.root / EXPORT_FILE
    people: dict[str, str] = {}
    kinds: dict[str, Kind] = {}
    if export.is_file():
        said = read_json(export)
        if not isinstance(said, dict):
            raise ManifestError(f"{export} is not an object", hint="export the set again")
        people = {str(number): safe_name(str(who)) for number, who in dict(said.get("identities", {})).items()}
        known: tuple[Kind, ...] = ("swap", "reenact", "generate", "speech")
        asked = dict(said.get("kinds", {}))
        kinds = {str(name): kind for name, word in asked.items() for kind in known if kind == word}
    return _Lists(_splits(found, options), people, kinds)


def _splits(found: Findings, options: ScanOptions) -> dict[str, Split]:
    places = [options.lists] if options.lists else [found.root / place for place in _SPLIT_PLACES]
    splits: dict[str, Split] = {}
    for split in SPLITS:
        path = next((place / f"{split}.json" for place in places if (place / f"{split}.json").is_file()), None)
        if path is None:
            found.note(f"no {split}.json was found; clips that it would list have no split (--lists names its folder)")
            continue
        for number in _numbers(path):
            before = splits.setdefault(number, split)
            if before != split:
                found.issue("leak", number, f"video {number} is listed in {before} and in {split}; kept in {before}")
    return splits


def _numbers(path: Path) -> list[str]:
    pairs = read_json(path)
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) <= 2 for pair in pairs):
        raise ManifestError(f"{path} is not a list of pairs", hint='it reads [["720", "672"], ...]')
    return list(dict.fromkeys(str(number) for pair in pairs for number in pair))


def _tell_missing(found: Findings, lists: _Lists) -> None:
    """Reports listed numbers without a video, if the set has YouTube videos.

    A set exported by Assay also lists numbers of source people without a video.
    """
    splits = lists.splits
    there = {clip.name for clip in found.clips if clip.manipulation is None and clip.factors.get("origin") != "actors"}
    for number in sorted(splits) if there else ():
        if number not in there and number not in lists.people:
            found.issue("missing", number, f"{splits[number]}.json lists it, original_sequences does not hold it")
    without = [clip for clip in found.clips if clip.manipulation and clip.mask is None]
    if without:
        found.note(f"{len(without)} fakes have no mask video beside them; their frames are labelled as a whole")
