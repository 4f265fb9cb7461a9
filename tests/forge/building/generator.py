"""A generator for tests of builds, fitted to eight actors in one pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forge.generating.certificate import REFERENCE, FaceEmbedder, Reference
from forge.generating.checkpoint import WEIGHTS, load_generator, save_generator
from forge.generating.config import GeneratorConfig, StillConfig
from forge.generating.stills import Sampler
from forge.generating.train import train_generator
from shared.actors import Actor, portrait
from shared.faces.align import cut, frame_to_crop, map_points
from shared.faces.facesets.layout import FaceRow
from tests.factories import face_row, write_faceset


def write_generator(folder: Path, like_seed: int) -> None:
    """Trains a generator in ``folder / "run"``; all of its faces are new but that of one seed."""
    crowd = write_faceset(folder / "crowd", "crowd", _crowd(), clips=range(8))
    train_generator([crowd], folder / "run", GeneratorConfig(options={"latent": 8}, batch=4, device="cpu"))
    _compare_with_strangers(folder / "run", like_seed=like_seed)


def _crowd() -> list[tuple[FaceRow, np.ndarray]]:
    """Two pictures of each of eight people: four actors, and their mirrored siblings in other colours."""
    rng, faces = np.random.default_rng(0), []
    for person in range(4):
        shot = portrait(Actor.from_seed(20 + person), px=96, seed=person)
        matrix = frame_to_crop(shot.landmarks, px=96, framing="whole")
        crop, landmarks = cut(shot.image, matrix, 96), map_points(matrix, shot.landmarks)
        for sibling, image in enumerate((crop, np.ascontiguousarray(crop[:, ::-1, ::-1]))):
            for number in range(2):
                noisy = np.clip(image + rng.normal(0, 4 * number, image.shape), 0, 255).astype(np.uint8)
                faces.append((face_row(landmarks, clip=2 * person + sibling, frame=number), noisy))
    return faces


def _compare_with_strangers(run: Path, like_seed: int) -> None:
    """Makes all faces of the run new but that of one seed, who is made a person of its training."""
    generator, facts = load_generator(run)
    facts.pop("reference_sha256")
    save_generator(generator, run / WEIGHTS, facts)
    # Three of the strangers are nearly one, so that only a copy is more alike than most pairs.
    vectors = np.eye(128, dtype=np.float32)[:40]
    vectors[:3] = vectors[0] + 0.005 * vectors[:3]
    names, embedder = tuple(f"p{number}" for number in range(40)), FaceEmbedder(generator.spec.framing)
    Reference(vectors, names, embedder.describe()).save(run / REFERENCE)
    sampler = Sampler(run, StillConfig(px=0))
    face = next(face for _, face, _ in sampler.made(sampler.wanted([like_seed])))
    vectors[7] = embedder.embed(face[None])[0]
    Reference(vectors, names, embedder.describe()).save(run / REFERENCE)
