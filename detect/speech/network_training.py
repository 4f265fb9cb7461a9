"""The training of any network: random parts of real and fake sounds, the loss of steps and wholes, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from detect.speech.augment import augmented
from detect.speech.contract import RATE, STEP, STEP_SECONDS
from detect.speech.gmm import active_steps
from detect.speech.network import NetworkDetector, pooled
from detect.speech.store import SampleStore
from detect.speech.utterances import Utterance
from shared.console import console
from shared.device import pick_device, seed_everything
from shared.errors import CheckpointError, TrainingDivergedError
from shared.training.checkpoint import Checkpoint
from shared.training.run import Run
from shared.training.signals import signals_noted
from shared.training.state import pack_optimizer, state_under, unpack_optimizer

if TYPE_CHECKING:
    from detect.speech.train import SpeechTrainConfig

_WARM_UP = 0.1
_DECAY = 1e-2
_SMOOTHING = 0.02
_AROUND_FAKE = 0.8
_LEAST_FAKE_STEPS = 3


class NetworkTraining:
    """One training of a network of ``kind``.

    Each step takes half real and half fake sounds; the fakes are spread evenly over their engines. A fake comes with
    the recording that it was made from, where that is known, cut at the same place and changed in the same way, so that
    the two differ by the synthesis alone. What a step sees depends on the seed and its number alone, so that a training
    goes on as if it had not been stopped.
    """

    def __init__(
        self,
        kind: type[NetworkDetector],
        utterances: Sequence[Utterance],
        config: SpeechTrainConfig,
        store: SampleStore,
    ) -> None:
        self._kind = kind
        self._config, self._store = config, store
        self._real = [each for each in utterances if not each.fake]
        engines = sorted({each.engine for each in utterances if each.fake})
        self._fake = [[each for each in utterances if each.fake and each.engine == name] for name in engines]
        self._parents = parents_of(utterances)
        self._device = pick_device(config.device).torch_device
        seed_everything(config.seed)
        network = kind.start(config.network).to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # pictures a sixth faster
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=config.lr, weight_decay=_DECAY)
        self._step = 0

    def train(self, run: Run | None) -> NetworkDetector:
        """Trains to the end, from the newest checkpoint of ``run`` on if there is one.

        Raises:
            KeyboardInterrupt: a stop signal came; a checkpoint was saved first.
            TrainingDivergedError: the loss became infinite or not a number.
        """
        config = self._config
        latest = None if run is None else run.latest()
        if run is not None and latest is not None:
            self._restore(latest)
            run.rewind(self._step)
        with signals_noted() as noted, console.progress("training", config.steps, unit="step", done=self._step) as tick:
            while self._step < config.steps:
                loss = self._take_step()
                self._step += 1
                tick(1, note=f"loss {loss:.3f}")
                due = self._step % config.checkpoint_steps == 0 or self._step == config.steps
                if run is not None and (due or noted):
                    run.log(self._step, loss=loss)
                    self._save(run)
                if noted:
                    console.print(f"stopped at step {self._step}, saved; the same command goes on from there")
                    raise KeyboardInterrupt
        state = {name: tensor.cpu() for name, tensor in self._network.state_dict().items()}
        return self._kind(state, self._config.network)

    def _take_step(self) -> float:
        seed_everything(self._config.seed + 7919 * (self._step + 1))  # dropout
        features, truth, counted = self._batch(np.random.default_rng((self._config.seed, self._step)))
        self._network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.lr * self._rate()
        logits, gates = self._network(features)
        loss = loss_of(logits, gates, truth, counted)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDivergedError(f"the loss became {value} at step {self._step}", hint="lower lr")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._optimizer.step()
        return value

    def _rate(self) -> float:
        done = (self._step + 1) / self._config.steps
        return (
            done / _WARM_UP if done < _WARM_UP else 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
        )

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, 1, rows T, ...), truth (B, T) and which steps count (B, T)."""
        half = self._config.batch // 2
        parts = []
        for number in range(half):
            engine = self._fake[(self._step * half + number) % len(self._fake)]
            fake = engine[int(rng.integers(0, len(engine)))]
            real = self._real[int(rng.integers(0, len(self._real)))]
            seeds = rng.integers(1 << 62, size=2)
            if rng.random() < self._config.paired and fake.path in self._parents:
                real, seeds[1] = self._parents[fake.path], seeds[0]
            first = self._first(fake, rng)
            parts += [self._part(each, first, np.random.default_rng(seed))
                      for each, seed in zip((fake, real), seeds, strict=True)]  # fmt: skip
        features, truth, counted = (torch.from_numpy(np.stack(each)) for each in zip(*parts, strict=True))
        return tuple(each.to(self._device) for each in (features[:, None], truth, counted))  # type: ignore[return-value]

    def _first(self, fake: Utterance, rng: np.random.Generator) -> int:
        """The first sample of a part of ``fake``; of one that is fake in part mostly around what is fake."""
        length = int(self._config.crop_seconds * RATE)
        spare = max(0, len(self._store.get(fake.path)) - length)
        if fake.spans and rng.random() < _AROUND_FAKE:
            begin, stop = fake.spans[int(rng.integers(0, len(fake.spans)))]
            middle = int((begin + stop) / 2 * RATE)
            return int(np.clip(middle - rng.uniform(0.2, 0.8) * length, 0, spare))
        return int(rng.integers(0, spare + 1))

    def _part(
        self, utterance: Utterance, first: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        samples = self._store.get(utterance.path)
        length = int(self._config.crop_seconds * RATE)
        first = min(first, max(0, len(samples) - length))
        part = samples[first : first + length]
        part = np.pad(part, (0, length - len(part)))
        counted = active_steps(part)
        features = self._kind.features(augmented(part, self._config.augment, rng))
        return features, steps_of(utterance, first, len(counted)), counted

    def _save(self, run: Run) -> None:
        tensors, meta = pack_optimizer(self._optimizer)
        model = {f"model.{name}": tensor for name, tensor in self._network.state_dict().items()}
        run.save(self._step, {**model, **tensors}, {"optimizer": meta})

    def _restore(self, found: Checkpoint) -> None:
        try:
            self._network.load_state_dict(state_under("model", found.tensors))
        except RuntimeError as error:
            raise CheckpointError("the checkpoint does not fit the network", hint="start a new run") from error
        unpack_optimizer(self._optimizer, found.tensors, found.meta.get("optimizer", {}))
        self._step = found.step


def parents_of(utterances: Sequence[Utterance]) -> dict[Path, Utterance]:
    """The real recording of each fake, by the fake's path, where it is among ``utterances``."""
    real = {each.path: each for each in utterances if not each.fake}
    found = {}
    for fake in utterances:
        places = [folder / fake.parent for folder in fake.path.parents] if fake.fake and fake.parent else []
        place = next((each for each in places if each in real), None)
        if place is not None:
            found[fake.path] = real[place]
    return found


def steps_of(utterance: Utterance, first: int, count: int) -> np.ndarray:
    """(count,) float32: whether the middle of each step, from sample ``first`` on, is fake."""
    seconds = first / RATE + np.arange(count) * STEP / RATE
    if not utterance.spans:
        return np.full(count, float(utterance.fake), np.float32)
    inside = [(seconds >= begin) & (seconds < stop) for begin, stop in utterance.spans]
    return np.any(inside, axis=0).astype(np.float32)


def loss_of(logits: Tensor, gates: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Mean of two binary cross-entropies: that of the steps that count, and that of the wholes.

    A whole is fake if at least 60 ms of it are; wholes with less are left out of the second.
    """
    soft = truth * (1 - 2 * _SMOOTHING) + _SMOOTHING
    each = nn.functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    steps = (each * counted).sum() / counted.sum().clamp(min=1)
    fake = (truth * counted).sum(1)
    clear = ((fake == 0) | (fake >= _LEAST_FAKE_STEPS)).float()
    whole = nn.functional.binary_cross_entropy_with_logits(
        pooled(logits, gates), (fake > 0).float() * (1 - 2 * _SMOOTHING) + _SMOOTHING, reduction="none"
    )
    return 0.5 * steps + 0.5 * (whole * clear).sum() / clear.sum().clamp(min=1)


__all__ = ["STEP_SECONDS", "NetworkTraining", "loss_of", "parents_of", "steps_of"]
