"""The command that makes the network of reenact-warp, small: actors alone and a few steps of a tiny network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks.warp_model import make_warp, ship, warp_config
from forge.reenacting.networks.checkpoint import load_reenactor
from forge.reenacting.networks.config import ReenactorConfig
from shared.errors import UsageError


def tiny(steps: int) -> ReenactorConfig:
    return dataclasses.replace(
        warp_config(steps=steps, device="cpu"), options={"px": 64, "channels": 4}, batch=2, save_every=1
    )


def test_it_learns_goes_on_and_is_shipped_in_half_the_bytes(tmp_path: Path):
    work = tmp_path / "work"
    run = make_warp(None, work, tiny(2), actors=2)
    kept = {path: path.stat().st_mtime_ns for path in work.rglob("faceset.toml")}
    assert len(kept) == 2
    make_warp(None, work, tiny(4), actors=2)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    whole = load_reenactor(run)
    file = ship(run, tmp_path / "shipped")
    again = load_reenactor(file)
    assert again.card == whole.card
    assert (again.card.steps, again.card.rights, again.card.clips) == (4, ("procedural",), 2)
    assert file.stat().st_size < 0.6 * (run / file.name).stat().st_size
    for name, tensor in whole.net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    text = (file.parent / "README.md").read_text()
    assert again.sha256 in text
    assert all(digest[:16] in text for digest in again.card.inputs.values())


def test_clips_that_are_missing_are_told_of_before_anything_is_filmed(tmp_path: Path):
    with pytest.raises(UsageError, match="holds 0 clips of GRID"):
        make_warp(tmp_path, tmp_path / "work", tiny(2))
    assert not (tmp_path / "work").exists()
