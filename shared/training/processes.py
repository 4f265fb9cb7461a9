"""One process, or several that train one model together: ``accelerate launch`` of the same command.

Gradients are averaged before each step, so weights stay equal everywhere. Only the first process writes. In one process
nothing here does anything.
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
"""How long processes wait for the first one, which alone finds faces, validates and draws."""


class Processes:
    """The processes of a training.

    Attributes:
        rank: which this is, from 0; count: how many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1, accelerator: Any = None) -> None:
        self.rank = rank
        self.count = count
        self._accelerator = accelerator

    @classmethod
    def joined(cls, device: str) -> Processes:
        """The processes that a launcher started beside this one, or this one alone.

        Launchers (accelerate, torchrun) say so in WORLD_SIZE. On GPUs each process takes the one of its LOCAL_RANK.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

        # Identities take turns and parts are frozen, so a step need not reach every parameter.
        ddp = DistributedDataParallelKwargs(find_unused_parameters=True, gradient_as_bucket_view=True)
        group = InitProcessGroupKwargs(timeout=_PATIENCE)
        accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[ddp, group])
        return cls(accelerator.process_index, accelerator.num_processes, accelerator)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def device_name(self, name: str) -> str:
        """``name`` with this process's own GPU in it, where it means any."""
        if self.count > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        return name

    def wrapped(self, module: nn.Module) -> nn.Module:
        """``module`` such that backward averages gradients over all processes (DDP)."""
        return module if self.count == 1 else self._accelerator.prepare_model(module)

    def unsynced(self, module: nn.Module) -> contextlib.AbstractContextManager[Any]:
        """A block whose backward leaves gradients for a later one to average."""
        return contextlib.nullcontext() if self.count == 1 else self._accelerator.no_sync(module)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Averages gradients of parameters that are not in a wrapped module, in one message."""
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
        told: Tensor = self._accelerator.reduce(
            torch.tensor([float(flag)], device=self._accelerator.device), reduction="sum"
        )
        return bool(told.item() > 0)

    def mean_of(self, value: float) -> float:
        """The mean of ``value`` over all processes, the same in each; waits for all of them."""
        if self.count == 1:
            return value
        told: Tensor = self._accelerator.reduce(
            torch.tensor([value], dtype=torch.float32, device=self._accelerator.device), reduction="mean"
        )
        return float(told.item())

    def from_first(self, value: T) -> T:
        """``value`` of the first process, in all of them; waits for it."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Waits until all processes have come here."""
        if self.count > 1:
            self._accelerator.wait_for_everyone()

    def leave(self) -> None:
        """Ends what :meth:`joined` began."""
        if self.count > 1:
            self._accelerator.end_training()
