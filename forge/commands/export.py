"""``assay forge export``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from shared.commands.completion import values
from shared.commands.options import choices
from shared.console import console
from shared.errors import UsageError

Format = Literal["onnx"]


def export(
    swapper: Annotated[Path, typer.Argument(help="Run folder, or an exported swapper.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write.", show_default=False)],
    format: Annotated[
        str, typer.Option("--format", "--to", help=f"{choices(Format)}.", autocompletion=values(Format))
    ] = "onnx",
    identity: Annotated[
        list[str] | None, typer.Option(help="Whose face it draws; can be repeated.", show_default="all")
    ] = None,
    opset: Annotated[
        int | None, typer.Option(help="Version of the ONNX operators, 17 to 20.", show_default="18")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
) -> None:
    """Exports a swapper for other programs, and checks that it draws the same pictures.

    Its metadata hold the card with the identities and their rights, the measured difference from the swapper, and that
    whatever it draws is synthetic.

    Example: assay forge export runs/ann-bob --to onnx --out ann-bob.onnx

    Example: assay forge export runs/crowd --identity ann --out ann.onnx
    """
    if format not in get_args(Format):
        raise UsageError(f"no format is named {format!r}", hint=choices(Format))
    if out.exists() and not force:
        raise UsageError(f"{out} is there already", hint="--force replaces it")
    from forge.exchange.onnx import export_swapper
    from shared.exchange.onnx import OPSET

    done = export_swapper(swapper, out, identities=identity or (), opset=OPSET if opset is None else opset)
    shape = ", ".join(str(size) for size in done.inputs)
    console.print(f"{out}: {done.model}, ONNX, opset {done.opset}, input ({shape}), outputs {', '.join(done.outputs)}")
    parity = done.parity
    console.print(
        f"values in [0, 1] differ from the swapper's by at most {parity.random:.1e} on random pixels and "
        f"{parity.actors:.1e} on faces of actors"
    )
    console.print("Whatever it draws is synthetic: the file says so, and pictures made with it have to be labelled.")
    console.result({**dataclasses.asdict(done)})
