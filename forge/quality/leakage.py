"""Whether the network that judges identity was also in the loss: a judge that trained the accused says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.config import read_toml
from shared.errors import CheckpointError

_CONFIG = "config.toml"
_WEIGHT = "identity"
_JUDGE = "identity_net"
_ONLY_JUDGE = "dlib-resnet-v1"
"""What an identity loss compares with where the settings do not name it."""


def embedder_in_loss(run: Path, embedder: str) -> bool | None:
    """Whether the swapper of ``run`` learned from the embedder of that name; None where its settings are not there.

    ``run`` is a run folder or the ``swapper`` folder in one. Reads the run's settings as they were resolved: any
    weight called ``identity`` above 0, in the loss or in a stage of a recipe, counts.

    Raises:
        CheckpointError: the settings are damaged.
    """
    file = next((place / _CONFIG for place in (run, run.parent) if (place / _CONFIG).is_file()), None)
    if file is None:
        return None
    return embedder in _judges(read_toml(file, error=CheckpointError, hint="restore the run's config.toml"))


def _judges(settings: Mapping[str, Any]) -> set[str]:
    """Names of the embedders that some weight in the settings gives a say; a phase writes ``loss.identity`` flat."""
    found: set[str] = set()
    for key, value in settings.items():
        if key.rpartition(".")[2] == _WEIGHT and isinstance(value, int | float) and value > 0:
            found.add(str(settings.get(_JUDGE, _ONLY_JUDGE)))
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                found |= _judges(part)
    return found
