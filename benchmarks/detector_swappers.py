"""Swappers of the people of one part, whose fakes the detector in the package learns from or is bounded by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.detector_people import PARTS, Part
from benchmarks.detector_set import PartSwapper
from forge.models.checkpoint import EXPORT_FOLDER, read_card
from forge.training.config import TrainConfig
from forge.training.train import train_swapper
from shared.config import from_mapping


@dataclass(frozen=True)
class SwapperEntry:
    """A swapper that is trained for each of ``parts``; ``settings`` are of its training."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = PARTS


def part_swapper(entry: SwapperEntry, part: Part, facesets: Sequence[Path], work: Path) -> PartSwapper:
    """The swapper of ``facesets``, trained in ``work``; one that is there with as many steps is kept."""
    run = work / "swappers" / f"{entry.name}-{part}"
    config = from_mapping(TrainConfig, entry.settings, where=f"swapper {entry.name}")
    made = run / EXPORT_FOLDER
    if not made.is_dir() or read_card(made).training.get("steps") != config.steps:
        made = train_swapper(facesets, run, config).swapper
    return PartSwapper(entry.name, part, made)
