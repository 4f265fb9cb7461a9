"""Files that are no network of re-enactment are refused, and nothing in them is executed or built first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from forge.reenacting.networks.checkpoint import (
    WEIGHTS,
    ReenactorCard,
    load_reenactor,
    reenactor_digest,
    reenactor_file,
    save_reenactor,
)
from forge.reenacting.networks.families import untrained
from shared.errors import CheckpointError
from shared.training.checkpoint import write_checkpoint

CARD = ReenactorCard(
    "reenact-landmark", {"px": 64, "channels": 4}, ("ann",), ("consent",), 10, 1, 5, 1.0, {"0 ann": "0" * 64}, {}
)  # fmt: skip


def saved(path: Path, card: ReenactorCard = CARD, **tensors: torch.Tensor) -> Path:
    torch.manual_seed(0)
    net = untrained("reenact-landmark", {"px": 64, "channels": 4})
    with torch.no_grad():
        for name, value in tensors.items():
            net.get_parameter(name.replace("_", ".")).fill_(float(value))
    return save_reenactor(net, path, card)


def test_a_run_and_the_file_in_it_are_one(tmp_path):
    path = saved(tmp_path / WEIGHTS)
    assert reenactor_file(tmp_path) == path
    assert reenactor_digest(tmp_path) == load_reenactor(path).sha256


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"options": {"px": 64, "channels": 8}}, "does not fit its family"),
        ({"options": {"px": 64, "channels": 100_000}}, "describes no network: channels must be 4 to 128"),
        ({"options": {"px": 64, "chanels": 8}}, "describes no network"),
        ({"family": "reenact-x"}, "describes no network"),
    ],
)
def test_a_card_that_does_not_fit_the_weights_is_refused(tmp_path, change, why):
    path = saved(tmp_path / WEIGHTS, replace(CARD, **change))
    with pytest.raises(CheckpointError, match=why):
        load_reenactor(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no numbers"):
        load_reenactor(saved(tmp_path / WEIGHTS, out_bias=torch.tensor(float("nan"))))


def test_what_is_something_else_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds no network"):
        load_reenactor(tmp_path)
    other = tmp_path / "other.safetensors"
    write_checkpoint(other, {"a": torch.zeros(1)}, {"kind": "assay-generator-1"})
    with pytest.raises(CheckpointError, match="holds no network"):
        load_reenactor(other)
    write_checkpoint(other, {"a": torch.zeros(1)}, {"kind": "assay-reenactor-1", "card": {"steps": "many"}})
    with pytest.raises(CheckpointError, match="is damaged"):
        load_reenactor(other)
    other.write_bytes(b"\x80\x04 pickled")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_reenactor(other)
