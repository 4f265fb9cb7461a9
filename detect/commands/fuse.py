"""``assay detect fuse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect.commands.show import plain, show_metrics
from detect.config.scoring import EvaluateConfig
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, default, resolve
from shared.console import console

_SCORING = EvaluateConfig()


def fuse(
    detectors: Annotated[list[Path], typer.Argument(help="Runs or detector folders, two or more.", show_default=False)],
    dataset: Annotated[Path, typer.Option(help="Dataset whose val split fits the weights.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the fused detector.", show_default=False)],
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_SCORING.frames_per_clip)),
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
) -> None:
    """Fuses detectors of single faces into one: a weighted sum of their logits, fitted on the val split.

    The folder is a detector like every other. The detectors must take the same crops and find faces alike.

    Example: assay detect fuse runs/multitask runs/pooled --dataset set/ --out runs/fused
    """
    from detect.training.fuse import fuse_detectors

    given = {"frames_per_clip": frames, "device": device, "precision": precision, "seed": seed}
    settings = resolve(EvaluateConfig, None, given)
    fusion, result = fuse_detectors(detectors, dataset, out, settings)
    rows = [(each.name, each.family, f"{each.weight:.4f}", f"{each.auc:.3f}") for each in fusion.members]
    rows.append(("fused", "", f"bias {fusion.bias:+.4f}", f"{fusion.auc:.3f}"))
    console.table(
        f"Mean of the face logits on {fusion.clips} clips of the val split, which fitted the weights",
        ["detector", "family", "weight", "AUC"],
        rows,
    )
    show_metrics("On the val split, which also chose the threshold", result)
    console.print(f"detector: {out}\ncard:     {out / 'README.md'}")
    console.result({"detector": out, "fusion": plain(fusion), "validation": plain(result)})
