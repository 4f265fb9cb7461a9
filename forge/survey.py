"""Finds the target of each fake and measures them one after another: the work behind ``assay forge quality``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forge.gauges import Person
from forge.listing import is_dataset, record_from, record_of
from forge.quality import Instruments, SwapQuality, holdout, measure_swap
from shared.dataset import DatasetFolder
from shared.errors import UsageError
from shared.storage import sha256_file
from shared.types import ClipRecord
from shared.video import frame_times

_TARGET = "target_sha256"


@dataclass(frozen=True)
class Case:
    """A fake, the clip it was made from, and what its record says; no record for a clip outside a dataset."""

    fake: Path
    target: Path
    record: ClipRecord | None = None
    alpha: Path | None = None


def find_cases(paths: Sequence[Path], targets: Sequence[Path] = ()) -> list[Case]:
    """The fakes that ``paths`` name (clips, or datasets with all their fakes), each with its target.

    A target is found by the hash in the fake's record: among ``targets``, and among the real clips of its dataset. A
    clip without a record takes the one clip in ``targets``.

    Raises:
        UsageError: a clip is real, or its target is not to be found.
        ManifestError: a dataset is damaged.
    """
    by_hash = {sha256_file(path): path for path in targets if path.is_file()}
    cases: list[Case] = []
    for path in paths:
        if is_dataset(path):
            folder = DatasetFolder.open(path)
            fakes = [record for record in folder.records() if record.kind == "swap"]
            cases += [_case_of(folder, record, by_hash) for record in fakes]
        else:
            cases.append(_case_at(path, targets, by_hash))
    if not cases:
        raise UsageError(f"no swap in {', '.join(map(str, paths))}", hint="make one with assay forge swap")
    return cases


def measure_cases(
    cases: Sequence[Case],
    instruments: Instruments,
    people: Mapping[str, Person],
    *,
    last: float = 1.0,
    tick: Callable[[int], object] = lambda _amount: None,
) -> Iterator[SwapQuality]:
    """What :func:`~forge.quality.measure_swap` says of each case, on the ``last`` fraction of its frames.

    ``people`` by name; identity is measured where both people of a record are among them.

    Raises:
        MediaError, NoFaceError: see :func:`~forge.quality.measure_swap`.
    """
    for case in cases:
        frames = holdout(len(frame_times(case.target)), last)
        own = _instruments_for(case, instruments, people)
        yield measure_swap(case.fake, case.target, own, frames=frames, alpha=case.alpha)
        tick(1)


def _instruments_for(case: Case, instruments: Instruments, people: Mapping[str, Person]) -> Instruments:
    """The instruments with the people of the case: by its record, else as they are given."""
    pair = instruments.people
    if case.record is not None:
        source, target = people.get(case.record.source_identity or ""), people.get(case.record.target_identity)
        pair = (source, target) if source and target else None
    drawn = case.record.target_identity if case.record else pair[1].name if pair else None
    known = instruments.predictor.spec.identities if instruments.predictor else ()
    return replace(instruments, people=pair, target_identity=drawn if drawn in known else None)


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


def _case_of(folder: DatasetFolder, record: ClipRecord, by_hash: Mapping[str, Path]) -> Case:
    wanted = record.factors.get(_TARGET, "")
    real = record_from(folder.path, wanted)
    target = by_hash.get(wanted) or (folder.media_path(real) if real else None)
    if target is None:
        raise UsageError(f"the target of {record.id} is not to be found", hint="name it with --target")
    return Case(folder.media_path(record), target, record, folder.mask_paths(record).get("alpha"))
