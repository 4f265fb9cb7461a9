"""What commands say when the system refuses to write: a full disk, a limit on file size, a folder of somebody else's.

Each command has to end in a sentence, and what was good before has to be as it was. A full disk is a small file system
in memory, mounted for the purpose, and somebody else's folder is met as the user ``nobody``: both need to be root.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fuzz import verdict_of
from benchmarks.kills import ERRANDS, Errand, errand_job
from benchmarks.material import Material, make_material
from benchmarks.sandbox import Sandbox, quiet_home
from benchmarks.schema import Measurement
from benchmarks.toy_set import fingerprint, half_written

_NOBODY = 65534
_LARGEST_BYTES = 2048
_FREE_KB = (0, 16, 64)
_DISK_MB = 24


@dataclass(frozen=True)
class Outcome:
    """A command before an obstacle, and what was wrong, in words."""

    errand: str
    obstacle: str
    fault: str


def limit_file_size() -> None:
    """No file of this process grows beyond 2 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_BYTES, _LARGEST_BYTES))


def become_nobody() -> None:
    """An ordinary user from here on, whose folder of keys is that of this process."""
    home = Path(os.environ["ASSAY_HOME"])
    for path in (home, *home.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


def run(*, tick: Callable[[], object] | None = None) -> list[Outcome]:
    """One outcome a command and obstacle.

    Raises:
        RunError: the material cannot be made.
    """
    outcomes: list[Outcome] = []
    with TemporaryDirectory() as folder, quiet_home(Path(folder) / "home") as home, Sandbox(home) as sandbox:
        material = make_material(Path(folder) / "material", sandbox)
        for path in (Path(folder), Path(folder) / "material"):
            path.chmod(0o755)
        for errand in ERRANDS:
            for obstacle, met in _obstacles(sandbox, material, errand):
                place = Path(folder) / "place"
                place.mkdir()
                outcomes.append(Outcome(errand.name, obstacle, met(place)))
                shutil.rmtree(place)
                if tick is not None:
                    tick()
    return outcomes


def measurements(outcomes: list[Outcome]) -> list[Measurement]:
    """For each obstacle: commands that did not end in a sentence or harmed what was there."""
    return [
        Measurement.of(
            f"{obstacle}: went wrong",
            "commands",
            [float(sum(bool(o.fault) for o in outcomes if o.obstacle == obstacle))],
            target=0.0,
            better="lower",
            note=f"of {sum(o.obstacle == obstacle for o in outcomes)}",
        )
        for obstacle in dict.fromkeys(outcome.obstacle for outcome in outcomes)
    ]


def _obstacles(sandbox: Sandbox, material: Material, errand: Errand) -> Iterator[tuple[str, Callable[[Path], str]]]:
    yield "file-size limit", lambda place: _met(sandbox, material, errand, place, "limit_file_size")
    if os.geteuid() == 0:
        yield (
            "somebody else's folder",
            lambda place: _met(sandbox, material, errand, place, "become_nobody"),
        )
        for free in _FREE_KB:
            yield (
                f"disk with {free} kB free",
                lambda place, free=free: _on_full_disk(sandbox, material, errand, place, free),
            )


def _met(
    sandbox: Sandbox,
    material: Material,
    errand: Errand,
    place: Path,
    prepare: str,
    ready: Callable[[], object] = lambda: None,
) -> str:
    log = place.with_name("log")
    job = errand_job(material, errand, place, log=log, prepare=f"benchmarks.refusals:{prepare}")
    before = fingerprint(place / "out") if errand.is_set else ""
    ready()
    ended = sandbox.run(job)
    verdict, where = verdict_of(ended)
    if verdict != "sentence":
        return f"{verdict} {where}"
    if errand.is_set and (fingerprint(place / "out") != before or half_written(place / "out")):
        return "the set is another"
    return ""


def nothing() -> None:
    """No obstacle but the place itself."""


def _on_full_disk(sandbox: Sandbox, material: Material, errand: Errand, place: Path, free_kb: int) -> str:
    with _disk(place):
        return _met(sandbox, material, errand, place, "nothing", ready=lambda: _fill(place, free_kb))


def _fill(place: Path, free_kb: int) -> None:
    """Fills the file system of ``place`` but for ``free_kb``."""
    left = shutil.disk_usage(place).free - (free_kb << 10)
    with (place / "filler").open("wb") as file:
        file.write(bytes(max(0, left)))


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "assay-full", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
