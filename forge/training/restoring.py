"""Training of the restorer: it learns to give photographs of faces back that were degraded, or drawn by a swapper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from forge.models.predictor import SwapPredictor
from forge.models.restorer import Restorer, save_restorer
from forge.models.shipped import BASE_FOLDER, has_base
from forge.training.adversarial.networks import PatchDiscriminator
from forge.training.adversarial.objectives import OBJECTIVES
from forge.training.losses import detail, dssim, grid
from forge.training.losses.perceptual import perceptual_net
from forge.training.losses.pixel import TINY, mae
from forge.training.restoring_faces import FACE_PX, Patches, Photograph, read_photographs
from forge.training.step_loop import StepLoop, StepTrainer
from shared.device import Device, pick_device, seed_everything
from shared.errors import FacesetError
from shared.training.run import Run

KIND = "restorer"
WEIGHTS = "restorer.safetensors"
"""The trained weights in a run."""

_SHEET_FACES = 6
_LEAST_FACES = 8


@dataclass(frozen=True)
class RestorerConfig:
    """Settings of the training.

    Attributes:
        steps, minutes: how long; minutes None for no limit by the clock.
        batch: patches in a step; patch: their side in pixels of the restored picture.
        drawn: share of the patches that are given as the base swapper draws them, the others are degraded.
        learning_rate: falls by a cosine to a tenth.
        ema: decay of the averaged weights that are written.
        adversary_from: fraction of the schedule from which the adversary takes part.
        mae, dssim, detail, grid, perceptual: weights of the losses.
        adversarial: length of the adversary's gradient at the restored picture, over that of all of these together
            (after Esser et al., "Taming transformers for high-resolution image synthesis", CVPR 2021, eq. 7).
        save_every: steps between checkpoints.
    """

    steps: int = 4_500
    minutes: float | None = None
    batch: int = 12
    patch: int = 128
    drawn: float = 0.3
    learning_rate: float = 3e-4
    ema: float = 0.998
    adversary_from: float = 0.3
    mae: float = 1.0
    dssim: float = 0.5
    detail: float = 24.0
    grid: float = 24.0
    perceptual: float = 0.004
    adversarial: float = 0.5
    save_every: int = 500
    log_every: int = 20
    seed: int = 0
    device: str = "auto"


def train_restorer(facesets: Sequence[str | Path], run: str | Path, config: RestorerConfig | None = None) -> Path:
    """Trains a restorer on the faces of ``facesets``, or goes on in ``run``; returns the file of its weights.

    Raises:
        FacesetError: a faceset is damaged, or there are too few faces.
        RunError: the folder is in use, or holds a run with other settings.
        WeightsError: the weights of the perceptual loss are not on this machine.
        StorageError: writing failed.
    """
    config = config or RestorerConfig()
    device = pick_device(config.device)
    seed_everything(config.seed)
    photos, inputs = read_photographs(facesets)
    if len(photos) < _LEAST_FACES:
        raise FacesetError(
            f"{len(photos)} faces that are fine enough are too few to learn restoration from",
            hint=f"give facesets of photographs of {FACE_PX} px or more, extracted with --px {2 * FACE_PX}",
        )
    with Run.open_or_create(
        Path(run), config, seed=config.seed, inputs=inputs, kind=KIND, device=device.describe(),
        may_change=("steps", "minutes", "device", "save_every", "log_every"),
    ) as folder:  # fmt: skip
        trainer = _Trainer(photos, config, device)

        def export(seconds: float) -> Path:
            facts = {"steps": trainer.step, "seconds": round(seconds, 1), "inputs": folder.facts["inputs"]}
            return save_restorer(trainer.average, folder.path / WEIGHTS, {**facts, "settings": asdict(config)})

        return StepLoop(
            folder, trainer, export, steps=config.steps, minutes=config.minutes, save_every=config.save_every,
            log_every=config.log_every,
        ).train()  # fmt: skip


class _Trainer(StepTrainer):
    """The restorer, its adversary and their optimizers."""

    def __init__(self, photos: Sequence[Photograph], config: RestorerConfig, device: Device) -> None:
        super().__init__(config.seed)
        self.config, self.device = config, device
        swapper = SwapPredictor.load(BASE_FOLDER, device) if config.drawn and has_base() else None
        self.patches = Patches(photos, config.patch, drawn=config.drawn, swapper=swapper)
        self.faces = Patches(photos, FACE_PX, drawn=config.drawn, swapper=swapper)
        place = device.torch_device
        self.restorer = Restorer().to(place).to(memory_format=torch.channels_last)
        self.average = Restorer().to(place).eval()
        self.average.load_state_dict(self.restorer.state_dict())
        self.adversary = PatchDiscriminator(config.patch, 3, 32).to(place)
        self.features = perceptual_net("tf_efficientnet_lite0", place) if config.perceptual else None
        rate = config.learning_rate
        self.optimizers = {
            "restorer": torch.optim.Adam(self.restorer.parameters(), lr=rate),
            "adversary": torch.optim.Adam(self.adversary.parameters(), lr=rate, betas=(0.5, 0.999)),
        }

    @override
    def train_step(self, fraction: float) -> dict[str, float]:
        config = self.config
        self.set_rate(config.learning_rate, fraction)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        given, wanted = self._batch()
        with self.device.autocast():
            restored = self.restorer(given)
        # Gradients are taken at the picture, where those of the adversary can be measured beside the others.
        found = restored.detach().requires_grad_()
        terms = self._terms(found, wanted)
        total = torch.stack([getattr(config, name) * value.float() for name, value in terms.items()]).sum()
        (slope,) = torch.autograd.grad(total, found)
        if fraction >= config.adversary_from and config.adversarial > 0:
            terms["adversarial"], against = self._against(found)
            slope = slope + config.adversarial * slope.norm() / against.norm().clamp_min(TINY) * against
            self._train_adversary(found.detach(), wanted)
        restored.backward(slope)
        self.optimizers["restorer"].step()
        self.step += 1
        self.move_average(self.average, self.restorer, config.ema)
        return {"loss": float(total.detach()), **{name: float(value.detach()) for name, value in terms.items()}}

    def _terms(self, found: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        everywhere = torch.ones_like(wanted[:, :1])
        terms = {
            "mae": mae(found, wanted, everywhere),
            "dssim": dssim(found, wanted, everywhere),
            "detail": detail(found, wanted, everywhere),
            "grid": grid(found, wanted, everywhere),
        }
        if self.features is not None:
            with self.device.autocast():
                terms["perceptual"] = self.features(found, wanted, everywhere)
        return terms

    def _against(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """The adversary's term for ``found``, and its gradient there."""
        self.adversary.requires_grad_(False)
        term = _mean([OBJECTIVES["hinge"].swapper(each, each) for each in self.adversary(2 * found - 1)])
        self.adversary.requires_grad_(True)
        (against,) = torch.autograd.grad(term, found)
        return term, against

    def _train_adversary(self, found: Tensor, wanted: Tensor) -> None:
        both = self.adversary(2 * torch.cat([wanted, found]) - 1)
        loss = _mean([OBJECTIVES["hinge"].discriminator(*each.chunk(2)) for each in both])
        self.optimizers["adversary"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers["adversary"].step()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """What is given, (B, 3, P / 2, P / 2), and the photographs' own patches, (B, 3, P, P)."""
        seed = int(torch.randint(2**31, (), generator=self.generator))
        given, wanted = self.patches.batch(self.config.batch, np.random.default_rng(seed))
        return self._tensor(given), self._tensor(wanted)

    def _tensor(self, images: np.ndarray) -> Tensor:
        moved = torch.from_numpy(images).to(self.device.torch_device).permute(0, 3, 1, 2).float() / 255
        return moved.contiguous(memory_format=torch.channels_last)

    @override
    def modules(self) -> dict[str, nn.Module]:
        return {"restorer": self.restorer, "average": self.average, "adversary": self.adversary}

    @override
    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """Some faces: as they are given, restored, as they are; one below the other, (H, W, 3) uint8 RGB."""
        given, wanted = self.faces.batch(_SHEET_FACES, np.random.default_rng(self.config.seed))
        found = self.average(self._tensor(given)).clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        shown = [cv2.resize(face, wanted.shape[1:3], interpolation=cv2.INTER_CUBIC) for face in given]
        return np.concatenate([np.concatenate(list(row), 1) for row in (shown, list(found), list(wanted))])


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack([part.float() for part in parts]).mean()
