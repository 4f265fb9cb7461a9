"""Fréchet distance between two sets of feature vectors, as Gaussians, with an interval over clips.

Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982; on network features Heusel
et al., "GANs trained by a two time-scale update rule", NeurIPS 2017. With few samples the distance is biased
upwards, more for longer vectors (Chong and Forsyth, CVPR 2020): compare only values of equal n.
"""

from __future__ import annotations

import numpy as np

from shared.bootstrap import BootstrapSettings, sample_clusters

MOST_VECTORS = 1024
"""Maximum number of vectors, evenly spaced; the cost is cubic in it."""

_REPLICATES = 100


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The distance of (N, D) and (M, D) vectors, by their means and covariances.

    Raises:
        ValueError: fewer than two vectors in a set, or of different length.
    """
    _check(a, b)
    return _weighted(_Products(a, b), np.ones(len(a)), np.ones(len(b)))


def frechet_interval(
    a: np.ndarray, b: np.ndarray, clusters: np.ndarray, settings: BootstrapSettings
) -> tuple[float, float] | None:
    """Interval of :func:`frechet_distance` over clusters of pairs; None with fewer than two clusters.

    ``a[i]`` and ``b[i]`` are of one frame, ``clusters[i]`` is its cluster. Resampling with replacement repeats vectors
    and so raises the distance; the basic interval (2 x value minus the percentiles; Davison and Hinkley 1997, eq. 5.6)
    corrects this to first order. 100 replicates.

    Raises:
        ValueError: as :func:`frechet_distance`; or the three differ in length.
    """
    _check(a, b)
    if not len(a) == len(b) == len(clusters):
        raise ValueError(f"need pairs and their clusters, got {len(a)}, {len(b)} and {len(clusters)}")
    names, places = np.unique(clusters, return_inverse=True)
    if names.size < 2:
        return None
    products = _Products(a, b)
    value = _weighted(products, np.ones(len(a)), np.ones(len(b)))
    replicates = []
    for row in sample_clusters(names.size, _REPLICATES, np.random.default_rng(settings.seed)):
        weights = row[places]
        if weights.sum() >= 2:
            replicates.append(_weighted(products, weights, weights))
    low, high = np.percentile(replicates, settings.tails)
    return max(0.0, 2 * value - float(high)), max(0.0, 2 * value - float(low))


class _Products:
    """Inner products of all vectors, from which the distance of every replicate is computed."""

    def __init__(self, a: np.ndarray, b: np.ndarray) -> None:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        self.aa, self.bb, self.ab = a @ a.T, b @ b.T, a @ b.T


def _weighted(products: _Products, of_a: np.ndarray, of_b: np.ndarray) -> float:
    """The distance with weights ``of_a[i]`` and ``of_b[i]`` of vector i in the two sets.

    With centred, weighted rows X and Y (covariances X'X and Y'Y), ``tr((A B)^(1/2))`` is the sum of the singular
    values of ``X Y'``, an N by M matrix of inner products.
    """
    share_a, share_b = of_a / of_a.sum(), of_b / of_b.sum()
    to_a, to_b = products.aa @ share_a, products.bb @ share_b
    cross_a, cross_b = products.ab @ share_b, share_a @ products.ab
    power_a, power_b, between = share_a @ to_a, share_b @ to_b, share_a @ cross_a
    apart = max(0.0, float(power_a + power_b - 2 * between))
    unbiased_a, unbiased_b = of_a.sum() / (of_a.sum() - 1), of_b.sum() / (of_b.sum() - 1)
    trace_a = unbiased_a * float(share_a @ np.diag(products.aa) - power_a)
    trace_b = unbiased_b * float(share_b @ np.diag(products.bb) - power_b)
    centred = products.ab - cross_a[:, None] - cross_b[None, :] + between
    scaled = np.sqrt(share_a * unbiased_a)[:, None] * centred * np.sqrt(share_b * unbiased_b)[None, :]
    kept = scaled[of_a > 0][:, of_b > 0]
    return apart + trace_a + trace_b - 2 * float(np.linalg.svd(kept, compute_uv=False).sum())


def _check(a: np.ndarray, b: np.ndarray) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"need two sets of two or more vectors of one length, got {a.shape} and {b.shape}")
