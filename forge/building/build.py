"""Runs a build: plans, runs missing tasks, lists the clips. It can be interrupted at any time and resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from forge.building.drives import render_drive
from forge.building.encode import encode_clips, is_ready, read_ready, ready_path
from forge.building.estimate import Cost, Rates, estimate
from forge.building.faces import make_face
from forge.building.intermediates import PICTURES, read_facts
from forge.building.plan import plan_set
from forge.building.plan_parts import BuildPlan, BuildStep, PlannedClip
from forge.building.progress import build_progress
from forge.building.spec import SetSpec, load_spec
from forge.building.speech import FOLDER
from forge.building.steps import MADE, make_faceset, make_shot, read_made, render_master, train
from forge.building.stills import cut_portraits, generate_faces, write_stills
from forge.building.tasks import DriveTask, EncodeTask, GenerateTask, PortraitsTask, ShotTask, StillsTask
from forge.generating.checkpoint import generator_file
from forge.speaking.building.build import make_speech_set
from shared.console import console, counted
from shared.dataset import DatasetFolder
from shared.dataset.layout import MASKS, MEDIA, PENDING, SETTINGS
from shared.dataset.splits import check_leaks
from shared.engine.local import LocalEngine
from shared.engine.tasks import Engine, Task
from shared.errors import ManifestError, UsageError
from shared.home import config_home
from shared.provenance.identity import SigningIdentity
from shared.storage import folder_lock, need_free_space, sweep_drafts
from shared.types import ClipId, ClipRecord
from shared.video.facts import losses

_FUNCTIONS: dict[str, Callable[[Any], int]] = {
    "shot": make_shot,
    "faceset": make_faceset,
    "train": train,
    "master": render_master,
    "drive": render_drive,
    "clips": encode_clips,
    "generate": generate_faces,
    "face": make_face,
    "portraits": cut_portraits,
    "stills": write_stills,
}
_SHOWN = 5
_ON_CPU = ("clips", "portraits", "stills")


@dataclass(frozen=True)
class BuildResult:
    """Result of a build.

    Attributes:
        listed: clips of the plan that are in the dataset; made: of them, in this call.
        skipped: clips that could not be made, with reasons.
        speech: recordings in the set of speech.
        tasks: number run in this call, by kind; seconds: their total time.
        notes: by source file, what was changed or left out in reading it in this call.
        unchecked: sentences on what could not be compared, see :class:`~forge.building.plan_parts.BuildPlan`.
    """

    dataset: Path
    listed: int
    made: int
    skipped: dict[ClipId, str]
    tasks: dict[str, int]
    seconds: float
    notes: dict[str, str] = field(default_factory=dict)
    speech: int = 0
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class DryRun:
    """The plan of a build, its missing steps, and their cost by kind."""

    plan: BuildPlan
    missing: tuple[BuildStep, ...]
    costs: tuple[Cost, ...]


def work_folder(out: Path, work: Path | None) -> Path:
    """The folder of intermediate files of a build: by default beside the dataset."""
    return (work or out.with_name(f"{out.name}.build")).resolve()


def plan_build(spec: SetSpec | str | Path, out: str | Path, *, work: str | Path | None = None) -> DryRun:
    """What :func:`build_set` would do, without doing it.

    Raises:
        AssayError: see :func:`forge.building.plan.plan_set`.
    """
    spec, out, place = _resolved(spec, out, work)
    plan = plan_set(spec, out, place)
    missing = missing_steps(plan, out, place)
    return DryRun(plan, tuple(missing), tuple(estimate(plan.steps, missing, Rates(place))))


def build_set(
    spec: SetSpec | str | Path, out: str | Path, *, work: str | Path | None = None, engine: Engine | None = None
) -> BuildResult:
    """Makes the dataset that ``spec`` describes in ``out``, or makes it complete.

    Real clips and fakes are put into ``media/`` and ``masks/`` as they are finished, and listed and sealed together at
    the end, in the order of the plan. Existing results in the work folder are reused. On a CPU, equal settings give
    equal images, masks, labels and records; only signatures, which are salted, differ, and with them ``sha256`` of the
    signed files. A set of speech is made last, in a folder of the dataset.

    Args:
        spec: the settings, or the file that they are in.
        out: the dataset; made where there is none.
        work: for clips without loss, facesets, runs and swappers; by default beside ``out``. May be removed when the
            set is done, and shared by sets that are built one after another.
        engine: where tasks run; by default on all cores of this machine.

    Raises:
        ConfigError: the settings cannot be read.
        AssayError: a task failed; what was finished is kept.
        UsageError: ``out`` holds something else, or clips of the same names that were made otherwise.
    """
    spec, out, place = _resolved(spec, out, work)
    return build_planned(plan_set(spec, out, place), spec, out, place, engine=engine)


def build_planned(
    plan: BuildPlan, spec: SetSpec, out: Path, work: Path, *, engine: Engine | None = None
) -> BuildResult:
    """:func:`build_set` by a ``plan`` that was made before; of ``spec`` only the table ``[set]`` is used.

    Args:
        plan: made for the absolute folders ``out`` and ``work``.
        spec: the settings.
        out: the dataset.
        work: see :func:`build_set`.
        engine: where tasks run.

    Raises:
        AssayError: see :func:`build_set`.
    """
    with ExitStack() as stack:
        stack.enter_context(folder_lock(work / ".lock", timeout_seconds=2.0))
        folder = _opened(spec, out)
        for swept in (work, out / MEDIA, out / MASKS, out / PENDING):
            sweep_drafts(swept)
        missing = missing_steps(plan, out, work)
        rates = Rates(work)
        costs = estimate(plan.steps, missing, rates)
        need_free_space(work, round(sum(cost.size_bytes for cost in costs)))
        seconds = _run(missing, rates, _prepared_engine(engine or LocalEngine(), missing, out, work), spec.set.device)
        notes = _said_notes(missing)
        skipped, made = _list(plan, folder, work)
        spoken = 0 if plan.speech is None else len(make_speech_set(plan.speech, out / FOLDER).records)
    done = Counter(step.kind for step in missing)
    listed = len(plan.clips) - len(skipped)
    return BuildResult(out, listed, made, skipped, dict(done), seconds, notes, spoken, plan.unchecked)


def _resolved(spec: SetSpec | str | Path, out: str | Path, work: str | Path | None) -> tuple[SetSpec, Path, Path]:
    spec = spec if isinstance(spec, SetSpec) else load_spec(Path(spec))
    out = Path(out).resolve()
    return spec, out, work_folder(out, None if work is None else Path(work))


def missing_steps(plan: BuildPlan, out: Path, work: Path) -> list[BuildStep]:
    """The missing steps: clips that are neither listed nor ready, and their dependencies.

    Raises:
        UsageError: a listed clip was made with other settings.
    """
    listed = _listed(out)
    by_key = {step.key: step for step in plan.steps}
    wanted: dict[str, BuildStep] = {}
    for step in (*plan.steps_of("clips"), *plan.steps_of("stills")):
        task = step.task
        assert isinstance(task, EncodeTask | StillsTask)
        todo = tuple(clip for clip in task.clips if not _is_done(clip.id, clip.recipe, listed, out, work))
        if todo:
            share = len(todo) / len(task.clips)
            short = replace(step, task=replace(task, clips=todo), units=step.units * share)  # type: ignore[arg-type]
            wanted[step.key] = replace(short, size_bytes=step.size_bytes * share)
    waiting = list(wanted.values())
    while waiting:
        for key in waiting.pop().after:
            step = by_key[key]
            if key not in wanted and not _exists(step):
                wanted[key] = step
                waiting.append(step)
    return [wanted[step.key] for step in plan.steps if step.key in wanted]


def _is_done(clip: ClipId, recipe: str, listed: dict[ClipId, ClipRecord], out: Path, work: Path) -> bool:
    record = listed.get(clip)
    if record is None:
        return is_ready(work, out, clip, recipe)
    if record.factors.get("recipe") != recipe[:16]:
        raise UsageError(
            f"{clip} is in {out} already, made from other material or with other settings",
            hint="build into another folder (with --work finished steps count there too), or assay dataset remove it",
        )
    return True


def _exists(step: BuildStep) -> bool:
    """Whether the folder of a step exists; a master also needs its frames, unless it has none."""
    if step.out is None or not step.out.is_dir():
        return False
    if step.kind not in ("master", "drive") or (step.out / PICTURES).is_file():
        return True
    return (step.out / MADE).is_file() and bool(read_made(step.out).why)


def _listed(out: Path) -> dict[ClipId, ClipRecord]:
    if not (out / SETTINGS).is_file():
        return {}
    return {record.id: record for record in DatasetFolder.open(out).records()}


def _opened(spec: SetSpec, out: Path) -> DatasetFolder:
    """The dataset, created if missing."""
    if not (out / SETTINGS).is_file():
        controls = "on" if spec.set.controls else "off"
        made = DatasetFolder.init(out, spec.set.name, spec.set.description, spec.set.license, controls=controls)
        return made
    folder = DatasetFolder.open(out)
    if folder.name != spec.set.name:
        raise UsageError(f"{out} is the dataset {folder.name}, not {spec.set.name}", hint="choose another folder")
    if folder.info.controls != ("on" if spec.set.controls else "off"):
        raise UsageError(f"{out} was made with controls {folder.info.controls or 'unknown'}", hint="another folder")
    folder.check_writable()
    return folder


def _prepared_engine(engine: Engine, missing: Sequence[BuildStep], out: Path, work: Path) -> Engine:
    """The engine, with the files that the steps read and write declared; they also sign, with the key in the home."""
    arguments = [step.task for step in missing]
    files = [task.source for task in arguments if isinstance(task, ShotTask)]
    encodes = [task for task in arguments if isinstance(task, EncodeTask | StillsTask)]
    sources = [Path(task.source_file) for task in encodes if task.source_file]
    files += [str(file) for file in sources if not file.is_relative_to(work)]  # a generated face is made there
    runs = {Path(task.run) for task in arguments if isinstance(task, GenerateTask | PortraitsTask)}
    files += [str(generator_file(run)) for run in sorted(runs)]
    if encodes:
        SigningIdentity.load_or_create()  # before workers create one each
    files += sorted({task.network for task in arguments if isinstance(task, DriveTask) and task.network})
    engine.need([out, work, config_home()], [Path(file) for file in files])
    return engine


def _run(missing: Sequence[BuildStep], rates: Rates, engine: Engine, device: str) -> float:
    """Runs the missing steps; returns their total seconds."""
    steps = {step.key: step for step in missing}
    # Trainings take longest, so their dependencies come first, and they start as early as possible.
    first = {"shot": 0, "faceset": 1, "train": 2}
    ordered = sorted(missing, key=lambda step: first.get(step.kind, 3))
    tasks = [
        Task(step.key, _FUNCTIONS[step.kind], (step.task,), step.after, "cpu" if step.kind in _ON_CPU else device)
        for step in ordered
    ]
    spent = 0.0
    with build_progress(missing, {step.key: rates.seconds(step) for step in missing}) as progress:
        for done in engine.run(tasks):
            step = steps[done.key]
            rates.note(step, done.seconds)
            spent += done.seconds
            progress.finished(step)
    return spent


def _said_notes(made: Sequence[BuildStep]) -> dict[str, str]:
    """What was changed or left out in reading the source files, by name; said on standard error, once a file."""
    notes: dict[str, str] = {}
    for step in made:
        if step.kind == "shot" and step.out is not None:
            facts = read_facts(step.out)
            heard = losses(facts.notes)
            if heard and facts.source not in notes:
                notes[facts.source] = heard
                console.warn(f"{facts.source}: {heard}")
    return notes


def _list(plan: BuildPlan, folder: DatasetFolder, work: Path) -> tuple[dict[ClipId, str], int]:
    """Lists the clips of the plan; returns those that could not be made, and the number newly listed."""
    listed = {record.id: record for record in folder.records()}
    entries: list[tuple[ClipRecord, Path | None]] = []
    skipped: dict[ClipId, str] = {}
    for clip in plan.clips:
        record, table, why = _entry(clip, listed, work)
        if record is None:
            skipped[clip.task.id] = why
        else:
            entries.append((replace(record, split=clip.split), table))
    # A parent may be a clip that could not be made.
    known = {record.id for record, _ in entries} | set(listed)
    for record, _ in entries:
        if record.parent is not None and record.parent not in known:
            raise ManifestError(f"{record.id} has no parent {record.parent}", hint="run the same command again")
    planned = {record.id for record, _ in entries}
    check_leaks([record for record, _ in entries] + [one for one in listed.values() if one.id not in planned])
    made = sum(table is not None for _, table in entries)
    if made or [record for record, _ in entries] != folder.records()[: len(entries)]:
        folder.list_all(entries)
    doubtful = [str(record.id) for record, table in entries if table is not None and "warnings" in record.factors]
    if doubtful:
        names = ", ".join(doubtful[:_SHOWN]) + (", ..." if len(doubtful) > _SHOWN else "")
        console.warn(
            f"{counted(len(doubtful), 'fake')} with frames left unswapped, see warnings in the records: {names}"
        )
    if skipped:
        reasons = Counter(skipped.values())
        summary = "; ".join(f"{count} because {why}" for why, count in reasons.most_common(_SHOWN))
        console.warn(f"{counted(len(skipped), 'clip')} not made: {summary}")
    return skipped, made


def _entry(
    clip: PlannedClip, listed: dict[ClipId, ClipRecord], work: Path
) -> tuple[ClipRecord | None, Path | None, str]:
    """The record of a clip and the table of its labels (None when it is listed already), or why there is none."""
    known = listed.get(clip.task.id)
    if known is not None:
        return known, None, ""
    ready = read_ready(work, clip.task.id)
    if ready is None:
        raise ManifestError(f"{clip.task.id} was made and is gone", hint="run the same command again")
    if ready.why:
        return None, None, ready.why
    return ready.record, ready_path(work, clip.task.id).with_suffix(".parquet"), ""
