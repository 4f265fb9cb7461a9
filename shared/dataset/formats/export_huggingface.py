"""Exports a dataset as a Hugging Face folder: ``load_dataset("FOLDER")`` gives one row per clip, with video and facts.

::

    README.md                           card with the split files
    data/{train,validation,test,unsplit}/MANIPULATION--NAME.mp4
    data/.../metadata.jsonl             a line a clip, as the library's videofolder reader wants it
    stills/{train,validation,...}/      pictures, with metadata of their own, as a configuration of that name
    masks/...                           the mask of changed pixels, where there is one
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from shared.dataset.card import SPLIT_NAMES
from shared.dataset.formats.exporting import Export
from shared.dataset.formats.place import link_or_copy
from shared.dataset.formats.registry import EXPORTERS
from shared.dataset.layout import CARD
from shared.storage import write_text
from shared.types import ClipRecord
from shared.video.media import is_still_clip

_CLIPS, _STILLS = "data", "stills"


@EXPORTERS.register("huggingface")
def export_huggingface(export: Export) -> None:
    """Writes media, metadata and card.

    Raises:
        ManifestError: see :class:`Export`.
        StorageError: writing failed.
    """
    lines: dict[str, list[str]] = defaultdict(list)
    for record in export.records:
        split = SPLIT_NAMES[record.split]
        name = f"{record.id.manipulation or 'real'}--{record.id.name}"
        file = f"{name}{PurePosixPath(record.path).suffix}"
        place = f"{_STILLS if is_still_clip(Path(record.path)) else _CLIPS}/{split}"
        export.place(record, f"{place}/{file}")
        mask = export.mask(record)
        mask_file = None
        if mask is not None:
            mask_file = f"masks/{name}{mask.suffix}"
            link_or_copy(mask, export.out / mask_file, link=export.config.link)
        lines[place].append(json.dumps({"file_name": file, **facts_of(record), "mask_file": mask_file or ""}))
        export.tick(1, note=str(record.id))
    for place, listed in lines.items():
        write_text(export.out / place / "metadata.jsonl", "\n".join(listed) + "\n")
    write_text(export.out / CARD, _card(export, sorted(lines)))


def facts_of(record: ClipRecord) -> dict[str, str | int]:
    """The facts of a clip as a flat mapping, with every key and no null, so that column types are constant."""
    return {
        "id": str(record.id),
        "label": record.label,
        "kind": record.kind,
        "manipulation": record.id.manipulation or "",
        "target_identity": record.target_identity,
        "source_identity": record.source_identity or "",
        "split": record.split or "",
        "rendition": record.rendition,
        "codec": record.codec,
        "frames": record.frames,
        "width": record.width,
        "height": record.height,
        "faked": ",".join(f"{start}-{stop}" for start, stop in record.faked),
        "rights": record.rights,
        "sha256": record.sha256,
        "parent": str(record.parent) if record.parent else "",
    }


def _card(export: Export, places: list[str]) -> str:
    """The dataset's card, with front matter for the exported files."""
    text = (export.dataset.path / CARD).read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    kept = front.split("configs:\n")[0]
    body = body.split("## Load")[0]
    there = [top for top in (_CLIPS, _STILLS) if any(place.startswith(f"{top}/") for place in places)]
    config = "configs:\n" + "".join(_config(top, places, is_default=top == there[0]) for top in there)
    load = f"from datasets import {'Video, ' if _CLIPS in there else ''}load_dataset\n\n"
    if _CLIPS in there:
        load += 'clips = load_dataset("PATH", split="SPLIT")\n'
        load += 'facts = clips.cast_column("video", Video(decode=False))    # without a video decoder\n'
    if _STILLS in there:
        load += f'stills = load_dataset("PATH", "{"default" if there == [_STILLS] else _STILLS}", split="SPLIT")\n'
    return (
        f"---\n{kept}{config}---\n{body}## Load\n\n"
        f"```python\n{load}```\n\n"
        f"Exported from the dataset {export.dataset.name}; `assay/` holds its manifest and its seal, and\n"
        "`assay-export.json` says which file is which clip. Videos are the sealed bytes, signatures included.\n"
    )


def _config(top: str, places: Sequence[str], *, is_default: bool) -> str:
    """The entry of the clips, or of the stills: ``datasets`` reads a folder as of one kind."""
    splits = [place.partition("/")[2] for place in places if place.startswith(f"{top}/")]
    files = "".join(f"  - split: {split}\n    path: {top}/{split}/**\n" for split in splits)
    return f"- config_name: {'default' if is_default else top}\n  drop_labels: true\n  data_files:\n{files}"
