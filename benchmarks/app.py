"""Common parts of the benchmark commands: the app, options, display and saving of results."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.schema import RESULTS, Measurement, Result
from shared.console import console

_ABSOLUTE = re.compile(r"(?<![^=])/(?:[^/=]*/)*([^/=]*)")
"""An absolute path, alone or after "="; only its last part is kept."""

SETTINGS = Path(__file__).parent / "settings"

app = typer.Typer(
    name="benchmarks",
    help="Benchmarks. The method is in benchmarks/README.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Save = Annotated[Path | None, typer.Option(help="Write the result here; '-' for benchmarks/results/NAME.json.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Repeats = Annotated[int, typer.Option(help="Number of measurements of each quantity.", min=1)]


def show(result: Result, save: Path | None) -> None:
    """Prints the measurements as a table, and saves them if ``save`` is given."""
    rows = [
        (m.name, f"{m.median:.4g}", f"{m.low:.4g} to {m.high:.4g}", m.unit, len(m.values), _target(m), m.note)
        for m in result.measurements
    ]
    console.table(result.benchmark, ["what", "median", "quartiles", "unit", "n", "target", "note"], rows)
    if result.peak_memory_mb is not None:
        console.print(f"peak memory of this process: {result.peak_memory_mb:.0f} MB")
    if save is not None:
        path = RESULTS / f"{result.benchmark}.json" if str(save) == "-" else save
        console.print(f"written to {result.save(path)}")


def _target(measurement: Measurement) -> str:
    if measurement.target is None:
        return ""
    sign = ">=" if measurement.better == "higher" else "<="
    return f"{sign} {measurement.target:g}: {'met' if measurement.met else 'MISSED'}"


def command_line() -> str:
    """The command line for repetition, without the folders of absolute paths."""
    return shlex.join(["python", "-m", "benchmarks", *(_ABSOLUTE.sub(r"\1", word) for word in sys.argv[1:])])


def device_text(name: str) -> str:
    """Description of the device ``name``."""
    from shared.device import pick_device

    return pick_device(name).describe()


def device_kind(name: str) -> str:
    """cpu, cuda or mps."""
    from shared.device import pick_device

    return pick_device(name).kind
