"""What every registered swapper can do from end to end, at its smallest: learn, stop and go on, be saved, swap a clip.

A new family joins by being registered; its smallest options are those it was registered with.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from forge.models.catalogue import tiny_options
from forge.models.checkpoint import load_swapper, save_swapper
from forge.models.registry import swappers
from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.training.config import TrainConfig
from forge.training.train import TrainResult, train_swapper
from shared.actors.actor import cast
from shared.actors.filming import film
from shared.dataset import DatasetFolder
from shared.faces.facesets.extract import BESIDE, extract
from shared.faces.facesets.extract_config import ExtractConfig
from shared.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

PX = 96
FRAMES = 10
STEPS = 12
MIDDLE = 9
LOGGED_EVERY = 3


@dataclass(frozen=True)
class Stage:
    """Two actors, the facesets of their clips, and a third clip of the second one to swap."""

    names: tuple[str, str]
    facesets: tuple[Path, Path]
    target: Path


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("actors")
    actors = cast(2, 3)
    facesets = []
    for actor in actors:
        clip = film(actor, folder / f"{actor.name}.mp4", seconds=FRAMES / 25, px=PX, seed=1, audio=False)
        wanted = ExtractConfig(
            actor.name, "synthetic", finder=BESIDE, px=PX, min_face_px=16, min_sharpness=0.0, embed_every=0
        )
        extract([clip], folder / "faces" / actor.name, wanted)
        facesets.append(folder / "faces" / actor.name)
    target = film(actors[1], folder / "target.mp4", seconds=4 / 25, px=PX, seed=2, audio=False)
    return Stage((actors[0].name, actors[1].name), (facesets[0], facesets[1]), target)


def settings(family: str) -> TrainConfig:
    options = tiny_options(family)
    width = options.pop("width")
    return TrainConfig(
        model=family,
        width=float(width),
        model_options=options,
        steps=STEPS,
        batch=2,
        learning_rate=5e-3,
        warmup_steps=2,
        log_every=LOGGED_EVERY,
        preview_every=STEPS,
        save_every=MIDDLE,
        snapshot_every=0,
        device="cpu",
    )


@pytest.fixture(scope="module", params=swappers.names())
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(family: str, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train_swapper(stage.facesets, tmp_path_factory.mktemp(family) / "run", settings(family))


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}.safetensors"


def logged(run: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_the_loss_falls(trained):
    losses = logged(trained.run, "loss")
    assert len(losses) == STEPS // LOGGED_EVERY
    assert losses[-1] < 0.9 * losses[0]


def test_it_goes_on_exactly_where_it_stopped(family, trained, stage, tmp_path):
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    checkpoint(run, STEPS).unlink()
    assert checkpoint(run, MIDDLE).exists()
    again = train_swapper(stage.facesets, run, settings(family))
    assert again.steps == STEPS
    whole, _ = read_checkpoint(checkpoint(trained.run, STEPS))
    parted, _ = read_checkpoint(checkpoint(run, STEPS))
    assert set(whole) == set(parted)
    different = [name for name, value in whole.items() if not torch.equal(value, parted[name])]
    assert different == []


def test_what_is_exported_draws_the_same(trained, tmp_path):
    exported = load_swapper(trained.run)
    again = load_swapper(save_swapper(exported, tmp_path / "swapper"))
    side = exported.spec.input_px
    faces = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    for person in exported.spec.identities:
        one, other = exported(faces, person), again(faces, person)
        assert torch.equal(one.rgb, other.rgb)
        assert (one.mask is None) == (not exported.spec.has_mask)


def test_it_swaps_a_clip_into_a_dataset_that_verifies(family, trained, stage, tmp_path):
    record = swap_clip(
        stage.target,
        swapper=trained.run,
        source=stage.names[0],
        target_identity=stage.names[1],
        dataset=tmp_path / "set",
        config=SwapConfig(finder=f"sidecar:{stage.target.with_suffix('.landmarks.parquet')}", device="cpu"),
    )
    folder = DatasetFolder.open(tmp_path / "set")
    assert folder.records() == [record]
    assert folder.verify(deep=True) == []
    assert (record.architecture, record.source_identity, record.target_identity) == (family, *stage.names)
    assert record.faked == ((0, 4),)
