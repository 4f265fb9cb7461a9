"""A trained network of re-enactment in a file: weights, family and options, and what it was trained on. No pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from forge.models.contract import Option
from forge.reenacting.networks.contract import Reenactor
from forge.reenacting.networks.families import untrained
from shared.config import from_mapping, to_mapping
from shared.errors import AssayError, CheckpointError
from shared.storage import sha256_file
from shared.training.checkpoint import read_checkpoint, write_checkpoint

WEIGHTS = "reenactor.safetensors"
"""The trained weights in a run."""

_KIND = "assay-reenactor-1"
_MOST_BYTES = 1 << 30
_HINT = "choose a run of assay forge train-reenactor, or the file that one wrote"


@dataclass(frozen=True)
class ReenactorCard:
    """What a file says of its network.

    Attributes:
        family: see :data:`forge.reenacting.networks.config.NetworkName`; options: of the family.
        identities, rights: of the facesets it was trained on.
        pictures, clips: how many.
        steps, seconds: of the training.
        inputs: digest of each faceset.
        settings: of the training, as :class:`forge.reenacting.networks.config.ReenactorConfig` has them.
    """

    family: str
    options: dict[str, Option]
    identities: tuple[str, ...]
    rights: tuple[str, ...]
    pictures: int
    clips: int
    steps: int
    seconds: float
    inputs: dict[str, str]
    settings: dict[str, Any]

    def knows(self, person: str) -> bool:
        """Whether faces of ``person`` were among those it was trained on."""
        return person in self.identities


@dataclass(frozen=True, eq=False)
class LoadedReenactor:
    """A network in evaluation mode, its card, and the SHA-256, hex, of its file."""

    net: Reenactor
    card: ReenactorCard
    sha256: str


def save_reenactor(net: Reenactor, path: Path, card: ReenactorCard) -> Path:
    """Writes weights and card to ``path``; returns it.

    Raises:
        StorageError: writing failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(path, net.state_dict(), {"kind": _KIND, "card": to_mapping(card)})
    return path


def load_reenactor(path: Path, device: torch.device | str = "cpu") -> LoadedReenactor:
    """The network in ``path``, a run or a file.

    Raises:
        CheckpointError: the file is missing, damaged, or of something else.
    """
    file = reenactor_file(path)
    sha256 = sha256_file(file)
    tensors, document = read_checkpoint(file, device="cpu")
    card = _card_in(document, file)
    try:
        with torch.device("meta"):
            wanted = {name: each.shape for name, each in _built(card, file).state_dict().items()}
        if wanted != {name: each.shape for name, each in tensors.items()}:
            raise CheckpointError(f"{file} does not fit its family", hint="it is damaged, or of another release")
        net = _built(card, file)
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{file} does not fit its family: {error}", hint="it is of another release") from error
    if not all(bool(torch.isfinite(each).all()) for each in net.state_dict().values()):
        raise CheckpointError(f"{file} holds weights that are no numbers", hint="train it again")
    return LoadedReenactor(net.to(device).to(memory_format=torch.channels_last).eval(), card, sha256)


def reenactor_file(path: Path) -> Path:
    """The file of weights at ``path``, or in it when it is a run.

    Raises:
        CheckpointError: there is none, or it is too large for one.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        trains = (path / "run.json").exists()
        hint = "a run exports one when it saves; train a while longer" if trains else _HINT
        raise CheckpointError(f"{path} holds no network of re-enactment ({WEIGHTS})", hint=hint)
    if file.stat().st_size > _MOST_BYTES:
        raise CheckpointError(f"{file} is larger than any network of re-enactment", hint=_HINT)
    return file


def reenactor_digest(path: Path) -> str:
    """SHA-256, hex, of the file of weights at ``path`` or in the run there.

    Raises:
        CheckpointError: there is none.
    """
    return sha256_file(reenactor_file(path))


def _card_in(document: Mapping[str, Any], file: Path) -> ReenactorCard:
    card = document.get("card")
    if document.get("kind") != _KIND or not isinstance(card, dict):
        raise CheckpointError(f"{file} holds no network of re-enactment", hint=_HINT)
    try:
        return from_mapping(ReenactorCard, card, where="card")
    except AssayError as error:
        raise CheckpointError(f"{file} is damaged: {error}", hint=_HINT) from error


def _built(card: ReenactorCard, file: Path) -> Reenactor:
    try:
        return untrained(card.family, card.options)
    except (AssayError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file} describes no network: {error}", hint=_HINT) from error
