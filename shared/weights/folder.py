"""Folders of small trained models: facts (JSON), ``model.safetensors`` and a card, ``README.md``. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from shared.errors import CheckpointError, StorageError
from shared.storage import need_replaceable, read_bytes, read_json, replacing_folder

WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
_MOST_BYTES = 1 << 30
_MOST_FACTS_BYTES = 4 << 20


class Numbered(Protocol):
    """Facts with the number of their format."""

    @property
    def format(self) -> int:
        """Of the file."""
        ...


F = TypeVar("F", bound=Numbered)
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class ModelLayout(Generic[F]):
    """What the folders of one kind of model are called and hold.

    Attributes:
        what: the kind, in messages: "voice model".
        facts: type of the facts.
        facts_name: their file.
        inner: name of the folder within a run.
        format: of the facts that are read.
    """

    what: str
    facts: type[F]
    facts_name: str
    inner: str
    format: int

    def folder(self, place: Path) -> Path:
        """The model's folder: ``place``, or the one in the run there."""
        return place if (place / self.facts_name).is_file() else place / self.inner


@dataclass(frozen=True, eq=False)
class StoredModel(Generic[F]):
    """What a folder holds: facts, weights by name, and the SHA-256, hex, of the very bytes that they were read from."""

    folder: Path
    facts: F
    tensors: dict[str, Tensor]
    weights_sha256: str


def write_model(folder: Path, layout: ModelLayout[F], tensors: Mapping[str, Tensor], facts: F, *, card: str) -> Path:
    """Writes the folder, completely or not at all, in place of an earlier one; returns it.

    Raises:
        UsageError: something else is there.
        StorageError: writing failed.
    """
    need_replaceable(folder, layout.what, marks=(layout.facts_name, WEIGHTS_NAME))
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing_folder(folder) as draft:
        try:
            save_file(whole, draft / WEIGHTS_NAME, metadata={"format": "pt"})
        except SafetensorError as error:  # the library wraps errors of the operating system
            raise StorageError(f"cannot write {folder}: {error}", hint="check the disk's space") from error
        document = json.dumps(msgspec.to_builtins(facts), indent=2)
        (draft / layout.facts_name).write_text(f"{document}\n", encoding="utf-8")
        (draft / CARD_NAME).write_text(card, encoding="utf-8")
    return folder


def read_model(place: Path, layout: ModelLayout[F]) -> StoredModel[F]:
    """The model in a folder, or in the run there.

    Raises:
        CheckpointError: there is none, it is of another format, too large or damaged.
    """
    folder = layout.folder(place)
    hint = f"name the folder of a trained {layout.what}, or its run"
    facts = read_json(folder / layout.facts_name, layout.facts, _MOST_FACTS_BYTES, error=CheckpointError, hint=hint)
    if facts.format != layout.format:
        raise CheckpointError(f"{folder} is of format {facts.format}, not {layout.format}", hint="train it again")
    path = folder / WEIGHTS_NAME
    data = read_bytes(path, _MOST_BYTES, error=CheckpointError, hint=hint)
    try:
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        raise damaged(path, error) from error
    return StoredModel(folder, facts, tensors, hashlib.sha256(data).hexdigest())


def filled(stored: StoredModel[F], layout: ModelLayout[F], build: Callable[[], M]) -> M:
    """The network that ``build`` makes, with the stored weights, ready for use.

    Names and shapes are compared first, before memory is taken for a network of the size that the facts say.

    Raises:
        CheckpointError: the weights do not fit, or are no numbers.
    """
    path = stored.folder / WEIGHTS_NAME
    try:
        with torch.device("meta"):
            wanted = {name: each.shape for name, each in build().state_dict().items()}
        if wanted != {name: each.shape for name, each in stored.tensors.items()}:
            raise ValueError(f"its weights are not of the size that {layout.facts_name} says")
        network = build()
        network.load_state_dict(stored.tensors)
    except (RuntimeError, ValueError) as error:
        raise damaged(path, error) from error
    if not all(bool(torch.isfinite(each).all()) for each in network.state_dict().values()):
        raise CheckpointError(f"{path} holds weights that are no numbers", hint="train it again")
    return network.eval()


def damaged(path: Path, error: Exception) -> CheckpointError:
    """The error of weights at ``path`` that do not fit."""
    return CheckpointError(f"{path} is damaged: {error}", hint="train it again, or copy it again")
