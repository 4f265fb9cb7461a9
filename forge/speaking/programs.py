"""Runs other people's programs: without a shell, in a folder of their own, within limits of time and size."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.errors import MediaError, SpeechError

MOST_BYTES = 256 << 20
"""Size of any file that a program writes."""

MOST_MEMORY = 4 << 30
"""Address space of a program, in bytes."""

_MOST_PRINTED = 1 << 20
_ALLOWED = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP")


def found_program(name: str) -> str | None:
    """The path of an installed program; None without it."""
    return shutil.which(name)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="assay-speak-") as name:
        yield Path(name)


def run_program(arguments: Sequence[str], folder: Path, *, text: str = "", seconds: float = 60.0) -> str:
    """Runs a program in ``folder`` with ``text`` as its input; what it printed.

    It gets a short environment and no more than ``seconds``; its children are ended with it. What it prints goes to
    files in ``folder``, of which at most 1 MiB is read.

    Raises:
        SpeechError: it cannot be started, ran too long, or ended with an error.
    """
    name = Path(arguments[0]).name
    environment = {key: os.environ[key] for key in _ALLOWED if key in os.environ}
    with (
        tempfile.TemporaryFile(dir=folder) as given,
        tempfile.TemporaryFile(dir=folder) as out,
        tempfile.TemporaryFile(dir=folder) as complaint,
    ):
        given.write(text.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env=environment,
                stdin=given,
                stdout=out,
                stderr=complaint,
                start_new_session=True,
            )
        except OSError as error:
            raise SpeechError(f"{name} cannot be started: {error.strerror}", hint="install it again") from error
        try:
            _limit(process.pid, seconds)
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise SpeechError(f"{name} did not end within {seconds:.0f} s", hint="give it a shorter text") from error
        finally:
            _end(process)
        if process.returncode:
            last = _printed(complaint).strip().splitlines()[-1:] or [f"code {process.returncode}"]
            raise SpeechError(f"{name} failed: {last[0][:200]}", hint="try another voice or engine")
        return _printed(out)


def _printed(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_PRINTED).decode(errors="replace")


def _limit(process: int, seconds: float) -> None:
    """Processor time, memory and size of files, where the system can limit another process (Linux)."""
    if sys.platform == "linux":
        import resource

        with suppress(OSError):
            resource.prlimit(process, resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
            resource.prlimit(process, resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
            resource.prlimit(process, resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
            resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and all of its session, also children that outlived it, and waits for it."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def written_sound(path: Path, engine: str) -> Sound:
    """The sound that a program wrote, at its own rate.

    Raises:
        SpeechError: nothing that can be read, or only silence.
    """
    try:
        sound = read_sound(path, rate=None, most_seconds=1800)
    except MediaError as error:
        raise SpeechError(f"{engine} wrote no sound: {error}", hint="try another text or voice") from error
    return needs_sound(sound, engine)


def needs_sound(sound: Sound, engine: str) -> Sound:
    """``sound`` unchanged, if anything is heard in it.

    Raises:
        SpeechError: it is empty or silent.
    """
    if not len(sound) or not float(abs(sound.samples).max()) > 1e-4:
        raise SpeechError(f"{engine} said nothing", hint="give a text with words of its language")
    return Sound(sound.samples, sound.rate)


def time_for(text: str) -> float:
    """Seconds that a program may take to read a text."""
    return 30.0 + 0.05 * len(text)
