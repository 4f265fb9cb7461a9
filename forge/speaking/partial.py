"""Partial fakes: stretches of a recording replaced by other speech, with labels exact to the sample.

The seams are cross-faded over 5 ms inside the replaced stretch, so that a label covers every sample that differs from
the recording and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.audio.loudness import active_level
from shared.audio.rates import change_rate
from shared.audio.sound import Sound, limited
from shared.errors import UsageError

_FADE_SECONDS = 0.005
_LEAST_SECONDS = 0.02
_MOST_GAIN_DB = 30.0
_CUT_SECONDS = (0.35, 0.9)


@dataclass(frozen=True, eq=False)
class PartialFake:
    """A recording of which parts were replaced.

    Attributes:
        sound: the result.
        segments: (first, stop) samples of ``sound`` that are synthetic, in order, apart from one another.
        replaced: (first, stop) samples of the recording that they stand for.
    """

    sound: Sound
    segments: tuple[tuple[int, int], ...]
    replaced: tuple[tuple[int, int], ...]


def with_twin(recording: Sound, twin: Sound, spans: Sequence[tuple[int, int]]) -> PartialFake:
    """The recording with ``spans`` taken from its vocoded twin, at the same times.

    Raises:
        UsageError: spans that overlap, leave the recording or are shorter than 20 ms.
        ValueError: the twin is not as long or of another rate.
    """
    if len(twin) != len(recording) or twin.rate != recording.rate:
        raise ValueError("a twin is as long as its recording and has its rate")
    checked = checked_spans(spans, recording)
    return _assembled(recording, checked, [twin.samples[first:stop] for first, stop in checked])


def with_speech(recording: Sound, spans: Sequence[tuple[int, int]], speech: Sequence[Sound]) -> PartialFake:
    """The recording with each span replaced by other speech, as long as that speech is, at the span's level.

    Raises:
        UsageError: as :func:`with_twin`; also speech shorter than 20 ms, or not one for each span.
    """
    checked = checked_spans(spans, recording)
    if len(speech) != len(checked):
        raise UsageError("each span is replaced by one piece of speech", hint="give as many texts as spans")
    pieces = []
    for (first, stop), said in zip(checked, speech, strict=True):
        samples = change_rate(said.samples, said.rate, recording.rate)
        if len(samples) < _LEAST_SECONDS * recording.rate:
            raise UsageError("the speech is shorter than 20 ms", hint="give a longer text")
        pieces.append(_at_level(samples, recording.samples[first:stop], recording.rate))
    return _assembled(recording, checked, pieces)


def checked_spans(spans: Sequence[tuple[int, int]], recording: Sound) -> tuple[tuple[int, int], ...]:
    """The spans in order.

    Raises:
        UsageError: none, too short, overlapping, or outside the recording.
    """
    ordered = tuple(sorted(spans))
    least = _LEAST_SECONDS * recording.rate
    last = 0
    for first, stop in ordered:
        if first < last or stop > len(recording) or stop - first < least:
            raise UsageError(
                f"the span {first / recording.rate:.3f}-{stop / recording.rate:.3f} s overlaps another, leaves the "
                "recording or is shorter than 20 ms",
                hint=f"the recording has {recording.seconds:.3f} s",
            )
        last = stop
    if not ordered:
        raise UsageError("no span is named", hint="--span 1.20-1.85")
    return ordered


def _at_level(samples: np.ndarray, like: np.ndarray, rate: int) -> np.ndarray:
    now, wanted = active_level(samples, rate), active_level(like, rate)
    if now is None or wanted is None:
        return samples
    return limited(samples * 10 ** (min(wanted - now, _MOST_GAIN_DB) / 20))


def _assembled(recording: Sound, spans: Sequence[tuple[int, int]], pieces: Sequence[np.ndarray]) -> PartialFake:
    parts: list[np.ndarray] = []
    segments: list[tuple[int, int]] = []
    at, last = 0, 0
    for (first, stop), piece in zip(spans, pieces, strict=True):
        parts.append(recording.samples[last:first])
        at += first - last
        parts.append(_faded(piece, recording.samples[first:stop], recording.rate))
        segments.append((at, at + len(piece)))
        at += len(piece)
        last = stop
    parts.append(recording.samples[last:])
    sound = Sound(limited(np.concatenate(parts)), recording.rate, recording.start)
    return PartialFake(sound, tuple(segments), tuple(spans))


def _faded(piece: np.ndarray, original: np.ndarray, rate: int) -> np.ndarray:
    """``piece`` with its ends mixed into those of the stretch that it replaces."""
    count = min(round(_FADE_SECONDS * rate), len(piece) // 2, len(original) // 2)
    ramp = ((np.arange(count) + 1) / (count + 1)).astype(np.float32)
    mixed = piece.astype(np.float32).copy()
    mixed[:count] = ramp * piece[:count] + (1 - ramp) * original[:count]
    mixed[len(mixed) - count :] = ramp[::-1] * piece[len(piece) - count :] + (1 - ramp[::-1]) * original[-count:]
    return mixed


def span_with_speech(rng: np.random.Generator, real: Sound, first: int, stop: int) -> tuple[int, int]:
    """A stretch of .35 to .9 s with speech in it, between the first fifth and the last two fifths of the utterance."""
    length = round(rng.uniform(*_CUT_SECONDS) * real.rate)
    length = min(length, (stop - first) // 3)
    low, high = first + (stop - first) // 5, stop - 2 * (stop - first) // 5 - length
    starts = [int(rng.integers(low, max(low + 1, high))) for _ in range(8)]
    whole = active_level(real.samples, real.rate) or -60.0
    for start in starts:
        level = active_level(real.samples[start : start + length], real.rate)
        if level is not None and level > whole - 12:
            return start, start + length
    return starts[0], starts[0] + length
