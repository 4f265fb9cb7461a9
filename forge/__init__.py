"""Creation of labelled fakes by face swapping with shared-encoder autoencoders.

The **source** is the identity whose face is given, the **target** the video that receives it. A swap decodes the
target's latent with the source's decoder, so the fake has the source's face and the target's pose, expression, light,
background and sound.

The names below are loaded when they are first used, so that importing this package loads no torch::

    forge.train_swapper(["faces/ann", "faces/bob"], run="runs/second", minutes=10)
    forge.swap_clip("bob.mp4", swapper="runs/ann-bob", source="ann", dataset="set", rights="consent")
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
