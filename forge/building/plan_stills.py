"""The part of a plan that makes stills: generated faces, real ones of the set's people, and their encodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from forge.building.generations import GenerationConfig
from forge.building.pieces import Held, Shot
from forge.building.plan_parts import SELF, BuildStep, PlannedClip
from forge.building.sampling import seed_for, still_encode_of
from forge.building.spec import SetSpec
from forge.building.tasks import FaceTask, GenerateTask, PortraitsTask, StillsTask, StillTask
from forge.generating.config import seeds_of
from forge.generating.record import NOBODY
from shared.config import need
from shared.console import console
from shared.types import SPLITS, ClipId, Split
from shared.video.still_renditions import StillRendition

_CHUNK = 100
"""Faces that one step makes: loading a generator and its embedder takes as long as thirty of them."""

_MOST_SEEDS = 10**9


@dataclass(frozen=True)
class _Generator:
    """A trained generator: digest of all that its faces depend on, its side, and the swapper to autoencode with.

    ``rights`` are those of the photographs that it was trained on.
    """

    run: Path
    digest: str
    px: int
    family: str
    swapper: str | None
    rights: str


@dataclass(frozen=True)
class FaceTarget:
    """A generated face that may be driven: its shot, and the step that makes that, if it is driven."""

    shot: Shot
    split: Split
    rights: str
    step: BuildStep


@dataclass(frozen=True)
class StillPlan:
    """Steps and clips of stills, in order of execution and listing; faces by the name of their ``[[generation]]``."""

    steps: tuple[BuildStep, ...]
    clips: tuple[PlannedClip, ...]
    faces: Mapping[str, tuple[FaceTarget, ...]]


def plan_stills(
    spec: SetSpec, out: Path, work: Path, shots: Sequence[Shot], splits: Mapping[str, Split], key: Callable[..., str]
) -> StillPlan:
    """Everything that ``[[generation]]`` of ``spec`` asks for; ``key`` makes the key of a step or a clip.

    Raises:
        CheckpointError: a run holds no generator, or no people to compare its faces with.
        ConfigError: a split has faces and no people; stills are too small for the set's mark.
    """
    planner = _StillPlanner(spec, out, work, shots, splits, key)
    for one in spec.generation:
        planner.add(one)
    faces = {name: tuple(found) for name, found in planner.faces.items()}
    return StillPlan(tuple(planner.steps), tuple(planner.clips), faces)


class _StillPlanner:
    def __init__(
        self, spec: SetSpec, out: Path, work: Path, shots: Sequence[Shot], splits: Mapping[str, Split],
        key: Callable[..., str],
    ) -> None:  # fmt: skip
        self.spec, self.out, self.work, self.shots, self.splits, self.key = spec, out, work, shots, splits, key
        self.rights = {one.name: one.rights for one in spec.identity}
        self.seeds: dict[tuple[str, int], Split] = {}
        self.steps: list[BuildStep] = []
        self.clips: list[PlannedClip] = []
        self.faces: dict[str, list[FaceTarget]] = {one.name: [] for one in spec.generation}

    def add(self, one: GenerationConfig) -> None:
        """The generated faces and the real stills of each split."""
        generator = _generator((self.spec.folder / one.run).resolve())
        if self.spec.set.mark == "both":
            one.check_marked(generator.px)
        if one.autoencoded and generator.family == "generate-prior" and generator.swapper is None:
            console.warn(
                f"{one.name}: the swapper that its generator was made from is gone or was changed, so there are no "
                f"{one.name}{SELF}"
            )
        people: dict[str, list[str]] = {
            split: [person.name for person in self.spec.identity if self.splits[person.name] == split]
            for split in SPLITS
        }
        wanted = one.wanted({split: len(named) for split, named in people.items()})
        for split in SPLITS:
            if split in wanted:
                self._faces(one, generator, split, wanted[split])
                self._portraits(one, generator, people[split], max(1, round(one.real * wanted[split])))

    def _faces(self, one: GenerationConfig, generator: _Generator, split: Split, count: int) -> None:
        seeds = self._seeds(one, generator.digest, split, count)
        for first in range(0, len(seeds), _CHUNK):
            chunk = tuple(seeds[first : first + _CHUNK])
            key = self.key("generate", one.name, generator.digest, chunk, one.truncation)
            task = GenerateTask(
                out=str(self.work / "stills" / f"{one.name}-{split}-{first}-{key[:12]}"), run=str(generator.run),
                seeds=chunk, truncation=one.truncation, device=self.spec.set.device,
            )  # fmt: skip
            self._step("generate", key, task, (), Path(task.out), len(chunk), 1.5 * generator.px**2 * len(chunk))
            stills = [
                self._still(
                    one, rendition, one.name, seed_name(number), (generator.digest, number, one.truncation),
                    person=f"{NOBODY}-{one.name}-{number:06d}", seed=number,
                )
                for number in chunk
                for rendition in one.ladder
            ]  # fmt: skip
            self._encode(one, task.out, key, stills, split, rights="", source_file="")
            self.faces[one.name] += [self._face(one, generator, split, task.out, key, number) for number in chunk]

    def _face(
        self, one: GenerationConfig, generator: _Generator, split: Split, made: str, after: str, number: int
    ) -> FaceTarget:
        settings, name = self.spec.set, seed_name(number)
        key = self.key("face", after, number, one.px, settings.finder, settings.min_face_px, settings.device)
        px = one.px or generator.px
        task = FaceTask(
            out=str(self.work / "stills" / f"{one.name}-{name}-{key[:12]}"), source=str(Path(made) / f"{name}.png"),
            px=px, finder=settings.finder, min_face_px=settings.min_face_px, device=settings.device,
        )  # fmt: skip
        parent = ClipId(settings.name, one.name, f"{name}@{one.ladder[0].name}")
        shot = Shot(
            name, (f"{NOBODY}-{one.name}-{number:06d}",), task, key, 1, px**2 / 1e6, still=True,
            held=Held("generate", parent),
        )  # fmt: skip
        step = BuildStep(key, "face", task, (after,), Path(task.out), 1, 3.0 * px**2)
        return FaceTarget(shot, split, generator.rights, step)

    def _seeds(self, one: GenerationConfig, generator: str, split: Split, count: int) -> list[int]:
        """The seeds of a split: those named, or drawn ones that no generation by this generator has.

        Raises:
            ConfigError: another generation has one of them in another split.
        """
        if one.seeds:
            chosen = seeds_of(one.seeds[split])
        else:
            chosen, number = [], 0
            while len(chosen) < count:
                drawn = seed_for(self.spec.set.seed, "generation", one.name, split, number) % _MOST_SEEDS
                number += 1
                if (generator, drawn) not in self.seeds:
                    chosen.append(drawn)
                    self.seeds[generator, drawn] = split
        for seed in chosen:
            there = self.seeds.setdefault((generator, seed), split)
            need(there == split, f"{one.name}: the face of seed {seed} is in the {there} split too", "other seeds")
        return chosen

    def _portraits(self, one: GenerationConfig, generator: _Generator, people: Sequence[str], count: int) -> None:
        for place, person in enumerate(people):
            share = count // len(people) + (place < count % len(people))
            shots = [shot for shot in self.shots if shot.person == person]
            for number, shot in enumerate(shots):
                of_shot = share // len(shots) + (number < share % len(shots))
                if of_shot:
                    self._portraits_of(one, generator, shot, of_shot)

    def _portraits_of(self, one: GenerationConfig, generator: _Generator, shot: Shot, count: int) -> None:
        swapper = generator.swapper if one.autoencoded else None
        seed = seed_for(self.spec.set.seed, "portraits", one.name, shot.name)
        made = (shot.key, generator.digest, count, one.softened, one.softest, swapper is not None, seed)
        key = self.key("portraits", *made)
        task = PortraitsTask(
            out=str(self.work / "stills" / f"{one.name}-{shot.name}-{key[:12]}"), run=str(generator.run),
            shot=shot.task.out, count=count, softened=one.softened, softest=one.softest, swapper=swapper, seed=seed,
        )  # fmt: skip
        self._step("portraits", key, task, (shot.key,), Path(task.out), count, 3.0 * generator.px**2 * count)
        stills: list[StillTask] = []
        for number in range(count):
            name, real = f"{one.name}-{shot.name}-{number:03d}", portrait_name(number)
            for place, rendition in enumerate(one.ladder):
                first = ClipId(self.spec.set.name, None, f"{name}@{one.ladder[0].name}")
                still = self._still(one, rendition, None, real, made, name=name, person=shot.person)
                stills.append(replace(still, parent=first if place else None))
            for rendition in one.ladder if swapper else ():
                parent = ClipId(self.spec.set.name, None, f"{name}@{rendition.name}")
                through = self._still(
                    one, rendition, one.name + SELF, real + SELF, made, name=name, person=shot.person
                )  # fmt: skip
                stills.append(replace(through, source=shot.person, parent=parent))
        file, rights = shot.task.source, self.rights[shot.person]
        self._encode(one, task.out, key, stills, self.splits[shot.person], rights=rights, source_file=file)

    def _still(
        self, one: GenerationConfig, rendition: StillRendition, manipulation: str | None, made: str,
        inputs: tuple[object, ...], *, name: str = "", person: str, seed: int | None = None,
    ) -> StillTask:  # fmt: skip
        clip = ClipId(self.spec.set.name, manipulation, f"{name or made}@{rendition.name}")
        written = still_encode_of(rendition, clip, one.quality_spread, self.spec.set.seed)
        rights = self.rights.get(person, "")
        recipe = self.key("still", inputs, made, written, one.px, person, rights)
        return StillTask(clip, recipe, written, made, person, seed=seed)

    def _encode(
        self, one: GenerationConfig, made: str, after: str, stills: Sequence[StillTask], split: Split, *, rights: str,
        source_file: str,
    ) -> None:  # fmt: skip
        key = self.key("stills", [still.recipe for still in stills])
        task = StillsTask(
            dataset=str(self.out), dataset_name=self.spec.set.name, work=str(self.work), made=made, px=one.px,
            truncation=one.truncation, rights=rights, source_file=source_file, clips=tuple(stills),
            mark=self.spec.set.mark == "both",
        )  # fmt: skip
        self._step("stills", key, task, (after,), None, len(stills), 0.5e5 * len(stills))
        self.clips += [PlannedClip(still, split, key) for still in stills]

    def _step(
        self, kind: str, key: str, task: object, after: tuple[str, ...], out: Path | None, units: float, size: float
    ) -> None:
        self.steps.append(BuildStep(key, kind, task, after, out, units, size))


def seed_name(seed: int) -> str:
    """The name of a face in the folder that holds it."""
    return f"seed-{seed:06d}"


def portrait_name(number: int) -> str:
    """The name of a real face in the folder that holds it; with ``-self`` it went through a model."""
    return f"face-{number:03d}"


@lru_cache(maxsize=16)
def _generator(run: Path) -> _Generator:
    """The generator of ``run``, read once.

    Raises:
        CheckpointError: there is none, or its faces cannot be compared with the people of its training.
    """
    from forge.generating.autoencode import autoencoder_of  # torch takes a second to import
    from forge.generating.certificate import REFERENCE, Reference
    from forge.generating.checkpoint import generator_digest, load_generator
    from shared.storage import sha256_file

    generator, facts = load_generator(run)
    reference = (run if run.is_dir() else run.parent) / REFERENCE
    Reference.load(reference)
    swapper = autoencoder_of(generator.spec.name, facts)
    digest = f"{generator_digest(run)}-{sha256_file(reference)}"
    rights = str(facts.get("rights", "unstated"))[:200]
    made_from = None if swapper is None else str(swapper)
    return _Generator(run, digest, generator.spec.px, generator.spec.name, made_from, rights)
