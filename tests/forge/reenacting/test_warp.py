"""The target's own pixels, moved by a network that needs one picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forge.reenacting.clip import reenact_clip
from forge.reenacting.config import ReenactConfig
from forge.reenacting.networks.checkpoint import WEIGHTS, ReenactorCard, load_reenactor, save_reenactor
from forge.reenacting.networks.families import TINY, untrained
from forge.reenacting.networks.shipped import shipped_network
from forge.reenacting.networks.warp import WarpReenactor
from forge.reenacting.transfer import driven_frame
from forge.reenacting.warp import FlowDriver
from shared.cli import run
from shared.dataset import DatasetFolder
from shared.dataset.held import TARGET_STILL
from shared.device import pick_device
from shared.errors import CheckpointError, ConfigError, UsageError
from shared.provenance.read import read_provenance
from shared.storage import sha256_file
from shared.video import Encoding, VideoReader, read_mask_frames
from shared.video.images import encode_png
from tests.factories import write_landmarks
from tests.forge.conftest import EMPTY
from tests.forge.reenacting.conftest import FRAMES, SIDE, performance, talking

ALL = ("mouth", "brows", "eyes")


def write_network(folder: Path, family: str = "reenact-warp", *, seed: int = 0, nan: bool = False) -> Path:
    """An untrained network in a folder."""
    torch.manual_seed(seed)
    net = untrained(family, TINY[family])
    if nan:
        with torch.no_grad():
            net.out.bias.fill_(float("inf"))
    card = ReenactorCard(family, TINY[family], ("cid",), ("consent",), 9, 1, 0, 0.0, {}, {})
    save_reenactor(net, folder / WEIGHTS, card)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network"))


@pytest.fixture
def config(reenact_config: ReenactConfig) -> ReenactConfig:
    return replace(reenact_config, family="reenact-warp")


@pytest.fixture
def order(drive, network, tmp_path):
    return {
        "drive": drive, "dataset": tmp_path / "set", "rights": "consent", "target_identity": "bob", "swapper": network,
        "driver_identity": "ann", "drive_finder": f"sidecar:{drive.with_suffix('.landmarks.parquet')}",
        "encoding": Encoding.lossless_rgb(),
    }  # fmt: skip


@pytest.mark.parametrize("regions", [("mouth",), ALL])
def test_the_region_alone_moves_and_everything_says_by_which_network(target, network, config, order, regions, capsys):
    config = replace(config, regions=regions)
    record = reenact_clip(target, config=config, **order)
    assert "was not trained on bob" not in capsys.readouterr().err
    folder = DatasetFolder.open(order["dataset"])
    assert folder.verify(deep=True) == []
    assert (record.kind, record.architecture, record.swapper) == ("reenact", "reenact-warp", None)
    assert record.factors["network_sha256"] == sha256_file(network / WEIGHTS)
    assert record.factors["mouth_inside"] == "painted by the network"
    masks = list(read_mask_frames(folder.mask_paths(record)["region"]))
    driven = {frame for start, stop in record.faked for frame in range(start, stop)}
    assert driven
    assert not driven & set(EMPTY)
    for fake, real in zip(VideoReader(folder.media_path(record)), VideoReader(target), strict=True):
        still = masks[fake.index] == 0
        assert still.mean() > 0.3
        assert np.array_equal(fake.image[still], real.image[still])
        assert np.array_equal(fake.image, real.image) == (fake.index not in driven)
    said = [action for action in read_provenance(folder.media_path(record)).actions if action.parameters]
    assert any(action.parameters.get("network") == record.factors["network_sha256"] for action in said)
    assert reenact_clip(target, config=config, **order) == record


def test_another_network_makes_another_clip(target, config, order, tmp_path):
    reenact_clip(target, config=config, name="one", **order)
    other = write_network(tmp_path / "other", seed=1)
    with pytest.raises(UsageError, match="made with other settings"):
        reenact_clip(target, config=config, name="one", **order | {"swapper": other})


@pytest.mark.parametrize("family", sorted(TINY))
def test_every_network_drives_a_photograph(family, drive, reenact_config, order, tmp_path):
    photograph = tmp_path / "cid.png"
    photograph.write_bytes(encode_png(np.random.default_rng(4).integers(60, 190, (SIDE, SIDE, 3), dtype=np.uint8)))
    beside = write_landmarks(tmp_path / "cid.landmarks.parquet", {0: talking(0)})
    config = replace(reenact_config, family=family, finder=f"sidecar:{beside}")
    made = order | {"swapper": write_network(tmp_path / "n", family), "target_identity": "cid"}
    record = reenact_clip(photograph, config=config, **made)
    assert DatasetFolder.open(order["dataset"]).verify(deep=True) == []
    assert (record.frames, record.faked) == (FRAMES, ((0, FRAMES),))
    assert record.factors[TARGET_STILL] == "photograph"


def test_what_moves_follows_the_drive_and_a_face_at_rest_stays(network):
    loaded = load_reenactor(network)
    assert isinstance(loaded.net, WarpReenactor)
    driver = FlowDriver(loaded.net, pick_device("cpu", "float32"))
    target = performance()
    ramp = np.broadcast_to(2 * np.arange(SIDE, dtype=np.uint8)[:, None, None], (SIDE, SIDE, 3)).copy()
    at_rest = driven_frame(target, 0, 0, np.zeros((68, 2)), ReenactConfig(), weight=1, driver=0)
    assert driver.patch(ramp, at_rest) is None
    motion = np.zeros((68, 2))
    motion[48:] = [0.0, 0.08]
    lower = driven_frame(target, 0, 0, motion, ReenactConfig(), weight=1, driver=0)
    patch = driver.patch(ramp, lower)
    assert patch is not None
    assert patch.alpha[patch.region == 0].max() == 0
    x0, y0, _x1, _y1 = patch.bounds
    x, y = (lower.drive[57] + [0.0, 2.0]).round().astype(int)
    assert -8 < patch.rgb[y - y0, x - x0, 0] - ramp[y, x, 0] < -2.5


def test_what_it_cannot_use_is_refused(target, config, order, tmp_path):
    with pytest.raises(UsageError, match="needs a network"):
        reenact_clip(target, config=replace(config, family="reenact-landmark"), **order | {"swapper": None})
    with pytest.raises(CheckpointError, match="is of reenact-landmark"):
        reenact_clip(target, config=config, **order | {"swapper": write_network(tmp_path / "n", "reenact-landmark")})
    with pytest.raises(CheckpointError, match="no numbers"):
        reenact_clip(target, config=config, **order | {"swapper": write_network(tmp_path / "nan", nan=True)})
    with pytest.raises(ConfigError, match="tilts no head"):
        replace(config, regions=("tilt",))
    assert not (tmp_path / "set").exists()


def test_the_command_drives_by_a_network_and_says_when_there_is_none(target, drive, network, tmp_path, capsys):
    words = ["forge", "reenact", str(target), "--drive", str(drive), "--family", "reenact-warp", "--device", "cpu"]
    words += ["--rights", "consent", "--target-identity", "bob", "--region", "all"]
    words += ["--finder", f"sidecar:{target.parent / 'landmarks.parquet'}"]
    words += ["--drive-finder", f"sidecar:{drive.with_suffix('.landmarks.parquet')}"]
    settings = tmp_path / "drive.toml"
    settings.write_text('min_face_px = 16\nmax_pose_gap_degrees = 60\n[output]\npreset = "ultrafast"\n')
    words += ["--config", str(settings), "--out", str(tmp_path / "set")]
    assert run([*words, "--run", str(network)]) == 0
    assert "painted by the network" in capsys.readouterr().out
    assert run([*words, "--family", "reenact-landmark"]) == 2
    assert "needs a network" in capsys.readouterr().err
    assert run([*words, "--run", str(tmp_path)]) != 0
    assert "holds no network" in capsys.readouterr().err


def test_the_network_of_the_package_needs_no_run(target, config, order):
    record = reenact_clip(target, config=config, **order | {"swapper": None})
    file = shipped_network("reenact-warp")
    assert file is not None
    assert record.factors["network_sha256"] == sha256_file(file)
    loaded = load_reenactor(file)
    assert {each.dtype for each in loaded.net.parameters()} == {torch.float32}
    assert loaded.sha256 in (file.parent / "README.md").read_text()
    assert shipped_network("reenact-landmark") is None
