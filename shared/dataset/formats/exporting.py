"""Writes a dataset in another form: media byte for byte, so that what was signed stays signed; the seal goes along.

Every export holds ``assay/`` (settings, manifest, tables, seal and card as they were sealed) and
``assay-export.json``: which set this was, who sealed it, and which file is which clip.
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
    """How a set is exported.

    Attributes:
        link: share bytes with the dataset by hard links, where the disk can and the form has files.
        frames: pictures a clip, for forms that hold pictures; 0 for all.
        shard_bytes: a shard is closed before it would grow beyond this; a larger clip has a shard of its own.
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
    """An export that is being written.

    Attributes:
        dataset: what is exported.
        records: its clips, in order of id.
        out: the draft folder.
        config: see :class:`ExportConfig`.
        files: id to where its media lie in the export; filled by the exporter.
        facts: what else goes into ``assay-export.json``.
        notes: what a user should know.
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
        """The media of ``record``, found to be the bytes that the manifest means.

        Raises:
            ManifestError: missing or changed.
        """
        return self._found(record, self.dataset.media_path(record), record.sha256)

    def place(self, record: ClipRecord, relative: str) -> Path:
        """Puts the media of ``record`` at ``relative``, its manifest beside it where there is one.

        Raises:
            ManifestError: the media is missing or was changed, or the place is taken.
            StorageError: the disk refused.
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
        """The mask of changed pixels, found to be the bytes that the manifest means; None where there is none.

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
    """What was written: number of clips, where each lies, what a user should know."""

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
    """Writes the dataset in ``path`` to the new folder ``out``, which appears whole or not at all.

    Raises:
        UnknownNameError: no such layout.
        UsageError: ``out`` is there already, or lies in the dataset.
        ManifestError: the set is empty, damaged, or not as it was sealed.
        LeakError: the form cannot say splits that leak.
        StorageError: the disk refused.
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
    """The sealed files as they are, and which file of the export is which clip."""
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
