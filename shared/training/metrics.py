"""The metrics of a run, ``metrics.jsonl``, read without the libraries that train."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from shared.errors import RunError
from shared.storage import decode_json, read_bytes

METRICS = "metrics.jsonl"
_MAX_METRICS_BYTES = 1 << 30


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Numbers of all complete lines of ``metrics.jsonl`` that have a step.

    Raises:
        RunError: the file cannot be read, or exceeds 1 GiB.
    """
    path, lines = run / METRICS, []
    if not path.exists():
        return lines
    for line in read_bytes(path, _MAX_METRICS_BYTES, error=RunError).splitlines():
        with suppress(RunError):  # a kill can leave half a line at the end
            values = decode_json(line, dict, path, error=RunError)
            numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
            if "step" in numbers:
                lines.append(numbers)
    return lines
