"""``assay forge models``."""

from __future__ import annotations

from typing import Any

from shared.console import console


def models() -> None:
    """Lists the families of swappers, with their sizes at width 1 for two people.

    Example: assay forge models
    """
    import torch

    from forge.models import build_swapper
    from forge.registry import swappers

    rows: list[dict[str, Any]] = []
    for name in swappers.names():
        with torch.device("meta"):
            swapper = build_swapper(name, ["a", "b"])
        spec = swapper.spec
        rows.append(
            {
                "name": name,
                "input_px": spec.input_px,
                "output_px": spec.output_px,
                "framing": spec.framing,
                "mask": spec.has_mask,
                "parameters": sum(parameter.numel() for parameter in swapper.parameters()),
            }
        )
    shown = ([*list(row.values())[:-1], f"{row['parameters'] / 1e6:.1f} M"] for row in rows)
    console.table("swappers", ["name", "input px", "output px", "framing", "mask", "parameters"], shown)
    console.result({"models": rows})
