"""Training of a network of re-enactment on facesets, in a run folder that can be stopped and resumed at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forge.reenacting.networks.checkpoint import WEIGHTS, ReenactorCard, save_reenactor
from forge.reenacting.networks.config import WHILE_RUNNING, ReenactorConfig
from forge.reenacting.networks.families import trainer_of, untrained, usual_steps
from forge.reenacting.networks.material import read_material
from forge.training.step_loop import StepLoop
from shared.config import to_mapping
from shared.device import pick_device, seed_everything
from shared.training.run import Run

KIND = "reenactor"


@dataclass(frozen=True)
class ReenactorResult:
    """Result of a training.

    Convention:
        run: the folder; weights: the file of the network in it; steps: total; seconds: total training time
        pictures, clips, people: of the material
    """

    run: Path
    weights: Path
    steps: int
    seconds: float
    pictures: int
    clips: int
    people: int


def train_reenactor(
    facesets: Sequence[Path],
    run: Path,
    config: ReenactorConfig = ReenactorConfig(),  # noqa: B008 - frozen
) -> ReenactorResult:
    """Trains a network on the faces of ``facesets`` in the folder ``run``, or goes on with the training there.

    ``run`` then holds what :mod:`shared.training.run` describes, and the network. Ctrl-C saves a checkpoint first; the
    final weights of a resumed training on a CPU equal those of an uninterrupted one, if it is limited by steps.

    Raises:
        ConfigError: the family has no such option.
        FacesetError: a faceset is damaged, generated, of too narrow a framing, or without two frames of a clip.
        RunError: the folder is in use, or holds a run with other settings or faces.
        TrainingDivergedError: a loss became infinite or not a number.
        StorageError: writing failed.
    """
    device = pick_device(config.device, config.precision)
    seed_everything(config.seed)
    net = untrained(config.family, config.options)
    spec = net.spec
    material = read_material(facesets, spec, holdout=config.holdout, most_pictures=config.most_pictures)
    clips = int(material.clips.max()) + 1
    with Run.open_or_create(
        run, config, seed=config.seed, inputs=material.inputs, kind=KIND, device=device.describe(),
        may_change=WHILE_RUNNING,
    ) as folder:  # fmt: skip
        trainer = trainer_of(net, material, config, device)

        def export(seconds: float) -> Path:
            card = ReenactorCard(
                spec.name, dict(spec.options), material.identities, material.rights, len(material), clips,
                trainer.step, round(seconds, 1), material.inputs, to_mapping(config),
            )  # fmt: skip
            return save_reenactor(trainer.made, folder.path / WEIGHTS, card)

        loop = StepLoop(
            folder, trainer, export, steps=usual_steps(config), minutes=config.minutes, save_every=config.save_every,
            log_every=config.log_every,
        )  # fmt: skip
        path = loop.train()
        people = len(material.identities)
        return ReenactorResult(run, path, trainer.step, loop.seconds, len(material), clips, people)
