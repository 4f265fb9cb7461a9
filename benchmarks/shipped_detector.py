"""Makes the detector that comes with the package, from material that may be given away.

Steps: people are assigned to train, val and calibration; facesets of each part; a swapper and twins of each part;
photographs are filmed; two sets are built (train with val, and calibration) by the machinery of ``assay forge build``;
a detector is trained, written in half precision, calibrated on the people of the calibration set, and its ratios are
bounded by fakes of tools that it did not learn from. What is there already is kept and an interrupted training goes on,
so the same command continues after a stop.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.base_swapper import ACTORS, ACTORS_SEED, CROWDS
from benchmarks.detector_card import add_sections
from benchmarks.detector_clips import MotionConfig, film_photograph
from benchmarks.detector_outside import PART as OUTSIDE_PART
from benchmarks.detector_outside import OutsideConfig, OutsideMaker, bound_by
from benchmarks.detector_people import PARTS, Part, PeopleConfig, Person, facesets_of, people_in
from benchmarks.detector_set import FakesConfig, Filmed, PartSwapper, plan_of, spec_of
from benchmarks.detector_swappers import SwapperEntry, part_swapper
from benchmarks.schema import Measurement
from detect.calibration.calibrate import calibrate_detector
from detect.calibration.config import CalibrateConfig
from detect.calibration.maps import read_calibration
from detect.config.scoring import EvaluateConfig
from detect.config.training import TrainConfig
from detect.models.checkpoint import CARD_NAME, WEIGHTS_NAME, load_detector, need_detector_place, save_detector
from detect.models.training_record import LEARNED_NAME
from detect.training.train import train_detector
from forge.building.build import build_planned
from forge.building.sampling import seed_for
from forge.models.shipped import BASE_FOLDER
from forge.swapping.redraw import redraw
from forge.swapping.twins import TwinPaste
from shared.config import digest, from_mapping, load_toml, merged, need, read_toml, to_mapping, write_toml
from shared.console import console, counted
from shared.engine.local import LocalEngine
from shared.engine.tasks import Engine
from shared.errors import CheckpointError, UsageError
from shared.faces.facesets.reader import Faceset
from shared.faces.pastes.presets import presets
from shared.storage import read_json, replacing_folder
from shared.types import Split

LARGEST_BYTES = 20_000_000
"""Of the weights in the package."""

_SET, _CALIBRATION = "set", "calibration"
_SPLITS: Mapping[str, dict[Part, Split]] = {
    _SET: {"train": "train", "val": "val"},
    _CALIBRATION: {"calibration": "val"},
}
_MATERIAL_SETTINGS = "material.toml"


@dataclass(frozen=True)
class TwinEntry:
    """Twins of every faceset, by the base swapper or the ``swapper`` of the part called so.

    ``pastes`` is "all", the name of a preset, or nothing for the whole picture; ``settings`` are of the paste.
    """

    name: str
    pastes: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    swapper: str = "base"

    @property
    def paste(self) -> TwinPaste | None:
        """How the twins are pasted."""
        names = list(presets()) if self.pastes == "all" else [self.pastes] if self.pastes else []
        return TwinPaste(dict.fromkeys(names, 1.0), self.settings) if names or self.settings else None


@dataclass(frozen=True)
class DetectorSettings:
    """``settings/detector.toml``: material (people, clips, fakes), training, calibration, its bounds, scoring."""

    people: PeopleConfig = field(default_factory=PeopleConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    fakes: FakesConfig = field(default_factory=FakesConfig)
    renditions: tuple[str | dict[str, Any], ...] = ("c23",)
    swappers: tuple[SwapperEntry, ...] = (SwapperEntry("crowd"),)
    twins: tuple[TwinEntry, ...] = ()
    outside: OutsideConfig = field(default_factory=OutsideConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    score: EvaluateConfig = field(default_factory=EvaluateConfig)

    def __post_init__(self) -> None:
        twice = {entry.name for entry in self.swappers} & {entry.name for entry in self.outside.swappers}
        need(not twice, f"[[outside.swappers]] has names of [[swappers]]: {', '.join(sorted(twice))}", "another name")

    @property
    def material(self) -> dict[str, Any]:
        """The settings that everything before the training depends on."""
        later = ("outside", "train", "calibrate", "score")
        return {name: value for name, value in to_mapping(self).items() if name not in later}


@dataclass(frozen=True)
class Material:
    """What a training reads: two sets, and the facesets and twins of each part; ``outside`` bounds its ratios."""

    dataset: Path
    calibration: Path
    outside: tuple[Path, ...]
    facesets: Mapping[Part, list[Path]]
    twins: Mapping[Part, list[Path]]
    people: Mapping[tuple[str, str], int]


@dataclass
class Costs:
    """Processor seconds of each step of this call, children included."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measures a block and says its cost."""
        before, began = _processor_seconds(), time.perf_counter()
        console.print(f"\n{name}")
        yield
        spent = _processor_seconds() - before
        self.seconds[name] = self.seconds.get(name, 0.0) + spent
        console.print(f"{name}: {spent:.0f} s of processor time, {time.perf_counter() - began:.0f} s")


def load_settings(path: Path) -> DetectorSettings:
    """The settings in ``path``.

    Raises:
        ConfigError: something is unknown, missing or out of range.
    """
    return load_toml(DetectorSettings, path)


def make_material(
    material: Path | None, work: Path, settings: DetectorSettings, costs: Costs, *, jobs: int | None = None
) -> Material:
    """Facesets, swappers, twins and sets in ``work``; what is there is kept. None trains on actors alone.

    ``jobs`` tasks of the sets run at once; as many as there are cores if left out.

    Raises:
        UsageError: files are missing, or ``work`` was begun with other settings.
        AssayError: a step failed.
    """
    work = work.resolve()
    _need_same_material(work, settings, material is not None)
    with costs.step("people and facesets"):
        people = people_in(material, work, settings.people)
        facesets: dict[Part, list[Path]] = {part: facesets_of(people, part, work) for part in PARTS}
        console.print(_people_text(people))
    with costs.step("swappers"):
        swappers = [
            part_swapper(entry, part, facesets[part], work) for entry in settings.swappers for part in entry.parts
        ]
    with costs.step("twins"):
        twins: dict[Part, list[Path]] = {part: _twins(settings, facesets[part], swappers, part, work) for part in PARTS}
    with costs.step("clips"):
        filmed = _film(people, settings.motion, work)
    sets = {}
    for name in _SPLITS:
        with costs.step(f"set: {name}"):
            sets[name] = _built(name, filmed, swappers, settings, work, LocalEngine(jobs))
    with costs.step("sets of tools not learned from"):
        maker = OutsideMaker(settings.outside, settings.fakes, settings.renditions, work)
        outside = maker.sets(filmed, facesets[OUTSIDE_PART], LocalEngine(jobs))
    counts = Counter((person.part, person.crowd.name) for person in people)
    return Material(sets[_SET], sets[_CALIBRATION], outside, facesets, twins, counts)


def make_detector(made: Material, run: Path, settings: DetectorSettings, costs: Costs) -> Path:
    """Trains in ``run``, or goes on there, and calibrates; returns the folder of the detector in half precision.

    Raises:
        RunError: the folder holds a run with other settings.
        CheckpointError: the weights are too large for the package.
        AssayError: a step failed.
    """
    facesets, twins = made.facesets["train"], made.twins["train"]
    mix = replace(
        settings.train.mix,
        real_faces=tuple(str(path) for path in facesets) if settings.train.mix.blended else (),
        twin_faces=tuple(str(path) for path in twins) if settings.train.mix.blended else (),
    )
    validation = replace(
        settings.train.validation,
        real_faces=tuple(str(path) for path in made.facesets["val"]),
        twin_faces=tuple(str(path) for path in made.twins["val"]),
    )
    with costs.step("training"):
        result = train_detector(made.dataset, run, replace(settings.train, mix=mix, validation=validation))
    out = run.with_name(f"{run.name}-assay")
    with costs.step("half precision and calibration"):
        _write_half(result.detector, out)
        scoring = replace(settings.score, device=settings.train.device)
        calibrate_detector(out, made.calibration, settings.calibrate, split="all", scoring=scoring)
        if made.outside:
            names = [entry.name for entry in settings.outside.swappers]
            bound_by(out, made.outside, names, settings.calibrate, scoring)
        add_sections(out, made_of=_sources_of(made), facts=_facts(settings, result.steps, result.best_step, run))
    return out


def ship(detector: Path, out: Path) -> Path:
    """Copies the detector folder to ``out``, completely or not at all; returns ``out``.

    Raises:
        UsageError: ``out`` holds something else.
        StorageError: writing failed.
    """
    need_detector_place(out, detector)
    with replacing_folder(out) as draft:
        for path in sorted(detector.iterdir()):
            shutil.copyfile(path, draft / path.name)
    console.print(f"detector: {out}")
    return out


def _need_same_material(work: Path, settings: DetectorSettings, real: bool) -> None:
    path = work / _MATERIAL_SETTINGS
    if not path.is_file():
        work.mkdir(parents=True, exist_ok=True)
        write_toml(path, settings.material | {"real": real})
        return
    known = read_toml(path)
    was_real = known.pop("real", None)
    # Read as settings, so that one that is new in the code has its default.
    if was_real != real or from_mapping(DetectorSettings, known, where=path.name).material != settings.material:
        raise UsageError(
            f"{work} was begun with other settings of people, clips or fakes",
            hint="take another --work; [outside], [train], [calibrate] and [score] may change, with another --run",
        )


def _people_text(people: Sequence[Person]) -> str:
    counts = Counter((person.part, person.crowd.name) for person in people)
    clips = Counter(person.part for person in people if person.has_clips)
    return "\n".join(
        f"{part}: {', '.join(f'{count} of {crowd}' for (one, crowd), count in counts.items() if one == part)}; "
        f"{counted(clips[part], 'person', 'people')} with clips"
        for part in PARTS
    )


def _twins(
    settings: DetectorSettings, facesets: Sequence[Path], swappers: Sequence[PartSwapper], part: Part, work: Path
) -> list[Path]:
    found = []
    for entry in settings.twins:
        by = [one.path for one in swappers if one.name == entry.swapper and one.part == part] or [BASE_FOLDER]
        for faceset in facesets:
            out = work / "twins" / f"{faceset.name}-{entry.name}"
            if not out.exists():
                own = Faceset.open(faceset).info.identity if entry.swapper != "base" else None
                redraw(faceset, out, swapper=by[0], source=own, paste=entry.paste, device="cpu")
            found.append(out)
    return found


def _film(people: Sequence[Person], config: MotionConfig, work: Path) -> list[Filmed]:
    """Everybody with clips; photographs are filmed, what is there is kept."""
    folder = work / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [person for person in people if person.has_clips]
    found = []
    with console.progress("filming", len(chosen), unit="person") as tick:
        for person in chosen:
            clips = person.files
            if person.photograph:
                out = folder / f"{person.name}.mp4"
                if not out.exists():
                    rng = np.random.default_rng(seed_for(0, "motion", person.name))
                    film_photograph(person.files[0], out, config, rng)
                clips = (out,)
            found.append(Filmed(person, clips))
            tick(1)
    return found


def _built(
    name: str,
    filmed: Sequence[Filmed],
    swappers: Sequence[PartSwapper],
    settings: DetectorSettings,
    work: Path,
    engine: Engine,
) -> Path:
    splits = _SPLITS[name]
    own = [one for one in filmed if one.person.part in splits]
    out, place = work / name, work / f"{name}.build"
    spec = spec_of(f"assay-{name}", own, settings.renditions, settings.fakes)
    plan = plan_of(spec, own, swappers, splits, settings.fakes, (out, place))
    result = build_planned(plan, spec, out, place, engine=engine)
    console.print(f"{out.name}: {counted(result.listed, 'clip')}, {counted(len(result.skipped), 'clip')} not made")
    return out


def _write_half(trained: Path, out: Path) -> None:
    """The ``trained`` detector with its documents as ``out``, in half precision; an equal one that is there is kept."""
    model, facts = load_detector(trained)
    extra = {
        name: read_json(trained / name, dict, error=CheckpointError)
        for name in ("validated.json", LEARNED_NAME)
        if (trained / name).is_file()
    }
    card = (trained / CARD_NAME).read_text(encoding="utf-8")
    save_detector(model, out, facts, card=card, extra=extra, half=True)
    size = (out / WEIGHTS_NAME).stat().st_size
    if size > LARGEST_BYTES:
        raise CheckpointError(f"{out / WEIGHTS_NAME} has {size} bytes", hint="at most 20 MB go into the package")


def _sources_of(made: Material) -> list[tuple[str, ...]]:
    """Rows of the model card: crowd, material, rights, people by part."""
    return [
        (crowd.name, crowd.source, crowd.rights, *(str(made.people.get((part, crowd.name), 0)) for part in PARTS))
        for crowd in (*CROWDS, ACTORS)
        if any(made.people.get((part, crowd.name)) for part in PARTS)
    ]


def _facts(settings: DetectorSettings, steps: int, best: int, run: Path) -> dict[str, str]:
    train = settings.train
    facesets = [path for path in sorted((run.parent / "faces").iterdir()) if path.is_dir()]
    return {
        "steps": f"{steps}, of which step {best} is kept",
        "seed": str(train.seed),
        "actors": f"of seed {ACTORS_SEED}",
        "mix": f"forged {train.mix.forged:g}, blended {train.mix.blended:g}, twins in {train.mix.twins:g} of these",
        "settings": f"`benchmarks/settings/detector.toml`, digest `{digest(to_mapping(settings))[:16]}`",
        **{f"faceset {path.name}": f"`{Faceset.open(path).digest()[:16]}`" for path in facesets},
    }


def _processor_seconds() -> float:
    """Of this process and its children, finished ones included."""
    times = psutil.Process().cpu_times()
    running = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            running += sum(child.cpu_times()[:2])
    return times.user + times.system + times.children_user + times.children_system + running


def with_training(
    settings: DetectorSettings, *, minutes: float | None, steps: int | None, seed: int | None, device: str
) -> DetectorSettings:
    """``settings`` with another duration, seed or device of the training."""
    changes: dict[str, Any] = {"device": device}
    if minutes is not None:
        changes |= {"minutes": minutes, "steps": 10_000_000}
    if steps is not None:
        changes["steps"] = steps
    if seed is not None:
        changes["seed"] = seed
    train = from_mapping(TrainConfig, merged(to_mapping(settings.train), changes), where="[train]")
    return replace(settings, train=train)


def measurements(detector: Path, costs: Costs) -> list[Measurement]:
    """Cost of each step, size of the weights, and what validation and calibration measured."""
    found = [
        Measurement.of(f"CPU time: {name}", "minutes", [seconds / 60], better="lower")
        for name, seconds in costs.seconds.items()
    ]
    size = (detector / WEIGHTS_NAME).stat().st_size
    found.append(Measurement.of("weights", "MB", [size / 1e6], better="lower", target=LARGEST_BYTES / 1e6))
    _, facts = load_detector(detector)
    calibration = read_calibration(detector)
    listed = [*facts.validation, *(calibration.quality if calibration else ())]
    return found + [Measurement.of(f"{each.level} {each.metric}", "", [each.value]) for each in listed]
