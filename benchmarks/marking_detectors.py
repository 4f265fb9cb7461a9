"""What marks do to a detector: trained on sets in which neither class, both classes or only the fakes carry one.

Two kinds of fakes. "drawn": the base swapper of the package draws the face, which is put back at half its strength, so
that the traces are those of fakes by Assay and no detector separates the classes fully. "softened": in an ellipse on
the face, the portrait is mixed with a softened copy of itself; all it lacks is fine detail, which a mark hides. Each
person gives a real picture and its fake, saved as JPEG of one random quality, and is in training or in test. A detector
is a MesoNet; all conditions train on the same pictures in the same order from the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.marking_cases import jpeg
from benchmarks.schema import Measurement
from detect.metrics.bootstrap import evaluate_samples
from detect.metrics.compare import delong
from detect.models.contract import DetectorOptions
from detect.models.mesonet import Meso4
from forge.models.checkpoint import read_card
from forge.models.predictor import SwapPredictor
from forge.models.shipped import BASE_FOLDER
from forge.swapping.redraw import put_back
from shared.device import seed_everything
from shared.errors import AssayError
from shared.faces.align import align
from shared.faces.finders.finder import make_finder
from shared.marking.embed import MarkWriter
from shared.marking.payload import Payload
from shared.video.images import is_picture, read_picture

CONDITIONS: dict[str, tuple[bool, bool]] = {
    "neither class marked": (False, False),
    "both classes marked": (True, True),
    "only fakes marked": (False, True),
}
"""Whether real pictures and whether fakes of the training carry a mark."""

_PX, _CROP = 256, 128
_TRAINED = 2 / 3
_BATCH = 16
_SOFTER = 0.6  # size to which the softened copy is reduced
_SHARE = 0.6  # of the softened copy in the middle of the ellipse
_RATE = 2e-3
_STRENGTH = 0.5  # of a face that was drawn
_PAYLOAD = Payload.of("set", "5eed15")

Fake = Callable[[np.ndarray], "np.ndarray | None"]


@dataclass(frozen=True, eq=False)
class _Pictures:
    """(N, 3, 128, 128) float32 faces, real and fake in turn, of people who follow each other."""

    plain: torch.Tensor
    marked: torch.Tensor

    def of(self, people: slice, *, real: bool, fake: bool) -> tuple[torch.Tensor, np.ndarray]:
        """The pictures of these people, marked as asked, and which of them are fakes."""
        faces = self.plain[2 * people.start : 2 * people.stop].clone()
        others = self.marked[2 * people.start : 2 * people.stop]
        for place, wanted in enumerate((real, fake)):
            if wanted:
                faces[place::2] = others[place::2]
        return faces, np.arange(len(faces)) % 2 == 1


def detectors(media: Path | None, *, most: int, repeats: int, epochs: int = 16) -> list[Measurement]:
    """The AUC of each condition on people who were not trained on, and its change from "neither", for both fakes.

    Test pictures are marked as those of the training are; of "only fakes" also without marks.
    """
    if media is None:
        return []
    kinds: dict[str, Fake] = {"drawn": drawn_fakes(), "softened": _weak_fake}
    return [
        measurement
        for kind, fake in kinds.items()
        for measurement in _of_kind(kind, fake, media, most=most, repeats=repeats, epochs=epochs)
    ]


def _of_kind(kind: str, fake_of: Fake, media: Path, *, most: int, repeats: int, epochs: int) -> list[Measurement]:
    paths = sorted(path for path in (media / "real_faces").iterdir() if is_picture(path))
    paths = paths[:: max(1, len(paths) // most)][:most]
    pictures = _pictures(paths, fake_of)
    total = len(pictures.plain) // 2
    people = round(total * _TRAINED)
    if min(people, total - people) < 8:
        return []
    test = slice(people, total)
    logits: dict[str, np.ndarray] = {}
    labels = np.zeros(0, bool)
    for name, (real, fake) in CONDITIONS.items():
        faces, wanted = pictures.of(slice(0, people), real=real, fake=fake)
        like, labels = pictures.of(test, real=real, fake=fake)
        seeds = [_trained(faces, wanted, seed, epochs) for seed in range(repeats)]
        logits[name] = np.mean([_logits(model, like) for model in seeds], axis=0)
        if fake and not real:
            unmarked, _ = pictures.of(test, real=False, fake=False)
            logits[f"{name}, tested without marks"] = np.mean([_logits(model, unmarked) for model in seeds], axis=0)
    note = f"{people} people trained on, {test.stop - test.start} in test; logits of {repeats} seeds averaged"
    found = [_auc(f"{kind}, {name}", labels, values, note) for name, values in logits.items()]
    neither, both = (logits[name] for name in list(CONDITIONS)[:2])
    tested = delong(labels, both, neither)
    assert tested is not None  # both classes are there
    value, low, high = (round(each, 4) for each in (tested.difference, tested.low, tested.high))
    unit = "difference, 95 % interval (DeLong)"
    return [*found, Measurement(f"detector AUC: {kind}, both less neither", unit, (value,), value, low, high)]


def _auc(name: str, labels: np.ndarray, logits: np.ndarray, note: str) -> Measurement:
    each = next(one for one in evaluate_samples(labels, logits, np.arange(len(labels)) // 2, level="frame")
                if one.metric == "auc")  # fmt: skip
    value, low, high = (round(bound or 0.0, 4) for bound in (each.value, each.low, each.high))
    return Measurement(f"detector AUC: {name}", "AUC, 95 % interval over people", (value,), value, low, high, note=note)


def drawn_fakes() -> Fake:
    """Fakes whose face the base swapper drew, at half its strength; None where no face is found."""
    finder, predictor = make_finder("dlib"), SwapPredictor.load(BASE_FOLDER, "cpu")
    identity = read_card(BASE_FOLDER).identities[0]

    def fake(image: np.ndarray) -> np.ndarray | None:
        found = finder.find([image])[0]
        if not found:
            return None
        face = align(image, found[0], px=predictor.spec.input_px, framing=predictor.spec.framing, frame=0)
        drawn = put_back(image, predictor.swap([face], identity)[0])
        return cv2.addWeighted(drawn, _STRENGTH, image, 1 - _STRENGTH, 0)

    return fake


def _pictures(paths: list[Path], fake_of: Fake) -> _Pictures:
    """Both pictures of every person, without and with a mark; those without a face or not readable are left out."""
    writer, rng = MarkWriter(_PAYLOAD), np.random.default_rng(15)
    plain: list[np.ndarray] = []
    marked: list[np.ndarray] = []
    for path in paths:
        try:
            real = _square(read_picture(path))
        except AssayError:
            continue
        save, fake = jpeg(int(rng.integers(80, 96))), fake_of(real)
        for picture in () if fake is None else (real, fake):
            one, other = save([picture, writer.mark(picture)])
            plain.append(_middle(one))
            marked.append(_middle(other))
    return _Pictures(_tensor(plain), _tensor(marked))


def _square(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return cv2.resize(image[top : top + side, left : left + side], (_PX, _PX), interpolation=cv2.INTER_AREA)


def _weak_fake(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(image, None, fx=_SOFTER, fy=_SOFTER, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(small, (_PX, _PX), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((_PX, _PX), np.float32)
    cv2.ellipse(mask, (_PX // 2, _PX // 2), (44, 58), 0, 0, 360, _SHARE, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 6)[..., None]
    return np.round(image * (1 - mask) + soft * mask).astype(np.uint8)


def _middle(image: np.ndarray) -> np.ndarray:
    edge = (_PX - _CROP) // 2
    return image[edge : edge + _CROP, edge : edge + _CROP]


def _tensor(images: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255)


def _trained(faces: torch.Tensor, fake: np.ndarray, seed: int, epochs: int) -> Meso4:
    seed_everything(seed)
    model = Meso4(DetectorOptions("meso4", input_px=_CROP))
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, total_steps=epochs * math.ceil(len(faces) / _BATCH), pct_start=0.2
    )
    wanted, order = torch.from_numpy(fake.astype(np.float32)), np.random.default_rng(seed)
    model.train()
    for _ in range(epochs):
        for some in np.array_split(order.permutation(len(faces)), math.ceil(len(faces) / _BATCH)):
            batch = faces[some]
            batch = batch.flip(3) if order.random() < 0.5 else batch
            loss = binary_cross_entropy_with_logits(model(batch).logit, wanted[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def _logits(model: Meso4, faces: torch.Tensor) -> np.ndarray:
    return np.concatenate([model(some).logit.numpy() for some in faces.split(64)])
