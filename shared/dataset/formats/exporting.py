"""Exports a dataset in another layout. Media are copied byte for byte, so that signatures stay valid.

Every export has a folder ``assay/`` (settings, manifest, tables, seal and card as sealed) and
``assay-export.json``: dataset, signer, and the file of each clip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shared
from shared.console import ShowProgress, Tick, silent
from shared.dataset.commit import refuse_tampered
from shared.dataset.folder import DatasetFolder
from shared.dataset.formats.place import link_or_copy
from shared.dataset.formats.registry import EXPORTERS
from shared.dataset.layout import CARD, FRAMES, MANIFEST, SEAL, SETTINGS, SPLIT_TABLES
from shared.dataset.seal import read_seal
from shared.errors import ManifestError, UsageError
from shared.storage import inside, need_free_space, replacing_folder, sha256_file, write_text
from shared.types import ClipRecord

EXPORT_FILE = "assay-export.json"
ORIGIN = "assay"


@dataclass(frozen=True)
class ExportConfig:
    """Settings of an export.

    Attributes:
        link: use hard links to the dataset's files, if the file system and the layout allow.
        frames: number of frames per clip, for layouts with pictures; 0 for all.
        shard_bytes: maximum size of a shard; a larger clip has its own shard.
    """

    link: bool = False
    frames: int = 32
    shard_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if self.frames < 0:
            raise UsageError(f"frames must be 0 or more, got {self.frames}", hint="0 takes all of a clip")
        if self.shard_bytes < 1 << 14:
            raise UsageError(f"shards of {self.shard_bytes} bytes hold no clip", hint="for example 1000 MB")


@dataclass
class Export:
    """An export in progress.

    Attributes:
        dataset: the exported dataset.
        records: its clips, sorted by id.
        out: the draft folder.
        config: the settings.
        files: path of each clip's media in the export; filled by the exporter.
        facts: further entries of ``assay-export.json``.
        notes: remarks for the user.
        tick: called after each clip.
    """

    dataset: DatasetFolder
    records: list[ClipRecord]
    out: Path
    config: ExportConfig
    tick: Tick
    files: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def source(self, record: ClipRecord) -> Path:
        """Path of the media of ``record``, checked against the manifest.

        Raises:
            ManifestError: missing or changed.
        """
        return self._found(record, self.dataset.media_path(record), record.sha256)

    def place(self, record: ClipRecord, relative: str) -> Path:
        """Writes the media of ``record`` to ``relative``, with its sidecar manifest if there is one.

        Raises:
            ManifestError: the media is missing or was changed, or the path is taken.
            StorageError: writing failed.
        """
        source, target = self.source(record), inside(self.out, relative)
        if target.exists():
            raise ManifestError(f"{record.id} and another clip would both be {relative}", hint="export them apart")
        link_or_copy(source, target, link=self.config.link)
        if source.with_suffix(".c2pa").is_file():
            link_or_copy(source.with_suffix(".c2pa"), target.with_suffix(".c2pa"), link=self.config.link)
        self.files[str(record.id)] = relative
        return target

    def mask(self, record: ClipRecord) -> Path | None:
        """Path of the mask of changed pixels, checked against the manifest; None if there is none.

        Raises:
            ManifestError: missing or changed.
        """
        if record.masks is None:
            return None
        wanted = record.masks.sha256[1] if record.masks.sha256 else None
        return self._found(record, self.dataset.mask_paths(record)["changed"], wanted)

    @staticmethod
    def _found(record: ClipRecord, path: Path, wanted: str | None) -> Path:
        if not path.is_file() or (wanted and sha256_file(path) != wanted):
            raise ManifestError(f"{record.id}: {path} is missing or was changed", hint="assay dataset verify says more")
        return path


@dataclass(frozen=True)
class ExportReport:
    """Result of an export: number of clips, path of each, remarks for the user."""

    layout: str
    clips: int
    files: Mapping[str, str]
    notes: tuple[str, ...]


def export_dataset(
    layout: str,
    path: Path,
    out: Path,
    config: ExportConfig = ExportConfig(),
    *,
    progress: ShowProgress = silent,
) -> ExportReport:
    """Exports the dataset in ``path`` to the new folder ``out``, completely or not at all.

    Raises:
        UnknownNameError: no such layout.
        UsageError: ``out`` exists, or is inside the dataset.
        ManifestError: the set is empty, damaged, or differs from its seal.
        LeakError: the layout cannot express splits that leak.
        StorageError: writing failed.
    """
    write = EXPORTERS.get(layout)
    dataset = DatasetFolder.open(path)
    refuse_tampered(path)
    records = sorted(dataset.records(), key=lambda record: str(record.id))
    if not records:
        raise ManifestError(f"{path} holds no clips", hint="add or build some first")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty", hint="choose another folder")
    if out.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{out} lies in the dataset {path}", hint="write the export elsewhere")
    if not config.link:
        need_free_space(out, sum(file.stat().st_size for file in map(dataset.media_path, records) if file.is_file()))
    with progress("exporting", len(records)) as tick, replacing_folder(out) as draft:
        export = Export(dataset, records, draft, config, tick)
        write(export)
        _origin(export, layout)
    return ExportReport(layout, len(records), export.files, tuple(export.notes))


def _origin(export: Export, layout: str) -> None:
    """Writes the sealed files and ``assay-export.json``."""
    folder = export.dataset.path
    for name in (SETTINGS, MANIFEST, FRAMES, *SPLIT_TABLES.values(), SEAL, CARD):
        if (folder / name).is_file():
            link_or_copy(folder / name, export.out / ORIGIN / name, link=False)
    if not (export.out / CARD).exists():
        link_or_copy(folder / CARD, export.out / CARD, link=False)
    seal = read_seal(folder)
    clips = {
        str(record.id): {"file": export.files[str(record.id)], "sha256": record.sha256} for record in export.records
    }
    document = {
        "dataset": export.dataset.name,
        "layout": layout,
        "tool_version": shared.__version__,
        "manifest_sha256": sha256_file(folder / MANIFEST),
        "seal_sha256": sha256_file(folder / SEAL),
        "signer": seal.signer,
        "fingerprint": seal.fingerprint,
        "clips": clips,
        "notes": export.notes,
        **export.facts,
    }
    write_text(export.out / EXPORT_FILE, json.dumps(document, indent=1, sort_keys=True) + "\n")
