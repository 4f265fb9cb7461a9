"""The dataset card and the tables of the splits: what Hugging Face's ``datasets`` reads of a dataset.

``load_dataset`` takes splits from files, not from a column, so the lines of each split are in a table of their own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from shared.console import counted
from shared.dataset.held import TARGET_STILL, is_held
from shared.dataset.layout import CARD, MANIFEST, SPLIT_TABLES, DatasetInfo
from shared.dataset.manifest import encode_record
from shared.dataset.splits import count_by
from shared.storage import write_bytes, write_text
from shared.types import SPLITS, ClipRecord, Split

SPLIT_NAMES: dict[Split | None, str] = {"train": "train", "val": "validation", "test": "test", None: "unsplit"}
"""Splits as Hugging Face's sets call them."""

_SHOWN = 40

# Stated explicitly: the type of a column that is null in the first lines (masks of real clips) would be guessed wrong.
_CLIP_FEATURES: tuple[tuple[str, str], ...] = (
    *((name, "string") for name in ("id", "kind", "label", "path", "sha256", "target_identity", "rights")),
    *((name, "int64") for name in ("frames", "width", "height")),
    *((name, "string") for name in ("codec", "rendition", "split", "source_identity")),
    ("faked", "ranges"),
    ("masks", "masks"),
    *((name, "string") for name in ("swapper", "architecture", "config")),
    ("seed", "int64"),
    *((name, "string") for name in ("parent", "content_sha256", "tool_version")),
    ("factors", "pairs"),
)
_NESTED = {
    "ranges": ["    sequence:", "      sequence: int64"],
    "pairs": ["    sequence:", "      sequence: string"],
    "masks": [
        "    struct:",
        *(f"    - name: {name}\n      dtype: string" for name in ("alpha", "changed", "region")),
        "    - name: sha256\n      sequence: string",
    ],
}


def write_card(folder: Path, info: DatasetInfo, records: Sequence[ClipRecord]) -> None:
    """Writes the card and the tables of the splits into ``folder``.

    Raises:
        StorageError: writing failed.
    """
    for split, name in SPLIT_TABLES.items():
        lines = [encode_record(record) for record in records if record.split == split]
        write_bytes(folder / name, b"".join(line + b"\n" for line in lines))
    write_text(folder / CARD, render_card(info, records))


def render_card(info: DatasetInfo, records: Sequence[ClipRecord]) -> str:
    """The text of the card: description, loading, contents, rights."""
    return "\n".join([*_front_matter(info, records), "", *_body(info, records), ""])


def _front_matter(info: DatasetInfo, records: Sequence[ClipRecord]) -> list[str]:
    # Clips only: ``datasets`` reads all tables of a folder with the reader of the first.
    # JSON strings are valid YAML strings.
    there = {record.split for record in records}
    splits = [(SPLIT_NAMES[split], table) for split, table in SPLIT_TABLES.items() if split in there]
    return [
        "---",
        f"pretty_name: {json.dumps(info.name)}",
        f"license: {json.dumps(info.license or 'other')}",
        "task_categories:",
        "- video-classification",
        "tags:",
        "- deepfake-detection",
        "- media-forensics",
        "configs:",
        "- config_name: clips",
        *(["  data_files:"] if splits else [f"  data_files: {MANIFEST}"]),
        *(f"  - split: {name}\n    path: {table}" for name, table in splits),
        "  default: true",
        "dataset_info:",
        "- config_name: clips",
        "  features:",
        *_features(_CLIP_FEATURES),
        "---",
    ]


def _features(columns: Sequence[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for name, kind in columns:
        lines.append(f"  - name: {name}")
        lines += _NESTED.get(kind, [f"    dtype: {kind}"])
    return lines


def _body(info: DatasetInfo, records: Sequence[ClipRecord]) -> list[str]:
    people = {name for record in records for name in record.identities}
    rights = Counter(record.rights for record in records)
    return [
        f"# {info.name}",
        "",
        info.description or "Labelled real and forged clips, made by Assay.",
        "",
        *(_imported if info.controls == "imported" else _made)(len(records), len(people)),
        "",
        *(_generated(records) if info.controls != "imported" else []),
        *_of_stills(records),
        *_controls(info),
        *_table(("split", "label", "manipulation", "clips"), sorted(count_by(records).items(), key=_by_split)),
        "",
        "## Rights",
        "",
        *(f"- {basis}: {counted(count, 'clip')}" for basis, count in sorted(rights.items())),
        "",
        "## Load",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'clips = load_dataset("PATH")    # of each split: clips["train"], clips["validation"], clips["test"]',
        'frames = load_dataset("parquet", data_files={"all": "PATH/frames.parquet"})["all"]    # of all splits',
        "```",
        "",
        "This page is written by `assay dataset`; what you add belongs in the description in `dataset.toml`.",
    ]


def _held(clips: int, people: int) -> str:
    return f"{counted(clips, 'clip')} of {counted(people, 'identity', 'identities')}"


def _made(clips: int, people: int) -> list[str]:
    return [
        f"{_held(clips, people)}. `manifest.jsonl` holds a clip a line, `frames.parquet` a",
        "row per frame and face; real frames inside forged clips are labelled real. Three lossless masks go with each",
        "fake: `alpha` (what the compositor used), `changed` (pixels that differ) and `region` (the face). No identity",
        "is in two splits. Every clip carries a C2PA manifest; `dataset.sig` seals the set.",
    ]


def _imported(clips: int, people: int) -> list[str]:
    return [
        f"{_held(clips, people)}, as other people made them: not encoded again and not signed here, with",
        "their own splits. `manifest.jsonl` holds a clip a line with its place in the original (`source_path`),",
        "`frames.parquet` a row per frame. Frames are labelled as a whole clip, or by its mask where it has one; all",
        "three mask names mean that one mask. `import.json` lists what was missing, damaged or in two splits;",
        "`dataset.sig` seals the set as it was imported. Nothing was done here to keep codec, length or background",
        "from telling the classes apart: `assay dataset audit` measures it.",
    ]


def _generated(records: Sequence[ClipRecord]) -> list[str]:
    if not any(record.kind == "generate" for record in records):
        return []
    return [
        "Clips of kind `generate` are still pictures, of one frame. Those of `nobody` show a face that a model made by",
        "seed, and those of a person a filmed face that went through it. No mask goes with them: all is the model's.",
        "",
    ]


def _of_stills(records: Sequence[ClipRecord]) -> list[str]:
    held = [record for record in records if is_held(record)]
    if not held:
        return []
    return [
        f"{counted(len(held), 'clip')} made of a still (`{TARGET_STILL}` in the factors): a photograph or a generated",
        "face, shown for as long as what drives it. No frame of these is real, also where nothing moves. Nothing but",
        "the face moves, as in few real clips: what compares frames can tell them from real clips by that alone.",
        "",
    ]


def _controls(info: DatasetInfo) -> list[str]:
    """The section on controls: the steps that keep anything but the forgery from separating the classes."""
    if info.controls == "on":
        return [
            "Real clips passed the same decoder, encoder and container as the fakes, in every rendition. Manipulations",
            "that end in `-self` give people their own faces: `source_identity` equals `target_identity`. Their pixels",
            "are drawn by a model, so they are labelled fake; leave them out where a swap of identity is what counts.",
            "",
        ]
    if info.controls == "off":
        return [
            "**Built without controls.** Real clips are the untouched source files, so codec, container and length",
            "tell the classes apart. This set shows that an audit notices; do not train on it.",
            "",
        ]
    return []


def _by_split(row: tuple[tuple[str, str, str], int]) -> tuple[int, tuple[str, str, str]]:
    split = row[0][0]
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), row[0])


def _table(header: tuple[str, ...], rows: Sequence[tuple[tuple[str, str, str], int]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(key)} | {count} |" for key, count in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"\nand {len(rows) - _SHOWN} more kinds of clip.")
    return lines
