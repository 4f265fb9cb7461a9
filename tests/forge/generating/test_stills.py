"""Stills of a generator that was never trained: formats, marks, refusals, sheets, paths between seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from forge.cli import app
from forge.generating.certificate import REFERENCE, FaceEmbedder, Reference
from forge.generating.checkpoint import WEIGHTS, save_generator
from forge.generating.config import StillConfig
from forge.generating.gan import generate_gan
from forge.generating.stills import Sampler, generate_stills
from shared.errors import CheckpointError, UsageError
from shared.provenance.read import read_provenance
from shared.provenance.signed_list import read_signed
from shared.video.images import read_picture


def run_in(folder: Path, *, like_seed: int | None = None) -> Path:
    """A run whose people are strangers, or one of them exactly the face of a seed."""
    torch.manual_seed(0)
    net = generate_gan(channels=4, latent=16).eval()
    folder.mkdir(parents=True)
    save_generator(net, folder / WEIGHTS, {"rights": "synthetic"})
    embedder = FaceEmbedder("whole").describe()
    vectors = np.eye(128, dtype=np.float32)[:40]
    Reference(vectors, tuple(f"p{number}" for number in range(40)), embedder).save(folder / REFERENCE)
    if like_seed is not None:
        sampler = Sampler(folder, StillConfig())
        face = next(face for _, face, _ in sampler.made(sampler.wanted([like_seed])))
        vectors[7] = FaceEmbedder("whole").embed(face[None])[0]
        # Strangers are far from each other and from it, so that only a copy lies above their pairs.
        Reference(vectors, tuple(f"p{number}" for number in range(40)), embedder).save(folder / REFERENCE)
    return folder


def test_a_copy_of_a_person_is_refused_unless_it_is_asked_for_and_then_says_so(tmp_path):
    run = run_in(tmp_path / "run", like_seed=3)
    with pytest.raises(UsageError, match="none of 1 faces is new"):
        generate_stills(run, tmp_path / "out", [3])
    assert not (tmp_path / "out").exists()
    stills = generate_stills(run, tmp_path / "out", [3], StillConfig(not_new="write"))
    assert stills.refused["seed-000003"].nearest == "p7"
    signed = read_provenance(tmp_path / "out" / "seed-000003.png")
    assert signed is not None
    assert signed.record is not None
    assert (signed.record["new_identity"], signed.record["nearest_identity"]) == ("no", "p7")
    assert (signed.record["target_identity"], signed.record["pairs_of_people"]) == ("not-new", "780")
    assert "seed-000003" in read_signed(tmp_path / "out" / "stills.json")["not_new"]


def test_jpeg_without_a_mark_is_signed_and_says_that_there_is_none(tmp_path):
    run = run_in(tmp_path / "run")
    config = StillConfig(format="jpg", quality=80, px=0, not_new="write")
    stills = generate_stills(run, tmp_path / "out", [0], config, mark=False)
    path = tmp_path / "out" / "seed-000000.jpg"
    assert path.read_bytes()[:3] == b"\xff\xd8\xff"
    assert read_picture(path).shape == (64, 64, 3)
    signed = read_provenance(path)
    assert signed is not None
    assert (signed.valid, signed.bindings) == (True, ())
    assert signed.record is not None
    assert (signed.record["mark"], signed.record["rendition"]) == ("none", "jpg-q80")
    assert stills.records[0].factors["mark"] == "none"


def test_a_path_begins_and_ends_with_its_seeds(tmp_path):
    sampler = Sampler(run_in(tmp_path / "run"), StillConfig())
    path = sampler.path(3, 8, 4)
    ends = sampler.generator.latents([3, 8])
    assert len(path) == 5
    torch.testing.assert_close(path[0].latent, ends[0])
    torch.testing.assert_close(path[-1].latent, ends[1], atol=1e-5, rtol=1e-5)
    assert path[2].between == (3, 8, 0.5)


def test_nothing_is_written_over_what_is_no_folder_of_stills(tmp_path):
    run = run_in(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError):
        generate_stills(run, tmp_path / "mine", [0])
    with pytest.raises(UsageError, match="a sheet is not written as"):
        generate_stills(run, tmp_path / "out", [0], sheet=tmp_path / "sheet.gif")
    with pytest.raises(UsageError, match="no face is named"):
        generate_stills(run, tmp_path / "out")
    (run / REFERENCE).unlink()
    with pytest.raises(CheckpointError):
        generate_stills(run, tmp_path / "out", [0])
    assert not (tmp_path / "out").exists()


def test_people_of_another_generator_or_embedder_are_refused(tmp_path):
    run = run_in(tmp_path / "run")
    reference = Reference.load(run / REFERENCE)
    Reference(reference.embeddings, reference.people, {"name": "other"}).save(run / REFERENCE)
    with pytest.raises(CheckpointError, match="another embedder"):
        Sampler(run, StillConfig())
    save_generator(generate_gan(channels=4, latent=16), run / WEIGHTS, {"reference_sha256": "0" * 64})
    with pytest.raises(CheckpointError, match="not of this generator"):
        Sampler(run, StillConfig())


def test_pictures_too_small_for_a_mark_are_refused(tmp_path):
    run = run_in(tmp_path / "run")
    for px in (0, 96):
        with pytest.raises(UsageError, match="a mark cannot be read"):
            generate_stills(run, tmp_path / "out", [0], StillConfig(px=px))


def test_the_command_makes_faces_and_a_sheet(tmp_path):
    run = run_in(tmp_path / "run")
    words = ["generate", str(run), "--out", str(tmp_path / "out"), "--not-new", "write"]
    done = CliRunner().invoke(app, [*words, "--seeds", "0-1", "--between", "3", "8", "--steps", "1",
                                    "--sheet", str(tmp_path / "sheet.jpg")])  # fmt: skip
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "between-3-8-0000.png",
        "between-3-8-0001.png",
        "seed-000000.png",
        "seed-000001.png",
        "stills.json",
    ]
    sheet = read_provenance(tmp_path / "sheet.jpg")
    assert sheet is not None
    assert sheet.says_fake
    assert CliRunner().invoke(app, words).exception is not None
