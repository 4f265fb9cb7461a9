"""Optimizer and random state as tensors and JSON, and the facts of a run."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.errors import CheckpointError

Generators = Mapping[str, "torch.Generator | np.random.Generator"]

_PACKAGES = ("assay", "torch", "torchvision", "timm", "numpy", "opencv-python", "av")
_GIT_TIMEOUT_SECONDS = 5


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The optimizer's state as named tensors, and its groups' settings as JSON."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                scalars.setdefault(str(index), {})[name] = value
    groups = [
        {name: value for name, value in group.items() if not isinstance(value, Tensor)}
        for group in state["param_groups"]
    ]
    return tensors, {"groups": groups, "scalars": scalars}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Restores the state of :func:`pack_optimizer` into an optimizer over the same parameters.

    Each tensor gets the memory layout of its parameter, which fused kernels require.

    Raises:
        CheckpointError: the state does not fit the parameters.
    """
    current = optimizer.state_dict()
    groups = meta.get("groups")
    if not isinstance(groups, list) or [g["params"] for g in groups] != [g["params"] for g in current["param_groups"]]:
        raise CheckpointError("the optimizer's state is of another model", hint="start a new run")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if not name.startswith("optimizer."):
            continue
        _, index, key = name.split(".", 2)
        parameter = parameters[int(index)] if int(index) < len(parameters) else None
        if parameter is None or (value.ndim > 0 and value.shape != parameter.shape):
            raise CheckpointError(f"{name} fits no parameter of this model", hint="start a new run")
        state.setdefault(int(index), {})[key] = _laid_out_like(value, parameter)
    for index, values in meta.get("scalars", {}).items():
        state.setdefault(int(index), {}).update(values)
    for saved, group in zip(groups, current["param_groups"], strict=True):
        group.update({key: _like(value, group.get(key)) for key, value in saved.items()})
    optimizer.load_state_dict({"state": {}, "param_groups": current["param_groups"]})
    for index, values in state.items():
        optimizer.state[parameters[index]] = values


def state_under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``name`` and a dot, without these."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _laid_out_like(value: Tensor, parameter: Tensor) -> Tensor:
    if value.ndim == 0:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, memory_format=torch.preserve_format).copy_(value)


def _like(value: Any, example: Any) -> Any:
    """``value`` with lists as tuples where ``example`` has tuples, which JSON lacks."""
    return tuple(value) if isinstance(example, tuple) and isinstance(value, list) else value


def pack_rng(generators: Generators) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The states of torch generators as tensors and of NumPy generators as JSON."""
    tensors: dict[str, Tensor] = {}
    meta: dict[str, Any] = {}
    for name, generator in generators.items():
        if isinstance(generator, torch.Generator):
            tensors[f"rng.{name}"] = generator.get_state()
        else:
            meta[name] = _plain(generator.bit_generator.state)
    return tensors, meta


def unpack_rng(generators: Generators, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Restores the states of :func:`pack_rng` into ``generators``.

    Raises:
        CheckpointError: a state is missing or invalid.
    """
    for name, generator in generators.items():
        try:
            if isinstance(generator, torch.Generator):
                generator.set_state(tensors[f"rng.{name}"].to("cpu"))
            else:
                generator.bit_generator.state = meta[name]
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"the random state {name!r} is missing or damaged", hint="start a new run") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def run_facts(device: str, seed: int, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Facts for reproducing a run: versions, revision, machine, device, seed, digests of the inputs."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "git": _git_revision(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "device": device,
        "seed": seed,
        "inputs": dict(inputs),
    }


def _git_revision() -> str | None:
    """Commit of the source tree, with ``+`` for uncommitted changes; None without a repository."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GIT_TIMEOUT_SECONDS)
    return done.stdout.strip()
