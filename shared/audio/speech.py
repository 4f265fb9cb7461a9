"""Where somebody speaks: spans of speech, by the Silero network that the package silero-vad carries.

The network gives a probability every 32 ms; spans follow from it by a threshold with hysteresis, a shortest pause and a
shortest span. (Silero VAD, snakers4/silero-vad, MIT; weights of version 6.2.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from shared.audio.rates import change_rate
from shared.audio.sound import WORK_RATE, Sound
from shared.errors import WeightsError

CHUNK_SECONDS = 512 / WORK_RATE
_CHUNK, _CONTEXT, _BLOCK = 512, 64, 512
_WEIGHTS = "data/silero_vad_16k_sequence.onnx"


@dataclass(frozen=True)
class SpeechSettings:
    """How probabilities become spans.

    Attributes:
        begins_at: probability at which a span begins.
        ends_at: probability under which it ends.
        pause_seconds: shorter pauses are part of the span.
        shortest_seconds: shorter spans are left out.
        margin_seconds: added at both ends.
    """

    begins_at: float = 0.5
    ends_at: float = 0.35
    pause_seconds: float = 0.3
    shortest_seconds: float = 0.2
    margin_seconds: float = 0.064


def speech_probabilities(sound: Sound) -> np.ndarray:
    """(ceil(seconds / .032),) float32: probability of speech in each 32 ms; the last chunk is filled with silence.

    Raises:
        WeightsError: the package silero-vad is not installed, or lacks its network.
    """
    samples = change_rate(sound.samples, sound.rate, WORK_RATE)
    chunks = -(-len(samples) // _CHUNK)
    padded = np.pad(samples, (_CONTEXT, chunks * _CHUNK - len(samples)))
    # Each chunk comes with the end of the one before it.
    windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + _CHUNK)[::_CHUNK]
    hidden, cell = (np.zeros((1, 1, 128), np.float32) for _ in range(2))
    found = []
    for first in range(0, chunks, _BLOCK):
        given = {"input": np.ascontiguousarray(windows[first : first + _BLOCK]), "h": hidden, "c": cell}
        chances, hidden, cell = _network().run(None, given)
        found.append(np.asarray(chances, np.float32).reshape(-1))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


@lru_cache(maxsize=1)
def _network() -> Any:
    import onnxruntime

    package = find_spec("silero_vad")  # the file alone is read: importing the package would import torch
    roots = (package.submodule_search_locations or ()) if package else ()
    places = [Path(root) / _WEIGHTS for root in roots]
    if not places or not places[0].is_file():
        raise WeightsError("the network that finds speech is missing", hint="pip install silero-vad")
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(places[0]), options, providers=["CPUExecutionProvider"])


def speech_spans(sound: Sound, settings: SpeechSettings | None = None) -> list[tuple[int, int]]:
    """Spans of speech as (first, stop) sample indices of ``sound``, in order and apart from one another."""
    settings = settings or SpeechSettings()
    chunks = _spans_of(speech_probabilities(sound), settings)
    margin = round(settings.margin_seconds * sound.rate)
    spans: list[tuple[int, int]] = []
    for first, stop in chunks:
        begin = max(0, round(first * CHUNK_SECONDS * sound.rate) - margin)
        end = min(len(sound), round(stop * CHUNK_SECONDS * sound.rate) + margin)
        if spans and begin <= spans[-1][1]:
            begin = spans.pop()[0]
        spans.append((begin, end))
    return spans


def _spans_of(probabilities: np.ndarray, settings: SpeechSettings) -> list[tuple[int, int]]:
    """Chunk spans after hysteresis, with short pauses closed and short spans left out."""
    raw: list[tuple[int, int]] = []
    begun: int | None = None
    for index, value in enumerate(probabilities):
        if begun is None and value >= settings.begins_at:
            begun = index
        elif begun is not None and value < settings.ends_at:
            raw.append((begun, index))
            begun = None
    if begun is not None:
        raw.append((begun, len(probabilities)))
    closed: list[tuple[int, int]] = []
    for first, stop in raw:
        if closed and (first - closed[-1][1]) * CHUNK_SECONDS < settings.pause_seconds:
            first = closed.pop()[0]
        closed.append((first, stop))
    return [(first, stop) for first, stop in closed if (stop - first) * CHUNK_SECONDS >= settings.shortest_seconds]
