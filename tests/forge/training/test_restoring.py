"""The restorer: its network, its training and its use on swapped faces."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from forge.models import restorer as module
from forge.models.restorer import Restorer, load_restorer, restored, save_restorer
from forge.swapping.config import BlendConfig
from forge.swapping.super_resolution import enlarge_digest, enlarged, make_enlarge
from forge.training import restoring
from forge.training.restoring import RestorerConfig, train_restorer
from forge.training.restoring_faces import Patches, read_photographs
from shared.errors import CheckpointError, FacesetError
from shared.faces.align import mean_in_crop
from shared.storage import sha256_file
from shared.training.checkpoint import read_checkpoint
from shared.training.run import read_metrics
from shared.types import SwappedFace
from tests.factories import face_row, write_faceset

CONFIG = RestorerConfig(
    steps=6, batch=4, patch=32, drawn=0.0, adversary_from=0.5, perceptual=0.0, save_every=3, log_every=1, device="cpu"
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of 320 px with edges and fine texture."""
    return crowd(tmp_path_factory.mktemp("faces"), 12)


def crowd(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    landmarks = mean_in_crop(320, "whole").astype(np.float32)
    faces = []
    for number in range(count):
        picture = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (320, 320), interpolation=cv2.INTER_NEAREST)
        picture = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
        faces.append((face_row(landmarks, clip=0, frame=number), picture))
    return write_faceset(folder / "crowd", "crowd", faces)


def untrained() -> Restorer:
    return Restorer().to(memory_format=torch.channels_last).eval()


def test_before_training_it_is_the_bicubic_enlargement():
    faces = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = untrained()(faces)
    expected = torch.nn.functional.interpolate(faces, scale_factor=2, mode="bicubic")
    torch.testing.assert_close(found, expected)


def test_a_training_killed_between_resumes_to_the_same_weights(photographs, tmp_path, monkeypatch):
    whole = train_restorer([photographs], tmp_path / "whole", CONFIG)
    step = restoring._Trainer.train_step

    def killed(self, fraction):
        if self.step == 4:
            raise RuntimeError("killed")
        return step(self, fraction)

    with monkeypatch.context() as patch:
        patch.setattr(restoring._Trainer, "train_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train_restorer([photographs], tmp_path / "parts", CONFIG)
    again = train_restorer([photographs], tmp_path / "parts", CONFIG)
    one, other = (read_checkpoint(path)[0] for path in (whole, again))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert any(value.abs().max() > 0 for name, value in one.items() if name.startswith("out."))
    for run in ("whole", "parts"):
        assert [line["step"] for line in read_metrics(tmp_path / run)] == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / "whole" / "previews" / "latest.png").stat().st_size > 1000


@pytest.mark.slow
def test_it_learns_to_undo_blur(photographs, tmp_path):
    config = dataclasses.replace(
        CONFIG,
        steps=500,
        batch=8,
        learning_rate=1e-3,
        dssim=0.0,
        detail=0.0,
        grid=0.0,
        adversarial=0.0,
        save_every=1000,
    )
    learned = load_restorer(train_restorer([photographs], tmp_path / "run", config))
    photos, _ = read_photographs([photographs])
    given, wanted = Patches(photos, 32, drawn=0, swapper=None).batch(32, np.random.default_rng(9))
    errors = [
        np.mean(
            [np.abs(restored(net, one).astype(float) - other).mean() for one, other in zip(given, wanted, strict=True)]
        )
        for net in (untrained(), learned)
    ]
    assert errors[1] < 0.98 * errors[0]


def test_too_few_faces_are_refused(tmp_path):
    few = crowd(tmp_path, 7)
    with pytest.raises(FacesetError, match="7 faces that are fine enough"):
        train_restorer([few], tmp_path / "run", CONFIG)
    assert not (tmp_path / "run").exists()


def test_a_file_of_something_else_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_restorer(tmp_path / "nothing.safetensors")
    path = save_restorer(untrained(), tmp_path / "r.safetensors", {})
    data = bytearray(path.read_bytes())
    path.write_bytes(data.replace(b"assay-restorer-1", b"assay-restorer-9"))
    with pytest.raises(CheckpointError, match="holds no restorer"):
        load_restorer(path)


def test_a_swapped_face_is_restored_to_twice_its_side_and_the_weights_are_recorded(tmp_path, monkeypatch):
    path = save_restorer(untrained(), tmp_path / "r.safetensors", {})
    monkeypatch.setattr(module, "RESTORER_FILE", path)
    monkeypatch.setattr(module.load_restorer, "__defaults__", (path, "cpu"))
    crop = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    face = SwappedFace(crop, np.ones((32, 32), np.float32), np.eye(2, 3))
    config = BlendConfig(enlarge="restorer")
    larger = enlarged(face, make_enlarge(config))
    assert (larger.crop.shape, larger.mask.shape) == ((64, 64, 3), (64, 64))
    np.testing.assert_allclose(
        larger.crop, restored(untrained(), np.rint(crop * 255).astype(np.uint8)) / 255, atol=1e-6
    )
    assert enlarge_digest(config) == sha256_file(path)
