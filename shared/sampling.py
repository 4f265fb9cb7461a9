"""Index arithmetic: evenly spaced indices, windows, runs."""

from __future__ import annotations


def evenly_spaced(total: int, count: int) -> list[int]:
    """``count`` different ascending indices, evenly spaced over ``range(total)``, with the first and the last.

    ``count >= total`` gives every index, ``count == 1`` the middle one.

    Raises:
        ValueError: ``total`` is negative or ``count`` is less than one.
    """
    if total < 0 or count < 1:
        raise ValueError(f"need total >= 0 and count >= 1, got {total=} and {count=}")
    if count >= total:
        return list(range(total))
    if count == 1:
        return [total // 2]
    last = count - 1
    return [(2 * i * (total - 1) + last) // (2 * last) for i in range(count)]


def windows(total: int, length: int, stride: int) -> list[tuple[int, int]]:
    """Half-open ``(start, stop)`` windows of ``length`` that cover ``range(total)``.

    The last window is shifted back to fit; a total shorter than ``length`` gives one short window.

    Raises:
        ValueError: ``length`` or ``stride`` is less than one.
    """
    if length < 1 or stride < 1:
        raise ValueError(f"need length >= 1 and stride >= 1, got {length=} and {stride=}")
    if total <= 0:
        return []
    if total <= length:
        return [(0, total)]
    starts = list(range(0, total - length, stride))
    starts.append(total - length)
    return [(start, start + length) for start in starts]


def runs_of(indices: list[int]) -> list[tuple[int, int]]:
    """Consecutive runs in ascending ``indices`` as half-open ranges: ``[3, 4, 7]`` gives ``[(3, 5), (7, 8)]``."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
