"""Short commands of Assay whose result the page waits for, in child processes with the limits of jobs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.errors import AssayError, RunError, UsageError
from shared.storage import decode_json
from shared.web.jobs.limits import BOOT

_SECONDS = 120.0
_MEMORY_BYTES = 4 << 30
_MOST_BYTES = 16 << 20
_SAID = re.compile(r"^(error|hint): (.*)$", re.MULTILINE)


class CommandError(AssayError):
    """A command that the page ran for an answer failed; the message is its own."""


def run_command(words: Sequence[str], folder: Path, *, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Runs ``assay --json WORDS`` in ``folder``; the document that it prints, empty if it prints none.

    Args:
        words: the command and its arguments.
        folder: working directory.
        codes: exit statuses that give a result.

    Raises:
        CommandError: it failed, or took longer than two minutes.
        UsageError: a word holds a character that no command line can hold.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "NO_COLOR": "1",
        "COLUMNS": "4000",
    }
    try:
        # This thread starts the process, which is told to stop when the thread ends: it waits here.
        done = subprocess.run(
            [sys.executable, "-c", BOOT, str(os.getpid()), str(_MEMORY_BYTES), "--json", *words],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"assay {words[0]} took longer than {_SECONDS:.0f} s", hint="use a terminal") from error
    except OSError as error:
        raise CommandError(f"assay {words[0]} could not be started: {error.strerror}") from error
    except ValueError as error:  # a null character, or half of a pair of surrogates
        raise UsageError(
            "the text holds a character that cannot be handed to a command", hint="type the text instead of pasting it"
        ) from error
    if done.returncode not in codes:
        said = dict(_SAID.findall(done.stderr.decode("utf-8", "replace")))
        message = said.get("error", f"assay {words[0]} ended with status {done.returncode}")
        raise CommandError(message, hint=said.get("hint"))
    if len(done.stdout) > _MOST_BYTES or not done.stdout.strip():
        return {}
    return decode_json(done.stdout, dict, f"the answer of assay {words[0]}", error=RunError)
