"""Training of the restorer: photographs of faces are degraded, and it learns to undo that.

Degradation follows the practice of blind face restoration (Wang et al., "Towards real-world blind face restoration with
generative facial prior", CVPR 2021, section 4.1): blur, reduction, noise and JPEG, each of random strength. Here a
half of the faces carry blur alone, because the faces of a swapper are soft and clean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from forge.models.restorer import FACTOR, Restorer, save_restorer
from forge.training.adversarial.networks import UNetDiscriminator
from forge.training.adversarial.objectives import OBJECTIVES
from forge.training.losses import detail, dssim
from forge.training.losses.perceptual import perceptual_net
from forge.training.losses.pixel import mae
from shared.device import Device, pick_device, seed_everything
from shared.errors import FacesetError
from shared.faces.facesets.reader import Faceset
from shared.storage import write_bytes
from shared.training.loop import BaseLoop
from shared.training.processes import Processes
from shared.training.run import Run
from shared.training.state import pack_optimizer, pack_rng, unpack_optimizer, unpack_rng
from shared.video.images import encode_jpeg, encode_png

KIND = "restorer"
WEIGHTS = "restorer.safetensors"
"""The trained weights in a run."""

_MOST_BLUR = 3.5
_NOISE = 0.03
_QUALITY = (35, 95)
_SHEET_FACES = 6
_LEAST_FACES = 8


@dataclass(frozen=True)
class RestorerConfig:
    """Settings of the training.

    Attributes:
        steps, minutes: how long; minutes None for no limit by the clock.
        batch: patches in a step; patch: their side in pixels of the restored picture.
        learning_rate: falls by a cosine to a tenth.
        ema: decay of the averaged weights that are written.
        adversary_from: fraction of the schedule from which the adversary takes part.
        mae, dssim, detail, perceptual, adversarial: weights of the losses.
        save_every: steps between checkpoints.
    """

    steps: int = 6_000
    minutes: float | None = None
    batch: int = 12
    patch: int = 128
    learning_rate: float = 5e-4
    ema: float = 0.998
    adversary_from: float = 0.4
    mae: float = 1.0
    dssim: float = 0.5
    detail: float = 4.0
    perceptual: float = 0.2
    adversarial: float = 0.02
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
    opened = [Faceset.open(Path(path)) for path in facesets]
    faces = np.concatenate([faceset.crops() for faceset in opened]) if opened else np.zeros((0, 0, 0, 3), np.uint8)
    if len(faces) < _LEAST_FACES or faces.shape[1] < config.patch:
        raise FacesetError(
            f"{len(faces)} faces of {faces.shape[1]} px are too few or too small to learn restoration from",
            hint=f"give facesets of photographs, extracted with --px {2 * config.patch}",
        )
    inputs = {faceset.info.identity: faceset.digest() for faceset in opened}
    with Run.open_or_create(
        Path(run), config, seed=config.seed, inputs=inputs, kind=KIND, device=device.describe(),
        may_change=("steps", "minutes", "device", "save_every", "log_every"),
    ) as folder:  # fmt: skip
        return _Loop(folder, _Trainer(faces, config, device), config).train()


def degraded(faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, S, S, 3) uint8 to (N, S / 2, S / 2, 3) uint8: each blurred and reduced, half of them noisy and compressed."""
    return np.stack([_degraded(face, rng) for face in faces])


def _degraded(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sigma = _MOST_BLUR * rng.random() ** 1.5
    if sigma > 0.2:
        face = cv2.GaussianBlur(face, (0, 0), sigma * rng.uniform(0.7, 1.3), sigmaY=sigma * rng.uniform(0.7, 1.3))
    side = face.shape[0] // FACTOR
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        return small
    noisy = small + 255 * _NOISE * rng.random() * rng.standard_normal(small.shape)
    small = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    quality = int(rng.integers(*_QUALITY))
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(small, quality), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


class _Trainer:
    """The restorer, its adversary and their optimizers; :meth:`state` resumes exactly."""

    def __init__(self, faces: np.ndarray, config: RestorerConfig, device: Device) -> None:
        self.faces, self.config, self.device = faces, config, device
        place = device.torch_device
        self.restorer = Restorer().to(place).to(memory_format=torch.channels_last)
        self.average = Restorer().to(place).eval()
        self.average.load_state_dict(self.restorer.state_dict())
        self.adversary = UNetDiscriminator(max(3, config.patch // 8), 3, 16).to(place)
        self.features = perceptual_net("tf_efficientnet_lite0", place) if config.perceptual else None
        rate = config.learning_rate
        self.optimizers = {
            "restorer": torch.optim.Adam(self.restorer.parameters(), lr=rate, betas=(0.5, 0.999)),
            "adversary": torch.optim.Adam(self.adversary.parameters(), lr=rate, betas=(0.5, 0.999)),
        }
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0

    def train_step(self, fraction: float) -> dict[str, float]:
        """One step at ``fraction`` of the schedule; the losses by name."""
        config = self.config
        rate = config.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * fraction)))
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        given, wanted = self._batch()
        with self.device.autocast():
            found = self.restorer(given)
        everywhere = torch.ones_like(wanted[:, :1])
        terms = {
            "mae": mae(found, wanted, everywhere),
            "dssim": dssim(found, wanted, everywhere),
            "detail": detail(found, wanted, everywhere),
        }
        if self.features is not None:
            with self.device.autocast():
                terms["perceptual"] = self.features(found, wanted, everywhere)
        playing = fraction >= config.adversary_from and config.adversarial > 0
        if playing:
            self.adversary.requires_grad_(False)
            logits = self.adversary(2 * found - 1)
            terms["adversarial"] = _mean([OBJECTIVES["hinge"].swapper(each, each) for each in logits])
            self.adversary.requires_grad_(True)
        total = torch.stack([getattr(config, name) * value.float() for name, value in terms.items()]).sum()
        total.backward()
        self.optimizers["restorer"].step()
        if playing:
            self._train_adversary(found.detach(), wanted)
        self.step += 1
        self._move_average()
        return {"loss": float(total.detach()), **{name: float(value.detach()) for name, value in terms.items()}}

    def _train_adversary(self, found: Tensor, wanted: Tensor) -> None:
        both = self.adversary(2 * torch.cat([wanted, found]) - 1)
        loss = _mean([OBJECTIVES["hinge"].discriminator(*each.chunk(2)) for each in both])
        self.optimizers["adversary"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers["adversary"].step()

    @torch.no_grad()
    def _move_average(self) -> None:
        keep = min(self.config.ema, self.step / (self.step + 10))
        for mean, value in zip(self.average.parameters(), self.restorer.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Degraded patches (B, 3, P / 2, P / 2) and the photographs' own (B, 3, P, P), flipped at random."""
        config = self.config
        seed = int(torch.randint(2**31, (), generator=self.generator))
        rng = np.random.default_rng(seed)
        room = self.faces.shape[1] - config.patch
        wanted = []
        for number in rng.integers(len(self.faces), size=config.batch):
            y, x = rng.integers(0, room + 1, 2)
            face = self.faces[number, y : y + config.patch, x : x + config.patch]
            wanted.append(face[:, ::-1] if rng.random() < 0.5 else face)
        patches = np.ascontiguousarray(np.stack(wanted))
        return self._tensor(degraded(patches, rng)), self._tensor(patches)

    def _tensor(self, images: np.ndarray) -> Tensor:
        moved = torch.from_numpy(images).to(self.device.torch_device).permute(0, 3, 1, 2).float() / 255
        return moved.contiguous(memory_format=torch.channels_last)

    def _modules(self) -> dict[str, nn.Module]:
        return {"restorer": self.restorer, "average": self.average, "adversary": self.adversary}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All state for exact resumption."""
        tensors = {
            f"{name}.{key}": value
            for name, module in self._modules().items()
            for key, value in module.state_dict().items()
        }
        meta: dict[str, Any] = {"step": self.step}
        for name, optimizer in self.optimizers.items():
            packed, meta[name] = pack_optimizer(optimizer)
            tensors |= {f"{name}_optimizer.{key}": value for key, value in packed.items()}
        random, meta["rng"] = pack_rng({"data": self.generator, "torch": torch.default_generator})
        return {**tensors, **random}, meta

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restores what :meth:`state` returned."""
        for name, module in self._modules().items():
            module.load_state_dict(_under(name, tensors))
        for name, optimizer in self.optimizers.items():
            unpack_optimizer(optimizer, _under(f"{name}_optimizer", tensors), meta[name])
        unpack_rng({"data": self.generator, "torch": torch.default_generator}, tensors, meta["rng"])
        self.step = int(meta["step"])

    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """Some faces: degraded, restored, as they are; one below the other, (H, W, 3) uint8 RGB."""
        rng = np.random.default_rng(self.config.seed)
        some = self.faces[:: max(1, len(self.faces) // _SHEET_FACES)][:_SHEET_FACES]
        small = degraded(some, rng)
        found = self.average(self._tensor(small)).clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        shown = [cv2.resize(face, some.shape[1:3], interpolation=cv2.INTER_CUBIC) for face in small]
        return np.concatenate([np.concatenate(list(row), 1) for row in (shown, list(found), list(some))])


class _Loop(BaseLoop):
    def __init__(self, run: Run, trainer: _Trainer, config: RestorerConfig) -> None:
        super().__init__(Processes(), steps=config.steps, minutes=config.minutes, unit="step")
        self.run, self.trainer, self.config = run, trainer, config

    def train(self) -> Path:
        """To the end of the schedule; returns the weights' file."""
        if (found := self.newest(self.run)) is not None:
            self.trainer.restore(found.tensors, found.meta)
            self.earlier_seconds = float(found.meta["seconds"])
            self.run.rewind(self.trainer.step)
        with self.running(self.trainer.step, 1) as (noted, advance):
            while self.fraction(self.trainer.step) < 1 and not self.agree(stopped=bool(noted)):
                losses = self.trainer.train_step(self.fraction(self.trainer.step))
                if self.trainer.step % self.config.log_every == 0:
                    self.run.log(self.trainer.step, seconds=self.seconds, **losses)
                if self.trainer.step % self.config.save_every == 0:
                    self._save()
                advance(f"step {self.trainer.step}, loss {losses['loss']:.4f}")
        path = self._save()
        if noted:
            self.stop(self.trainer.step)
        return path

    def _save(self) -> Path:
        trainer, run = self.trainer, self.run
        tensors, meta = trainer.state()
        run.save(trainer.step, tensors, {**meta, "seconds": self.seconds})
        write_bytes(run.previews / "latest.png", encode_png(trainer.sheet()))
        facts = {"steps": trainer.step, "seconds": round(self.seconds, 1), "inputs": run.facts["inputs"]}
        return save_restorer(trainer.average, run.path / WEIGHTS, {**facts, "settings": asdict(self.config)})


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack([part.float() for part in parts]).mean()
