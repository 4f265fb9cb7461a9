"""``python -m benchmarks NAME``: measures, shows a table, and with ``--save`` writes the result as JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.schema import RESULTS, Measurement, Result, new_result
from shared.console import console
from shared.errors import AssayError

app = typer.Typer(
    name="benchmarks",
    help="Measures both halves. The method is in benchmarks/README.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Save = Annotated[Path | None, typer.Option(help="Write the result here; '-' for benchmarks/results/NAME.json.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Repeats = Annotated[int, typer.Option(help="How often each thing is measured.", min=1)]


def show(result: Result, save: Path | None) -> None:
    """The measurements as a table, and as a file where one was asked for."""
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


@app.command()
def throughput(
    clip: Annotated[
        Path | None, typer.Option(help="Clip to measure on; without it a procedural actor is filmed.")
    ] = None,
    device: DeviceName = "auto",
    repeats: Repeats = 5,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """Decode, find, align, train, swap and score: each stage alone, and the pipelines end to end."""
    from benchmarks.throughput import measure

    found, settings = measure(clip, device=device, repeats=repeats, finder=finder)
    show(new_result("throughput", _command(), found, settings=settings, device=_device(device)), save)


@app.command()
def roofline(device: DeviceName = "auto", repeats: Repeats = 5, save: Save = None) -> None:
    """Training speed of the swappers beside the measured matrix rate of the device."""
    from benchmarks.roofline import measure

    found = measure(device, repeats=repeats)
    name = "roofline-cpu" if _kind(device) == "cpu" else "roofline-gpu"
    show(new_result(name, _command(), found, device=_device(device)), save)


@app.command()
def actors(save: Save = None) -> None:
    """Whether real models find procedural actors and tell them apart."""
    from benchmarks.actors import measure

    found, settings = measure()
    show(new_result("actors", _command(), found, settings=settings), save)


@app.command("swap-quality")
def swap_quality(
    clips: Annotated[list[Path], typer.Argument(help="Two clips of two people.")],
    minutes: Annotated[float, typer.Option(help="Training time.")] = 25.0,
    model: Annotated[str, typer.Option(help="Swapper family.")] = "lightweight",
    width: Annotated[float, typer.Option(help="Width multiplier.")] = 1.0,
    work: Annotated[Path, typer.Option(help="Folder for facesets, run and swaps.")] = Path("runs/swap-quality"),
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Two people, both directions, measured on the last fifth of each clip, which is not trained on."""
    from benchmarks.swap_quality import measure
    from forge.config import TrainConfig

    config = TrainConfig(model=model, width=width, minutes=minutes, steps=10_000_000, device=device)
    found, settings = measure(clips, config=config, work=work)
    show(new_result("swap-quality", _command(), found, settings=settings, device=_device(device)), save)


def _command() -> str:
    """The command line as it can be typed again, with the folders of files left out."""
    words = [Path(word).name if "/" in word and not word.startswith("-") else word for word in sys.argv[1:]]
    return " ".join(["python -m benchmarks", *words])


def _device(name: str) -> str:
    from shared.device import pick_device

    return pick_device(name).describe()


def _kind(name: str) -> str:
    from shared.device import pick_device

    return pick_device(name).kind


def main() -> None:
    """Runs one benchmark; a failure is one sentence and a hint."""
    try:
        app(standalone_mode=True)
    except AssayError as error:
        console.fail(str(error), error.hint)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
