"""Reads the layers and arrays of Keras weights in an HDF5 file, without Keras.

HDF5 can refer to other files (external links and datasets), so only members inside the file are followed. Sizes are
checked before anything is read, also in total: names may repeat, and unwritten chunks take memory but no file size.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import CheckpointError, UsageError

_MAX_FILE_BYTES = 4 << 20
_MAX_LAYERS = 256
_MAX_ARRAYS = 8
_MAX_NUMBERS = 1 << 20
"""Maximum of numbers in all layers, and in one chunk; MesoNet has fewer than 30,000."""


@dataclass(frozen=True, eq=False)
class KerasLayer:
    """A layer: ``kind`` is its name without the number, such as "conv2d"; ``arrays`` are its weights in order."""

    name: str
    kind: str
    arrays: list[np.ndarray] = field(default_factory=list)


def read_layers(path: Path) -> list[KerasLayer]:
    """All layers in a file of ``save_weights`` or ``save``, in order.

    Raises:
        CheckpointError: missing, larger than 4 MiB, not HDF5, not of Keras, damaged, or with references to other files.
        UsageError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError("Keras weights need h5py", hint="pip install 'assay[keras]'") from error
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}", hint="name a Keras weights file, .h5")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise CheckpointError(f"{path} is larger than 4 MiB", hint="this is no file of MesoNet's weights")
    try:
        with h5py.File(path, "r") as file:
            return _layers(_root(file))
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is no sound file of Keras weights: {error}", hint="download it again") from error


def _root(file: Any) -> Any:
    """The group that lists the layers; in whole models it is one level down."""
    return file if "layer_names" in file.attrs else _own(file, "model_weights")


def _layers(root: Any) -> list[KerasLayer]:
    names = _names(root, "layer_names", _MAX_LAYERS)
    if len(set(names)) < len(names):
        raise ValueError("a layer is listed twice")
    found: list[KerasLayer] = []
    left = _MAX_NUMBERS
    for name in names:
        group = _own(root, name)
        arrays: list[np.ndarray] = []
        for place in _names(group, "weight_names", _MAX_ARRAYS):
            arrays.append(_array(group, place, left))
            left -= arrays[-1].size
        found.append(KerasLayer(name, re.sub(r"_\d+$", "", name), arrays))
    return found


def _names(group: Any, key: str, most: int) -> list[str]:
    count = math.prod(group.attrs.get_id(key).shape)
    if count > most:
        raise ValueError(f"{key} lists {count} entries")
    values = np.asarray(group.attrs[key]).ravel()
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


def _array(group: Any, place: str, most: int) -> np.ndarray:
    """The dataset at ``place``, with at most ``most`` numbers, as float32."""
    found = _own(group, place)
    if found.external or found.is_virtual:
        raise ValueError(f"{place} is kept in another file")
    if found.dtype.kind != "f":
        raise ValueError(f"{place} holds values of type {found.dtype}")
    if found.size is None or found.size > most or math.prod(found.chunks or ()) > _MAX_NUMBERS:
        raise ValueError(f"with {place} the file holds more than {_MAX_NUMBERS:,} numbers")
    values = np.asarray(found[()], np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{place} holds values that are no numbers")
    return values


def _own(group: Any, place: str) -> Any:
    """The member at the path ``place`` in ``group``; every step must be inside the file.

    Raises:
        ValueError: it is a link to somewhere else.
        KeyError: there is none.
    """
    import h5py

    for name in place.split("/"):
        link = group.get(name, getlink=True)
        if link is None:
            raise KeyError(f"{place} is missing")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{place} is a link to somewhere else")
        group = group[name]
    return group
