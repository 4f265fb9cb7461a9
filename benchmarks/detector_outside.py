"""Fakes by tools that the detector in the package did not learn from: they bound the ratios that its reports print.

Swaps by families of swappers that made no fake of the training, through the same pastes, and re-enactments, which no
fake of it was, of the people who chose its step. They are our own, so they say less about the tools of others than
those would; material of others is kept for validation, and no number of the detector comes from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.base_swapper import ACTORS
from benchmarks.detector_people import Part
from benchmarks.detector_set import FakesConfig, Filmed, plan_of, spec_of
from benchmarks.detector_swappers import SwapperEntry, part_swapper
from detect.calibration.calibrate import bound_detector
from detect.calibration.config import CalibrateConfig
from detect.calibration.maps import read_calibration
from detect.calibration.outside_scores import OutsideClip, OutsideList, need_outside
from detect.config.scoring import EvaluateConfig
from detect.scoring.dataset import score_dataset
from forge.building.build import build_planned, build_set
from forge.building.reenactments import ReenactmentConfig
from forge.building.spec import SetSpec
from shared.config import from_mapping, need, to_mapping
from shared.dataset import DatasetFolder
from shared.engine.tasks import Engine
from shared.errors import CheckpointError
from shared.storage import write_text

PART: Part = "val"
"""Whose people are shown: they neither trained the detector nor calibrate it."""

_WITH_SPEECH = "grid"
_LIPSYNC = "lipsync"


@dataclass(frozen=True)
class OutsideConfig:
    """What bounds the ratios.

    Attributes:
        swappers: trained on their faces, of families that no fake of the training is of.
        reenactments: as ``[[reenactment]]`` of a set, without pairs. Those who are filmed, and not photographed, drive
            everybody else; of them those who speak, where sound drives.
        renditions: names of renditions of the material, for re-enactments; a swap has one of all.
    """

    swappers: tuple[SwapperEntry, ...] = ()
    reenactments: tuple[dict[str, Any], ...] = ()
    renditions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.swappers:
            need(
                PART in entry.parts, f"[outside] needs the swapper {entry.name} for the part {PART}", "leave parts out"
            )


@dataclass(frozen=True)
class OutsideMaker:
    """Builds the sets: ``fakes`` and ``renditions`` are those of the material, ``work`` is its folder."""

    config: OutsideConfig
    fakes: FakesConfig
    renditions: tuple[str | dict[str, Any], ...]
    work: Path

    def sets(self, filmed: Sequence[Filmed], facesets: Sequence[Path], engine: Engine) -> tuple[Path, ...]:
        """The sets of swaps and of re-enactments; what is there is kept."""
        own = [one for one in filmed if one.person.part == PART]
        made = []
        if self.config.swappers:
            made.append(self._swaps(own, facesets, engine))
        if self.config.reenactments:
            made.append(self._driven(own, engine))
        return tuple(made)

    def _swaps(self, own: Sequence[Filmed], facesets: Sequence[Path], engine: Engine) -> Path:
        swappers = [part_swapper(entry, PART, facesets, self.work) for entry in self.config.swappers]
        fakes = replace(self.fakes, number=1, pieces=1, seed=self.fakes.seed + 1)
        out, place = self.work / "outside-swaps", self.work / "outside-swaps.build"
        spec = spec_of("assay-outside-swaps", own, self.renditions, fakes)
        plan = plan_of(spec, own, swappers, {PART: "val"}, fakes, (out, place))
        return build_planned(plan, spec, out, place, engine=engine).dataset

    def _driven(self, own: Sequence[Filmed], engine: Engine) -> Path:
        names = {one["name"] if isinstance(one, dict) else one: one for one in self.renditions}
        unknown = [name for name in self.config.renditions if name not in names]
        need(
            not unknown, f"[outside] names renditions that the material has not: {', '.join(unknown)}", ", ".join(names)
        )
        fakes = replace(self.fakes, pieces=1)
        spec = spec_of("assay-outside-driven", own, [names[name] for name in self.config.renditions], fakes)
        tables = {
            "set": to_mapping(replace(spec.set, audio=True)),  # lips follow it
            "splits": {"val": [one.person.name for one in own]},
            "reenactment": [self._table(table, own) for table in self.config.reenactments],
        }
        whole = from_mapping(SetSpec, {**to_mapping(spec), **tables}, where=spec.set.name)
        return build_set(whole, self.work / "outside-driven", engine=engine).dataset

    def _table(self, table: Mapping[str, Any], own: Sequence[Filmed]) -> dict[str, Any]:
        """A table of ``[[reenactment]]`` with pairs of driver and target: the drivers take turns."""
        lips = from_mapping(ReenactmentConfig, dict(table), where="reenactment").family == _LIPSYNC
        crowds = (_WITH_SPEECH,) if lips else (_WITH_SPEECH, ACTORS.name)
        drivers = [one.person.name for one in own if one.person.crowd.name in crowds]
        pairs = []
        for number, one in enumerate(own):
            others = [name for name in drivers if name != one.person.name]
            if others:
                pairs.append([others[number % len(others)], one.person.name])
        return {**table, "pairs": pairs, "self_drives": False}


def bound_by(
    detector: Path, sets: Sequence[Path], swappers: Sequence[str], config: CalibrateConfig, scoring: EvaluateConfig
) -> Path:
    """Bounds the ratios of a calibrated ``detector`` by its scores on ``sets``; returns the file of scores.

    A person who is shown counts once, whatever was made of them; drivers and sources are shared by many. All swaps of
    one of ``swappers`` are of one tool, whatever their pastes.

    Raises:
        CheckpointError: the detector is not calibrated.
        LeakError: a clip or a tool was learned from.
        AssayError: scoring failed.
    """
    calibration = read_calibration(detector)
    if calibration is None:
        raise CheckpointError(f"{detector} is not calibrated", hint="assay detect calibrate")
    clips: list[OutsideClip] = []
    for path in sets:
        need_outside(path, detector, calibration.population.manipulations)
        folder = DatasetFolder.open(path)
        for clip in score_dataset(detector, folder, folder.records(), scoring).clips:
            record = clip.record
            made = record.id.manipulation or "" if record.label == "fake" else ""
            tool = next((name for name in swappers if made.startswith(f"{name}-")), made)
            clips.append(OutsideClip(record.label, clip.score.logit, record.target_identity, tool))
    out = detector.with_name(f"{detector.name}-outside.json")
    found = OutsideList("swaps and re-enactments of this project", calibration.weights_sha256, clips)
    write_text(out, json.dumps(asdict(found), indent=1, allow_nan=False) + "\n")
    bound_detector(detector, out, config, scoring=scoring)
    return out
