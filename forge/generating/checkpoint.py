"""A trained generator in a file: weights, family and options, and what it was trained on. No pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from forge.generating.contract import Generator, generators
from forge.models.contract import Option
from shared.errors import AssayError, CheckpointError
from shared.storage import sha256_file
from shared.training.checkpoint import read_checkpoint, write_checkpoint

WEIGHTS = "generator.safetensors"
"""The trained weights in a run."""

_KIND = "assay-generator-1"
_MOST_BYTES = 1 << 30
_HINT = "choose a run of assay forge train-generator, or the file that one wrote"


def save_generator(generator: Generator, path: Path, facts: Mapping[str, Any]) -> Path:
    """Writes the weights, family, options, and ``facts`` of the training to ``path``; returns it.

    Raises:
        StorageError: writing failed.
    """
    spec = generator.spec
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"kind": _KIND, "family": spec.name, "options": dict(spec.options), "facts": dict(facts)}
    write_checkpoint(path, generator.state_dict(), document)
    return path


def load_generator(path: Path, device: torch.device | str = "cpu") -> tuple[Generator, dict[str, Any]]:
    """The generator in ``path``, a run or a file, in evaluation mode, and the facts of its training.

    Raises:
        CheckpointError: the file is missing, damaged, or of something else.
    """
    file = generator_file(path)
    tensors, document = read_checkpoint(file, device=str(device))
    options, facts = document.get("options"), document.get("facts")
    if document.get("kind") != _KIND or not isinstance(options, dict) or not isinstance(facts, dict):
        raise CheckpointError(f"{file} holds no generator", hint=_HINT)
    generator = _built(str(document.get("family")), options, file)
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{file} does not fit its family: {error}", hint="it is of another release") from error
    if not all(bool(torch.isfinite(each).all()) for each in generator.state_dict().values()):
        raise CheckpointError(f"{file} holds weights that are no numbers", hint="train it again")
    return generator.to(device).to(memory_format=torch.channels_last).eval(), facts


def generator_file(path: Path) -> Path:
    """The file of weights at ``path``, or in it when it is a run.

    Raises:
        CheckpointError: there is none, or it is too large for one.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        trains = (path / "run.json").exists()
        hint = "a run exports one when it saves; train a while longer" if trains else _HINT
        raise CheckpointError(f"{path} holds no generator ({WEIGHTS})", hint=hint)
    if file.stat().st_size > _MOST_BYTES:
        raise CheckpointError(f"{file} is larger than any generator", hint=_HINT)
    return file


def generator_digest(path: Path) -> str:
    """SHA-256, hex, of the file of weights at ``path`` or in the run there.

    Raises:
        CheckpointError: there is none.
    """
    return sha256_file(generator_file(path))


def _built(family: str, options: Mapping[str, Option], file: Path) -> Generator:
    try:
        return generators.create(family, **options)
    except (AssayError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file} describes no generator: {error}", hint=_HINT) from error
