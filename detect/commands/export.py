"""``assay detect export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from detect.commands.show import plain
from shared.commands.completion import values
from shared.commands.options import choices
from shared.console import console
from shared.errors import UsageError

Format = Literal["onnx", "local-dir"]


def export(
    detector: Annotated[Path, typer.Argument(help="Run or detector folder, or assay.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File or folder to write.", show_default=False)],
    format: Annotated[str, typer.Option(help=f"{choices(Format)}.", autocompletion=values(Format))] = "onnx",
    opset: Annotated[
        int | None, typer.Option(help="Version of the ONNX operators, 17 to 20.", show_default="18")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
) -> None:
    """Exports a detector for other programs, and checks that its logits agree.

    onnx: any family, for ONNX Runtime; its metadata describe the input. local-dir: a folder with
    weights, description and model card that timm loads without Assay; detectors of the family frame only.

    Example: assay detect export runs/det --out detector.onnx

    Example: assay detect export runs/det --format local-dir --out detector/
    """
    if format not in get_args(Format):
        raise UsageError(f"no format is named {format!r}", hint=choices(Format))
    if opset is not None and format != "onnx":
        raise UsageError("--opset is for ONNX files", hint="leave it out")
    if out.exists() and not force:
        raise UsageError(f"{out} is there already", hint="--force replaces it")
    from detect.exchange.onnx import export_folder, export_onnx
    from shared.exchange.onnx import OPSET

    done = (
        export_folder(detector, out)
        if format == "local-dir"
        else export_onnx(detector, out, opset=OPSET if opset is None else opset)
    )
    kind = "folder" if done.opset is None else f"ONNX, opset {done.opset}"
    shape = ", ".join(str(size) for size in done.inputs)
    console.print(f"{done.name} ({done.family}): {kind}, input ({shape}), outputs {', '.join(done.outputs)}")
    console.print(f"logits differ from the detector's by at most {done.largest_difference:.1e}")
    reference = f"onnx:{out}" if done.opset else out
    if done.opset is not None:
        from detect.calibration.transfer import transfer_calibration

        for file in transfer_calibration(detector, out):
            console.print(f"written: {file}")
    console.print(f"use it: assay detect evaluate {reference} SET")
    console.result(plain(done))
