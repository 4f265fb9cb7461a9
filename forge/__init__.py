"""Creation of labelled fakes by face swapping with shared-encoder autoencoders.

The **source** is the identity whose face is given, the **target** the video that receives it. A swap decodes the
target's latent with the source's decoder, so the fake has the source's face and the target's pose, expression, light,
background and sound.

The names below are loaded when they are first used, so that importing this package loads no torch::

    forge.train_swapper(["faces/ann", "faces/bob"], run="runs/ann-bob", model="lightweight", minutes=25)
    forge.swap_clip("bob.mp4", swapper="runs/ann-bob", source="ann", dataset="set", rights="consent")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from forge.building.build import build_set
    from forge.models.predictor import SwapPredictor
    from forge.swapping.clip import swap_clip
    from forge.training.train import train_swapper
else:  # hidden from type checkers, which would accept any name
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "building.build": ["build_set"],
            "models.predictor": ["SwapPredictor"],
            "swapping.clip": ["swap_clip"],
            "training.train": ["train_swapper"],
        },
    )

__all__ = ["SwapPredictor", "build_set", "swap_clip", "train_swapper"]
