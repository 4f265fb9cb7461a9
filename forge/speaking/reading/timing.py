"""Phones of an engine at the places of the voice model's code, 40 a second.

Convention:
    symbols: (P,) int64, places in an inventory of symbols; 0 is a symbol that is not in it
    starts, stops: (P,) float32 seconds
    places: (H,) int64, for each vector of the code, H = T / 2 of T frames, the phone that sounds at its time
    position: (H, 6) float32, where it lies: shares of the phone before and after it, time since the phone's start and
        to its end, its length, and the share of the utterance before it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forge.speaking.contract import Speech
from forge.speaking.conversion.features import FRAMING
from shared.errors import SpeechError

POSITIONS = 6
UNKNOWN = 0
"""Place of a symbol that is not in the inventory."""

_LONGEST = 0.5


@dataclass(frozen=True)
class TimedPhones:
    """The phones of an utterance: symbols, and starts and stops in seconds; in order, without gaps."""

    symbols: tuple[str, ...]
    starts: tuple[float, ...]
    stops: tuple[float, ...]
    seconds: float

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def of(cls, speech: Speech) -> TimedPhones:
        """The phones that an engine told of what it said.

        Raises:
            SpeechError: it told none.
        """
        if not speech.phones:
            raise SpeechError(
                f"{speech.info.name} does not tell the times of phones with its voice {speech.info.voice}",
                hint="espeak does, and flite with its voices slt, awb and rms",
            )
        rate = speech.sound.rate
        return cls(
            tuple(each.symbol for each in speech.phones),
            tuple(each.first / rate for each in speech.phones),
            tuple(each.stop / rate for each in speech.phones),
            len(speech.sound) / rate,
        )

    def slower(self, factor: float) -> TimedPhones:
        """The same phones with all times multiplied."""
        return TimedPhones(
            self.symbols,
            tuple(each * factor for each in self.starts),
            tuple(each * factor for each in self.stops),
            self.seconds * factor,
        )


def inventory_of(utterances: Sequence[TimedPhones]) -> tuple[str, ...]:
    """All symbols of some utterances, sorted."""
    return tuple(sorted({symbol for each in utterances for symbol in each.symbols}))


def symbols_of(phones: TimedPhones, inventory: Sequence[str]) -> np.ndarray:
    """(P,) int64: places of the symbols in an inventory, counted from 1."""
    known = {symbol: place for place, symbol in enumerate(inventory, 1)}
    return np.array([known.get(each, UNKNOWN) for each in phones.symbols], np.int64)


def laid_out(phones: TimedPhones, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (H,) and positions (H, 6) of ``count`` vectors of the code."""
    times = np.arange(count, dtype=np.float64) * 2 * FRAMING.hop_seconds
    starts, stops = np.array(phones.starts), np.array(phones.stops)
    places = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(phones) - 1)
    first, stop = starts[places], stops[places]
    length = np.maximum(stop - first, 1e-3)
    before = np.clip((times - first) / length, 0.0, 1.0)
    since, until = (np.clip(each, 0.0, _LONGEST) / _LONGEST for each in (times - first, stop - times))
    position = np.stack(
        [before, 1 - before, since, until, np.minimum(length, _LONGEST) / _LONGEST, times / max(phones.seconds, 1e-3)],
        axis=1,
    )
    return places.astype(np.int64), position.astype(np.float32)
