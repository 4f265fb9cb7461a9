"""A checkpoint: named tensors and a JSON document in one safetensors file; there is no pickle in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shared.errors import CheckpointError, StorageError
from shared.storage import decode_json, replacing

_META_KEY = "assay"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after ``step`` steps: named tensors and a JSON document."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Writes named tensors (copied to the CPU) and a JSON document as one safetensors file, atomically.

    Raises:
        StorageError: writing failed.
    """
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    text = json.dumps(document, allow_nan=False)
    with replacing(path) as draft:
        try:
            save_file(plain, draft, metadata={_META_KEY: text})
        except SafetensorError as error:  # the library wraps the operating system's errors
            message = f"cannot write {path}: {error}"
            raise StorageError(message, hint="check the disk's space and permissions") from error


def read_checkpoint(path: Path, *, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON document of a file that :func:`write_checkpoint` made.

    Raises:
        CheckpointError: missing, damaged, cut short, or not such a file.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            text = (file.metadata() or {}).get(_META_KEY, "null")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", hint="the file is missing or damaged") from error
    document = decode_json(text, object, path, error=CheckpointError, hint="choose a checkpoint of a run")
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} was not written by assay", hint="choose a checkpoint of a run")
    return tensors, document


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint of a run in the file ``path``.

    Raises:
        CheckpointError: it cannot be read, or is none of a run.
    """
    tensors, document = read_checkpoint(path)
    step, meta = document.get("step"), document.get("meta")
    if not isinstance(step, int) or not isinstance(meta, dict):
        raise CheckpointError(f"{path} holds no step or state", hint="choose a checkpoint of a run")
    return Checkpoint(step, tensors, meta)


def is_snapshot(path: Path) -> bool:
    """Whether the file is a readable checkpoint that is kept for good."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_META_KEY, "{}")
        return bool(decode_json(text, dict, path, error=CheckpointError).get("snapshot"))
    except (OSError, SafetensorError, CheckpointError):
        return False
