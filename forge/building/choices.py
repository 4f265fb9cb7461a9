"""Settings that several tables of a ``set.toml`` share: names, samples, forged stretches."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import need
from shared.errors import UsageError
from shared.types import check_name


@dataclass(frozen=True)
class SegmentsConfig:
    """Partly forged fakes: ``count`` runs of frames, together about ``share`` of all."""

    share: float = 0.5
    count: int = 1

    def __post_init__(self) -> None:
        need(0 < self.share < 1, "segments.share must lie between 0 and 1", "0.4 forges four tenths of the frames")
        need(1 <= self.count <= 100, "segments.count must be 1 to 100", "1 or 2 is usual")


def sample_size(text: str) -> int | None:
    """N of ``sample:N``; None for anything else."""
    word, colon, number = text.partition(":")
    return int(number) if word == "sample" and colon and number.isdecimal() and int(number) > 0 else None


def checked_name(name: str, what: str) -> None:
    """Refuses a ``name`` that cannot stand in a path.

    Raises:
        UsageError: it cannot.
    """
    try:
        check_name(name, what)
    except ValueError as error:
        raise UsageError(str(error), hint="for example ann or speaker-07") from error
