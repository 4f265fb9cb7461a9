"""Selection of faces for training: those of the main person, large and sharp enough. In bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from shared.faces.facesets.layout import FaceRow

OTHER_PERSON, SMALL, BLURRY = "other person", "small", "blurry"

_BINS_AN_OCTAVE = 4
_BINS = 25 * _BINS_AN_OCTAVE


@dataclass
class _TrackFacts:
    """Statistics of one track, of constant size: sums and a histogram."""

    clip: int
    presence: float = 0.0
    embeddings: int = 0
    embedding: np.ndarray | None = None
    sharpness: np.ndarray = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def note(self, row: FaceRow) -> None:
        self.presence += row.width_px
        self.sharpness[_bin_of(row.sharpness)] += 1
        if row.embedding is not None:
            total = row.embedding if self.embedding is None else self.embedding + row.embedding
            self.embedding, self.embeddings = total, self.embeddings + 1

    @property
    def mean(self) -> np.ndarray | None:
        return None if self.embedding is None else self.embedding / self.embeddings


def _bin_of(sharpness: float) -> int:
    return int(np.clip(np.log2(max(sharpness, 1.0)) * _BINS_AN_OCTAVE, 0, _BINS - 1))


class KeepRule:
    """Decides which rows are kept, after one pass over all rows.

    A face is set aside when its box is narrower than ``min_face_px``; when its sharpness is below ``min_sharpness`` of
    its clip's median (over the people who are kept; to a quarter of an octave, from a histogram); and, unless
    ``all_people``, when it is not of the main person. That is the person with the largest sum of box widths. With
    embeddings, tracks nearer to each other than ``same_distance`` on average are one person, across all clips; without,
    it is each clip's main track.
    """

    def __init__(
        self,
        *,
        min_face_px: float = 0.0,
        min_sharpness: float = 0.0,
        all_people: bool = False,
        same_distance: float | None = None,
    ) -> None:
        self._min_face_px = min_face_px
        self._min_sharpness = min_sharpness
        self._all_people = all_people
        self._same_distance = same_distance
        self._tracks: dict[int, _TrackFacts] = {}
        self._kept: set[int] | None = None
        self._floors: dict[int, float] = {}

    def note(self, row: FaceRow) -> None:
        """Adds ``row`` to the statistics."""
        self._tracks.setdefault(row.track, _TrackFacts(row.clip)).note(row)
        self._kept = None

    @property
    def people_aside(self) -> int:
        """Number of tracks of other people."""
        return len(self._tracks) - len(self._decided())

    def set_aside_reasons(self, batch: pa.RecordBatch) -> list[str]:
        """For each row the reason why it is set aside, or an empty text."""
        kept = self._decided()
        tracks, clips = (batch.column(name).to_numpy() for name in ("track", "clip"))
        boxes = batch.column("box").flatten().to_numpy().reshape(-1, 4)
        sharpness = batch.column("sharpness").to_numpy()
        verdicts: list[str] = []
        for track, clip, box, sharp in zip(tracks.tolist(), clips.tolist(), boxes, sharpness.tolist(), strict=True):
            if track not in kept:
                verdicts.append(OTHER_PERSON)
            elif box[2] - box[0] < self._min_face_px:
                verdicts.append(SMALL)
            else:
                verdicts.append(BLURRY if sharp < self._floors[clip] else "")
        return verdicts

    def _decided(self) -> set[int]:
        if self._kept is None:
            self._kept = set(self._tracks) if self._all_people else self._main_person()
            for clip in {facts.clip for facts in self._tracks.values()}:
                histograms = [self._tracks[t].sharpness for t in self._kept if self._tracks[t].clip == clip]
                self._floors[clip] = self._min_sharpness * _median_of(histograms)
        return self._kept

    def _main_person(self) -> set[int]:
        best = max(self._people(), key=lambda tracks: sum(self._tracks[t].presence for t in tracks), default=set())
        if self._same_distance is not None and any(self._tracks[t].mean is not None for t in best):
            return best
        # Without embeddings people cannot be distinguished: the main track of every clip.
        longest: dict[int, int] = {}
        for number, facts in sorted(self._tracks.items()):
            rival = longest.get(facts.clip)
            if rival is None or facts.presence > self._tracks[rival].presence:
                longest[facts.clip] = number
        return set(longest.values())

    def _people(self) -> list[set[int]]:
        """The tracks grouped by person: in order of presence, each joins the first group near it."""
        people: list[tuple[np.ndarray | None, set[int]]] = []
        for number in sorted(self._tracks, key=lambda n: (-self._tracks[n].presence, n)):
            mean = self._tracks[number].mean
            for reference, tracks in people:
                if self._same(reference, mean):
                    tracks.add(number)
                    break
            else:
                people.append((mean, {number}))
        return [tracks for _, tracks in people]

    def _same(self, a: np.ndarray | None, b: np.ndarray | None) -> bool:
        if a is None or b is None or self._same_distance is None:
            return False
        return float(np.linalg.norm(a - b)) < self._same_distance


def _median_of(histograms: list[np.ndarray]) -> float:
    counts = np.sum(histograms, axis=0) if histograms else np.zeros(_BINS)
    if not counts.sum():
        return 0.0
    middle = int(np.searchsorted(counts.cumsum(), counts.sum() / 2))
    # The lowest bin holds all crops without detail; no share of it is blurred.
    return 2 ** ((middle + 0.5) / _BINS_AN_OCTAVE) if middle else 0.0
