"""Detectors of generated stills, trained and tested on faces of one generator beside photographs of the same side.

Both classes have the generator's side and framing and pass the same chain: of each class, three in five are compressed
as JPEG of quality 60 to 94, and two in five of the photographs were halved and doubled first, so that neither file
format nor softness alone tells them apart. The test has other people and other seeds. A photograph that went through
the base swapper's encoder and decoder is a control: its person is real and its pixels are a decoder's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.schema import Measurement
from detect.metrics.bootstrap import intervals
from detect.metrics.classification import MetricSettings, auc
from detect.models import Detector, build_detector
from forge.generating.autoencode import autoencoded
from forge.generating.checkpoint import load_generator
from forge.generating.contract import Generator
from forge.generating.material import open_facesets, read_material
from forge.generating.stills import generated
from forge.models import shipped
from forge.models.checkpoint import load_swapper
from shared.bootstrap import BootstrapSettings
from shared.errors import UsageError
from shared.video.images import encode_jpeg

FAMILIES = (("spectrum", "spectrum"), ("spectrum", "spectrum-mlp"), ("upsampling", "upsampling"))

_JPEG = (60, 95)
_BATCH = 32
_LEAST = 40
_BLUR = 2.0
"""Pixels: photographs as soft as the decoders' faces, to see whether a detector sees softness alone."""


def jpeg(face: np.ndarray, quality: int) -> np.ndarray:
    """``face`` (S, S, 3) uint8 after JPEG of this quality."""
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(face, quality), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def halved(face: np.ndarray) -> np.ndarray:
    """``face`` (S, S, 3) uint8 reduced by area to half its side, and enlarged bicubically to the whole again."""
    side = face.shape[0]
    small = cv2.resize(face, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


CHAINS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda face: face,
    "JPEG 95": lambda face: jpeg(face, 95),
    "JPEG 75": lambda face: jpeg(face, 75),
    "JPEG 50": lambda face: jpeg(face, 50),
    "halved and doubled": halved,
}
"""What is done to the stills of both classes of a test."""


def measured(
    run: Path, facesets: Sequence[Path], *, epochs: int, most: int, others: Sequence[Path] = ()
) -> Iterator[list[Measurement]]:
    """AUC of each family by chain, for the generator in ``run``, the control, and generators of ``others``.

    ``most`` is the largest number of photographs on each side. What is yielded grows, family by family.

    Raises:
        UsageError: there are too few people.
        AssayError: a run or a faceset cannot be read.
    """
    generator, _ = load_generator(run)
    spec = generator.spec
    material = read_material(open_facesets(facesets), px=spec.px, framing=spec.framing, people="file")
    photographs = material.faces.permute(0, 2, 3, 1).contiguous().numpy()
    train, test = (side[:: -(-len(side) // most)] for side in people_apart(material.people))
    if min(len(train), len(test)) < _LEAST:
        raise UsageError(f"{len(set(material.people))} people are too few", hint=f"at least {2 * _LEAST}")
    rng = np.random.default_rng(0)
    fakes = of_seeds(generator, range(len(train)), spec.px)
    held = {spec.name: of_seeds(generator, range(10**6, 10**6 + len(test)), spec.px)}
    for other in others:
        net, _ = load_generator(other)
        held[f"{net.spec.name}, not trained on"] = of_seeds(net, range(len(test)), spec.px)
    held["photographs through the base swapper"] = autoencoded(photographs[test], load_swapper(shipped.BASE_FOLDER))
    reals = [halved(face) if rng.random() < 0.4 else face for face in photographs[train]]
    found: list[Measurement] = []
    for family, name in FAMILIES:
        began = time.process_time()
        detector = trained([*reals], [*fakes], family, name, spec.px, epochs=epochs)
        seconds = time.process_time() - began
        found.append(Measurement.of(f"{name}, training", "s of processor", [seconds], better="lower"))
        for chain, change in CHAINS.items():
            of_real = logits(detector, [change(face) for face in photographs[test]])
            for what, faces in held.items():
                of_fake = logits(detector, [change(face) for face in faces])
                found.append(_auc(f"{name}, {what}, {chain}", of_real, of_fake))
        soft = logits(detector, [cv2.GaussianBlur(face, (0, 0), _BLUR) for face in photographs[test]])
        own = logits(detector, held[spec.name])
        found.append(_auc(f"{name}, {spec.name} against photographs blurred by {_BLUR:g} px", soft, own))
        yield found


def people_apart(people: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the faces for training and for testing: every second person each."""
    odd = {person: number % 2 for number, person in enumerate(dict.fromkeys(people))}
    sides = np.array([odd[person] for person in people])
    return np.flatnonzero(sides == 0), np.flatnonzero(sides == 1)


def of_seeds(generator: Generator, seeds: Sequence[int], px: int) -> list[np.ndarray]:
    """The faces of ``seeds`` without truncation, at the side ``px``."""
    place = torch.device("cpu")
    faces = [generated(generator, generator.latents([seed]), place)[0] for seed in seeds]
    return [cv2.resize(face, (px, px), interpolation=cv2.INTER_CUBIC) if len(face) != px else face for face in faces]


def trained(
    reals: list[np.ndarray], fakes: list[np.ndarray], family: str, name: str, px: int, *, epochs: int
) -> Detector:
    """A detector of a family trained on equally many of both classes, in evaluation mode."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    detector = build_detector(name, family=family, input_px=px)
    faces, labels = [*reals, *fakes], torch.tensor([0.0] * len(reals) + [1.0] * len(fakes))
    optimizer = torch.optim.Adam(detector.parameters(), lr=2e-3)
    steps = epochs * (len(faces) // _BATCH)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    detector.train()
    for _ in range(steps):
        places = rng.choice(len(faces), _BATCH, False)
        some = [jpeg(faces[at], int(rng.integers(*_JPEG))) if rng.random() < 0.6 else faces[at] for at in places]
        loss = F.binary_cross_entropy_with_logits(detector(_tensor(some)).logit, labels[places])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return detector.eval()


@torch.inference_mode()
def logits(detector: Detector, faces: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) float64: the logits of ``faces``."""
    parts = [detector(_tensor(faces[at : at + _BATCH])).logit for at in range(0, len(faces), _BATCH)]
    return torch.cat(parts).double().numpy()


def _tensor(faces: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float() / 255


def _auc(name: str, of_real: np.ndarray, of_fake: np.ndarray) -> Measurement:
    """The AUC, with its interval over people (of a fake: over seeds)."""
    labels = np.repeat([False, True], [len(of_real), len(of_fake)])
    scores = np.concatenate([of_real, of_fake])
    clusters = np.arange(len(scores))
    found = intervals(labels, scores, clusters, MetricSettings(), BootstrapSettings())
    low, high = found["auc"]
    return Measurement.of(name, "AUC", [auc(labels, scores) or 0.0], note=f"95 % interval {low:.3f} to {high:.3f}")
