"""From phones with times to the parameters of a mouth: a table of phonetics, and dominance for coarticulation.

Each phone has a goal for the opening, the width and the jaw, and how firmly it holds each: lips shut for ``p b m`` and
touch the teeth for ``f v`` whatever is beside them, ``u w`` are round, ``k h`` take their neighbours' shape. Goals are
mixed by dominance that falls off with the distance in time (Cohen and Massaro, "Modeling coarticulation in
synthetic visual speech", 1993). The table is written from articulatory phonetics; no recording of a person is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_DECAY_SECONDS = 0.055
_FIRM_DECAY_SECONDS = 0.015
_REST = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class TimedPhone:
    """One phone: its symbol, in IPA or of the CMU set in small letters, from ``start`` to ``stop`` seconds."""

    symbol: str
    start: float
    stop: float


@dataclass(frozen=True)
class _Goal:
    """Opening 0 to 1, width -1 (round) to 1 (spread), jaw 0 to 1; and how firmly each is held."""

    shape: tuple[float, float, float]
    firm: tuple[float, float, float]


def _vowel(opening: float, width: float, jaw: float) -> _Goal:
    return _Goal((opening, width, jaw), (1.0, 1.0, 1.0))


_LIPS_SHUT = _Goal((0.0, 0.0, 0.15), (10.0, 0.4, 1.0))
_LIP_TO_TEETH = _Goal((0.1, 0.1, 0.15), (6.0, 0.6, 1.5))
_TONGUE_TO_TEETH = _Goal((0.25, 0.1, 0.2), (1.5, 0.4, 1.0))
_HISS = _Goal((0.2, 0.35, 0.08), (1.5, 0.6, 2.5))
_HUSH = _Goal((0.25, -0.6, 0.12), (1.5, 1.5, 2.0))
_TONGUE = _Goal((0.3, 0.15, 0.22), (0.5, 0.2, 0.7))
_BACK = _Goal((0.35, 0.0, 0.3), (0.3, 0.1, 0.3))
_ROUND = _Goal((0.12, -1.0, 0.2), (3.0, 3.0, 1.0))
_R = _Goal((0.3, -0.45, 0.25), (0.8, 0.9, 0.7))
_PAUSE = _Goal(_REST, (0.7, 0.7, 0.7))

_GOALS: dict[str, _Goal] = {
    **dict.fromkeys("pbm", _LIPS_SHUT), **dict.fromkeys("fvʋ", _LIP_TO_TEETH), **dict.fromkeys("θð", _TONGUE_TO_TEETH),
    **dict.fromkeys("sz", _HISS), **dict.fromkeys("ʃʒ", _HUSH), **dict.fromkeys("tdnlɾɫ", _TONGUE),
    **dict.fromkeys("kɡgŋhxʔ", _BACK), **dict.fromkeys("wʍ", _ROUND), **dict.fromkeys("rɹɻ", _R),
    "j": _Goal((0.25, 0.6, 0.2), (0.8, 1.0, 0.7)), "_": _PAUSE,
    "a": _vowel(0.95, 0.1, 0.95), "ɑ": _vowel(1.0, 0.0, 1.0), "ɒ": _vowel(0.85, -0.3, 0.9), "æ": _vowel(0.9, 0.4, 0.85),
    "ʌ": _vowel(0.65, 0.1, 0.6), "ɐ": _vowel(0.6, 0.1, 0.55), "ə": _vowel(0.42, 0.0, 0.35),
    "ɚ": _vowel(0.4, -0.3, 0.35), "ɜ": _vowel(0.45, -0.2, 0.4), "ɝ": _vowel(0.4, -0.3, 0.35),
    "ɛ": _vowel(0.65, 0.4, 0.55), "e": _vowel(0.5, 0.55, 0.42), "ɪ": _vowel(0.4, 0.45, 0.35),
    "i": _vowel(0.3, 0.8, 0.25), "ᵻ": _vowel(0.4, 0.3, 0.35),
    "ɔ": _vowel(0.75, -0.6, 0.75), "o": _vowel(0.5, -0.8, 0.5), "ʊ": _vowel(0.35, -0.65, 0.35),
    "u": _vowel(0.2, -1.0, 0.22), "ʉ": _vowel(0.22, -0.8, 0.22),
}  # fmt: skip

_CMU = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "eh": "ɛ", "er": "ɚ",
    "ey": "eɪ", "ih": "ɪ", "iy": "i", "ow": "oʊ", "oy": "ɔɪ", "uh": "ʊ", "uw": "u", "ch": "tʃ", "jh": "dʒ", "dh": "ð",
    "th": "θ", "sh": "ʃ", "zh": "ʒ", "ng": "ŋ", "hh": "h", "y": "j", "dx": "ɾ", "el": "əl", "em": "əm", "en": "ən",
    "pau": "_", "sil": "_", "ssil": "_",
}  # fmt: skip
_MODIFIERS = "ˈˌːˑ.ʲ̩̃"


def mouth_track(phones: Sequence[TimedPhone], *, steps: int, rate: float) -> np.ndarray:
    """(steps, 3): opening, width and jaw at ``rate`` steps a second, the first at 0 s, in units of the table.

    A symbol of several sounds (``aɪ``, ``tʃ``) gives each an equal part of its time; one that is not known is left out.
    """
    parts = [part for phone in phones for part in _parts(phone)]
    times = np.arange(steps) / rate
    if not parts:
        return np.zeros((steps, 3))
    start, stop = (np.array([getattr(part, name) for part in parts]) for name in ("start", "stop"))
    goals = [_GOALS[part.symbol] for part in parts]
    away = np.maximum(0, np.maximum(start[:, None] - times, times - stop[:, None]))
    firmness = np.array([goal.firm for goal in goals])[:, None]
    # What is held firmly is held briefly: lips that shut for a sound leave the vowels beside it open.
    decay = np.where(firmness > 1, _FIRM_DECAY_SECONDS, _DECAY_SECONDS)
    firm = firmness * np.exp(-away[..., None] / decay)
    shape = np.array([goal.shape for goal in goals])[:, None]
    rest = 1e-3  # beyond all phones the mouth is at rest
    return (firm * shape).sum(axis=0) / (firm.sum(axis=0) + rest)


def _parts(phone: TimedPhone) -> list[TimedPhone]:
    """The single sounds of a phone, with their times."""
    ipa = _CMU.get(phone.symbol, phone.symbol)
    sounds = [each for each in ipa if each not in _MODIFIERS and each in _GOALS]
    ends = np.linspace(phone.start, phone.stop, len(sounds) + 1)
    return [TimedPhone(each, float(ends[n]), float(ends[n + 1])) for n, each in enumerate(sounds)]
