"""Whether the identity network of a measurement was also in the swapper's loss, which makes the metrics invalid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.config import read_toml
from shared.errors import CheckpointError

_CONFIG = "config.toml"
_WEIGHT = "identity"
_EMBEDDER = "identity_net"
_DEFAULT_EMBEDDER = "dlib-resnet-v1"
"""The embedder of an identity loss if the settings do not name one."""


def embedder_in_loss(run: Path, embedder: str) -> bool | None:
    """Whether the swapper of ``run`` was trained with a loss on ``embedder``; None if its settings are missing.

    ``run`` is a run folder or the ``swapper`` folder in one. Reads the run's resolved settings: any weight called
    ``identity`` above 0 counts, in the loss or in a phase of a recipe.

    Raises:
        CheckpointError: the settings are damaged.
    """
    file = next((place / _CONFIG for place in (run, run.parent) if (place / _CONFIG).is_file()), None)
    if file is None:
        return None
    return embedder in _embedders(read_toml(file, error=CheckpointError, hint="restore the run's config.toml"))


def _embedders(settings: Mapping[str, Any]) -> set[str]:
    """Names of the embedders with a positive weight in the settings; phases have flat keys (``loss.identity``)."""
    found: set[str] = set()
    for key, value in settings.items():
        if key.rpartition(".")[2] == _WEIGHT and isinstance(value, int | float) and value > 0:
            found.add(str(settings.get(_EMBEDDER, _DEFAULT_EMBEDDER)))
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                found |= _embedders(part)
    return found
