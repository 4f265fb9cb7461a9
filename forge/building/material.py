"""What a planned set has too little of for the steps that come after the build."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from forge.building.plan_parts import BuildPlan, PlannedClip
from forge.building.tasks import EncodeTask, StillTask
from shared.console import counted
from shared.dataset.audit.config import AuditConfig
from shared.results.fewest import CALIBRATION_CLIPS, CALIBRATION_PEOPLE
from shared.types import SPLITS, Split

_WHAT = {
    "train": "assay detect train has nothing to learn from",
    "val": "assay detect train cannot choose a step",
    "test": "assay detect evaluate has nothing to measure",
}


def lacking_later(plan: BuildPlan) -> list[str]:
    """A sentence for each later step that has too little material; planned clips count as if all could be made."""
    people = _people(plan)
    found = []
    for split in SPLITS:
        real, fake = people[split, False], people[split, True]
        if not real or not fake:
            missing = " and no ".join(name for name, there in (("real clip", real), ("fake", fake)) if not there)
            found.append(f"the {split} split has no {missing}: {_WHAT[split]}")
    found += _calibration(people)
    everybody = {name for named in people.values() for name in named}
    fewest = AuditConfig().min_groups
    if len(everybody) < fewest:
        found.append(
            f"assay dataset audit gives no verdict below {fewest} filmed people, and there "
            f"{'is' if len(everybody) == 1 else 'are'} {len(everybody)}"
        )
    return found


def _calibration(people: Mapping[tuple[Split, bool], Mapping[str, int]]) -> list[str]:
    """Nothing for a val split that lacks a class: that is said already."""
    classes = [("real clip", people["val", False]), ("fake", people["val", True])]
    if not all(named for _, named in classes):
        return []
    short = []
    for name, named in classes:
        clips = sum(named.values())
        if clips < CALIBRATION_CLIPS or len(named) < CALIBRATION_PEOPLE:
            short.append(f"{counted(clips, name)} of {counted(len(named), 'person', 'people')}")
    if not short:
        return []
    return [
        f"assay detect calibrate needs {CALIBRATION_CLIPS} clips of {CALIBRATION_PEOPLE} people of each class in the "
        f"val split, and there are {' and '.join(short)}"
    ]


def _people(plan: BuildPlan) -> Mapping[tuple[Split, bool], Mapping[str, int]]:
    """By split and whether they are fakes: the filmed people, with their numbers of clips."""
    steps = {step.key: step.task for step in plan.steps}
    found: dict[tuple[Split, bool], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for clip in plan.clips:
        found[clip.split, clip.task.id.manipulation is not None][_person(clip, steps[clip.step])] += 1
    return found


def _person(clip: PlannedClip, task: object) -> str:
    if isinstance(clip.task, StillTask):
        return clip.task.person
    assert isinstance(task, EncodeTask)
    return task.people[0]
