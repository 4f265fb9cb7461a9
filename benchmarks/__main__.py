"""``python -m benchmarks NAME``: runs a benchmark, shows a table, and with ``--save`` writes the result as JSON."""

from __future__ import annotations

import sys

from benchmarks import (
    commands_detect,
    commands_evidence,
    commands_forge,
    commands_generate,
    commands_marking,
    commands_reenact,
    commands_reliability,
    commands_sets,
    commands_speech,
    commands_speed,
    commands_voice,
)
from benchmarks.app import app
from shared.console import console
from shared.errors import AssayError

__all__ = [
    "commands_detect",
    "commands_evidence",
    "commands_forge",
    "commands_generate",
    "commands_marking",
    "commands_reenact",
    "commands_reliability",
    "commands_sets",
    "commands_speech",
    "commands_speed",
    "commands_voice",
]


def main() -> None:
    """Runs one benchmark; an error is shown as one sentence and a hint."""
    try:
        app(standalone_mode=True)
    except AssayError as error:
        console.fail(str(error), error.hint)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
