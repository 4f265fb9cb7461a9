"""Grouping of face tracks by person, from mean identity embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

_MOST_CLUSTERED = 2000
_NEVER = 1e6


def group_by_person(
    embeddings: Sequence[np.ndarray | None], same_distance: float, apart: Iterable[tuple[int, int]] = ()
) -> list[list[int]]:
    """Indices of the tracks of each person, each list ascending, the lists in the order of their first index.

    Average linkage (UPGMA; Sokal and Michener 1958): the two nearest groups are joined as long as the mean distance
    between their members is below ``same_distance``.

    Args:
        embeddings: (D,) of each track, the most present first; a track with None is a person of its own. Beyond the
            first 2,000, each joins the group with the nearest mean.
        same_distance: Euclidean distance below which two embeddings are of one person.
        apart: pairs of tracks that cannot be one person, because one frame shows both.
    """
    known = [index for index, one in enumerate(embeddings) if one is not None]
    core, rest = known[:_MOST_CLUSTERED], known[_MOST_CLUSTERED:]
    vectors = {index: np.asarray(embeddings[index], np.float64) for index in known}
    barred = {frozenset(pair) for pair in apart}
    groups = _clustered(core, vectors, same_distance, barred)
    means = [np.mean([vectors[index] for index in group], axis=0) for group in groups]
    for index in rest:
        distances = [float(np.linalg.norm(mean - vectors[index])) for mean in means]
        place = int(np.argmin(distances))
        if distances[place] < same_distance and not any(frozenset((index, one)) in barred for one in groups[place]):
            groups[place].append(index)
        else:
            groups.append([index])
            means.append(vectors[index])
    groups += [[index] for index, one in enumerate(embeddings) if one is None]
    return sorted((sorted(group) for group in groups), key=lambda group: group[0])


def _clustered(
    core: list[int], vectors: dict[int, np.ndarray], same_distance: float, barred: set[frozenset[int]]
) -> list[list[int]]:
    if len(core) < 2:
        return [[index] for index in core]
    distances = np.array(
        [
            _NEVER if frozenset((a, b)) in barred else float(np.linalg.norm(vectors[a] - vectors[b]))
            for place, a in enumerate(core)
            for b in core[place + 1 :]
        ]
    )
    # fcluster joins at the threshold too; the next smaller number keeps "below".
    labels = fcluster(linkage(distances, "average"), np.nextafter(same_distance, 0.0), "distance")
    groups: dict[int, list[int]] = {}
    for index, label in zip(core, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(index)
    return list(groups.values())
