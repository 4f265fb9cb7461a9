"""The result of reading a mark."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shared.marking.payload import CODE_BITS, READ_BITS, Payload

FALSE_ALARM_RATE = 1e-6
"""Largest probability, by the statistic's own bound, that a mark is read from unmarked material."""


@dataclass(frozen=True)
class MarkReading:
    """What was read from one file.

    Attributes:
        payload: what the mark says; None if none was read.
        statistic: how well the material agrees with the best pattern that was tried, in standard deviations.
        threshold: least statistic at which a mark counts as read.
        false_alarm_bound: bound on the probability of such a statistic in unmarked material, over everything that was
            tried; at most 1.
        bit_errors: bits of the code, of 160, that were read wrongly and corrected; None if no mark was read.
        scale: pixels of the file per pixel of the pattern as it was written (for sound: speed); None if not read.
        mirrored: whether the picture is mirrored.
        looked_at: frames, or seconds of sound, that were looked at.
    """

    payload: Payload | None
    statistic: float
    threshold: float
    false_alarm_bound: float
    bit_errors: int | None = None
    scale: float | None = None
    mirrored: bool = False
    looked_at: int = 0

    @property
    def found(self) -> bool:
        """Whether a mark was read."""
        return self.payload is not None

    def order(self) -> tuple[bool, float]:
        """A key to sort by: the best reading of several is the largest."""
        return self.found, self.statistic

    @property
    def bit_error_rate(self) -> float | None:
        """Share of the code's bits that were read wrongly and corrected; None if no mark was read."""
        return None if self.bit_errors is None else self.bit_errors / CODE_BITS


def threshold_for(alignments: float, rate: float = FALSE_ALARM_RATE) -> float:
    """The least statistic at which a mark counts as read, after ``alignments`` were tried with each payload.

    The statistic is a sum of a_k cos(t_k), divided by the root of half the sum of a_k². The angles t_k are those of the
    material less those of the key, which are uniform and independent. E[exp(l cos t)] = I_0(l) <= exp(l² / 4), so the
    probability that one statistic is above z is at most exp(-z² / 2), whatever the material is (Chernoff); the union
    over all alignments and payloads gives the threshold. Alignments may be tried in groups of their own, each with a
    share of the rate: ``alignments`` is then their number over that share.
    """
    return math.sqrt(2 * math.log(alignments * 2.0**READ_BITS / rate))


def false_alarm_bound(statistic: float, alignments: float) -> float:
    """Bound on the probability that unmarked material reaches ``statistic`` (see :func:`threshold_for`)."""
    if statistic <= 0:
        return 1.0
    return min(1.0, math.exp(min(0.0, math.log(alignments) + READ_BITS * math.log(2) - statistic**2 / 2)))
