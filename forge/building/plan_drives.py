"""The part of a plan that makes re-enactments: who drives what, for clips, photographs and generated faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forge.building.networks import network_file
from forge.building.pieces import Held, Model, Shot
from forge.building.plan_parts import SELF, BuildStep
from forge.building.plan_stills import FaceTarget
from forge.building.reenactments import CLIPS, PHOTOGRAPHS, ReenactmentConfig, driver_of, of_still, other_moment
from forge.building.sampling import Pair, pairs_of, seed_for, set_settings
from forge.building.spec import SetSpec
from forge.building.tasks import DriverFacts, DriveTask, ShotTask
from forge.reenacting.lipsync.checkpoint import load_lipsync_model
from forge.reenacting.networks.checkpoint import reenactor_digest
from forge.reenacting.still import need_photograph
from shared.config import need
from shared.dataset.held import PHOTOGRAPH
from shared.types import SPLITS, Split

Exports = Mapping[int, tuple[str, str, str | None]]
"""Step of a swapper's training to folder, key and, if it is trained here, the step that makes it."""


@dataclass(frozen=True)
class PlannedDrive:
    """A re-enactment before it is encoded.

    Attributes:
        shot: the target's; of a still with the length of the clip that it becomes.
        pair: driver and target.
        kind, name: of its clips; factors: of their records.
        swapper: its folder; driver: for the record.
        steps: that make it, the last of them the drive itself.
    """

    shot: Shot
    pair: Pair
    kind: str
    name: str
    factors: tuple[tuple[str, str], ...]
    swapper: str | None
    driver: DriverFacts
    steps: tuple[BuildStep, ...]


@dataclass(frozen=True)
class _Group:
    """People who may be paired: ``drivers``, and the shots of ``targets`` by person; ``export`` of a swapper.

    ``target_steps`` are the steps that make shots of generated faces, by key.
    """

    drivers: tuple[str, ...]
    targets: Mapping[str, Sequence[Shot]]
    export: tuple[str, str, str | None]
    target_steps: Mapping[str, BuildStep]


class DrivePlanner:
    """Plans the re-enactments of a set.

    Args:
        spec: the settings; work: folder of intermediate files.
        shots: of all people; filmed: the people with a video; splits: of people.
        models: the swappers; key: makes the key of a step.
    """

    def __init__(
        self, spec: SetSpec, work: Path, shots: Sequence[Shot], filmed: Sequence[str], splits: Mapping[str, Split],
        models: Sequence[Model], key: Callable[..., str],
    ) -> None:  # fmt: skip
        self.spec, self.work, self.filmed, self.splits = spec, work, filmed, splits
        self.models, self.key = models, key
        self.films = [shot for shot in shots if not shot.still]
        self.stills = [shot for shot in shots if shot.still]

    def drives(
        self, one: ReenactmentConfig, swappers: Mapping[str, Exports], faces: Mapping[str, Sequence[FaceTarget]]
    ) -> Iterator[PlannedDrive]:
        """The fakes of ``one``, and its controls; ``swappers`` are by model, ``faces`` by ``[[generation]]``.

        Raises:
            CheckpointError: a network or the model of lipsync cannot be read.
            ConfigError: nobody is paired.
            UsageError: a photograph is signed as made by a model.
        """
        made = 0
        for group in self._groups(one, swappers, faces):
            targets = None if one.targets == CLIPS else tuple(group.targets)
            pairs = pairs_of(one, group.drivers, self.spec.set.seed, targets=targets)
            made += len(pairs)
            if self.spec.set.controls and one.self_drives:
                driven = dict.fromkeys(target for _, target in pairs)
                pairs = [*pairs, *((target, target) for target in driven if target in group.drivers)]
            place = {target: number for number, target in enumerate(group.targets)}
            for pair in pairs:
                first = place[pair[1]] if one.generation else 0
                yield from self._of_pair(one, pair, group, first)
        hint = "each split needs two people or more" if one.targets == CLIPS else "a split needs a filmed person too"
        need(made > 0, f"{one.name}: no people are paired", hint)

    def _groups(
        self, one: ReenactmentConfig, swappers: Mapping[str, Exports], faces: Mapping[str, Sequence[FaceTarget]]
    ) -> Iterator[_Group]:
        """One for each model of a family with a swapper, else one for each split."""
        if one.swapper:
            for model in self.models:
                if model.config.name == one.swapper:
                    export = list(swappers[model.name].values())[-1]
                    yield _Group(model.people, self._targets(one, model.people), export, {})
            return
        key = load_lipsync_model().weights_sha256 if one.family == "lipsync" else ""
        key = reenactor_digest(network_file(self.spec, one)) if one.has_network else key
        for split in SPLITS:
            drivers = tuple(name for name in self.filmed if self.splits[name] == split)
            if one.generation is not None:
                found = [face for face in faces[one.generation] if face.split == split] if drivers else []
                targets = {face.shot.person: [face.shot] for face in found}
                yield _Group(drivers, targets, ("", key, None), {face.step.key: face.step for face in found})
                continue
            people = [each.name for each in self.spec.identity if self.splits[each.name] == split]
            yield _Group(drivers, self._targets(one, people), ("", key, None), {})

    def _targets(self, one: ReenactmentConfig, people: Sequence[str]) -> dict[str, list[Shot]]:
        """The shots of ``people`` that may be driven; whoever has none is left out."""
        shots = self.stills if one.targets == PHOTOGRAPHS else self.films
        of = {name: [shot for shot in shots if shot.person == name][: one.clips] for name in people}
        return {name: found for name, found in of.items() if found}

    def _of_pair(self, one: ReenactmentConfig, pair: Pair, group: _Group, first: int) -> Iterator[PlannedDrive]:
        """The fakes of a pair of driver and target; self-drives, if they are one person.

        The driver's clips take turns from that at ``first`` on.
        """
        by_name = {shot.name: shot for shot in self.films}
        drivers = [shot.name for shot in self.films if shot.person == pair[0]]
        for number, shot in enumerate(group.targets.get(pair[1], ()) if drivers else ()):
            own = pair[0] == pair[1]
            driver = by_name[driver_of(drivers, first + number, shot.name, one.family, own=own)]
            found = self._drive(one, pair, _as_clip(shot, driver), driver, group.export)
            before = (group.target_steps[shot.key],) if shot.key in group.target_steps else ()
            yield replace(found, steps=(*before, *found.steps))

    def _drive(
        self, one: ReenactmentConfig, pair: Pair, shot: Shot, driver: Shot, export: tuple[str, str, str | None]
    ) -> PlannedDrive:
        source, target = pair
        own = source == target
        config = one.config(set_settings(self.spec))
        if shot.held is not None:
            config = of_still(config, heard=driver.heard)
        elif driver is shot and one.family != "lipsync":
            config = other_moment(config, shot.frames / shot.rate)
        segments = None if own else one.segments
        kind, name = one.name + (SELF if own else ""), f"{shot.name}-by-{source}"
        folder, key, trained = export
        drawn = seed_for(self.spec.set.seed, "master", kind, name)
        task = DriveTask(
            out="", shot=shot.task.out, driver_shot=driver.task.out, swapper=folder or None, source=source,
            target=target, config=config, segments=segments, seed=drawn,
            network=str(network_file(self.spec, one)) if one.has_network else None,
            network_sha256=key if one.has_network else None,
            held=shot.held is not None,
        )  # fmt: skip
        master = self.key("drive", shot.key, driver.key, key, source, target, config, segments, drawn)
        task = replace(task, out=str(self.work / "masters" / f"{kind}-{name}-{master[:12]}"))
        after = tuple(dict.fromkeys((shot.key, driver.key, *((trained,) if trained else ()))))
        step = BuildStep(master, "drive", task, after, Path(task.out), shot.megapixels, shot.megapixels * 1.6e6)
        known = (*((("self", "yes"),) if own else ()), ("driver_clip", driver.name), *shot.factors)
        assert isinstance(driver.task, ShotTask)
        facts = DriverFacts(driver.task.source, driver.task.source_sha256, config, task.network_sha256)
        return PlannedDrive(shot, pair, kind, name, known, folder or None, facts, (step,))


def _as_clip(shot: Shot, driver: Shot) -> Shot:
    """A still as the clip that it becomes, as long as the driver's; a clip as it is.

    Raises:
        UsageError: the photograph is signed as made by a model.
    """
    if not shot.still:
        return shot
    if shot.held is None:
        need_photograph(Path(shot.task.source))
    size = {"frames": driver.frames, "megapixels": shot.megapixels * driver.frames, "rate": driver.rate}
    return replace(shot, held=shot.held or Held(PHOTOGRAPH), heard=driver.heard, **size)
