"""How near generated faces come to photographs, and how many of them are no new faces.

The distance is the kernel distance of the pooled features of EfficientNet-Lite0 (ImageNet weights, 224 px), called
kid-lite0: it is not comparable with distances of other features. Photographs are brought to the side and framing of the
generator first, so that the floor, between two halves of the photographs, is of the same pixels.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.kernel_distance import kernel_distances
from benchmarks.schema import Measurement
from forge.generating.config import StillConfig
from forge.generating.material import open_facesets, read_material
from forge.generating.stills import Sampler
from forge.generating.trainers import tiled
from forge.quality.features import FeatureNet
from shared.errors import UsageError
from shared.storage import write_bytes
from shared.video.images import encode_png

_SIZE = 100


class Photographs:
    """The ruler: features of photographs, and kernel distances of pictures to them.

    Args:
        faces: (N, 3, S, S) uint8.
        seed: of the random blocks.

    Raises:
        UsageError: there are too few photographs for a floor.
        WeightsError: the features' weights are not installed.
    """

    def __init__(self, faces: Tensor, seed: int) -> None:
        if len(faces) < 2 * _SIZE:
            raise UsageError(f"{len(faces)} photographs are too few for a floor", hint=f"at least {2 * _SIZE}")
        self._net, self._rng = FeatureNet.load(), np.random.default_rng(seed)
        self._features = self._net.pooled(list(faces.permute(0, 2, 3, 1).contiguous().numpy()))

    def floor(self) -> np.ndarray:
        """Distances between blocks of two random halves of the photographs."""
        halves = np.array_split(self._rng.permutation(len(self._features)), 2)
        return kernel_distances(self._features[halves[0]], self._features[halves[1]], self._rng, size=_SIZE)

    def apart(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Distances of blocks of ``pictures``, (S, S, 3) uint8 each, to blocks of the photographs."""
        return kernel_distances(self._net.pooled(pictures), self._features, self._rng, size=_SIZE)


def measured(
    run: Path,
    facesets: Sequence[Path],
    *,
    samples: int,
    truncations: Sequence[float],
    sheets: Path | None = None,
    seed: int = 0,
) -> list[Measurement]:
    """Measurements of the generator in ``run`` against the photographs in ``facesets``.

    Raises:
        UsageError: there are too few photographs for a floor.
        AssayError: the run or a faceset cannot be read, or the features' weights are not installed.
    """
    sampler = Sampler(run, StillConfig(not_new="write"))
    spec, reference = sampler.generator.spec, sampler.reference
    real = read_material(open_facesets(facesets), px=spec.px, framing=spec.framing, people="file")
    photographs = Photographs(real.faces, seed)
    floor = photographs.floor()
    name = spec.name
    found = [
        Measurement.of(f"{name}, photographs against photographs", "kid-lite0", floor.tolist(), better="lower"),
        Measurement.of(f"{name}, real people refused by the same rule", "share", [reference.strangers_refused],
                       better="lower", note=f"similarity above {reference.limit:.3f}"),
    ]  # fmt: skip
    for truncation in truncations:
        sampler.config = replace(sampler.config, truncation=truncation)
        faces, refused, ranks = [], [], []
        began = time.process_time()
        for _, face, certificate in sampler.made(sampler.wanted(range(samples))):
            faces.append(face)
            refused.append(0.0 if certificate.new else 1.0)
            ranks.append(certificate.rank)
        seconds = (time.process_time() - began) / samples
        apart = photographs.apart(faces)
        what = f"{name}, truncation {truncation:g}"
        found += [
            Measurement.of(f"{what}, kernel distance", "kid-lite0", apart.tolist(), better="lower"),
            Measurement.of(f"{what}, refused as not new", "share", [float(np.mean(refused))], better="lower"),
            Measurement.of(f"{what}, rank of the nearest person", "share", ranks, better="lower"),
            Measurement.of(f"{what}, time of a face with its certificate", "s of processor", [seconds], better="lower"),
        ]
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            write_bytes(sheets / f"{name}-{truncation:g}.png", encode_png(tiled(np.stack(faces[:64]))))
    return found
