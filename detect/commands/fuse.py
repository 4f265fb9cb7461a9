"""``assay detect fuse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect.commands.options import OnlyOption
from detect.commands.show import plain, show_metrics
from detect.config.scoring import EvaluateConfig
from shared.commands.options import DeviceOption, PrecisionOption, SeedOption, default, resolve
from shared.console import console

_SCORING = EvaluateConfig()


def fuse(
    detectors: Annotated[list[Path], typer.Argument(help="Runs or detector folders, two or more.", show_default=False)],
    dataset: Annotated[Path, typer.Option(help="Dataset whose val split fits the weights.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the fused detector.", show_default=False)],
    clips: Annotated[
        bool, typer.Option("--clips", help="Fuse scores of whole clips, of detectors that take unlike inputs.")
    ] = False,
    only: OnlyOption = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames of each clip, evenly spaced.", show_default=default(_SCORING.frames_per_clip)),
    ] = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = None,
) -> None:
    """Fuses detectors into one: weighted sums of their scores, fitted on the val split.

    The folder is a detector like every other. Logits of single faces are summed, so the detectors must take the same
    crops and find faces alike. With --clips detectors of any kind are fused on whole clips, with weights for each kind
    of fake in the set; the first named scores single faces, which are those that a report shows.

    Example: assay detect fuse runs/multitask runs/pooled --dataset set/ --out runs/fused

    Example: assay detect fuse runs/multitask runs/motion runs/spectrum --clips --dataset set/ --out runs/fused
    """
    from detect.training.fuse import fuse_detectors
    from detect.training.fuse_clips import fuse_clips

    given = {"only": only or None, "frames_per_clip": frames, "device": device, "precision": precision, "seed": seed}
    settings = resolve(EvaluateConfig, None, given)
    fusion, result = (fuse_clips if clips else fuse_detectors)(detectors, dataset, out, settings)
    rows = [
        (each.name, each.family, "" if each.weight is None else f"{each.weight:.4f}", f"{each.auc:.3f}")
        for each in fusion.members
    ]
    rows.append(("fused", "", "" if fusion.bias is None else f"bias {fusion.bias:+.4f}", f"{fusion.auc:.3f}"))
    if fusion.left_out_auc is not None:
        rows.append(("fused, fitted without a clip's people", "", "", f"{fusion.left_out_auc:.3f}"))
    what = "Logits of clips" if clips else "Mean of the face logits"
    console.table(
        f"{what} on {fusion.clips} clips of the val split, which fitted the weights",
        ["detector", "family", "weight", "AUC"],
        rows,
    )
    if fusion.kinds:
        names = [f"{each.name}, {each.family}" for each in fusion.members]
        console.table(
            "Weights by kind of fake",
            ["kind", "fakes", *names, "AUC"],
            [(k.name, k.clips, *(f"{weight:.2f}" for weight in k.weights), f"{k.auc:.3f}") for k in fusion.kinds],
        )
    show_metrics("On the val split, which also chose the threshold", result)
    console.print(f"detector: {out}\ncard:     {out / 'README.md'}")
    console.result({"detector": out, "fusion": plain(fusion), "validation": plain(result)})
