"""The networks of re-enactment that come with the package; ``python -m benchmarks warp-model`` makes them."""

from __future__ import annotations

from pathlib import Path

from forge.reenacting.networks.checkpoint import WEIGHTS

FOLDER = Path(__file__).parent / "weights"
"""Holds a folder of each family that has one: its file of weights in half precision, and a model card."""


def shipped_network(family: str) -> Path | None:
    """The file of the network of ``family`` in the package; None if there is none."""
    file = FOLDER / family / WEIGHTS
    return file if file.is_file() else None
