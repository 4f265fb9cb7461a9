"""Makes a dataset of somebody else's set: clips as they are, facts as found, faults counted and listed.

Nothing of the original is altered. Clips are not encoded again and not signed as if they had been made here; a record
says ``imported``, from which place in the set, and the file's own hash. So none of the controls of a built set hold:
codec, length and background may tell the classes apart, which ``assay dataset audit`` measures.
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
    """How a set is imported.

    Attributes:
        rights: on what basis the set may be used, as its licence says.
        name: of the dataset, the first part of every clip's id; empty for the folder's.
        license: SPDX identifier, or empty.
        splits: "official" keeps the set's own, leaks and all, and says so; "identity" makes new ones by person;
            "none" drops them.
        seed: of new splits.
        link: share bytes with the original by hard links, where the disk can.
        scan: what the user says about the set.
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
    """What came of an import, or would come of it.

    Attributes:
        layout: as it was read.
        clips: number found.
        listed: number in the dataset; 0 in a dry run.
        linked: number that share their bytes with the original.
        counts: number of clips for each (split, label, manipulation, rendition), "-" for none.
        issues: all that is missing, damaged or contradicts itself.
        leaks: what lies in two splits, in words.
        notes: what a user should know.
    """

    layout: str
    clips: int
    listed: int
    linked: int
    counts: Mapping[tuple[str, str, str, str], int]
    issues: tuple[Issue, ...]
    leaks: tuple[str, ...]
    notes: tuple[str, ...]

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
    """What is in ``root``; a clip whose name stands for another already is left out, and said.

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
    return Scan(tuple(kept.values()), tuple(issues), scan.notes)


def plan_import(layout: str, root: Path, config: ImportConfig) -> ImportReport:
    """What an import would find; writes nothing and decodes nothing. Leaks are of names, not of pictures.

    Raises:
        AssayError: see :func:`scan_set`.
    """
    scan = scan_set(layout, root, config.scan)
    name = _name(config, root)
    leaks = find_leaks(_outline(ClipId(name, clip.manipulation, clip.listed_name), clip) for clip in scan.clips)
    return ImportReport(
        layout, len(scan.clips), 0, 0, _count(scan.clips), scan.issues, tuple(map(str, leaks)), scan.notes
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
    """Makes the dataset ``out`` of the set in ``root``; an import that was cut short goes on where it stopped.

    Raises:
        UnknownNameError: no such layout.
        UsageError: no such folder, or ``out`` is something else.
        ManifestError: no clip could be used, or a list of the set is damaged.
        LeakError: new splits were asked for, and everybody is linked with everybody.
        StorageError: the disk refused.
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
    """Results in the order of ``tasks``, whoever is done first: the manifest does not depend on the number of jobs."""
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
    return ImportReport(layout, len(scan.clips), len(records), linked, counts, tuple(issues), leaks, scan.notes)


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
    """Whether the clip is listed already, from the same place and the same bytes."""
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
    """A record of a clip that nobody has read yet, for the check of splits; its digest is its name's alone."""
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
