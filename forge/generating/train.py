"""Training of a generator of new faces on facesets, in a run folder that can be stopped and resumed at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from forge.generating.certificate import REFERENCE, FaceEmbedder, Reference
from forge.generating.checkpoint import WEIGHTS, save_generator
from forge.generating.config import WHILE_RUNNING, GeneratorConfig
from forge.generating.families import trainer_of, untrained, usual_steps
from forge.generating.material import Material, open_facesets, read_material
from forge.training.step_loop import StepLoop
from shared.console import console
from shared.device import pick_device, seed_everything
from shared.storage import sha256_file
from shared.training.run import Run
from shared.types import Framing

KIND = "generator"


@dataclass(frozen=True)
class GeneratorResult:
    """Result of a training.

    Convention:
        run: the folder; weights: the file of the generator in it; steps: total; seconds: total training time
        faces, people: of the material; limit: similarity above which a face is not called new; strangers_refused: share
            of the real people whom that rule would refuse
    """

    run: Path
    weights: Path
    steps: int
    seconds: float
    faces: int
    people: int
    limit: float
    strangers_refused: float


def train_generator(
    facesets: Sequence[Path],
    run: Path,
    config: GeneratorConfig = GeneratorConfig(),  # noqa: B008 - frozen
) -> GeneratorResult:
    """Trains a generator on the faces of ``facesets`` in the folder ``run``, or goes on with the training there.

    ``run`` then holds what :mod:`shared.training.run` describes, the generator, and the embeddings of the faces with
    which what it makes is compared (:mod:`forge.generating.certificate`). Ctrl-C saves a checkpoint first; the final
    weights of a resumed training on a CPU equal those of an uninterrupted one, if it is limited by steps.

    Raises:
        ConfigError: the family has no such option.
        FacesetError: a faceset is damaged or generated, or there are too few faces or people.
        CheckpointError, UsageError: the swapper to start from cannot be used.
        RunError: the folder is in use, or holds a run with other settings or faces.
        WeightsError, FinderError: the identity embedder is not installed.
        TrainingDivergedError: a loss became infinite or not a number.
        StorageError: writing failed.
    """
    device = pick_device(config.device)
    seed_everything(config.seed)
    begun = untrained(config)
    spec = begun.net.spec
    opened = open_facesets(facesets)
    material = read_material(opened, px=spec.px, framing=spec.framing, people=config.people)
    inputs = material.inputs | ({"start": begun.start} if begun.start else {})
    with Run.open_or_create(
        run, config, seed=config.seed, inputs=inputs, kind=KIND, device=device.describe(), may_change=WHILE_RUNNING
    ) as folder:
        reference = _reference(folder.path / REFERENCE, material, spec.framing)
        reference_sha256 = sha256_file(folder.path / REFERENCE)
        trainer = trainer_of(begun, material.faces, config, device)
        rights = sorted({faceset.info.rights for faceset in opened})

        def export(seconds: float) -> Path:
            facts = {
                "steps": trainer.step, "seconds": round(seconds, 1), "faces": len(material.people),
                "rights": ", ".join(rights), "inputs": inputs, "settings": asdict(config),
                "reference_sha256": reference_sha256,
            }  # fmt: skip
            return save_generator(trainer.made, folder.path / WEIGHTS, facts)

        loop = StepLoop(
            folder, trainer, export, steps=usual_steps(config, len(material.people)), minutes=config.minutes,
            save_every=config.save_every, log_every=config.log_every,
        )  # fmt: skip
        path = loop.train()
        return GeneratorResult(
            run, path, trainer.step, loop.seconds, len(material.people), len(set(material.people)), reference.limit,
            reference.strangers_refused,
        )  # fmt: skip


def _reference(path: Path, material: Material, framing: Framing) -> Reference:
    """The embeddings of the material's faces, from ``path`` or now."""
    if path.exists():
        return Reference.load(path)
    embedder = FaceEmbedder(framing)
    pixels = material.faces.permute(0, 2, 3, 1).contiguous().numpy()
    with console.progress("embedding the people", len(pixels), unit="face") as tick:
        found = Reference(embedder.embed(pixels, tick), material.people, embedder.describe())
    found.save(path)
    console.print(
        f"certificates: a face more similar to a person than {found.limit:.3f} is not called new; the same rule would "
        f"refuse {100 * found.strangers_refused:.0f} % of the real people ({found.pairs:,} pairs)"
    )
    return found
