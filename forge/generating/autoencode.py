"""Real faces through the encoder and the decoder that a generator was made from: a control of sets of stills.

Their person is real and their pixels are the decoder's, so a detector that knows only the decoder calls them fake too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from forge.models import Swapper, shipped
from forge.models.checkpoint import swapper_digest
from shared.errors import AssayError


def autoencoder_of(family: str, facts: Mapping[str, Any]) -> Path | None:
    """The swapper whose decoder a generator of ``family`` has, by the ``facts`` of its training.

    None for a family without an encoder, and where the swapper is gone or was changed since.
    """
    settings, inputs = facts.get("settings"), facts.get("inputs")
    if family != "generate-prior" or not isinstance(settings, dict) or not isinstance(inputs, dict):
        return None
    start = str(settings.get("start_from", shipped.BASE))
    folder = shipped.BASE_FOLDER if start == shipped.BASE else Path(start)
    try:
        return folder if swapper_digest(folder) == inputs.get("start") else None
    except AssayError:
        return None


@torch.inference_mode()
def autoencoded(faces: np.ndarray, swapper: Swapper) -> list[np.ndarray]:
    """``faces`` (N, S, S, 3) uint8 encoded and decoded by the population's decoder of ``swapper``."""
    who = swapper.spec.identities[0]
    batch = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    made = torch.cat([swapper(one[None], who).rgb for one in batch]).clamp(0, 1).mul(255).round().byte()
    return list(made.permute(0, 2, 3, 1).numpy())
