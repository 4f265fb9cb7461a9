"""The base swapper that comes with the package: a population's weights that trainings start from.

Its folder is a swapper's (see :mod:`forge.models.checkpoint`), with a model card, ``README.md``, beside the weights.
``python -m benchmarks base`` makes it.
"""

from __future__ import annotations

from pathlib import Path

from forge.models.checkpoint import CARD_FILE, read_card
from forge.models.contract import SwapSpec

BASE_FOLDER = Path(__file__).parent / "weights" / "base"
"""Where the base swapper is."""

BASE, SCRATCH = "base", "none"
"""What ``start_from`` calls the base swapper, and a start from random weights."""


def has_base() -> bool:
    """Whether the package has a base swapper."""
    return (BASE_FOLDER / CARD_FILE).is_file()


def base_fits(spec: SwapSpec) -> bool:
    """Whether a swapper of ``spec`` can start from the base swapper: the same family, width, options and framing.

    Raises:
        CheckpointError: the base swapper is damaged.
    """
    if not has_base():
        return False
    card = read_card(BASE_FOLDER)
    theirs = (card.model, card.width, dict(card.options), card.framing)
    return theirs == (spec.name, spec.width, dict(spec.options), spec.framing)
