"""Swaps of several targets with one swapper: models are loaded once, and one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.swapping.output import dataset_name, is_dataset
from forge.swapping.request import SwapModels, checked_card
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.names import safe_name
from shared.errors import AssayError, FinderError, MediaError, NoFaceError, UsageError
from shared.types import ClipRecord

_OF_ONE_TARGET = (MediaError, NoFaceError, UsageError, FinderError)


@dataclass(frozen=True)
class SwapAttempt:
    """What became of one target.

    Attributes:
        target: the video.
        record: of its fake; None without one.
        error: why there is none.
        was_there: whether the fake was there already, made with the same settings.
    """

    target: Path
    record: ClipRecord | None = None
    error: AssayError | None = None
    was_there: bool = False

    @property
    def outcome(self) -> str:
        """In a word or a sentence: swapped, there already, or why not."""
        if self.error is not None:
            return str(self.error).removeprefix(f"{self.target} ").removeprefix("is ")
        return "there already" if self.was_there else "swapped"


def swap_several(
    targets: Sequence[Path], *, swapper: Path, source: str, dataset: Path, config: SwapConfig, **who: Any
) -> list[SwapAttempt]:
    """One fake of each target in ``dataset``, in order; ``who`` are further arguments of :func:`swap_clip`.

    A target that cannot be read or shows no face is passed over. Fakes that are there already, of the same target with
    the same settings, are not made again.

    Raises:
        UsageError: the swapper cannot follow the settings, two targets would get one name, or what is asked for is
            refused for every target alike.
        CheckpointError: the swapper cannot be read.
        ManifestError: the dataset is damaged.
        StorageError: writing failed.
    """
    checked_card(swapper, source, config)
    dataset_name(dataset)
    _need_different_names(targets)
    there = {record.id for record in DatasetFolder.open(dataset).records()} if is_dataset(dataset) else set()
    models = SwapModels()
    attempts: list[SwapAttempt] = []
    with console.progress("targets", len(targets), unit="clip") as tick:
        for target in targets:
            tick(0, note=target.name)
            try:
                record = swap_clip(
                    target, swapper=swapper, source=source, dataset=dataset, config=config, models=models, **who
                )
                attempts.append(SwapAttempt(target, record, was_there=record.id in there))
            except _OF_ONE_TARGET as error:
                attempts.append(SwapAttempt(target, error=error))
            tick()
    refused = [one.error for one in attempts if isinstance(one.error, UsageError)]
    if len(refused) == len(attempts) and len({str(error) for error in refused}) == 1:
        raise refused[0]
    return attempts


def _need_different_names(targets: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for target in targets:
        name = safe_name(target.stem, longest=120)
        if name in seen:
            raise UsageError(
                f"the fakes of {seen[name]} and {target} would have one name",
                hint="name every target once; swap files that are called alike one by one, with --name",
            )
        seen[name] = target
