"""Exports a dataset for DeepfakeBench: frames and masks as PNG, and the ``dataset_json`` that lists them.

::

    rgb/SET/{real,MANIPULATION}/frames/CLIP/000012.png      also .../masks/CLIP/000012.png
    dataset_json/SET.json                                    SET is no FaceForensics++ word: no compression level
    label_dict.yaml                                          the lines to add to its train and test configuration

Only forged frames of a fake are exported, because the benchmark has one label per clip. They are evenly spaced, and
whole frames, not face crops.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.dataset.formats.exporting import Export
from shared.dataset.formats.registry import EXPORTERS
from shared.errors import ManifestError, UsageError
from shared.storage import replacing, write_text
from shared.types import SPLITS, ClipRecord
from shared.video import read_mask_frames
from shared.video.media import clip_reader

_FF_FAMILY = ("FaceForensics++", "FF-DF", "FF-F2F", "FF-FS", "FF-NT", "FaceShifter", "DeepFakeDetection")


@EXPORTERS.register("deepfakebench")
def export_deepfakebench(export: Export) -> None:
    """Writes frames, masks, the list and the labels.

    Raises:
        UsageError: a clip has no split, or DeepfakeBench treats the set's name specially.
        ManifestError: see :class:`Export`.
        MediaError: a clip cannot be decoded.
        StorageError: writing failed.
    """
    name = export.dataset.name
    if name in _FF_FAMILY:
        raise UsageError(f"DeepfakeBench reads a set called {name} with compressions", hint="import under another name")
    if any(record.split is None for record in export.records):
        raise UsageError("a clip without a split has no place in dataset_json", hint="assay dataset split PATH first")
    words: dict[str, int] = {}
    listed: dict[str, dict[str, dict[str, Any]]] = {}
    for record in export.records:
        word = f"{name}_{'Real' if record.label == 'real' else f'Fake-{record.id.manipulation}'}"
        words[word] = int(record.label == "fake")
        splits = listed.setdefault(word, {split: {} for split in SPLITS})
        splits[str(record.split)][record.id.name] = {"label": word, **_frames(export, record)}
        export.tick(1, note=str(record.id))
    write_text(export.out / "dataset_json" / f"{name}.json", json.dumps({name: listed}, indent=1) + "\n")
    labels = "".join(f"  {word}: {value}\n" for word, value in sorted(words.items()))
    write_text(export.out / "label_dict.yaml", f"label_dict:\n{labels}")
    export.notes.append("pictures were taken out of their clips: signatures stay with the dataset, which assay/ names")


def chosen_frames(record: ClipRecord, count: int) -> list[int]:
    """Frames to export: of a fake only forged ones; ``count`` of them, evenly spaced, with the first and the last.

    Of frames 0 to 9, four are 0, 3, 6, 9. 0 gives all.
    """
    ranges = record.faked if record.label == "fake" else ((0, record.frames),)
    frames = [index for start, stop in ranges for index in range(start, stop)]
    if count == 0 or len(frames) <= count:
        return frames
    return [frames[int(place)] for place in np.round(np.linspace(0, len(frames) - 1, count))]


def _frames(export: Export, record: ClipRecord) -> dict[str, list[str]]:
    place = f"{export.dataset.name}/{record.id.manipulation or 'real'}"
    indices = chosen_frames(record, export.config.frames)
    if not indices:
        raise ManifestError(f"{record.id} has no forged frame to show", hint="remove it, or export another way")
    with clip_reader(export.source(record)) as reader:
        frames = _save(export, f"{place}/frames/{record.id.name}", indices, (frame.image for frame in reader.frames()))
    export.files[str(record.id)] = f"rgb/{place}/frames/{record.id.name}"
    mask = export.mask(record)
    if mask is None:
        return {"frames": frames}
    return {
        "frames": frames,
        "masks": _save(export, f"{place}/masks/{record.id.name}", indices, read_mask_frames(mask)),
    }


def _save(export: Export, place: str, indices: Collection[int], pictures: Iterator[np.ndarray]) -> list[str]:
    wanted, saved = set(indices), []
    for index, picture in enumerate(islice(pictures, max(wanted) + 1)):
        if index in wanted:
            relative = f"{place}/{index:06d}.png"
            _png(export.out / "rgb" / relative, picture)
            saved.append(relative)
    if len(saved) != len(wanted):
        raise ManifestError(f"{place} has {len(saved)} of {len(wanted)} frames", hint="assay dataset verify says more")
    return saved


def _png(path: Path, picture: np.ndarray) -> None:
    with replacing(path) as draft:
        Image.fromarray(picture).save(draft, format="PNG")
