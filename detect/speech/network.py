"""What all networks among the detectors of speech share: loading, scoring in parts, layers over time, pooling.

A kind gives ``features`` of a sound and the ``network`` that reads them. Training and scoring are the same for all.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from detect.speech.contract import NetworkOptions, SpeechDetector, StepScores, count_of_steps

_CHUNK, _MARGIN = 3072, 128


class NetworkDetector(SpeechDetector):
    """A trained network on the CPU.

    A network maps features (B, 1, rows T, ...) to logits (B, T) and log weights (B, T), the latter in [-4, 4]. What it
    says of a step depends on at most 128 steps to each side, so that a long sound can be scored in parts.

    Args:
        tensors: the network's state.
        options: how it was built.

    Attributes:
        rows: of features in a step.

    Raises:
        ValueError: the options build no network, or the tensors are not those of it or not finite.
    """

    rows: ClassVar[int]

    def __init__(self, tensors: Mapping[str, Tensor], options: NetworkOptions = NetworkOptions()) -> None:  # noqa: B008
        self.options = options
        need_fit(tensors, type(self), options)
        self.network = self.build(options)
        self.network.load_state_dict(dict(tensors))
        if not all(tensor.isfinite().all() for tensor in self.network.state_dict().values()):
            raise ValueError("a weight is not finite")
        self.network.eval()

    @staticmethod
    @abstractmethod
    def build(options: NetworkOptions) -> nn.Module:
        """The untrained network; ValueError where ``options`` name none."""

    @classmethod
    def start(cls, options: NetworkOptions) -> nn.Module:
        """The network that a training starts from.

        Raises:
            WeightsError: it starts from weights that are not available.
        """
        return cls.build(options)

    @staticmethod
    @abstractmethod
    def features(samples: np.ndarray) -> np.ndarray:
        """(rows T, ...) float32: what the network reads of (N,) samples of a whole sound."""

    @torch.inference_mode()
    def steps(self, samples: np.ndarray) -> StepScores:
        """Scores by parts of a minute that overlap by more than the network sees."""
        features, rows = torch.from_numpy(self.features(samples)), self.rows
        count = count_of_steps(samples)
        values, gates = np.zeros(count, np.float32), np.zeros(count, np.float32)
        for first in range(0, count, _CHUNK):
            begin, stop = max(0, first - _MARGIN), min(count, first + _CHUNK)
            part = features[rows * begin : rows * (stop + _MARGIN)][None, None]
            logits, weights = self.network(part)
            values[first:stop] = logits[0, first - begin : stop - begin].numpy()
            gates[first:stop] = weights[0, first - begin : stop - begin].exp().numpy()
        return StepScores(values, gates)

    def tensors(self) -> dict[str, Tensor]:
        """The network's state."""
        return {name: tensor.detach().cpu() for name, tensor in self.network.state_dict().items()}


def need_fit(tensors: Mapping[str, Tensor], kind: type[NetworkDetector], options: NetworkOptions) -> None:
    """Compares names and shapes before memory is taken for a network of the size that ``options`` say.

    Raises:
        ValueError: they differ, or the options build no network.
    """
    with torch.device("meta"):
        wanted = {name: each.shape for name, each in kind.build(options).state_dict().items()}
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors or name not in wanted:
            raise ValueError(f"the weights do not fit: {name} is {'missing' if name in wanted else 'unknown'}")
        if wanted[name] != tensors[name].shape:
            raise ValueError(f"the weights do not fit: {name} is of another shape")


def time_layers(width: int) -> nn.Sequential:
    """Two convolutions along time, one of them dilated: (B, width, T) to the same, with 0.2 s seen around each step."""
    return nn.Sequential(
        nn.Conv1d(width, width, 3, padding=1), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.2),
        nn.Conv1d(width, width, 3, padding=3, dilation=3), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.2),
    )  # fmt: skip


def scores_of(head: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, T) and log weights (B, T), the latter in [-4, 4], of the (B, 2, T) outputs of a network."""
    logits, gates = head.unbind(1)
    return logits, 4 * torch.tanh(gates / 4)


def pooled(logits: Tensor, gates: Tensor) -> Tensor:
    """(B,) the logit of each whole sound from (B, T) logits and log weights."""
    return (torch.softmax(gates, 1) * logits).sum(1)
