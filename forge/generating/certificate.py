"""Certificates of new faces: who of the training's people is most like a generated face, and how much.

The identity embedder, dlib's, takes no part in any training. All faces reach it in the same way: at the generator's own
size, enlarged, with landmarks fitted inside the mean face's box. The similarity is the cosine of two embeddings. Pairs
of different people of the training set, one face each, say which similarities happen between strangers: a face whose
nearest person is more similar than 99.9 % of these pairs is not called new. That is strict: a real stranger is compared
with hundreds of people too, so :attr:`Reference.strangers_refused` says how many real people the same rule refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch

from shared.errors import CheckpointError
from shared.faces.align import mean_in_crop
from shared.faces.boxes import box_around
from shared.faces.finders.finder import make_finder
from shared.faces.identity import embedders
from shared.training.checkpoint import read_checkpoint, write_checkpoint
from shared.types import Framing

REFERENCE = "reference.safetensors"
"""The embeddings of the training's faces in a run."""

QUANTILE = 0.999

_KIND = "assay-generator-reference-1"
_EMBEDDER = "dlib"
_LOOKED_AT_PX = 256
_MOST_FACES = 200_000
_MOST_PAIRED = 3000


@dataclass(frozen=True)
class Certificate:
    """How like a generated face is to the nearest of the training's people.

    Attributes:
        nearest: who that is; similarity: cosine of the two embeddings.
        rank: share of pairs of different real people that are less similar, 0 to 1.
        new: whether ``rank`` is at most :data:`QUANTILE`.
        pairs: of different real people that ``rank`` is among; below 1,000 they do not resolve the quantile.
    """

    nearest: str
    similarity: float
    rank: float
    new: bool
    pairs: int = 0

    def facts(self) -> dict[str, str]:
        """As a record says it."""
        return {
            "nearest_identity": self.nearest,
            "nearest_similarity": f"{self.similarity:.4f}",
            "nearest_rank": f"{self.rank:.5f}",
            "pairs_of_people": str(self.pairs),
            "new_identity": "yes" if self.new else "no",
        }


@dataclass(frozen=True, eq=False)
class Reference:
    """The training's people as an embedder sees them.

    Convention:
        embeddings: (N, D) float32; people: (N,) whose each is
        embedder: name and weights' SHA-256
    """

    embeddings: np.ndarray
    people: tuple[str, ...]
    embedder: dict[str, str]

    @cached_property
    def limit(self) -> float:
        """The similarity that :data:`QUANTILE` of all pairs of different people stay below."""
        return float(np.quantile(self._strangers, QUANTILE))

    @cached_property
    def strangers_refused(self) -> float:
        """Share of the real people whose nearest other person is more similar than :attr:`limit`."""
        one = self._one_each
        similarity = _unit(self.embeddings[one]) @ _unit(self.embeddings[one]).T
        np.fill_diagonal(similarity, -1)
        return float((similarity.max(1) > self.limit).mean())

    def certificate(self, embedding: np.ndarray) -> Certificate:
        """The certificate of a face with this ``embedding``, (D,)."""
        similarity = _unit(self.embeddings) @ _unit(embedding[None])[0]
        place = int(similarity.argmax())
        found = float(similarity[place])
        rank = float(np.searchsorted(self._strangers, found) / len(self._strangers))
        return Certificate(self.people[place], found, rank, found <= self.limit, self.pairs)

    @property
    def pairs(self) -> int:
        """How many pairs of different people there are."""
        return len(self._strangers)

    @cached_property
    def _one_each(self) -> np.ndarray:
        """The place of the middle face of each person, at most 3,000 people."""
        places: dict[str, list[int]] = {}
        for place, person in enumerate(self.people):
            places.setdefault(person, []).append(place)
        middle = [found[len(found) // 2] for found in places.values()]
        return np.array(middle[:: max(1, -(-len(middle) // _MOST_PAIRED))])

    @cached_property
    def _strangers(self) -> np.ndarray:
        """Similarities of all pairs of different people, ascending."""
        unit = _unit(self.embeddings[self._one_each])
        upper = np.triu_indices(len(unit), 1)
        return np.sort((unit @ unit.T)[upper])

    def save(self, path: Path) -> Path:
        """Writes it to ``path``; returns it.

        Raises:
            StorageError: writing failed.
        """
        document = {"kind": _KIND, "people": list(self.people), "embedder": self.embedder}
        write_checkpoint(path, {"embeddings": torch.from_numpy(self.embeddings)}, document)
        return path

    @classmethod
    def load(cls, path: Path) -> Reference:
        """The reference in ``path``.

        Raises:
            CheckpointError: it is missing, damaged, or of something else.
        """
        tensors, document = read_checkpoint(path)
        found, people = tensors.get("embeddings"), document.get("people")
        known = document.get("embedder")
        sound = (
            document.get("kind") == _KIND
            and found is not None
            and found.ndim == 2
            and bool(torch.isfinite(found).all())
            and isinstance(people, list)
            and len(people) == len(found) <= _MOST_FACES
            and len({str(one) for one in people}) >= 2
            and isinstance(known, dict)
        )
        if not sound or found is None or not isinstance(people, list) or not isinstance(known, dict):
            raise CheckpointError(f"{path} holds no people to compare with", hint="train the generator again")
        embedder = {str(key): str(value) for key, value in known.items()}
        return cls(found.float().numpy(), tuple(str(one) for one in people), embedder)


class FaceEmbedder:
    """Embeds aligned faces of one framing; see the module.

    Raises:
        FinderError, WeightsError: the embedder or the finder of landmarks is not installed.
    """

    def __init__(self, framing: Framing, device: str = "cpu") -> None:
        self._embedder, self._finder = embedders.create(_EMBEDDER, device=device), make_finder("dlib")
        self._box = box_around(mean_in_crop(_LOOKED_AT_PX, framing))

    def describe(self) -> dict[str, str]:
        """Name and weights' SHA-256 of the embedder."""
        return self._embedder.describe()

    def embed(self, faces: np.ndarray, tick: Callable[[int], object] | None = None) -> np.ndarray:
        """(N, D) float32: the embeddings of ``faces``, (N, S, S, 3) uint8; ``tick`` is called with 1 after each."""
        vectors = [np.zeros((0, self._embedder.dim), np.float32)]
        for face in faces:
            shown = cv2.resize(face, (_LOOKED_AT_PX, _LOOKED_AT_PX), interpolation=cv2.INTER_CUBIC)
            found = self._finder.refine(shown, [self._box])
            vectors.append(self._embedder.embed(shown, found))
            if tick is not None:
                tick(1)
        return np.concatenate(vectors)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
