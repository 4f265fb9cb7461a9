"""How well real face models work on procedural actors, and the rendering speed of these.

dlib's HOG detector (one upsampling), its 68-point predictor and its 128-number identity embedding (King, "Dlib-ml",
JMLR 2009; the models of ``face_recognition_models``) are run on actors who talk, turn and blink, each filmed in
several scenes. Nothing here is trained on actors.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from shared.actors import Actor, ActorFrame, cast, perform
from shared.errors import FinderError

PX = 256
_PREDICTOR = "shape_predictor_68_face_landmarks.dat"
_EMBEDDER = "dlib_face_recognition_resnet_model_v1.dat"


@dataclass(frozen=True, eq=False)
class Realism:
    """Results of dlib's models.

    Convention:
        detected: of ``frames`` frames; nme: (detected,) mean landmark distance over the distance of the outer canthi
        embeddings: (frames, 128); owners: (frames,) actor of each
    """

    frames: int
    detected: int
    nme: np.ndarray
    embeddings: np.ndarray
    owners: np.ndarray

    @property
    def detection_rate(self) -> float:
        """Share of frames with a face found."""
        return self.detected / self.frames

    @property
    def median_nme(self) -> float:
        """Median normalised mean error of dlib's landmarks against the exact ones."""
        return float(np.median(self.nme)) if len(self.nme) else float("inf")

    @property
    def same_distances(self) -> np.ndarray:
        """Embedding distances of all pairs of frames of one actor."""
        return self._pairs(same=True)

    @property
    def different_distances(self) -> np.ndarray:
        """Embedding distances of all pairs of frames of two actors."""
        return self._pairs(same=False)

    @property
    def auc(self) -> float:
        """Probability that a pair of two actors is farther apart than a pair of one."""
        same, different = self.same_distances, self.different_distances
        labels = np.r_[np.zeros(len(same)), np.ones(len(different))]
        return float(roc_auc_score(labels, np.r_[same, different]))

    def _pairs(self, *, same: bool) -> np.ndarray:
        apart = np.linalg.norm(self.embeddings[:, None] - self.embeddings[None], axis=-1)
        first, second = np.triu_indices(len(self.owners), 1)
        return apart[first, second][(self.owners[first] == self.owners[second]) == same]


def observe(actors: Sequence[Actor], *, clips: int = 3, frames: int = 4) -> Realism:
    """Runs dlib on ``frames`` frames, half a second apart, of each of ``clips`` clips of each actor.

    A frame without a detection is embedded at its exact landmarks: leaving it out would make the distances look better.

    Raises:
        FinderError: dlib or its models are not installed.
    """
    detect, predict, embed = _models()
    found, errors, embeddings, owners = 0, [], [], []
    for number, actor in enumerate(actors):
        for clip in range(clips):
            for shot in perform(actor, frames=frames, px=PX, frame_rate=Fraction(2), seed=clip):
                boxes = detect(shot.image, 1)
                found += bool(boxes)
                box = max(boxes, key=lambda one: one.area()) if boxes else _box(shot)
                shape = predict(shot.image, box)
                if boxes:
                    errors.append(_nme(shape, shot))
                embeddings.append(np.array(embed.compute_face_descriptor(shot.image, shape, 1)))
                owners.append(number)
    return Realism(len(owners), found, np.array(errors), np.stack(embeddings), np.array(owners))


def rendering_rate(*, frames: int = 50, seed: int = 0) -> float:
    """Frames per second of one performance at 256 px, with cached textures."""
    actor = Actor.from_seed(seed)
    list(perform(actor, frames=1, px=PX, seed=0))
    started = time.perf_counter()
    list(perform(actor, frames=frames, px=PX, seed=0))
    return frames / (time.perf_counter() - started)


def measure(*, actors: int = 24, clips: int = 3, frames: int = 4, seed: int = 0) -> dict[str, Any]:
    """The measurement on a cast, as plain values: rates, normalised errors, distances with n and percentiles.

    Raises:
        FinderError: dlib or its models are not installed.
    """
    seen = observe(cast(actors, seed), clips=clips, frames=frames)
    same, different = seen.same_distances, seen.different_distances
    return {
        "actors": actors,
        "clips_per_actor": clips,
        "frames": seen.frames,
        "px": PX,
        "detection_rate": seen.detection_rate,
        "nme_interocular": {"n": len(seen.nme), "mean": float(seen.nme.mean()), "median": seen.median_nme},
        "same_actor_distance": _spread(same),
        "different_actor_distance": _spread(different),
        "different_above_0.6": float((different > 0.6).mean()),
        "auc": seen.auc,
        "frames_per_second": rendering_rate(),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "p5": float(low),
        "median": float(middle),
        "p95": float(high),
    }


def _nme(shape: Any, shot: ActorFrame) -> float:
    found = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
    exact = shot.landmarks.astype(np.float64)
    return float(np.linalg.norm(found - exact, axis=1).mean() / np.linalg.norm(exact[36] - exact[45]))


def _box(shot: ActorFrame) -> Any:
    dlib = import_module("dlib")
    low, high = shot.landmarks.min(axis=0), shot.landmarks.max(axis=0)
    return dlib.rectangle(*(round(float(value)) for value in (*low, *high)))


def _models() -> tuple[Any, Any, Any]:
    # Found without an import: the package needs pkg_resources, which new setuptools lack.
    carrier = find_spec("face_recognition_models")
    if find_spec("dlib") is None or carrier is None or carrier.origin is None:
        raise FinderError("dlib or its models are not installed", hint="pip install 'assay[dlib]'")
    dlib = import_module("dlib")
    folder = Path(carrier.origin).parent / "models"
    return (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(folder / _PREDICTOR)),
        dlib.face_recognition_model_v1(str(folder / _EMBEDDER)),
    )
