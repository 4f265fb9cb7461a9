"""Finds the target of each fake and measures their quality, for ``assay forge quality``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forge.quality.kept import KeptResults
from forge.quality.measure import Instruments, holdout, measure_swap
from forge.quality.metrics import Person
from forge.quality.result import BETTER, UNITS, Failure, SwapQuality
from forge.quality.sheet import SheetMetric
from forge.quality.summary import summarise, summarise_features
from forge.swapping.output import is_dataset, record_from, record_of
from shared.bootstrap import BootstrapSettings, ClusterBy
from shared.console import counted
from shared.dataset import DatasetFolder
from shared.dataset.excerpts import target_frames
from shared.dataset.splits import clip_clusters
from shared.errors import AssayError, StorageError, UsageError
from shared.faces.facesets.summary import save_picture
from shared.results.scores import Evaluation
from shared.sampling import evenly_spaced
from shared.storage import sha256_file
from shared.types import ClipRecord
from shared.video import frame_times
from shared.video.excerpt import ClipRange, Excerpt

_TARGET = "target_sha256"
_FAIR: dict[bool | None, str] = {
    True: ", which was in the swapper's loss: these values do not count",
    False: ", which was not in the swapper's loss",
    None: "; whether it was in the swapper's loss is not known",
}


@dataclass(frozen=True)
class Case:
    """A fake, its target clip, and its record; None for a clip outside a dataset."""

    fake: Path
    target: Path
    record: ClipRecord | None = None
    alpha: Path | None = None

    @property
    def name(self) -> str:
        """The clip's id, or its file's name."""
        return str(self.record.id) if self.record else self.fake.name


@dataclass(frozen=True)
class DatasetQuality:
    """The quality of several fakes.

    Attributes:
        measured: cases with their values, in order.
        failures: cases that could not be measured, with reasons.
        summary: each metric over all clips, with level, counts and interval.
        notes: remarks for readers.
        left: fakes that were not measured because the measurement was stopped.
    """

    measured: tuple[tuple[Case, SwapQuality], ...]
    failures: tuple[Failure, ...]
    summary: tuple[Evaluation, ...]
    notes: tuple[str, ...]
    left: int = 0

    def document(self) -> dict[str, Any]:
        """The result as plain values for JSON; ``partial`` is in it only if fakes are left."""
        return {
            **({"partial": True, "left": self.left} if self.left else {}),
            "quality": [{"id": case.name, **dataclasses.asdict(result)} for case, result in self.measured],
            "summary": [
                {**dataclasses.asdict(one), "unit": UNITS.get(one.metric, ""), "better": BETTER.get(one.metric, "")}
                for one in self.summary
            ],
            "failures": [dataclasses.asdict(one) for one in self.failures],
            "notes": list(self.notes),
        }


def find_cases(
    paths: Sequence[Path], targets: Sequence[Path] = (), *, failures: list[Failure] | None = None
) -> list[Case]:
    """The fakes in ``paths`` (clips, or datasets with all their fakes), each with its target.

    A target is found by the hash in the fake's record, among ``targets`` and the real clips of its dataset. For a clip
    without a record it is the only clip in ``targets``. Fakes of a dataset whose target is not found are added to
    ``failures``, if given.

    Raises:
        UsageError: a clip is real, or its target is not found; or there is nothing to measure.
        ManifestError: a dataset is damaged.
    """
    by_hash = {sha256_file(path): path for path in targets if path.is_file()}
    cases: list[Case] = []
    for path in paths:
        if is_dataset(path):
            folder = DatasetFolder.open(path)
            for record in folder.records():
                if record.kind == "swap":
                    cases += _case_or_failure(folder, record, by_hash, failures)
        else:
            cases.append(_case_at(path, targets, by_hash))
    if not cases:
        if failures:
            raise UsageError(failures[0].reason, hint="name the clips that the fakes were made from with --target")
        raise UsageError(f"no swap in {', '.join(map(str, paths))}", hint="make one with assay forge swap")
    return cases


def thinned(cases: Sequence[Case], most: int | None) -> list[Case]:
    """At most ``most`` cases, evenly spaced; all for None.

    Raises:
        UsageError: ``most`` is less than one.
    """
    if most is None:
        return list(cases)
    if most < 1:
        raise UsageError(f"a limit is 1 or more, got {most}", hint="--limit 50")
    return [cases[place] for place in evenly_spaced(len(cases), most)]


def measure_dataset(
    cases: Sequence[Case],
    instruments: Instruments,
    people: Mapping[str, Person],
    *,
    last: float = 1.0,
    cluster_by: ClusterBy = "target",
    failures: Sequence[Failure] = (),
    sheets: Path | None = None,
    tick: Callable[[int], object] = lambda _amount: None,
    kept: KeptResults | None = None,
    stopped: Callable[[DatasetQuality], object] = lambda _partial: None,
) -> DatasetQuality:
    """Measures all cases and summarises them; failures are listed with their reasons.

    ``failures`` are earlier ones, to be included. ``sheets`` is a folder for a picture of each clip. ``kept`` are
    results on disk, which are used and added to. An interrupt first gives what is measured to ``stopped``.

    Raises:
        KeyboardInterrupt: it was stopped.
        UsageError: no case could be measured.
    """
    measured: list[tuple[Case, SwapQuality]] = []
    failed = list(failures)
    try:
        for case, result in measure_cases(cases, instruments, people, last=last, sheets=sheets, tick=tick, kept=kept):
            if isinstance(result, Failure):
                failed.append(result)
            else:
                measured.append((case, result))
    except KeyboardInterrupt:
        left = len(cases) - len(measured) - (len(failed) - len(failures))
        if measured:
            stopped(_summarised(measured, failed, instruments, cluster_by, left))
        raise
    return _summarised(measured, failed, instruments, cluster_by)


def _summarised(
    measured: Sequence[tuple[Case, SwapQuality]],
    failed: Sequence[Failure],
    instruments: Instruments,
    cluster_by: ClusterBy,
    left: int = 0,
) -> DatasetQuality:
    if not measured:
        raise UsageError(f"nothing could be measured of {counted(len(failed), 'fake')}; the first: {failed[0].reason}")
    settings = BootstrapSettings(cluster_by=cluster_by)
    numbers = _clusters([case for case, _result in measured], cluster_by)
    summary = summarise([result for _case, result in measured], numbers, settings)
    notes = _notes(measured, failed, left)
    if instruments.features is not None:
        names = {str(case.fake): number for (case, _result), number in zip(measured, numbers, strict=True)}
        found = summarise_features(instruments.bank, names, instruments.features.name, settings)
        if found is not None:
            summary.append(found[0])
            notes.append(found[1])
    return DatasetQuality(tuple(measured), tuple(failed), tuple(summary), tuple(notes), left)


def measure_cases(
    cases: Sequence[Case],
    instruments: Instruments,
    people: Mapping[str, Person],
    *,
    last: float = 1.0,
    sheets: Path | None = None,
    tick: Callable[[int], object] = lambda _amount: None,
    kept: KeptResults | None = None,
) -> Iterator[tuple[Case, SwapQuality | Failure]]:
    """Yields the result of :func:`~forge.quality.measure.measure_swap` for each case, on the ``last`` share of frames.

    ``people`` are by name; identity is measured if both people of a record are among them.
    """
    for case in cases:
        try:
            yield case, _kept_or_measured(case, _instruments_for(case, instruments, people), last, sheets, kept)
        except StorageError:
            raise  # it is no fault of the fake
        except AssayError as error:
            yield case, Failure(case.name, str(error))
        tick(1)


def _kept_or_measured(
    case: Case, instruments: Instruments, last: float, sheets: Path | None, kept: KeptResults | None
) -> SwapQuality:
    if kept is None:
        return _measured(case, instruments, last, sheets)
    found = None
    if sheets is None or _sheet_file(sheets, case).is_file():
        found = kept.find(case, instruments.bank.of(str(case.fake)) if instruments.features else None)
    if found is None:
        found = _measured(case, instruments, last, sheets)
        kept.keep(case, found, instruments.bank.clip(str(case.fake)) if instruments.features else None)
    return found


def _sheet_file(sheets: Path, case: Case) -> Path:
    return sheets / f"{case.name.replace('/', '_')}.jpg"


def _measured(case: Case, instruments: Instruments, last: float, sheets: Path | None) -> SwapQuality:
    excerpt = _excerpt(case)
    whole = (excerpt.start, excerpt.stop) if excerpt else (0, len(frame_times(case.target)))
    first, stop = holdout(whole[1] - whole[0], last)
    frames = (whole[0] + first, whole[0] + stop)
    sheet = SheetMetric()
    beside = [] if sheets is None else [sheet]
    result = measure_swap(
        case.fake, case.target, instruments, frames=frames, alpha=case.alpha, beside=beside, excerpt=excerpt
    )
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        save_picture(_sheet_file(sheets, case), sheet.picture())
    return result


def _excerpt(case: Case) -> Excerpt | None:
    held = target_frames(case.record) if case.record else None
    return Excerpt.of(case.target, ClipRange(*held, f"{held[0]}-{held[1]}")) if held else None


def _clusters(cases: Sequence[Case], by: ClusterBy) -> list[int]:
    """The cluster of each case, by its record; without a record, fakes of one target are one cluster."""
    records = [case.record for case in cases if case.record is not None]
    known = clip_clusters(records, by) if records else {}
    names = [("record", str(known[case.record.id])) if case.record else ("file", str(case.target)) for case in cases]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _notes(measured: Sequence[tuple[Case, SwapQuality]], failed: Sequence[Failure], left: int) -> list[str]:
    notes = []
    if left:
        notes.append(f"Partial: the measurement was stopped before {counted(left, 'fake')}, which are in no mean.")
    if failed:
        notes.append(f"{len(failed)} of {len(failed) + len(measured)} fakes could not be measured and are in no mean.")
    embedders = {(result.embedder, result.embedder_in_loss) for _case, result in measured if result.embedder}
    notes += [
        f"Identity was measured by {embedder}{_FAIR[in_loss]}." for embedder, in_loss in sorted(embedders, key=str)
    ]
    return notes


def _instruments_for(case: Case, instruments: Instruments, people: Mapping[str, Person]) -> Instruments:
    """The instruments with the people of the case's record, if it has one."""
    pair = instruments.people
    if case.record is not None:
        source, target = people.get(case.record.source_identity or ""), people.get(case.record.target_identity)
        pair = (source, target) if source and target else None
    identity = case.record.target_identity if case.record else pair[1].name if pair else None
    known = instruments.predictor.spec.identities if instruments.predictor else ()
    return replace(instruments, people=pair, cast=people, target_identity=identity if identity in known else None)


def _case_at(path: Path, targets: Sequence[Path], by_hash: Mapping[str, Path]) -> Case:
    record = record_of(path)
    if record is not None:
        if record.kind != "swap":
            raise UsageError(f"{path} is no swap but {record.kind}", hint="name a fake")
        root = path.resolve().parents[len(Path(record.path).parts) - 1]
        return _case_of(DatasetFolder.open(root), record, by_hash)
    if len(targets) != 1:
        raise UsageError(f"{path} has no record that names its target", hint="name the target with --target")
    return Case(path, targets[0])


def _case_or_failure(
    folder: DatasetFolder, record: ClipRecord, by_hash: Mapping[str, Path], failures: list[Failure] | None
) -> list[Case]:
    try:
        return [_case_of(folder, record, by_hash)]
    except UsageError as error:
        if failures is None:
            raise
        failures.append(Failure(str(record.id), str(error)))
        return []


def _case_of(folder: DatasetFolder, record: ClipRecord, by_hash: Mapping[str, Path]) -> Case:
    wanted = record.factors.get(_TARGET, "")
    real = record_from(folder.path, wanted)
    target = by_hash.get(wanted) or (folder.media_path(real) if real else None)
    if target is None:
        raise UsageError(
            f"the target of {record.id} is not to be found",
            hint="none of those named is that very file" if by_hash else "name it with --target",
        )
    return Case(folder.media_path(record), target, record, folder.mask_paths(record).get("alpha"))
