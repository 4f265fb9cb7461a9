"""Exports a dataset in FaceForensics++'s layout: ``TARGET_SOURCE.mp4`` by method and compression, pairs as splits.

Videos are named by three digits. So each real footage gets a number (its name, if that is one), and so does each source
person who is in no real clip; ``assay-export.json`` maps numbers to people, as FaceForensics++'s
``conversion_dict.json`` does.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.dataset.formats.export_names import Footage
from shared.dataset.formats.exporting import Export
from shared.dataset.formats.place import link_or_copy
from shared.dataset.formats.registry import EXPORTERS
from shared.dataset.splits import check_leaks
from shared.errors import ManifestError
from shared.storage import sha256_file, write_text
from shared.types import SPLITS, ClipRecord, Split
from shared.video.media import is_still_clip

_CRF = re.compile(r"h264-crf(0|23|40)")
_NUMBER = re.compile(r"\d{3,5}")


@dataclass
class _Numbers:
    """Assigns unique numbers to footage and to people without footage; names that are numbers are kept."""

    of: dict[tuple[str, str], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def give(self, keys: Sequence[tuple[str, str]]) -> None:
        """Assigns numbers to all ``keys``, (person, footage)."""
        for key in keys:
            name = key[1] or key[0]
            if _NUMBER.fullmatch(name) and name not in self.taken:
                self._take(key, name)
        free = (f"{number:03d}" for number in range(100_000))
        for key in keys:
            if key not in self.of:
                self._take(key, next(number for number in free if number not in self.taken))

    def _take(self, key: tuple[str, str], number: str) -> None:
        self.of[key] = number
        self.taken.add(number)


@EXPORTERS.register("faceforensics")
def export_faceforensics(export: Export) -> None:
    """Writes videos, masks and the three split lists.

    Raises:
        LeakError: the splits leak, which lists of pairs cannot express.
        ManifestError: see :class:`Export`; also if a clip is a still, for which the layout has no place.
        StorageError: writing failed.
    """
    check_leaks(export.records)
    still = next((record for record in export.records if is_still_clip(Path(record.path))), None)
    if still is not None:
        raise ManifestError(
            f"{still.id} is a still, for which the layout of videos has no place",
            hint="export as webdataset, huggingface or deepfakebench",
        )
    footage = Footage(export.records)
    actors = [record for record in export.records if _is_actor(record)]
    others = [record for record in export.records if not _is_actor(record)]
    keys = sorted(
        {footage.target(record) for record in others} | {footage.source(r) for r in others if r.label == "fake"}
    )
    numbers = _Numbers()
    numbers.give([key for key in keys if key[0]])
    pairs: dict[Split, set[tuple[str, str]]] = defaultdict(set)
    kinds: dict[str, str] = {}
    for record in export.records:
        if _is_actor(record):
            place, stem = ("actors" if record.label == "real" else ""), record.id.name.partition("@")[0]
            stem = stem.removeprefix("actor-")
        else:
            place, target = "youtube", numbers.of[footage.target(record)]
            source = numbers.of[footage.source(record)] if record.label == "fake" else target
            stem = target if record.label == "real" else f"{target}_{source}"
            if record.split is not None:
                pairs[record.split].add((target, source))
        _write(export, record, place, stem, kinds)
        export.tick(1, note=str(record.id))
    if actors:
        export.notes.append(f"{len(actors)} clips of DeepFakeDetection keep their names; they are in no split list")
    _write_splits(export, pairs)
    export.facts |= {"identities": {number: key[0] for key, number in numbers.of.items()}, "kinds": kinds}


def compression(rendition: str) -> str:
    """FaceForensics++'s name of a rendition (raw, c0, c23, c40), or the rendition's own name."""
    known = _CRF.fullmatch(rendition)
    return f"c{known[1]}" if known else "raw" if rendition == "original" else rendition


def pair_lists(pairs: Mapping[Split, set[tuple[str, str]]]) -> dict[Split, list[list[str]]]:
    """The three lists of pairs, independent of order; a number without a partner is paired with itself."""
    lists: dict[Split, list[list[str]]] = {}
    for split in SPLITS:
        joined = {tuple(sorted(pair)) for pair in pairs.get(split, ()) if pair[0] != pair[1]}
        paired = {number for pair in joined for number in pair}
        alone = {pair[0] for pair in pairs.get(split, ()) if pair[0] == pair[1]} - paired
        lists[split] = [list(pair) for pair in sorted(joined)] + [[number, number] for number in sorted(alone)]
    return lists


def _write(export: Export, record: ClipRecord, place: str, stem: str, kinds: dict[str, str]) -> None:
    level, suffix = compression(record.rendition), export.dataset.media_path(record).suffix
    if record.label == "real":
        export.place(record, f"original_sequences/{place}/{level}/videos/{stem}{suffix}")
        return
    method = str(record.id.manipulation)
    count = 1
    while (export.out / f"manipulated_sequences/{method}/{level}/videos/{stem}{suffix}").exists():
        count += 1
        method = f"{record.id.manipulation}-{count}"
    if count == 2:
        export.notes.append(f"{record.id.manipulation} made {stem} more than once; the others stand in {method}")
    if kinds.setdefault(method, record.kind) != record.kind:
        raise ManifestError(f"{method} is listed as {kinds[method]} and as {record.kind}", hint="name them apart")
    export.place(record, f"manipulated_sequences/{method}/{level}/videos/{stem}{suffix}")
    mask = export.mask(record)
    if mask is None:
        return
    common = export.out / f"manipulated_sequences/{method}/masks/videos/{stem}{mask.suffix}"
    if not common.exists():
        link_or_copy(mask, common, link=export.config.link)
    elif sha256_file(common) != sha256_file(mask):
        own = export.out / f"manipulated_sequences/{method}/masks/{level}/videos/{stem}{mask.suffix}"
        link_or_copy(mask, own, link=export.config.link)


def _write_splits(export: Export, pairs: Mapping[Split, set[tuple[str, str]]]) -> None:
    without = sum(record.split is None and not _is_actor(record) for record in export.records)
    if without:
        export.notes.append(f"{without} clips have no split and stand in no list")
    if pairs:
        for split, listed in pair_lists(pairs).items():
            write_text(export.out / f"{split}.json", json.dumps(listed, indent=2) + "\n")


def _is_actor(record: ClipRecord) -> bool:
    return record.target_identity.startswith("actor-") and "__" in record.id.name
