"""Adds a fake to its dataset: files are made under draft names, signed, then listed; after an error none remains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shared.dataset import DatasetFolder
from shared.dataset.layout import SETTINGS
from shared.dataset.marked import need_unmarked_set
from shared.errors import StorageError, UsageError
from shared.types import ClipId, ClipRecord, FrameLabel, Masks, check_name

PREVIEWS = "previews"
ORIGINAL = "original_sha256"
"""Factor in which a real clip names the file it was encoded from."""


@dataclass(frozen=True)
class Drafts:
    """Where the files of one fake are made.

    Attributes:
        video: draft of the clip.
        masks: name of each mask to its draft.
        path, mask_paths: what the record calls them, inside the dataset.
        extra: drafts of further files, by name.
    """

    video: Path
    masks: dict[str, Path]
    path: str
    mask_paths: Masks
    extra: Mapping[str, Path] = field(default_factory=dict)


Made = tuple[ClipRecord, Sequence[FrameLabel]]


def is_dataset(path: Path) -> bool:
    """Whether a dataset is at ``path``."""
    return (path / SETTINGS).is_file()


def dataset_name(path: Path) -> str:
    """The name of the dataset at ``path``, or the one it will get: that of the folder.

    Raises:
        UsageError: the folder's name cannot name a dataset.
        ManifestError: the dataset there is damaged.
    """
    if is_dataset(path):
        return DatasetFolder.open(path).name
    try:
        return check_name(path.resolve().name, "dataset")
    except ValueError as error:
        raise UsageError(str(error), hint="choose another output folder, or assay dataset init one") from error


@contextmanager
def opened_dataset(path: Path) -> Iterator[DatasetFolder]:
    """The dataset at ``path``, made where there is none; one made here is removed again if it stays without a clip.

    Raises:
        UsageError: something that is no dataset is at ``path``.
        ManifestError: the dataset there is damaged.
        StorageError: writing failed.
    """
    if is_dataset(path):
        yield DatasetFolder.open(path)
        return
    was_there = path.exists()
    try:
        folder = DatasetFolder.init(path, dataset_name(path))
    except (StorageError, UsageError):
        if not is_dataset(path):
            raise
        folder = DatasetFolder.open(path)  # another process made it meanwhile
    try:
        yield folder
    except BaseException:
        folder.remove_empty()
        if was_there:
            path.mkdir(exist_ok=True)
        raise


def list_clip(
    folder: DatasetFolder,
    clip: ClipId,
    suffix: str,
    make: Callable[[Drafts], Made],
    extra: Mapping[str, str] | None = None,
) -> ClipRecord:
    """What ``make`` builds under draft names, put in place and listed; the record as it was listed.

    ``extra`` are further files that it builds, name to path in the dataset. When anything fails, an interrupt included,
    none of the files stays.

    Raises:
        ManifestError: the dataset refuses the clip.
        StorageError: writing failed.
    """
    path, masks = folder.media_for(clip, suffix), folder.masks_for(clip)
    with ExitStack() as held:
        with ExitStack() as stack:
            video = stack.enter_context(folder.stage_media(path, held=held))
            drafts = {
                name: stack.enter_context(folder.stage_media(mask, held=held)) for name, mask in masks.paths.items()
            }
            more = {
                name: stack.enter_context(folder.stage_media(place, held=held)) for name, place in (extra or {}).items()
            }
            record, labels = make(Drafts(video, drafts, path, masks, more))
        return folder.add(record, labels)


def preview_name(clip: ClipId, suffix: str = ".jpg") -> str:
    """Path, inside its dataset, of the preview of ``clip``."""
    return f"{PREVIEWS}/{clip.manipulation}/{clip.name}{suffix}"


def record_of(path: Path) -> ClipRecord | None:
    """The record of a file that lies in a dataset; None for any other file.

    Raises:
        ManifestError: the dataset is damaged.
    """
    place = path.resolve()
    root = next((parent for parent in place.parents if is_dataset(parent)), None)
    if root is None:
        return None
    folder = DatasetFolder.open(root)
    relative = place.relative_to(root).as_posix()
    return next((record for record in folder.records() if record.path == relative), None)


def record_from(dataset: Path, sha256: str) -> ClipRecord | None:
    """The record of the clip in ``dataset`` that has these bytes, or was encoded from them; None for none.

    Raises:
        ManifestError: the dataset is damaged.
    """
    if not is_dataset(dataset):
        return None
    records = DatasetFolder.open(dataset).records()
    return next((one for one in records if sha256 in (one.sha256, one.factors.get(ORIGINAL))), None)


def need_writable(path: Path) -> None:
    """Refuses an output folder that cannot be written, before hours of work go into it.

    Raises:
        StorageError: it cannot be written.
        ManifestError: a dataset is there that is not as a known signer last sealed it.
        UsageError: its clips carry a mark, which a clip added to them would lack.
    """
    if is_dataset(path):
        folder = DatasetFolder.open(path)
        folder.check_writable()
        need_unmarked_set(folder)
        return
    place = path
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise StorageError(f"{path} cannot be written", hint="choose an output folder that can be written")
