"""Every family of swappers on one pair of people for equal minutes, measured on frames that were not trained on.

Each family is trained and measured in its own process, so that peak memory is measured separately, and its result is
saved, so that an interrupted benchmark resumes with the next family. Widths and sizes are from a settings file, small
enough for the machine: the table compares families at equal training time, not at full size.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.schema import Measurement
from forge.training.config import TrainConfig
from shared.config import from_mapping, read_toml
from shared.errors import ConfigError, RunError, UsageError
from shared.storage import read_json, write_bytes

JOB, DONE, FAILED = "job.json", "measurements.json", "failed.txt"

_PARTS = {"train", "default", "families"}
_LAST_WORDS = 400
_ACTORS = ("actor-one", "actor-two")
_SECONDS = 10.0


@dataclass(frozen=True)
class Job:
    """The job of one process; paths as text, because it is read from JSON.

    Attributes:
        family: of the swapper; folder: of its run and results.
        facesets, clips: of the two people, in one order; cast: facesets of all people for comparison.
        config: settings of the training, resolved.
        measured: with all metrics, or only rendered for the sheet.
    """

    family: str
    folder: str
    facesets: tuple[str, str]
    clips: tuple[str, str]
    cast: tuple[str, ...]
    config: TrainConfig
    finder: str
    measured: bool = True


def family_config(settings: Mapping[str, Any], family: str, *, minutes: float, device: str) -> TrainConfig:
    """The training settings of one family from a settings file, see ``benchmarks/settings/swappers.toml``.

    Raises:
        ConfigError: the file has an unknown part or an invalid value.
    """
    from forge.models.catalogue import tiny_options

    unknown = set(settings) - _PARTS
    if unknown:
        raise ConfigError(f"{', '.join(sorted(unknown))} is no part of these settings", hint="train, default, families")
    own = dict(settings.get("families", {}).get(family, {}))
    width = own.pop("width", settings.get("default", {}).get("width", 0.2))
    options = {name: value for name, value in tiny_options(family).items() if name != "width"} | own
    train = {**settings.get("train", {}), "model": family, "width": width, "model_options": options}
    return replace(from_mapping(TrainConfig, train, where=f"settings of {family}"), minutes=minutes, device=device)


def families(settings: Mapping[str, Any], only: Sequence[str] = ()) -> list[str]:
    """All registered families, or those named.

    Raises:
        UnknownNameError: an unknown family, on the command line or in the settings.
    """
    import forge.models  # noqa: F401 - fills the registry
    from forge.models.registry import swappers

    for name in (*only, *settings.get("families", {})):
        swappers.get(name)
    return list(only) or sorted(swappers.names())


def load_settings(path: Path) -> dict[str, Any]:
    """A settings file as plain values.

    Raises:
        ConfigError: it cannot be read.
    """
    return dict(read_toml(path))


def measure(
    jobs: Sequence[Job], *, say: Callable[[str], object] = lambda _line: None
) -> tuple[list[Measurement], tuple[str, ...]]:
    """Runs each job that has no result yet, one after another; all measurements, and a note for each that failed.

    Raises:
        RunError: no family could be measured.
    """
    found: list[Measurement] = []
    notes: list[str] = []
    for job in jobs:
        folder = Path(job.folder)
        if not _is_done(job):
            say(f"{job.family}: training for {job.config.minutes:g} minutes at width {job.config.width:g}")
            why = _run(job)
            if why:
                notes.append(f"{job.family} failed: {why}")
                say(notes[-1])
                continue
        found += read_json(folder / DONE, list[Measurement], error=RunError, hint="remove it and run again")
    if not found:
        raise RunError("no family could be measured", hint="; ".join(notes)[:_LAST_WORDS] or "name a family")
    return found, tuple(notes)


def _is_done(job: Job) -> bool:
    """Whether this job, with equal settings, has its result."""
    folder = Path(job.folder)
    kept = folder / JOB
    return (folder / DONE).exists() and kept.exists() and kept.read_bytes() == msgspec.json.encode(job)


def _run(job: Job) -> str:
    """Runs one job in its own process; returns an empty text, or the end of its output if it failed."""
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DONE).unlink(missing_ok=True)
    write_bytes(folder / JOB, msgspec.json.encode(job))
    command = [sys.executable, "-m", "benchmarks.swappers_job", str(folder / JOB)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode == 0 and (folder / DONE).exists():
        return ""
    words = (ended.stderr or ended.stdout or f"ended with {ended.returncode}").strip()
    write_bytes(folder / FAILED, words.encode())
    return words.splitlines()[-1][-_LAST_WORDS:] if words else f"ended with {ended.returncode}"


def film_pair(folder: Path) -> tuple[list[Path], list[Path]]:
    """Facesets and clips of two very different actors in ``folder``; existing ones are reused."""
    from shared.actors import cast, film
    from shared.faces.facesets.extract import ExtractConfig, extract

    facesets, clips = [], []
    for name, actor in zip(_ACTORS, cast(len(_ACTORS), 0), strict=True):
        clip, faceset = folder / f"{name}.mp4", folder / name
        if not clip.exists():
            clip.parent.mkdir(parents=True, exist_ok=True)
            film(actor, clip, seconds=_SECONDS, px=256, seed=len(clips) + 1)
        if not (faceset / "faceset.toml").exists():
            extract([clip], faceset, ExtractConfig(identity=name, rights="synthetic"), force=True)
        facesets.append(faceset)
        clips.append(clip)
    return facesets, clips


def make_jobs(
    facesets: Sequence[Path],
    clips: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    work: Path,
    minutes: float,
    only: Sequence[str] = (),
    cast: Sequence[Path] = (),
    device: str = "auto",
    finder: str = "auto",
    measured: bool = True,
) -> list[Job]:
    """One job per family, for the two people of ``facesets``.

    Raises:
        UsageError: not two people, or clips that do not belong to them.
        ConfigError, UnknownNameError: invalid settings.
    """
    from benchmarks.held_out import pair_up

    pairs = list(pair_up(facesets, clips).values())
    if len(pairs) != 2:
        raise UsageError(f"give two people, got {len(pairs)}", hint="--faces A --faces B --clips A.mp4 --clips B.mp4")
    people = tuple(str(faces.resolve()) for faces, _clip in pairs)
    return [
        Job(
            family=family,
            folder=str((work / family).resolve()),
            facesets=(people[0], people[1]),
            clips=(str(pairs[0][1].resolve()), str(pairs[1][1].resolve())),
            cast=tuple(dict.fromkeys((*people, *(str(path.resolve()) for path in cast)))),
            config=family_config(settings, family, minutes=minutes, device=device),
            finder=finder,
            measured=measured,
        )
        for family in families(settings, only)
    ]
