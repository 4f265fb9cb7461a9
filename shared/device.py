"""Devices and precision of tensors; global random seeds and threads."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from shared.console import counted
from shared.errors import UsageError

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Device:
    """A device with its precision.

    Attributes:
        torch_device: the torch device.
        autocast_dtype: the dtype of autocast; None for plain float32.
    """

    torch_device: torch.device
    autocast_dtype: torch.dtype | None

    @property
    def kind(self) -> str:
        """``cuda``, ``mps`` or ``cpu``."""
        return self.torch_device.type

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """A context in which matrix products run in :attr:`autocast_dtype`; no effect if that is None."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.kind, dtype=self.autocast_dtype)

    def describe(self) -> str:
        """A one-line description, also for ``run.json``."""
        name = torch.cuda.get_device_name(self.torch_device) if self.kind == "cuda" else self.kind
        precision = "float32" if self.autocast_dtype is None else str(self.autocast_dtype).removeprefix("torch.")
        threads = f", {counted(torch.get_num_threads(), 'thread')}" if self.kind == "cpu" else ""
        return f"{name} ({precision}{threads})"


def pick_device(name: str = "auto", precision: Precision = "auto") -> Device:
    """The device called ``name`` ("auto", "cpu", "cuda", "cuda:1", "mps"); "auto" is the best available.

    Raises:
        UsageError: the name is unknown or there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device is named {name!r}", hint="auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is here", hint="leave --device out, or choose cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("no Metal device is here", hint="leave --device out, or choose cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"device {name!r} is not supported", hint="auto, cpu, cuda, cuda:N or mps")
    return Device(device, _autocast_dtype(device, precision))


def _autocast_dtype(device: torch.device, precision: Precision) -> torch.dtype | None:
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    return torch.bfloat16 if has_fast_bfloat16(device) else None


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 faster than float32: Ampere and later, AMX and AVX512-BF16 CPUs."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        has_units = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and has_units
    return False


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy's legacy state and torch on all devices. Everything else takes its generator by argument."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - third-party code reads the legacy state
    torch.manual_seed(seed)


@contextmanager
def with_threads(threads: int) -> Iterator[None]:
    """Sets the number of threads of torch and OpenCV in this process, and restores it afterwards.

    A task of an engine uses one thread, so that its result does not depend on the number of cores, and parallel tasks
    do not compete.
    """
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(cv_before)
