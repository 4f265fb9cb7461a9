"""DeeperForensics-1.0 (Jiang et al., CVPR 2020).

::

    manipulated_videos/VARIANT/TARGET_SOURCE.mp4        VARIANT: end_to_end, end_to_end_level_3, reenact_postprocess
    source_videos/ACTOR/...                             recordings of the paid actors
    lists/splits/{train,val,test}.txt                   names of manipulated videos

TARGET is a video of FaceForensics++, SOURCE an actor. The real clips are FaceForensics++'s YouTube videos, which are
not distributed with the set; they are read from ``target_videos/`` or ``original_sequences/youtube/c23/videos/`` under
the set's folder. Recordings of actors are real but of other footage than the fakes, so a detector trained on them
learns the studio: they have the factor ``role=source`` and no split.
"""

from __future__ import annotations

from pathlib import Path

from shared.dataset.formats.found import FoundClip, Scan, ScanOptions, Video
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, folders_in, read_list
from shared.dataset.names import safe_name
from shared.types import SPLITS, Split

_TARGETS = ("target_videos", "original_sequences/youtube/c23/videos")


@IMPORTERS.register("deeperforensics")
def scan_deeperforensics(root: Path, options: ScanOptions) -> Scan:
    """Clips of DeeperForensics-1.0; variants (perturbations) are renditions of one fake.

    Raises:
        ManifestError: a split list cannot be read.
        UsageError: no such folder.
    """
    found = Findings(root)
    splits = _splits(found, options)
    targets = _targets(found, splits)
    for actor in folders_in(root / "source_videos"):
        for path in found.videos(actor, deep=True):
            who = f"actor-{safe_name(actor.name)}"
            name, role = f"source-{safe_name(path.stem)}", {"role": "source"}
            found.add(FoundClip(name, Video(path), found.where(path), who, factors=role))
    there: set[str] = set()
    for variant in folders_in(root / "manipulated_videos"):
        if options.wants(variant.name):
            for path in found.videos(variant):
                there.add(path.stem)
                _fake(found, path, variant.name, splits, targets)
    for name in sorted(set(splits) - there):
        found.issue("missing", name, f"{splits[name]}.txt lists it, manipulated_videos does not hold it")
    if not targets:
        found.note("the real half, FaceForensics++'s c23 videos, is not here: put it into target_videos/")
    return found.done()


def _targets(found: Findings, splits: dict[str, Split]) -> set[str]:
    of_target: dict[str, set[Split]] = {}
    for name, split in splits.items():
        of_target.setdefault(name.partition("_")[0], set()).add(split)
    names: set[str] = set()
    for place in _TARGETS:
        for path in found.videos(found.root / place):
            name = safe_name(path.stem)
            listed = of_target.get(path.stem, set())
            if len(listed) > 1:
                found.issue("leak", path, f"its fakes are listed in {' and '.join(sorted(listed))}; it gets no split")
            split = next(iter(listed)) if len(listed) == 1 else None
            found.add(FoundClip(name, Video(path), found.where(path), f"ff-{name}", split=split))
            names.add(name)
    return names


def _fake(found: Findings, path: Path, variant: str, splits: dict[str, Split], targets: set[str]) -> None:
    target, underscore, source = path.stem.partition("_")
    if not underscore or not source:
        found.issue("contradiction", path, "its name is not TARGET_SOURCE; left out")
        return
    found.add(
        FoundClip(
            name=safe_name(path.stem),
            media=Video(path),
            where=found.where(path),
            target=f"ff-{safe_name(target)}",
            manipulation="DF-VAE",
            kind="reenact" if variant.startswith("reenact") else "swap",
            source=f"actor-{safe_name(source)}",
            split=splits.get(path.stem),
            rendition=safe_name(variant),
            parent=target if target in targets else None,
        )
    )


def _splits(found: Findings, options: ScanOptions) -> dict[str, Split]:
    place = options.lists or found.root / "lists" / "splits"
    splits: dict[str, Split] = {}
    for split in SPLITS:
        path = place / f"{split}.txt"
        if not path.is_file():
            found.note(f"no {split}.txt was found; clips that it would list have no split")
            continue
        for line in read_list(path).splitlines():
            name = Path(line.strip().replace("\\", "/")).stem
            if name and splits.setdefault(name, split) != split:
                found.issue("leak", name, f"it is listed in {splits[name]} and in {split}; kept in {splits[name]}")
    return splits
