"""Distributed training: one process, or several started by ``accelerate launch``.

Gradients are averaged before each step, so weights stay equal everywhere. Only the first process writes. With one
process all operations are no-ops.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")

_PATIENCE = timedelta(hours=6)
"""Timeout of the processes that wait for the first one, which finds faces, validates and writes previews."""


class Processes:
    """The processes of a training.

    Attributes:
        rank: of this process, from 0; count: number of processes.
    """

    def __init__(self, rank: int = 0, count: int = 1, accelerator: Any = None) -> None:
        self.rank = rank
        self.count = count
        self._accelerator = accelerator

    @classmethod
    def joined(cls, device: str) -> Processes:
        """The process group of the launcher, or this process alone.

        Launchers (accelerate, torchrun) set WORLD_SIZE. On GPUs each process uses that of its LOCAL_RANK.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

        # Identities alternate and parts are frozen, so a step need not use every parameter.
        ddp = DistributedDataParallelKwargs(find_unused_parameters=True, gradient_as_bucket_view=True)
        group = InitProcessGroupKwargs(timeout=_PATIENCE)
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[ddp, group])
        return cls(accelerator.process_index, accelerator.num_processes, accelerator)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def device_name(self, name: str) -> str:
        """``name`` with the index of this process's GPU, if it has none."""
        if self.count > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        return name

    def wrapped(self, module: nn.Module) -> nn.Module:
        """``module`` wrapped so that backward averages gradients over all processes (DDP)."""
        return module if self.count == 1 else self._accelerator.prepare_model(module)

    def unsynced(self, module: nn.Module) -> contextlib.AbstractContextManager[Any]:
        """A context in which backward accumulates gradients without averaging."""
        return contextlib.nullcontext() if self.count == 1 else self._accelerator.no_sync(module)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Averages gradients of parameters that are not in a wrapped module, in one reduction."""
        gradients = [each.grad for each in parameters if each.grad is not None]
        if self.count == 1 or not gradients:
            return
        flat = torch.cat([each.flatten() for each in gradients])
        flat = self._accelerator.reduce(flat, reduction="mean")
        for each, part in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            each.copy_(part.view(each.shape))

    def any_of(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process; waits for all of them."""
        if self.count == 1:
            return flag
        reduced: Tensor = self._accelerator.reduce(
            torch.tensor([float(flag)], device=self._accelerator.device), reduction="sum"
        )
        return bool(reduced.item() > 0)

    def mean_of(self, value: float) -> float:
        """The mean of ``value`` over all processes, the same in each; waits for all of them."""
        if self.count == 1:
            return value
        reduced: Tensor = self._accelerator.reduce(
            torch.tensor([value], dtype=torch.float32, device=self._accelerator.device), reduction="mean"
        )
        return float(reduced.item())

    def from_first(self, value: T) -> T:
        """``value`` of the first process, in all of them; waits for it."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Waits for all processes (a barrier)."""
        if self.count > 1:
            self._accelerator.wait_for_everyone()

    def leave(self) -> None:
        """Leaves the process group of :meth:`joined`."""
        if self.count > 1:
            self._accelerator.end_training()
