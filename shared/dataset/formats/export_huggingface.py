"""Exports a dataset as a Hugging Face folder: ``load_dataset("FOLDER")`` gives one row per clip, with video and facts.

::

    README.md                           card with the split files
    data/{train,validation,test,unsplit}/MANIPULATION--NAME.mp4
    data/.../metadata.jsonl             a line a clip, as the library's videofolder reader wants it
    masks/...                           the mask of changed pixels, where there is one
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import PurePosixPath

from shared.dataset.card import SPLIT_NAMES
from shared.dataset.formats.exporting import Export
from shared.dataset.formats.place import link_or_copy
from shared.dataset.formats.registry import EXPORTERS
from shared.dataset.layout import CARD
from shared.storage import write_text
from shared.types import ClipRecord


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
        export.place(record, f"data/{split}/{file}")
        mask = export.mask(record)
        mask_file = None
        if mask is not None:
            mask_file = f"masks/{name}{mask.suffix}"
            link_or_copy(mask, export.out / mask_file, link=export.config.link)
        lines[split].append(json.dumps({"file_name": file, **facts_of(record), "mask_file": mask_file or ""}))
        export.tick(1, note=str(record.id))
    for split, listed in lines.items():
        write_text(export.out / "data" / split / "metadata.jsonl", "\n".join(listed) + "\n")
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


def _card(export: Export, splits: list[str]) -> str:
    """The dataset's card, with front matter for the exported files."""
    text = (export.dataset.path / CARD).read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    kept = front.split("configs:\n")[0]
    files = "".join(f"  - split: {split}\n    path: data/{split}/**\n" for split in splits)
    body = body.split("## Load")[0]
    load = 'from datasets import Video, load_dataset\n\nclips = load_dataset("PATH", split="SPLIT")\n'
    load += 'facts = clips.cast_column("video", Video(decode=False))    # without a video decoder\n'
    config = f"configs:\n- config_name: default\n  drop_labels: true\n  data_files:\n{files}"
    return (
        f"---\n{kept}{config}---\n{body}## Load\n\n"
        f"```python\n{load}```\n\n"
        f"Exported from the dataset {export.dataset.name}; `assay/` holds its manifest and its seal, and\n"
        "`assay-export.json` says which file is which clip. Videos are the sealed bytes, signatures included.\n"
    )
