"""A packaged GAN beside the own one, with a package of a few parameters in place of the real one."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import __main__, generate, packaged_gans
from benchmarks.generate_peers import Effort, measured, trained
from benchmarks.packaged_gans import TorchganDcgan, gans
from forge.generating.material import Material
from shared.errors import ConfigError, FinderError, RunError, UnknownNameError
from shared.faces.align import mean_in_crop
from tests.factories import face_row, write_faceset

PX, PEOPLE = 64, 8
NAME = "torchgan-dcgan"


class _Generator(nn.Module):
    """Flat faces; each is of one shade, which a latent gives."""

    encoding_dims = 5

    def __init__(self, out_size: int, latent: int = encoding_dims) -> None:
        super().__init__()
        self.px, self.shade = out_size, nn.Linear(latent, 3)

    def forward(self, latents: Tensor) -> Tensor:
        return torch.tanh(self.shade(latents))[:, :, None, None].expand(-1, -1, self.px, self.px)


class _Discriminator(nn.Module):
    def __init__(self, in_size: int) -> None:
        super().__init__()
        self.logit = nn.Linear(3, 1)

    def forward(self, faces: Tensor) -> Tensor:
        return self.logit(faces.mean((2, 3)))


class _Losses:
    """train_ops as torchgan's losses have them; what they were given is kept."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def generator(self, net: nn.Module, discriminator: nn.Module, optimizer: Any, place: Any, batch: int) -> float:
        optimizer.zero_grad()
        loss = -discriminator(net(torch.randn(batch, 5, device=place))).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    def discriminator(
        self, net: nn.Module, discriminator: nn.Module, optimizer: Any, real: Tensor, place: Any
    ) -> float:
        self.seen.append(real)
        optimizer.zero_grad()
        made = net(torch.randn(len(real), 5, device=place)).detach()
        loss = (discriminator(made) - discriminator(real)).mean()
        loss.backward()
        optimizer.step()
        return loss.item()


@pytest.fixture
def losses(monkeypatch) -> _Losses:
    """A torchgan of a few parameters; its losses."""
    found = _Losses()
    modules = {
        "torchgan.models": SimpleNamespace(DCGANGenerator=_Generator, DCGANDiscriminator=_Discriminator),
        "torchgan.losses": SimpleNamespace(
            MinimaxGeneratorLoss=lambda: SimpleNamespace(train_ops=found.generator),
            MinimaxDiscriminatorLoss=lambda: SimpleNamespace(train_ops=found.discriminator),
        ),
    }
    monkeypatch.setattr(packaged_gans, "need_package", lambda name, _: modules[name])
    return found


@pytest.fixture
def material() -> Material:
    faces = torch.randint(256, (16, 3, PX, PX), generator=torch.Generator().manual_seed(0)).byte()
    return Material(faces, tuple(str(number) for number in range(16)), {"0 crowd": "digest"})


@pytest.fixture
def faceset(tmp_path, rng) -> Path:
    landmarks = mean_in_crop(PX, "whole")
    faces = [
        (face_row(landmarks, clip=person, frame=frame), rng.integers(0, 256, (PX, PX, 3), np.uint8))
        for person in range(PEOPLE)
        for frame in range(2)
    ]
    return write_faceset(tmp_path / "crowd", "crowd", faces, clips=range(PEOPLE))


@pytest.fixture
def ruler(monkeypatch) -> None:
    """Mean shades in place of the network's features, and blocks of six."""
    net = SimpleNamespace(pooled=lambda pictures: np.stack([each.mean((0, 1)) / 255 for each in pictures]))
    monkeypatch.setattr(generate.FeatureNet, "load", lambda: net)
    monkeypatch.setattr(generate, "_SIZE", 6)


def _weights(module: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in module.parameters()]


def _run(material: Material, folder: Path, **effort: Any) -> TorchganDcgan:
    found = gans.create(NAME, faces=material.faces, batch=4, seed=0)
    assert isinstance(found.trainer, TorchganDcgan)
    torch.manual_seed(0)
    trained(NAME, found, material, folder, Effort(batch=4, **effort))
    return found.trainer


@pytest.mark.usefixtures("losses")
def test_a_stopped_training_of_a_package_goes_on_to_the_same_bits(material, tmp_path):
    torch.manual_seed(1)
    whole = _run(material, tmp_path / "whole", steps=5)
    torch.manual_seed(1)
    _run(material, tmp_path / "parts", steps=2)
    parts = _run(material, tmp_path / "parts", steps=5)
    assert parts.step == whole.step == 5
    for name, module in whole.modules().items():
        for one, other in zip(_weights(module), _weights(parts.modules()[name]), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
    with pytest.raises(RunError, match="batch"):
        trained(NAME, gans.create(NAME, faces=material.faces, batch=8, seed=0), material, tmp_path / "parts",
                Effort(batch=8, steps=5))  # fmt: skip


def test_the_minutes_are_those_of_the_processor(material, tmp_path, losses, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def slowly(*given: Any) -> float:
        now[0] += 20
        return _Losses.generator(losses, *given)

    monkeypatch.setattr(losses, "generator", slowly)
    # Three steps fill a minute; the clock is read before a step, so that one more is made.
    assert _run(material, tmp_path / "run", minutes=1.0).step == 4
    assert _run(material, tmp_path / "run", minutes=2.0).step == 7


def test_torchgan_sees_the_faces_in_the_range_of_tanh_and_its_own_are_brought_back(material, losses):
    gan = gans.create(NAME, faces=material.faces, batch=4, seed=0)
    before = _weights(gan.trainer.modules()["generator"])
    gan.trainer.train_step(0.0)
    (seen,) = losses.seen
    known = {
        (face.float() / 127.5 - 1).numpy().tobytes() for face in torch.cat([material.faces, material.faces.flip(3)])
    }
    assert {face.numpy().tobytes() for face in seen.contiguous()} <= known
    assert any(
        not torch.equal(*pair) for pair in zip(before, _weights(gan.trainer.modules()["generator"]), strict=True)
    )
    made = gan.made(3).detach()
    assert made.shape == (3, 3, PX, PX)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    torch.testing.assert_close(made, gan.made(3).detach())
    assert gan.sizes() == (18, 4)


@pytest.mark.usefixtures("losses", "ruler")
def test_every_gan_stands_in_one_table_and_a_second_call_only_measures(faceset, tmp_path):
    asked = {"samples": 12, "sheets": tmp_path / "sheets"}
    effort = Effort(batch=2, steps=2)
    tables = list(measured([faceset], ["generate-gan", NAME], tmp_path / "work", effort, **asked))
    assert [len(table) for table in tables] == [5, 9]
    found = {one.name: one for one in tables[-1]}
    assert next(iter(found)) == "photographs against photographs"
    for name in ("generate-gan", NAME):
        assert found[f"{name}, steps of training"].values == (2.0,)
        assert found[f"{name}, kernel distance"].unit == "kid-lite0"
        assert found[f"{name}, kernel distance"].median > found["photographs against photographs"].median
        assert (tmp_path / "sheets" / f"{name}.png").stat().st_size > 0
    assert "parameters" in found[f"{NAME}, kernel distance"].note
    again = list(measured([faceset], ["generate-gan", NAME], tmp_path / "work", effort, **asked))[-1]
    assert [one.values for one in again if one.unit == "kid-lite0"] == [
        one.values for one in tables[-1] if one.unit == "kid-lite0"
    ]


@pytest.mark.usefixtures("ruler")
def test_a_package_that_is_not_installed_is_named_before_anything_is_trained(faceset, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torchgan", None)
    monkeypatch.setattr(
        "sys.argv", ["benchmarks", "generate-peers", str(faceset), "--work", str(tmp_path / "work"), "--batch", "2"]
    )
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 1
    said = " ".join("".join(capsys.readouterr()).split())
    assert "torchgan.models cannot be imported" in said
    assert "pip install torchgan" in said
    assert not (tmp_path / "work").exists()


def test_too_few_photographs_are_refused_in_a_sentence(faceset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "generate-peers", str(faceset), "--work", str(tmp_path / "work")])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert "16 photographs are too few for a floor" in " ".join("".join(capsys.readouterr()).split())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"px": 96}, "64, 128"), ({"batch": 1}, "2 to"), ({"minutes": 0.0}, "positive"), ({"steps": 0}, "1")],
)
def test_an_effort_out_of_range_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Effort(**wrong)


@pytest.mark.parametrize("name", gans.names())
def test_every_gan_that_is_installed_makes_a_step_and_faces_of_the_asked_side(name, material):
    try:
        gan = gans.create(name, faces=material.faces, batch=2, seed=0)
    except FinderError as absent:
        pytest.skip(str(absent.hint))
    before = gan.made(2).detach()
    gan.trainer.train_step(0.0)
    assert gan.trainer.step == 1
    assert not torch.equal(gan.made(2).detach(), before)
    made = gan.sampled(2)
    assert made.shape == (2, PX, PX, 3)
    assert made.dtype == np.uint8
    assert min(gan.sizes()) > 0


def test_a_packaged_gan_says_what_to_install(material, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchgan.models", None)  # also where it was imported before
    with pytest.raises(FinderError) as refused:
        gans.create(NAME, faces=material.faces, batch=2, seed=0)
    assert refused.value.hint == "pip install torchgan"


def test_an_unknown_gan_is_refused_with_the_known_names():
    with pytest.raises(UnknownNameError) as refused:
        gans.get("torchgan")
    assert NAME in str(refused.value.hint)
