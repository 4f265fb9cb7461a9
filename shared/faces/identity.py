"""Identity embeddings of faces: vectors that are close for faces of one person.

dlib's embedding: a 150 px chip cut by the landmarks, a ResNet, 128 numbers compared by Euclidean distance; 0.6 is the
distance at which its author reports 99.38 % accuracy on Labeled Faces in the Wild. Vectors are not of unit length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from typing_extensions import override

from shared import weights
from shared.errors import FinderError, WeightsError
from shared.faces.finders.contract import need_package
from shared.faces.finders.dlib_hog import DLIB_PACKAGES
from shared.faces.identity_net import CHIP_PX, EMBEDDING_DIM, IdentityNet, embed_chips
from shared.registry import Registry
from shared.types import Face

_WEIGHTS = "dlib-identity"
_CHIP_PADDING = 0.25
_BATCH = 32


class IdentityEmbedder(Protocol):
    """Computes identity embeddings of faces.

    Attributes:
        name: recorded with the vectors; vectors of different embedders are not comparable.
        dim: length of a vector.
        threshold: Euclidean distance below which two faces count as one person.
    """

    name: str
    dim: int
    threshold: float

    def embed(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """(N, dim) float32 for N faces of one frame, (H, W, 3) uint8 RGB; (0, dim) for none."""
        ...

    def chips(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """The network's input crop of each face, (N, S, S, 3) uint8: small, so that batches can be collected."""
        ...

    def embed_chips(self, chips: np.ndarray) -> np.ndarray:
        """(N, dim) float32 for chips (N, S, S, 3) uint8 of any frames, to batch over frames."""
        ...

    def describe(self) -> dict[str, str]:
        """What determines the result: name, SHA-256 of the weights."""
        ...


embedders: Registry[IdentityEmbedder] = Registry("identity embedder")
"""Factories that take the device's name."""


@embedders.register("dlib")
class DlibIdentity(IdentityEmbedder):
    """dlib's face recognition network, run in torch: the vectors equal dlib's to 1e-6, but faster."""

    name = "dlib-resnet-v1"
    dim = EMBEDDING_DIM
    threshold = 0.6

    def __init__(self, device: str = "cpu") -> None:
        self._dlib = need_package("dlib", DLIB_PACKAGES)
        self._net = IdentityNet.from_bytes(weights.read(_WEIGHTS)).to(device)

    @override
    def embed(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        return self.embed_chips(self.chips(image, faces))

    def chips(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """See :class:`IdentityEmbedder`. Cut by dlib, with rotation, scaling and smoothing as in training."""
        if not faces:
            return np.zeros((0, CHIP_PX, CHIP_PX, 3), dtype=np.uint8)
        # Decoders pad the rows of their frames; dlib takes only contiguous arrays.
        pixels = np.ascontiguousarray(image)
        return np.stack([self._chip(pixels, face) for face in faces])

    @override
    def embed_chips(self, chips: np.ndarray) -> np.ndarray:
        parts = [
            embed_chips(self._net, torch.from_numpy(chips[start : start + _BATCH])).numpy()
            for start in range(0, len(chips), _BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), dtype=np.float32)

    @override
    def describe(self) -> dict[str, str]:
        return {"name": self.name, "sha256": weights.entry_named(_WEIGHTS).sha256}

    def _chip(self, image: np.ndarray, face: Face) -> np.ndarray:
        points = self._dlib.points([self._dlib.point(*np.rint(point).astype(int).tolist()) for point in face.landmarks])
        rectangle = self._dlib.rectangle(*np.rint(face.box).astype(int).tolist())
        shape = self._dlib.full_object_detection(rectangle, points)
        return self._dlib.get_face_chip(image, shape, size=CHIP_PX, padding=_CHIP_PADDING)


def make_embedder(name: str = "auto", *, device: str = "cpu") -> IdentityEmbedder | None:
    """The embedder called ``name``; "auto" is the best installed one, or None.

    Raises:
        UnknownNameError: no embedder has that name.
        FinderError: the one named needs a library that is not installed.
        WeightsError: the one named lacks its weights, or they are not the pinned ones.
    """
    if name != "auto":
        return embedders.create(name, device=device)
    for known in embedders.names():
        try:
            return embedders.create(known, device=device)
        except (FinderError, WeightsError):
            continue
    return None
