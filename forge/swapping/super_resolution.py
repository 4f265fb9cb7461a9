"""Super-resolution of the swapped crop: the restorer in the package, Lanczos, or a hook for the user's own function.

A hook is a Python file with a function ``enlarge(crop)``: (S, S, 3) uint8 RGB in, a square (T, T, 3) uint8 RGB picture
of the same content with T >= S out. It is **the user's own code** and is run as such, with all the rights of the
user: Assay never takes such a file from a data set, a swapper or the network.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from forge.swapping.config import BlendConfig
from shared.console import console
from shared.errors import UsageError
from shared.faces.align import resized
from shared.storage import sha256_file
from shared.types import SwappedFace

Enlarge = Callable[[np.ndarray], np.ndarray]

_PYTHON = "python:"
_MOST_PX = 4096


def make_enlarge(config: BlendConfig) -> Enlarge | None:
    """The function that ``config.enlarge`` names, None for ``none``.

    Raises:
        UsageError: the file is not there, fails, or has no function ``enlarge``.
        CheckpointError: the restorer's weights are missing or damaged.
    """
    if config.enlarge == "none":
        return None
    if config.enlarge == "restorer":
        return _restorer()
    if config.enlarge == "lanczos":
        return lambda crop: _lanczos(crop, config.enlarge_factor)
    need_hook(config)
    return _from_file(Path(config.enlarge.removeprefix(_PYTHON)))


def enlarge_digest(config: BlendConfig) -> str | None:
    """SHA-256 of the hook's or the restorer's file, for the record of what made a clip; None where no file is used."""
    if config.enlarge == "restorer":
        from forge.models.restorer import restorer_digest

        return restorer_digest()
    path = Path(config.enlarge.removeprefix(_PYTHON))
    return sha256_file(path) if config.enlarge.startswith(_PYTHON) and path.is_file() else None


def need_hook(config: BlendConfig) -> None:
    """Refuses a hook whose file is not there, before the work.

    Raises:
        UsageError: it is not.
    """
    path = Path(config.enlarge.removeprefix(_PYTHON))
    if config.enlarge.startswith(_PYTHON) and not path.is_file():
        raise UsageError(f"{path} does not exist", hint="blend.enlarge = 'python:FILE.py'")


def enlarged(swapped: SwappedFace, enlarge: Enlarge | None) -> SwappedFace:
    """``swapped`` with its crop enlarged, its mask and matrix to match.

    Raises:
        UsageError: the function failed, or gave something that is no square picture of at least the same size.
    """
    if enlarge is None:
        return swapped
    px = swapped.crop.shape[0]
    given = np.rint(np.clip(swapped.crop, 0, 1) * 255).astype(np.uint8)
    try:
        crop = np.asarray(enlarge(given))
    except Exception as error:
        raise UsageError(f"enlarge failed: {type(error).__name__}: {error}", hint="mend the file it is in") from error
    side = crop.shape[0] if crop.ndim == 3 else 0
    if crop.shape != (side, side, 3) or crop.dtype != np.uint8 or not px <= side <= _MOST_PX:
        raise UsageError(
            f"enlarge gave {crop.shape} {crop.dtype} for a crop of {px} px",
            hint=f"it has to give a square (T, T, 3) uint8 picture, {px} <= T <= {_MOST_PX}",
        )
    mask = swapped.mask
    if mask is not None:
        mask = np.clip(cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    return SwappedFace(crop.astype(np.float32) / 255, mask, resized(swapped.frame_to_crop, px, side))


def _restorer() -> Enlarge:
    from forge.models.restorer import load_restorer, restored

    net = load_restorer()
    return lambda crop: restored(net, crop)


def _lanczos(crop: np.ndarray, factor: int) -> np.ndarray:
    side = min(_MOST_PX, crop.shape[0] * factor)
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_LANCZOS4)


def _from_file(path: Path) -> Enlarge:
    console.warn(f"{path} is run as your own code, with your rights")
    spec = importlib.util.spec_from_file_location(f"assay_enlarge_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file", hint="its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module while it is executed.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} fails: {type(error).__name__}: {error}", hint="mend the file") from error
    function = getattr(module, "enlarge", None)
    if not callable(function):
        raise UsageError(f"{path} has no function enlarge(crop)", hint="it takes and gives (S, S, 3) uint8 RGB")
    return cast("Enlarge", function)
