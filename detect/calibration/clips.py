"""The clips that a calibration may be fitted on: of the right split, and new to the detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detect.models.external.settings import parse_reference
from detect.models.training_record import clip_mark, person_mark, read_training_record
from shared.dataset import DatasetFolder
from shared.errors import LeakError, UsageError
from shared.types import ClipRecord


def calibration_records(folder: DatasetFolder, split: str) -> list[ClipRecord]:
    """The clips of a split that may be used for calibration.

    Raises:
        UsageError: train (scored too well) or test (kept for measuring); or "all" of a set that has a test split.
        ManifestError: it is empty.
    """
    if split not in ("val", "all"):
        why = "its clips are scored too well" if split == "train" else "its clips are there to measure with"
        raise UsageError(f"a calibration is not fitted on the {split} split: {why}", hint="--split val")
    records = folder.records(split=None if split == "all" else "val")
    if any(record.split == "test" for record in records):
        raise UsageError(f"{folder.path} has a test split, which is there to measure with", hint="--split val")
    if not records:
        raise folder.without_clips(split, "assay dataset split PATH")
    return records


def refuse_trained_on(folder: DatasetFolder, records: Sequence[ClipRecord], detector: str | Path, split: str) -> int:
    """Refuses clips and people that the detector was trained on; for third-party detectors these are unknown.

    The list in the detector folder holds the train and the val clips of its training, so the val split of that set is
    recognised by train clips of it in the list, and is allowed. If the splits of that set share people, which was
    allowed in training, its val split is allowed here too, and they are counted.

    Returns:
        Number of people of ``records`` who are also in the train clips of the detector's training set.

    Raises:
        LeakError: they are among ``records``.
    """
    if parse_reference(detector) is not None:
        return 0
    learned = read_training_record(Path(detector))
    marks = learned.clips
    seen = [record for record in records if clip_mark(record) in marks]
    of_train = [record for record in folder.records(split="train") if clip_mark(record) in marks]
    own = bool(of_train)
    trained = [record for record in seen if not own or record.split != "val"]
    if trained:
        raise LeakError(
            f"the detector was trained on {len(trained)} of these {len(records)} clips ({split}), "
            "and scores them too well",
            hint="calibrate on the val split of its training set, or on clips that are new to it",
        )
    trained_people = _people(of_train)
    if own:
        known = _people([record for record in records if record.split != "val"]) & trained_people
    else:
        known = {person for person in _people(records) if person_mark(person) in learned.people}
    if known:
        raise LeakError(
            f"the detector was trained on other clips of {len(known)} of the {len(_people(records))} people here "
            f"({split}), and scores them otherwise than people who are new to it",
            hint="calibrate on the val split of its training set, or on new people; people who only share a name with "
            "one of its training set need another name in this one",
        )
    return len(_people(records) & trained_people)


def _people(records: Sequence[ClipRecord]) -> set[str]:
    return {person for record in records for person in record.identities}
