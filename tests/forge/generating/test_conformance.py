"""What every family of generators can do: train, stop and go on, be saved, and make stills that verify."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from forge.generating.checkpoint import load_generator, save_generator
from forge.generating.config import GeneratorConfig, StillConfig
from forge.generating.contract import generators
from forge.generating.families import TINY
from forge.generating.stills import Sampler, generate_stills
from forge.generating.train import GeneratorResult, train_generator
from shared.marking.files import read_marks
from shared.provenance.read import read_provenance
from shared.provenance.signed_list import check_folder, read_signed
from shared.provenance.types import MADE_BY_MODEL
from shared.training.checkpoint import read_checkpoint
from shared.training.run import read_metrics
from shared.video.images import read_picture

pytestmark = pytest.mark.slow

STEPS, MIDDLE = 20, 12
WRITE = StillConfig(not_new="write", truncation=1.0)


def settings(family: str) -> GeneratorConfig:
    return GeneratorConfig(
        family=family, options=TINY[family], steps=STEPS, batch=4, save_every=MIDDLE, log_every=1, device="cpu"
    )


@pytest.fixture(scope="module", params=generators.names())
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(family: str, people: Path, tmp_path_factory: pytest.TempPathFactory) -> GeneratorResult:
    return train_generator([people], tmp_path_factory.mktemp(family) / "run", settings(family))


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}.safetensors"


def test_it_trains(trained):
    assert (trained.steps, trained.faces, trained.people) == (STEPS, 24, 8)
    lines = read_metrics(trained.run)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert read_picture(trained.run / "previews" / "latest.png").std() > 1


def test_it_goes_on_exactly_where_it_stopped(family, trained, people, tmp_path):
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    checkpoint(run, STEPS).unlink()
    assert train_generator([people], run, settings(family)).steps == STEPS
    whole, _ = read_checkpoint(checkpoint(trained.run, STEPS))
    parted, _ = read_checkpoint(checkpoint(run, STEPS))
    assert set(whole) == set(parted)
    assert [name for name, value in whole.items() if not torch.equal(value, parted[name])] == []


def test_the_file_makes_the_same_faces_wherever_it_lies(trained, tmp_path):
    one, facts = load_generator(trained.run)
    again, _ = load_generator(save_generator(one, tmp_path / "moved.safetensors", facts))
    latents = one.latents([3, 8])
    with torch.inference_mode():
        faces = one(latents)
        assert torch.equal(faces, again(latents))
    assert faces.shape == (2, 3, one.spec.px, one.spec.px)
    assert float((faces[0] - faces[1]).abs().max()) > 1e-3
    assert facts["steps"] == STEPS


def test_a_face_depends_on_its_seed_alone(trained):
    sampler = Sampler(trained.run, WRITE)
    alone = [face for _, face, _ in sampler.made(sampler.wanted([5]))]
    among = [face for _, face, _ in sampler.made(sampler.wanted([1, 5]))]
    assert np.array_equal(alone[0], among[1])


def test_its_stills_are_marked_signed_and_verify(family, trained, tmp_path):
    out = tmp_path / "faces"
    stills = generate_stills(trained.run, out, [0, 1], WRITE, sheet=tmp_path / "sheet.png")
    assert set(check_folder(out).files.values()) == {"unchanged"}
    assert [record.path for record in stills.records] == ["seed-000000.png", "seed-000001.png"]
    for path in (out / "seed-000001.png", tmp_path / "sheet.png"):
        signed = read_provenance(path)
        assert signed is not None
        assert (signed.valid, signed.says_fake) == (True, True)
        assert signed.digital_source_types == (MADE_BY_MODEL,)
        assert signed.record is not None
        assert (signed.record["kind"], signed.record["architecture"]) == ("generate", family)
    signed = read_provenance(out / "seed-000001.png")
    assert signed is not None
    assert signed.record is not None
    assert (signed.record["seed"], signed.record["label"]) == (1, "fake")
    assert signed.record["swapper"] == stills.records[1].swapper
    assert str(signed.record["nearest_identity"]).startswith("crowd/crowd-")
    mark = read_marks(out / "seed-000001.png").picture
    assert mark is not None
    assert mark.payload is not None
    assert mark.payload.kind == "generate"
    statement = read_signed(out / "stills.json")
    assert [each["seed"] for each in statement["stills"]] == [0, 1]
