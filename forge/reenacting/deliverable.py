"""One driven video file outside any dataset: marked and signed, without masks, labels and drive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forge.reenacting.clip import reenact_clip
from forge.reenacting.config import ReenactConfig
from forge.reenacting.still import fitted_to_target
from forge.swapping.deliverable import fake_to_file
from shared.types import ClipRecord
from shared.video.encoding import Encoding


def reenact_to_file(
    target: Path, drive: Path, out: Path, *, config: ReenactConfig, mark: bool = True, notice: bool = False, **who: Any
) -> ClipRecord:
    """Drives ``target`` by ``drive`` and writes the fake to the video file ``out``, marked and signed.

    ``out`` appears whole, or not at all. The other arguments are those of :func:`forge.reenacting.clip.reenact_clip`.

    Raises:
        UsageError: ``out`` is there and no fake of ours, or its container cannot hold the codec or the sound.
        AssayError: as for :func:`forge.reenacting.clip.reenact_clip`.
    """
    config = fitted_to_target(config, target)

    def make(dataset: Path, encoding: Encoding) -> ClipRecord:
        return reenact_clip(
            target, drive=drive, dataset=dataset, config=config, encoding=encoding, mark=mark, notice=notice, **who
        )

    sound = {"target": target, "driver": drive, "none": None}[config.sound]
    return fake_to_file(out, config.output.encoding, sound, make, command="reenact")
