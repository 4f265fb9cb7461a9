"""Runs Assay's public command line, printing each line first, so that a benchmark can be repeated by hand."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from shared.cli import run as run_assay
from shared.console import console
from shared.errors import RunError


def do(*words: object, run: Callable[[list[str]], int] = run_assay) -> None:
    """Runs ``assay`` with ``words``.

    Raises:
        RunError: it failed.
    """
    line = [str(word) for word in words]
    console.print(f"\n$ assay {shlex.join(line)}")
    if run(line) != 0:
        raise RunError(f"stopped at: assay {shlex.join(line)}", hint="the error above says why")
