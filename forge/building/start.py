"""The first ``set.toml`` for clips at hand: their people, splits for as many, one swapper, one manipulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forge.building.spec_text import set_text
from shared.config import need
from shared.console import counted
from shared.dataset.names import safe_name
from shared.errors import UsageError
from shared.faces.facesets.extract_each import people_in
from shared.results.fewest import CALIBRATION_PEOPLE
from shared.types import SPLITS, Split, VideoInfo
from shared.video import probe
from shared.video.container import VIDEO_SUFFIXES

_STEPS = 3_000
_RECIPE = "assay-cpu"
_RING_FROM = 4


def first_settings(clips: Sequence[Path], out: Path, rights: str) -> str:
    """The text of a ``set.toml`` in ``out`` for ``clips``, with comments; nothing is written.

    Clips that differ in a number at the end of their name (``ann-1``, ``ann-2``) are of one person, as are those of one
    folder. The splits follow from the number of people: train from two, val from four, test from six.

    Raises:
        UsageError: fewer than two people, or no clip.
        MediaError: a file is no readable video.
    """
    people = _people(clips)
    need(
        len(people) >= 2,
        f"a set needs two people or more, and all clips seem to be of {next(iter(people))}",
        "name the files by person (ann-1.mp4, bob-1.mp4), or give a folder for each",
    )
    splits = _splits(list(people))
    name = safe_name(out.resolve().parent.name) or "set"
    identities = [
        {"name": who, "rights": rights, "clips": [_relative(path, out) for path in paths]}
        for who, (paths, _) in people.items()
    ]
    mapping: dict[str, Any] = {
        "renditions": ["c23"],
        "set": {"name": name, "seed": 0, "frames": 150, "max_side": 640},
        "splits": {split: names for split, names in splits.items() if names},
        "identity": identities,
        "swapper": [{"name": "compact", "people": "split", "steps": [_STEPS], "recipe": _RECIPE}],
        "manipulation": [
            {"name": "compact", "swapper": "compact", "pairs": "ring" if len(people) >= _RING_FROM else "all"}
        ],
    }
    return set_text(mapping, _comments(out, people, splits))


def _people(clips: Sequence[Path]) -> dict[str, tuple[list[Path], list[VideoInfo]]]:
    """Clips and their facts by person, in the order given."""
    people: dict[str, tuple[list[Path], list[VideoInfo]]] = {}
    for given in clips:
        for found, paths in people_in([given]).items():
            is_file = len(paths) == 1 and paths[0].stem == found
            who = safe_name(_without_number(found) if is_file else found)
            # A set is made of videos: pictures in folders are passed over, one that was named is refused by probe.
            for path in paths:
                place = path.resolve()
                if given.is_dir() and path.suffix.lower() not in VIDEO_SUFFIXES:
                    continue
                need(
                    "$" not in str(place),
                    f"{place} has a $ in its path",
                    "rename it: settings read $NAME as a variable",
                )
                clips_of, facts = people.setdefault(who, ([], []))
                if place not in clips_of:
                    facts.append(probe(path))
                    clips_of.append(place)
    if not people:
        raise UsageError("no video was found", hint="name videos, or folders that hold some")
    return people


def _without_number(name: str) -> str:
    """``ann-1``, ``ann_02`` and ``ann 3`` as ``ann``; a name of nothing else stays."""
    plain = name.rstrip("0123456789")
    short = plain.rstrip("-_ .")
    return short if short and short != plain else name


def _splits(people: list[str]) -> dict[Split, list[str]]:
    """The last people test, those before them choose the step: two each, or as many as a calibration needs."""
    count = len(people)
    test = 0 if count < 6 else max(2, round(0.15 * count))
    val = 0 if count < 4 else 2 if count < 10 else max(CALIBRATION_PEOPLE, round(0.15 * count))
    train = count - val - test
    parts = people[:train], people[train : train + val], people[train + val :]
    return dict(zip(SPLITS, parts, strict=True))


def _relative(path: Path, out: Path) -> str:
    """The path from the settings file where it is below it, else whole."""
    folder = out.resolve().parent
    place = path.relative_to(folder) if path.is_relative_to(folder) else path
    return place.as_posix()


def _comments(
    out: Path, people: Mapping[str, tuple[list[Path], list[VideoInfo]]], splits: Mapping[Split, Sequence[str]]
) -> dict[str, list[str]]:
    build = f"assay forge build {out.name} --out sets/one"
    missing = [split for split in SPLITS if not splits[split]]
    comments = {
        "": [
            f"A set of {counted(len(people), 'person', 'people')}. See what it makes and costs: {build} --dry-run",
            f"Then: {build}",
            "All settings and what they mean: assay docs dataset",
            "",
            "c0, c23, c40 are the levels of FaceForensics++; each clip is made in each rendition.",
        ],
        "set": [
            "frames: at most so many of each clip; pieces = 4 would cut four clips of that length.",
            "max_side: larger frames are reduced. seed: of every random choice.",
        ],
        "splits": [
            "Nobody is in two splits, and swappers learn within a split, so each needs two people.",
            f"A calibration needs {CALIBRATION_PEOPLE} people in val.",
            *([f"Too few people for {' and '.join(missing)}: add two for each."] if missing else []),
        ],
        "swapper/compact": [
            f"One model for each split. {_STEPS} steps from the base swapper: half an hour of two cores for a pair.",
            "Other families: assay forge models. More of a [[swapper]] is more kinds of fakes to learn from.",
        ],
        "manipulation/compact": [
            "pairs: all, ring (everybody wears the face of the next), sample:N, or [source, target] by name.",
            'factors = { "color.method" = ["mean-std", "lct"] } would vary how faces are pasted.',
        ],
    }
    for place, (who, (_, facts)) in enumerate(people.items()):
        told = ", ".join(_told(info) for info in facts)
        first = ["People, and on what basis their clips may be used. Check who is who."] if not place else []
        comments[f"identity/{who}"] = [*first, told]
    return comments


def _told(info: VideoInfo) -> str:
    length = "" if info.duration_seconds is None else f" {info.duration_seconds:.1f} s"
    return f"{info.width}x{info.height}{length}"
