"""The swapper whose weights a training starts from."""

from __future__ import annotations

from pathlib import Path

from forge.models import shipped
from forge.models.checkpoint import read_card, swapper_digest
from forge.models.contract import SwapSpec
from forge.training.config import TrainConfig
from shared.storage import sha256_file


def start_folder(spec: SwapSpec, config: TrainConfig) -> Path | None:
    """The swapper that a training of ``spec`` starts from; None for random weights.

    It is the one that ``config`` names, or the base swapper where it fits and people are trained.

    Raises:
        CheckpointError: the base swapper is damaged.
    """
    if config.start_from == shipped.SCRATCH:
        return None
    if config.start_from == shipped.BASE:
        return shipped.BASE_FOLDER
    if config.start_from is not None:
        return Path(config.start_from)
    wanted = not config.population and not config.load_parts
    return shipped.BASE_FOLDER if wanted and shipped.base_fits(spec) else None


def starts_from_file(config: TrainConfig) -> bool:
    """Whether ``config.start_from`` is the path of a swapper, run or checkpoint, and no name of the package's."""
    return config.start_from not in (None, shipped.BASE, shipped.SCRATCH)


def start_digest(config: TrainConfig) -> str | None:
    """Digest of what a training by ``config`` may start from, for keys of results; None for random weights.

    The base swapper counts for all trainings of its family, whatever their width and options.

    Raises:
        CheckpointError: the swapper is missing or damaged.
    """
    if config.start_from == shipped.SCRATCH:
        return None
    if config.start_from not in (None, shipped.BASE):
        path = Path(config.start_from)
        return sha256_file(path) if path.suffix == ".safetensors" and path.is_file() else swapper_digest(path)
    if not shipped.has_base() or config.population or read_card(shipped.BASE_FOLDER).model != config.model:
        return None
    return swapper_digest(shipped.BASE_FOLDER)
