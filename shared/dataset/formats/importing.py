"""Imports a third-party dataset: clips unchanged, facts as found, faults listed.

The original is not changed. Clips are not re-encoded and not signed; their records have ``imported``, the path in the
set, and the file's hash. So the controls of a built set do not apply: codec, length and background may separate the
classes, which ``assay dataset audit`` measures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shared.console import ShowProgress, silent
from shared.dataset.folder import DatasetFolder
from shared.dataset.formats.found import FoundClip, Issue, Scan, ScanOptions, Video
from shared.dataset.formats.place import Job, Placed, place_clip
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.splits import find_leaks
from shared.engine.local import LocalEngine
from shared.engine.tasks import Engine, Task
from shared.errors import ManifestError, UsageError
from shared.storage import need_free_space, sha256_file, write_text
from shared.types import ClipId, ClipRecord

REPORT = "import.json"
SplitChoice = Literal["official", "identity", "none"]


@dataclass(frozen=True)
class ImportConfig:
    """Settings of an import.

    Attributes:
        rights: basis on which the set may be used, from its licence.
        name: of the dataset, the first part of every clip's id; default the folder's.
        license: SPDX identifier, or empty.
        splits: "official" keeps the set's own and reports leaks; "identity" makes new ones by person; "none" drops
            them.
        seed: of new splits.
        link: use hard links to the original's files, if the file system allows.
        scan: options of the scan.
    """

    rights: str
    name: str = ""
    license: str = ""
    splits: SplitChoice = "official"
    seed: int = 0
    link: bool = False
    scan: ScanOptions = dataclasses.field(default_factory=ScanOptions)

    def __post_init__(self) -> None:
        if not self.rights.strip() or len(self.rights) > 200:
            raise UsageError("say on what basis the set may be used", hint='--rights "FaceForensics++ terms of use"')


@dataclass(frozen=True)
class ImportReport:
    """The result of an import or of a dry run.

    Attributes:
        layout: name of the layout.
        clips: number found.
        listed: number in the dataset; 0 in a dry run.
        linked: number of files that are hard links to the original.
        counts: number of clips for each (split, label, manipulation, rendition), "-" for none.
        issues: faults of the set.
        leaks: a sentence for each person, clip or file in two splits.
        notes: remarks for the user.
        named: number of clips that the set's lists name, those that were left out included.
    """

    layout: str
    clips: int
    listed: int
    linked: int
    counts: Mapping[tuple[str, str, str, str], int]
    issues: tuple[Issue, ...]
    leaks: tuple[str, ...]
    notes: tuple[str, ...]
    named: int = 0

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        keys = ("split", "label", "manipulation", "rendition")
        rows = [dict(zip(keys, key, strict=True)) | {"clips": count} for key, count in sorted(self.counts.items())]
        return dataclasses.asdict(self) | {
            "counts": rows,
            "issues": [dataclasses.asdict(issue) for issue in self.issues],
            "faults": dict(sorted(Counter(issue.fault for issue in self.issues).items())),
        }


def scan_set(layout: str, root: Path, options: ScanOptions) -> Scan:
    """Scans ``root``; clips with a duplicate name and empty files are left out and reported.

    Raises:
        UnknownNameError: no such layout.
        UsageError: no such folder.
        ManifestError: a list of the set is damaged.
    """
    scan = IMPORTERS.get(layout)(root, options)
    kept: dict[tuple[str | None, str], FoundClip] = {}
    issues = list(scan.issues)
    for clip in scan.clips:
        key = (clip.manipulation, clip.listed_name)
        if key in kept:
            issues.append(Issue("duplicate", clip.where, f"has the name of {kept[key].where}; left out"))
        elif isinstance(clip.media, Video) and clip.media.path.stat().st_size == 0:
            issues.append(Issue("damaged", clip.where, "the file is empty; left out"))
        else:
            kept[key] = clip
    return Scan(tuple(kept.values()), tuple(issues), scan.notes, scan.named)


def plan_import(layout: str, root: Path, config: ImportConfig) -> ImportReport:
    """A dry run: writes and decodes nothing. Leaks are found by names, not by pictures.

    Raises:
        AssayError: see :func:`scan_set`.
    """
    scan = scan_set(layout, root, config.scan)
    name = _name(config, root)
    leaks = find_leaks(_outline(ClipId(name, clip.manipulation, clip.listed_name), clip) for clip in scan.clips)
    return ImportReport(
        layout,
        len(scan.clips),
        0,
        0,
        _count(scan.clips),
        scan.issues,
        tuple(map(str, leaks)),
        scan.notes,
        max(scan.named, len(scan.clips)),
    )


def import_set(
    layout: str,
    root: Path,
    out: Path,
    config: ImportConfig,
    *,
    engine: Engine | None = None,
    progress: ShowProgress = silent,
) -> ImportReport:
    """Imports the set in ``root`` as the dataset ``out``; an interrupted import is resumed.

    Raises:
        UnknownNameError: no such layout.
        UsageError: no such folder, or ``out`` holds something else.
        ManifestError: no clip could be imported, or a list of the set is damaged.
        LeakError: new splits are impossible, because all people are linked.
        StorageError: writing failed.
    """
    scan = scan_set(layout, root, config.scan)
    if not scan.clips:
        first = scan.issues[0] if scan.issues else None
        reason = f": {first.where}: {first.message}" if first else ""
        raise ManifestError(f"{root} holds no clip that could be imported as {layout}{reason}", hint="see --dry-run")
    if out.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{out} lies in {root}", hint="write the dataset elsewhere; the original stays as it is")
    if not config.link:
        need_free_space(out, sum(_bytes(clip) for clip in scan.clips))
    dataset = _dataset(out, layout, root, config)
    jobs = list(_jobs(dataset, scan, layout, config))
    issues, linked = list(scan.issues), 0
    tasks = [Task(str(job.id), place_clip, (job,)) for job in jobs if not _stands(dataset, job)]
    with progress("importing", len(tasks)) as tick, dataset.batch():
        for key, placed in _in_order(tasks, engine or LocalEngine(1)):
            issues += placed.issues
            linked += placed.linked
            if placed.record is not None:
                dataset.add(placed.record, placed.labels)
            tick(1, note=key)
    if config.splits == "identity":
        dataset.assign_splits(seed=config.seed)
    report = _report(layout, scan, dataset.records(), issues, linked)
    write_text(out / REPORT, json.dumps(report.as_document(), indent=1, sort_keys=True) + "\n")
    return report


def _in_order(tasks: Sequence[Task], engine: Engine) -> Iterator[tuple[str, Placed]]:
    """Results in the order of ``tasks``, so that the manifest does not depend on the number of jobs."""
    waiting: dict[str, Placed] = {}
    keys = iter([task.key for task in tasks])
    key = next(keys, None)
    for done in engine.run(tasks):
        waiting[done.key] = done.result
        while key is not None and key in waiting:
            yield key, waiting.pop(key)
            key = next(keys, None)


def _report(
    layout: str, scan: Scan, records: Sequence[ClipRecord], issues: Sequence[Issue], linked: int
) -> ImportReport:
    counts = Counter(
        (record.split or "-", record.label, record.id.manipulation or "-", record.rendition) for record in records
    )
    leaks = tuple(str(leak) for leak in find_leaks(records))
    named = max(scan.named, len(scan.clips))
    return ImportReport(layout, len(scan.clips), len(records), linked, counts, tuple(issues), leaks, scan.notes, named)


def _dataset(out: Path, layout: str, root: Path, config: ImportConfig) -> DatasetFolder:
    name = _name(config, out)
    if not (out / "dataset.toml").is_file():
        description = f"Imported from {root.resolve().name}, read as {layout}; clips are as they came."
        return DatasetFolder.init(out, name, description, config.license, controls="imported")
    dataset = DatasetFolder.open(out)
    if dataset.name != name or dataset.info.controls != "imported":
        raise UsageError(f"{out} is the dataset {dataset.name}, made otherwise", hint="choose another folder")
    return dataset


def _name(config: ImportConfig, folder: Path) -> str:
    return config.name or folder.resolve().name


def _jobs(dataset: DatasetFolder, scan: Scan, layout: str, config: ImportConfig) -> Iterator[Job]:
    reals = {(clip.name, clip.rendition): clip for clip in scan.clips if clip.manipulation is None}
    for clip in scan.clips:
        found = clip if config.splits == "official" else dataclasses.replace(clip, split=None)
        parent = reals.get((clip.parent, clip.rendition)) if clip.parent else None
        yield Job(
            dataset=dataset.path,
            id=ClipId(dataset.name, clip.manipulation, clip.listed_name),
            found=found,
            rights=config.rights,
            layout=layout,
            parent=None if parent is None else ClipId(dataset.name, None, parent.listed_name),
            link=config.link,
        )


def _stands(dataset: DatasetFolder, job: Job) -> bool:
    """Whether the clip is listed already, from the same path and with the same bytes."""
    if not dataset.has(job.id):
        return False
    record = dataset.record(job.id)
    same = record.factors.get("source_path") == job.found.where
    if same and isinstance(job.found.media, Video):
        same = record.sha256 == sha256_file(job.found.media.path)
    if not same:
        raise ManifestError(f"{job.id} is listed already, from elsewhere", hint="import into a new folder")
    return True


def _outline(clip_id: ClipId, clip: FoundClip) -> ClipRecord:
    """A record of a clip that has not been read, for the check of splits; its digest is that of its name."""
    digest = hashlib.sha256(str(clip_id).encode()).hexdigest()
    return ClipRecord(
        id=clip_id,
        kind=clip.kind,
        label=clip.label,
        path="unread",
        sha256=digest,
        target_identity=clip.target,
        rights="",
        frames=0,
        width=0,
        height=0,
        codec="",
        split=clip.split,
        source_identity=clip.source,
    )


def _count(clips: Iterable[FoundClip]) -> Counter[tuple[str, str, str, str]]:
    return Counter((clip.split or "-", clip.label, clip.manipulation or "-", clip.rendition) for clip in clips)


def _bytes(clip: FoundClip) -> int:
    return clip.media.path.stat().st_size if isinstance(clip.media, Video) else 0
