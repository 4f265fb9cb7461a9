"""Imports MesoNet's published Keras weights as a detector.

The authors' files do not name the network, so it is identified by the kinds of layers in the file, and layers are
matched by their order (Afchar et al., WIFS 2018; weights Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detect.config.scoring import AggregateConfig, FaceConfig
from detect.exchange.keras_file import KerasLayer, read_layers
from detect.models import Detector, build_detector
from detect.models.checkpoint import DetectorFacts, need_detector_place, save_detector
from detect.models.mesonet import HIDDEN, WIDTH, MesoNet
from shared.errors import CheckpointError, UnknownNameError
from shared.storage import sha256_file
from shared.types import Framing

_CARD = """# {name}: MesoNet with the weights of its authors

Gives one logit for one aligned face crop; larger means more likely forged. Imported by Assay from the Keras file
`{file}` (SHA-256 {digest}). Source: Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a compact facial video forgery
detection network", WIFS 2018.

| | |
|---|---|
| crop | 256 x 256 px, framing "{framing}" |
| values | RGB in [0, 1] |
| clip score | mean over the face scores |
| called fake | from logit 0 on, which is the authors' 0.5 |

## Limits

* It was trained in 2018 on forgeries of that time and is here to be compared with, not to be relied on.
* The file does not say what it was trained on; its name may.
* The score is not a probability, and no likelihood ratio has been fitted to it.
"""


def import_keras(path: Path, out: Path, *, framing: Framing = "whole") -> Detector:
    """Writes the network with the Keras weights of ``path`` as the detector folder ``out``.

    Args:
        path: a file of the authors, or one with the same layers saved by Keras 2 as HDF5.
        out: replaced if it is a detector folder.
        framing: how much of the head its crops show.

    Returns:
        The detector, in evaluation mode.

    Raises:
        CheckpointError: not an HDF5 file, a damaged one, or layers of another network.
        UsageError: h5py is not installed, or ``out`` holds something other than a detector.
        StorageError: writing failed.
    """
    need_detector_place(out, path)
    detector = load_keras(path, framing=framing)
    digest = sha256_file(path)
    detector.initial_weights = f"{path.name}, SHA-256 {digest}"
    facts = DetectorFacts(
        detector.spec,
        faces=FaceConfig(),
        aggregate=AggregateConfig(method="mean"),
        initial_weights=detector.initial_weights,
    )
    card = _CARD.format(name=detector.spec.name, file=path.name, digest=digest, framing=framing)
    save_detector(detector, out, facts, card=card)
    return detector


def load_keras(path: Path, *, framing: Framing = "whole") -> MesoNet:
    """The network with the Keras weights of ``path``, in evaluation mode.

    Raises:
        CheckpointError: not an HDF5 file, a damaged one, or layers of another network.
        UsageError: h5py is not installed.
    """
    layers = read_layers(path)
    try:
        family, name = network_of([layer.kind for layer in layers])
    except UnknownNameError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error
    detector = build_detector(name, family=family, framing=framing)
    assert isinstance(detector, MesoNet)
    try:
        detector.load_state_dict(state_from_keras(detector, layers))
    except ValueError as error:
        raise CheckpointError(f"{path} is not of {name}: {error}", hint="download the file again") from error
    detector.eval()
    return detector


def network_of(kinds: list[str]) -> tuple[str, str]:
    """Family and name of the network with Keras layers of these kinds, such as "conv2d" and "leaky_re_lu".

    Raises:
        UnknownNameError: it is not a known network.
    """
    convs = kinds.count("conv2d")
    leaky = "leaky_re_lu" in kinds
    found: dict[tuple[int, bool], tuple[str, str]] = {
        (4, False): ("meso4", "meso4"),
        (4, True): ("meso4", "meso4-leaky"),
        (16, True): ("mesoinception4", "mesoinception4"),
    }
    if (convs, leaky) not in found:
        raise UnknownNameError(
            f"the file's {convs} convolutions {'with' if leaky else 'without'} a LeakyReLU are no network known here",
            hint="Meso-4 has 4, MesoInception-4 has 16 and a LeakyReLU",
        )
    return found[convs, leaky]


def state_from_keras(net: MesoNet, layers: list[KerasLayer]) -> dict[str, Tensor]:
    """The state of ``net`` with the weights of a Keras file, whose layers are in ``keras_order``.

    Keras kernels are (h, w, in, out), torch kernels (out, in, h, w); the input of the first dense layer is flattened
    with channels last in Keras and channels first here; the Keras output is the probability of *real*, so the last
    layer is negated.

    Raises:
        ValueError: the arrays of a layer differ in number or shape.
    """
    order, held = net.keras_order(), [layer.arrays for layer in layers if layer.arrays]
    if len(order) != len(held):
        raise ValueError(f"{len(held)} layers with weights, not {len(order)}")
    names = {module: name for name, module in net.named_modules()}
    state = dict(net.state_dict())
    for module, arrays in zip(order, held, strict=True):
        for key, tensor in _converted(net, module, arrays).items():
            name = f"{names[module]}.{key}"
            if tensor.shape != state[name].shape:
                raise ValueError(f"{name} is {tuple(tensor.shape)}, not {tuple(state[name].shape)}")
            state[name] = tensor.float().contiguous()
    return state


def _converted(net: MesoNet, module: nn.Module, arrays: list[Any]) -> dict[str, Tensor]:
    given = [torch.as_tensor(array) for array in arrays]
    if len(given) != (4 if isinstance(module, nn.BatchNorm2d) else 2):
        raise ValueError(f"{len(given)} arrays for a {type(module).__name__}")
    if isinstance(module, nn.BatchNorm2d):
        return dict(zip(("weight", "bias", "running_mean", "running_var"), given, strict=True))
    kernel, bias = given
    if isinstance(module, nn.Conv2d):
        if kernel.ndim != 4:
            raise ValueError(f"a convolution's kernel has {kernel.ndim} dimensions")
        return {"weight": kernel.permute(3, 2, 0, 1), "bias": bias}
    if kernel.shape != (module.in_features, module.out_features):  # type: ignore[union-attr]
        raise ValueError(f"a dense kernel is {tuple(kernel.shape)}")
    if module is net.head:
        return {"weight": -kernel.T, "bias": -bias}
    cells = round((kernel.shape[0] / WIDTH) ** 0.5)
    return {"weight": kernel.view(cells, cells, WIDTH, HIDDEN).permute(3, 2, 0, 1).flatten(1), "bias": bias}
