"""What every network of re-enactment can do: train, stop and go on, be saved, and drive a clip.

A new family joins by being registered, with its smallest options in ``TINY``.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from forge.reenacting.clip import reenact_clip
from forge.reenacting.networks.checkpoint import load_reenactor, save_reenactor
from forge.reenacting.networks.config import NetworkName, ReenactorConfig
from forge.reenacting.networks.contract import reenactors
from forge.reenacting.networks.families import TINY
from forge.reenacting.networks.training import ReenactorResult, train_reenactor
from shared.dataset import DatasetFolder
from shared.storage import sha256_file
from shared.training.checkpoint import read_checkpoint
from shared.training.run import read_metrics
from shared.video import Encoding, VideoReader, read_mask_frames
from shared.video.images import read_picture

STEPS, MIDDLE = 20, 12


def settings(family: str) -> ReenactorConfig:
    return ReenactorConfig(
        family=family, options=TINY[family], steps=STEPS, batch=4, learning_rate=5e-3, ema=0.5, save_every=MIDDLE,
        log_every=1, device="cpu",
    )  # fmt: skip


def test_the_settings_offer_every_network_that_is_registered():
    assert sorted(get_args(NetworkName)) == reenactors.names() == sorted(TINY)


@pytest.fixture(scope="module", params=reenactors.names())
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(family: str, talkers: list[Path], tmp_path_factory: pytest.TempPathFactory) -> ReenactorResult:
    return train_reenactor(talkers, tmp_path_factory.mktemp(family) / "run", settings(family))


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}.safetensors"


def test_its_loss_falls(trained):
    assert (trained.steps, trained.pictures, trained.clips, trained.people) == (STEPS, 20, 2, 2)
    lines = read_metrics(trained.run)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    losses = [line["loss"] for line in lines]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert read_picture(trained.run / "previews" / "latest.png").std() > 1


def test_it_goes_on_exactly_where_it_stopped(family, trained, talkers, tmp_path):
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    checkpoint(run, STEPS).unlink()
    assert train_reenactor(talkers, run, settings(family)).steps == STEPS
    whole, _ = read_checkpoint(checkpoint(trained.run, STEPS))
    parted, _ = read_checkpoint(checkpoint(run, STEPS))
    assert set(whole) == set(parted)
    assert [name for name, value in whole.items() if not torch.equal(value, parted[name])] == []


def test_its_file_says_who_is_in_it_and_holds_the_same_weights_wherever_it_lies(family, trained, tmp_path):
    one = load_reenactor(trained.run)
    again = load_reenactor(save_reenactor(one.net, tmp_path / "moved.safetensors", one.card))
    assert one.sha256 == again.sha256 == sha256_file(trained.weights)
    assert (one.card.family, one.card.identities, one.card.rights) == (family, ("p0", "p1"), ("synthetic",))
    assert (one.card.steps, one.card.pictures, len(one.card.inputs)) == (STEPS, 20, 2)
    assert one.card.settings["batch"] == 4
    assert one.card.knows("p1")
    assert not one.card.knows("p2")
    state = again.net.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in one.net.state_dict().items())
    assert not one.net.training


@pytest.mark.parametrize("own", [False, True])
def test_it_drives_a_clip_into_a_dataset_that_verifies(family, trained, target, drive, reenact_config, tmp_path, own):
    """By another person, and as a control by another moment of the target's own."""
    beside = f"sidecar:{drive.with_suffix('.landmarks.parquet')}"
    config = replace(reenact_config, family=family)
    if own:
        target, config = drive, replace(config, finder=beside, offset_seconds=0.12)
    record = reenact_clip(
        target, drive=drive, dataset=tmp_path / "set", config=config, swapper=trained.run, drive_finder=beside,
        rights="consent", target_identity="ann" if own else "p0", driver_identity="ann",
        encoding=Encoding.lossless_rgb(),
    )  # fmt: skip
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.verify(deep=True) == []
    assert (record.architecture, record.is_self_swap) == (family, own)
    assert record.factors["network_sha256"] == sha256_file(trained.weights)
    assert record.factors["network_knows_target"] == ("no" if own else "yes")
    regions = list(read_mask_frames(folder.mask_paths(record)["region"]))
    for fake, real in zip(VideoReader(folder.media_path(record)), VideoReader(target), strict=True):
        still = regions[fake.index] == 0
        assert np.array_equal(fake.image[still], real.image[still])
    assert record.faked
