"""People of the detector in the package: which of the material's people train it, choose its step and calibrate it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from benchmarks.base_swapper import ACTORS, CROWDS, Crowd, crowd_faceset, crowd_files, film_actors
from shared.config import need
from shared.errors import UsageError

Part = Literal["train", "val", "calibration"]
PARTS: tuple[Part, ...] = get_args(Part)

_SAME_MAN = {"id2_vcd_swwp2s": "pwij3p"}
"""Clips of GRID by one speaker under two names."""


@dataclass(frozen=True)
class PeopleConfig:
    """Number of people of each part, by crowd.

    Attributes:
        train: train at most so many; of a crowd that is not named, everybody who is not in another part.
        val: choose the step and the threshold.
        calibration: fit the calibration.
        clips: of those who train, so many get clips in the set; the faces of all are blended.
        actors: number of procedural actors; without material, a half trains and a quarter each validates and
            calibrates.
        actor_seconds, actor_px, actor_every: of their clips; every n-th frame is in their faceset.
        seed: of the assignment.
    """

    train: dict[str, int] = field(default_factory=dict)
    val: dict[str, int] = field(default_factory=dict)
    calibration: dict[str, int] = field(default_factory=dict)
    clips: dict[str, int] = field(default_factory=dict)
    actors: int = 32
    actor_seconds: float = 2.0
    actor_px: int = 384
    actor_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for table in (self.train, self.val, self.calibration, self.clips):
            need(all(count >= 0 for count in table.values()), "numbers of people are at least 0")
        need(self.actors >= 8, f"actors must be 8 or more, got {self.actors}")


@dataclass(frozen=True)
class Person:
    """One person of the material.

    Attributes:
        name: in records.
        crowd: the part of the material.
        files: the photograph, or clips.
        has_clips: whether clips of the person are in the set.
    """

    name: str
    crowd: Crowd
    part: Part
    files: tuple[Path, ...]
    has_clips: bool = True

    @property
    def photograph(self) -> bool:
        """Whether the files are photographs."""
        return self.crowd.name not in ("grid", ACTORS.name)


def people_in(material: Path | None, work: Path, config: PeopleConfig) -> list[Person]:
    """All people with their parts; actors are filmed into ``work``.

    Raises:
        UsageError: files are missing, or a crowd has too few people.
    """
    people: list[Person] = []
    if material is not None:
        for crowd in CROWDS:
            people += _assigned(crowd, _grouped(crowd_files(crowd, material)), config)
    films = film_actors(work / "actors", config.actors, seconds=config.actor_seconds, px=config.actor_px)
    actors = {path.stem: (path,) for path in films}
    if material is None:
        quarter = config.actors // 4
        alone = {ACTORS.name: quarter}
        config = replace(config, val=alone, calibration=alone, clips={ACTORS.name: config.actors})
    return people + _assigned(replace(ACTORS, every=config.actor_every), actors, config)


def _grouped(files: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(_SAME_MAN.get(path.stem, path.stem), []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def _assigned(crowd: Crowd, files: dict[str, tuple[Path, ...]], config: PeopleConfig) -> list[Person]:
    names = sorted(files)
    rng = np.random.default_rng([config.seed, *crowd.name.encode()])
    shuffled = [names[place] for place in rng.permutation(len(names))]
    counts = {"calibration": config.calibration.get(crowd.name, 0), "val": config.val.get(crowd.name, 0)}
    if sum(counts.values()) >= len(names):
        raise UsageError(
            f"{crowd.name} has {len(names)} people, and {sum(counts.values())} are asked for val and calibration",
            hint="lower the numbers in [people]",
        )
    part_of: dict[str, Part] = dict.fromkeys(shuffled[: counts["calibration"]], "calibration")
    part_of |= dict.fromkeys(shuffled[counts["calibration"] : sum(counts.values())], "val")
    training = [name for name in shuffled if name not in part_of][: config.train.get(crowd.name)]
    part_of |= dict.fromkeys(training, "train")
    without = set(training[config.clips.get(crowd.name, 0) :])
    return [Person(name, crowd, part_of[name], files[name], name not in without) for name in names if name in part_of]


def facesets_of(people: Sequence[Person], part: Part, work: Path) -> list[Path]:
    """One faceset of each crowd's people in ``part``, two where there is only one crowd; those there are kept."""
    own = [person for person in people if person.part == part]
    crowds = {person.crowd.name: person.crowd for person in own}
    found = []
    for name, crowd in crowds.items():
        files = [path for person in own if person.crowd.name == name for path in person.files]
        halves = [files[::2], files[1::2]] if len(crowds) == 1 else [files]
        for number, half in enumerate(halves):
            title = f"{part}-{name}" if number == 0 else f"{part}-{name}-{number + 1}"
            found.append(crowd_faceset(replace(crowd, name=title), half, work))
    return found
