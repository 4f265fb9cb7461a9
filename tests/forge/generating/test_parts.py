"""Parts of generating: augmentation, priors, certificates, seeds, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from forge.generating.augment import augmented
from forge.generating.certificate import Reference
from forge.generating.checkpoint import load_generator, save_generator
from forge.generating.config import GeneratorConfig, StillConfig, seeds_of
from forge.generating.contract import generators, latent_between
from forge.generating.families import untrained
from forge.generating.flow import FlowGenerator, generate_flow
from forge.generating.prior import main_directions, shrunk_covariance
from forge.generating.train import train_generator
from forge.generating.trainers import tiled
from forge.models import build_swapper
from forge.models.checkpoint import save_swapper
from forge.training import step_loop
from shared.errors import CheckpointError, ConfigError, FacesetError, TrainingDivergedError, UsageError
from tests.factories import face_row, write_faceset


def test_gradients_flow_through_the_augmentation_and_each_face_is_changed_by_itself():
    faces = torch.full((6, 3, 32, 32), 0.25, requires_grad=True)
    found = augmented(faces, torch.Generator().manual_seed(0))
    assert found.shape == faces.shape
    # A flat face gets brighter or darker, and has grey where a square is cut and where it was moved from.
    shades = {round(float(face.detach()[:, 16, 16].mean()), 3) for face in found}
    assert len(shades) > 2
    assert all(bool((face.detach() == 0.5).any()) for face in found)
    found.sum().backward()
    assert faces.grad is not None
    assert float(faces.grad.abs().sum()) > 0


def test_half_way_between_two_latents_lies_on_the_circle_through_both():
    one, other = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    half = latent_between(one, other, 0.5)
    torch.testing.assert_close(half, torch.tensor([3.0, 3.0]) / 2**0.5)
    torch.testing.assert_close(latent_between(one, other, 1.0), other)
    torch.testing.assert_close(latent_between(one, one, 0.3), one)


def test_few_vectors_shrink_the_covariance_towards_the_identity_and_many_leave_it():
    covariance = torch.diag(torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64))
    few, many = shrunk_covariance(covariance, 4), shrunk_covariance(covariance, 100_000)
    torch.testing.assert_close(many, covariance, atol=1e-3, rtol=1e-3)
    assert 2 <= float(few[0, 0]) < 3.9
    assert float(few.trace()) == pytest.approx(6.0)


def test_directions_are_eigenvectors_as_long_as_the_deviation_along_them():
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    covariance = turn @ torch.diag(torch.tensor([9.0, 1.0], dtype=torch.float64)) @ turn.T
    found = main_directions(covariance, 1)
    torch.testing.assert_close(found[:, 0].abs(), 3 * turn[:, 0].abs())


def test_the_path_of_an_exact_flow_ends_at_the_face():
    flow = generate_flow(px=32, channels=8, steps=5)
    assert isinstance(flow, FlowGenerator)
    noise = flow.latents([7])
    face = torch.full((1, 3, 32, 32), 0.5)
    velocity = 2 * face - 1 - noise.view(1, 3, 32, 32)
    flow.net.forward = lambda x, times: velocity  # type: ignore[method-assign]
    torch.testing.assert_close(flow(noise), face, atol=1e-5, rtol=0)


def reference() -> Reference:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(40, 8))
    faces = np.concatenate([directions, directions + 0.01 * rng.normal(size=(40, 8))]).astype(np.float32)
    people = tuple(f"p{number}" for number in range(40)) * 2
    return Reference(faces, people, {"name": "test"})


def test_a_copy_of_a_person_is_not_new_and_a_stranger_is(tmp_path):
    found = Reference.load(reference().save(tmp_path / "reference.safetensors"))
    copy = found.certificate(found.embeddings[3] * 2)
    assert (copy.nearest, copy.new) == ("p3", False)
    assert copy.similarity == pytest.approx(1.0, abs=1e-4)
    assert copy.rank == 1.0
    far = -found.embeddings[:40].mean(0)
    stranger = found.certificate(far)
    assert stranger.new
    assert stranger.rank < 0.999
    # Pairs of one person's two pictures are no pairs of strangers.
    assert found.limit < 0.99
    assert 0 <= found.strangers_refused <= 0.2


def test_a_damaged_reference_is_refused(tmp_path):
    path = Reference(np.zeros((3, 4), np.float32), ("a", "b"), {"name": "test"}).save(tmp_path / "r.safetensors")
    with pytest.raises(CheckpointError, match="no people"):
        Reference.load(path)


def test_seeds_are_numbers_and_ranges():
    assert seeds_of("3,8,10-12,8") == [3, 8, 10, 11, 12]
    for text in ("", "a", "5-3", "0-9999999999", "-1"):
        with pytest.raises(UsageError):
            seeds_of(text)


def test_a_sheet_fills_rows():
    pictures = np.stack([np.full((2, 2, 3), shade, np.uint8) for shade in (10, 20, 30)])
    sheet = tiled(pictures, columns=2)
    assert sheet.shape == (4, 4, 3)
    assert (sheet[0, 0, 0], sheet[0, 2, 0], sheet[2, 0, 0], sheet[2, 2, 0]) == (10, 20, 30, 0)


@pytest.mark.parametrize("name", generators.names())
def test_latents_are_normal_and_of_their_seed(name):
    net = generators.create(name)
    found = net.latents([1, 2, 1])
    assert found.shape == (3, net.spec.latent)
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
    assert 0.7 < float(found.std()) < 1.3


def test_bad_options_and_material_are_refused(people, tmp_path):
    with pytest.raises(ConfigError, match="px must be one of"):
        train_generator([people], tmp_path / "run", GeneratorConfig("generate-gan", {"px": 65}))
    with pytest.raises(ConfigError, match="cannot be built"):
        train_generator([people], tmp_path / "run", GeneratorConfig("generate-flow", {"colour": 3}))
    with pytest.raises(ConfigError, match="swapper's own option"):
        train_generator([people], tmp_path / "run", GeneratorConfig("generate-prior", {"code": 16}))
    with pytest.raises(ConfigError, match="truncation"):
        StillConfig(truncation=0)
    with pytest.raises(FacesetError, match="too few"):
        train_generator([people], tmp_path / "run", GeneratorConfig("generate-gan", people="faceset"))
    row = face_row(np.random.default_rng(0).uniform(10, 50, (68, 2)).astype(np.float32))
    made = write_faceset(tmp_path / "made", "made", [(row, np.zeros((64, 64, 3), np.uint8))], drawn_by="compact")
    with pytest.raises(FacesetError, match="generated by a swapper"):
        train_generator([made], tmp_path / "run", GeneratorConfig("generate-gan"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(CheckpointError, match="no generator"):
        load_generator(tmp_path)


def test_a_swapper_of_single_people_is_no_start(tmp_path):
    swapper = save_swapper(build_swapper("compact", ("ann", "bob"), width=0.125), tmp_path / "swapper")
    with pytest.raises(UsageError, match="of single people"):
        untrained(GeneratorConfig(start_from=str(swapper)))


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    net = generators.create("generate-gan", channels=4, latent=16)
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match="no numbers"):
        load_generator(save_generator(net, tmp_path / "generator.safetensors", {}))


def test_a_loss_that_is_no_number_ends_the_training():
    step_loop.need_finite({"loss": 1.0}, 3)
    with pytest.raises(TrainingDivergedError, match="loss became nan at step 4"):
        step_loop.need_finite({"loss": float("nan")}, 4)
