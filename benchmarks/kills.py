"""Commands killed or interrupted at random moments and run again: the results must be those of a run left alone.

Every command works on tiny material (:mod:`benchmarks.material`) in a process forked from one with the libraries
loaded, so that moments fall into the work and not into the import of torch. SIGKILL and Ctrl-C
(SIGINT) are sent in turn.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import material as words_of
from benchmarks.material import Material, make_material
from benchmarks.sandbox import Ended, Job, Sandbox, copied_home, quiet_home
from benchmarks.schema import Measurement
from benchmarks.toy_set import fingerprint, half_written

SIGNALS = (signal.SIGKILL, signal.SIGINT)


@dataclass(frozen=True)
class Errand:
    """A command: what it is given in a folder of its own, its words there, and what of its result has to be equal."""

    name: str
    words: Callable[[Material, Path], tuple[str, ...]]
    result: Callable[[Path], str]
    is_set: bool = False
    """What it writes is a dataset, ``out`` in its folder, and is one at the beginning."""


@dataclass(frozen=True)
class Outcome:
    """One moment: the command, the signal, whether it still ran then, and what was wrong afterwards, in words."""

    errand: str
    signal: str
    stopped: bool
    faults: tuple[str, ...]


def files_digest(*patterns: str) -> Callable[[Path], str]:
    """Digests of the files in ``out`` that match, a line each."""

    def inner(folder: Path) -> str:
        out = folder / "out"
        found = sorted({path for pattern in patterns for path in out.glob(pattern) if path.is_file()})
        return "\n".join(f"{path.relative_to(out)} {_digest(path)}" for path in found)

    return inner


def _digest(path: Path) -> str:
    """Of a file's bytes; of those of a swapper's description without the line that says how long training took."""
    data = path.read_bytes()
    if path.name == "swapper.toml":
        data = b"\n".join(line for line in data.splitlines() if not line.startswith(b"seconds = "))
    return hashlib.sha256(data).hexdigest()[:16]


def _set_digest(folder: Path) -> str:
    return fingerprint(folder / "out")


def _every(words: tuple[str, ...], file: Path) -> tuple[str, ...]:
    """The words with settings that save a checkpoint at each step."""
    file.write_text("save_every = 1\nkeep = 2\n" if words[0] == "forge" else "save_every = 1\nevaluate_every = 2\n")
    return (*words, "--config", str(file))


def _add_three(material: Material, folder: Path) -> tuple[str, ...]:
    """Three clips under names of their own."""
    clips = [folder / f"new-{suffix[1:]}{suffix}" for suffix in (".mp4", ".mkv", ".webm")]
    for clip in clips:
        shutil.copy(material.clips[clip.suffix], clip)
    return (*words_of.add_words(folder / "out", clips[0]), *map(str, clips[1:]))


ERRANDS: tuple[Errand, ...] = (
    Errand("faces extract", lambda m, f: words_of.extract_words(m.clips[".mp4"], f / "out"), files_digest("**/*")),
    Errand(
        "forge train",
        lambda m, f: _every(words_of.train_words(m.faces[:2], f / "out", steps=8), f / "settings.toml"),
        files_digest("swapper/*"),
    ),
    Errand(
        "forge swap",
        lambda m, f: (*words_of.swap_words(m.clips[".mp4"], m.swapper, f / "out"), "--name", "again"),
        _set_digest,
        is_set=True,
    ),
    Errand(
        "detect train",
        lambda m, f: _every(words_of.detect_words(m.dataset, f / "out", steps=6), f / "settings.toml"),
        files_digest("detector/*.safetensors", "detector/*.json"),
    ),
    Errand(
        "forge build",
        lambda m, f: ("forge", "build", str(m.settings), "--out", str(f / "out"), "--jobs", "1"),
        _set_digest,
    ),
    Errand(
        "dataset add",
        _add_three,
        _set_digest,
        is_set=True,
    ),
    Errand(
        "inspect",
        lambda m, f: words_of.inspect_words(m.clips[".mp4"], m.detector, f / "out"),
        files_digest("report.json", "report.html", "frames.parquet", "evidence/*"),
    ),
)


def run(
    moments: int,
    *,
    seed: int = 0,
    names: Iterable[str] = (),
    tick: Callable[[Outcome], object] | None = None,
) -> tuple[list[Outcome], dict[str, float]]:
    """One outcome a command and moment, and the seconds that each command takes by itself.

    Args:
        moments: of each command, evenly over its time with a random place in each stretch; every other is a Ctrl-C.
        seed: of the moments.
        names: of the commands; all by default.
        tick: called after each.

    Raises:
        RunError: a command fails when it is left alone.
    """
    outcomes: list[Outcome] = []
    alone: dict[str, float] = {}
    with TemporaryDirectory() as folder, quiet_home(Path(folder) / "home") as home, Sandbox(home) as sandbox:
        material = make_material(Path(folder) / "material", sandbox)
        for errand in ERRANDS:
            if names and errand.name not in names:
                continue
            _calm(sandbox, material, errand, Path(folder) / "warm")
            wanted, alone[errand.name] = _calm(sandbox, material, errand, Path(folder) / "calm")
            rng = np.random.default_rng([seed, *errand.name.encode()])
            for moment in range(moments):
                after = float((moment + rng.random()) / moments * alone[errand.name])
                number = SIGNALS[moment % 2]
                faults, ended = _stopped(sandbox, material, errand, Path(folder) / "stopped", after, number, wanted)
                outcomes.append(Outcome(errand.name, number.name, ended.code not in (0, 1), tuple(faults)))
                if tick is not None:
                    tick(outcomes[-1])
    return outcomes, alone


def _calm(sandbox: Sandbox, material: Material, errand: Errand, place: Path) -> tuple[str, float]:
    job = errand_job(material, errand, place)
    seconds = words_of.run_through(sandbox, job).seconds
    result = errand.result(place)
    shutil.rmtree(place)
    return result, seconds


def errand_job(
    material: Material,
    errand: Errand,
    place: Path,
    *,
    stop_after: tuple[float, int] | None = None,
    log: Path | None = None,
    prepare: str = "",
) -> Job:
    """The run of a command in ``place``, which is given what the command needs there."""
    place.mkdir(parents=True, exist_ok=True)
    if errand.is_set and not (place / "out").exists():
        shutil.copytree(material.dataset, place / "out")
    return Job(
        errand.words(material, place),
        place,
        readable=(material.folder,),
        writable=(material.folder,),
        stop_after=stop_after,
        home=copied_home(material.home, place),
        log=log,
        prepare=prepare,
    )


def _stopped(
    sandbox: Sandbox, material: Material, errand: Errand, place: Path, after: float, number: int, wanted: str
) -> tuple[list[str], Ended]:
    job = errand_job(material, errand, place, stop_after=(after, number))
    first = sandbox.run(job)
    faults = list(_left(first, number))
    if errand.result is _set_digest:
        faults += half_written(place / "out")
    again = sandbox.run(errand_job(material, errand, place))
    try:
        found = errand.result(place)
    except (OSError, ValueError, RuntimeError) as error:
        found = str(error)
    if found != wanted:
        other = " ".join(sorted(set(found.splitlines()) ^ set(wanted.splitlines())))
        faults.append(
            f"stopped after {after:.2f} s it ended otherwise ({again.code}): {other[:300]}; {again.said[-300:]}"
        )
    elif again.code not in (0, 1, 2):
        faults.append(f"run again it ended with {again.code}: {again.said[-300:]}")
    faults += [f"{path.name} was left" for path in place.rglob("*.part*")]
    shutil.rmtree(place)
    return faults, first


def _left(ended: Ended, number: int) -> Iterator[str]:
    """What a run that was interrupted must not do: end in a traceback, or go on."""
    if number == signal.SIGINT and ended.signalled and ended.code not in (0, 130):
        yield f"interrupted, it ended with {ended.code}: {ended.said[-300:]}"
    if ended.timed_out:
        yield "it went on after the signal"


def measurements(outcomes: list[Outcome], alone: dict[str, float]) -> list[Measurement]:
    """For each command: moments at which it ran, runs that ended otherwise, seconds left alone."""
    found = []
    for name, seconds in alone.items():
        those = [outcome for outcome in outcomes if outcome.errand == name]
        stopped = sum(outcome.stopped for outcome in those)
        bad = sum(bool(outcome.faults) for outcome in those)
        note = f"of {len(those)} moments"
        found.append(Measurement.of(f"{name}: stopped while running", "runs", [float(stopped)], note=note))
        found.append(Measurement.of(f"{name}: went wrong", "runs", [float(bad)], target=0.0, better="lower", note=note))
        found.append(Measurement.of(f"{name}: left alone", "s", [seconds], better="lower"))
    return found
