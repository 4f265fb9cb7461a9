"""The 32 bits of a mark, and the code that carries them through noise.

A payload is followed by a checksum of 8 bits (CRC-8, polynomial 0x07) and coded at rate 1/4 with the tail-biting
convolutional code of constraint length 9 and generators 463, 535, 733, 745 (octal; Larsen, IEEE Transactions on
Information Theory 1973, free distance 24). It is decoded from soft values by the Viterbi algorithm, run three times
around the ring (Ma and Wolf, IEEE Transactions on Communications 1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

PAYLOAD_BITS = 32
CHECK_BITS = 8
CODE_BITS = 4 * (PAYLOAD_BITS + CHECK_BITS)

_MEMORY = 8
_STATES = 1 << _MEMORY
_GENERATORS = (0o463, 0o535, 0o733, 0o745)
_CRC_POLYNOMIAL = 0x07
_ROUNDS = 3

KINDS: tuple[str, ...] = ("own", "swap", "reenact", "generate", "speech", "set")
"""Kinds of marked media by their number; "own" is a user's own material, "set" any clip of a dataset, real or fake."""

FAKE_KINDS = frozenset(KINDS) - {"own", "set"}
"""Kinds of which every piece holds the output of a model."""

_VERSION = 1
_ID_BITS = 24
PREFIX = (0, 0, 0, 1, 0)
"""First bits of every payload that this version reads: its version, and that its kind is below 8."""
READ_BITS = PAYLOAD_BITS - len(PREFIX)
"""Bits of a payload that are not known before it is read."""


@dataclass(frozen=True)
class Payload:
    """What a mark says.

    Attributes:
        kind: one of :data:`KINDS`, or ``"unknown N"`` for a number that this version does not know.
        record: first 24 bits of the SHA-256 that identifies the record, as 6 hex digits.
        version: of this layout, 4 bits.
    """

    kind: str
    record: str
    version: int = _VERSION

    @classmethod
    def of(cls, kind: str, digest: str) -> Payload:
        """The payload of a record with the SHA-256 ``digest`` (hex).

        Raises:
            ValueError: an unknown kind, or not hex digits.
        """
        if kind not in KINDS:
            raise ValueError(f"a mark has one of the kinds {', '.join(KINDS)}, got {kind!r}")
        return cls(kind, f"{int(digest[: _ID_BITS // 4], 16):06x}")

    @classmethod
    def from_number(cls, number: int) -> Payload:
        """The payload with this 32-bit number."""
        version, kind = number >> 28, number >> 24 & 0xF
        return cls(KINDS[kind] if kind < len(KINDS) else f"unknown {kind}", f"{number & 0xFFFFFF:06x}", version)

    @property
    def number(self) -> int:
        """The 32 bits: version (4), kind (4), record (24), most significant first.

        Raises:
            ValueError: the kind is unknown.
        """
        return self.version << 28 | KINDS.index(self.kind) << 24 | int(self.record, 16)

    @property
    def text(self) -> str:
        """The 32 bits as 8 hex digits."""
        return f"{self.number:08x}"


def checksum(number: int) -> int:
    """CRC-8 (polynomial x^8 + x^2 + x + 1, start 0) of the four bytes of a 32-bit number."""
    value = 0
    for byte in number.to_bytes(4, "big"):
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ _CRC_POLYNOMIAL) & 0xFF if value & 0x80 else value << 1
    return value


def encode(number: int) -> np.ndarray:
    """(160,) int8 of +1 and -1: the code of a 32-bit number; a zero bit becomes +1.

    Raises:
        ValueError: the number does not fit.
    """
    if not 0 <= number < 1 << PAYLOAD_BITS:
        raise ValueError(f"a payload has {PAYLOAD_BITS} bits, got {number}")
    bits = _bits_of(number << CHECK_BITS | checksum(number))
    state = 0
    for bit in bits[-_MEMORY:]:
        state = state >> 1 | int(bit) << _MEMORY - 1
    code: list[int] = []
    for bit in bits:
        register = int(bit) << _MEMORY | state
        code += [(register & generator).bit_count() & 1 for generator in _GENERATORS]
        state = register >> 1
    return 1 - 2 * np.array(code, np.int8)


def decode(soft: np.ndarray, prefix: tuple[int, ...] = ()) -> list[int]:
    """The most likely 40 bits of each row of soft values, among those that begin with ``prefix``.

    Args:
        soft: (N, 160) float; the sign is the bit (positive for 0), the size how sure it is.
        prefix: bits that are known beforehand.

    Returns:
        N numbers of 40 bits; :func:`checked` takes the checksum off.
    """
    signs, before = _trellis()
    count, steps = len(soft), PAYLOAD_BITS + CHECK_BITS
    # (N, steps, states, 2): the gain of entering a state from each of its two predecessors.
    gains = np.einsum("ntg,spg->ntsp", soft.reshape(count, steps, len(_GENERATORS)).astype(np.float32), signs)
    newest = np.arange(_STATES) >> _MEMORY - 1
    metric = np.zeros((count, _STATES), np.float32)
    choices = np.zeros((_ROUNDS * steps, count, _STATES), bool)
    for step in range(_ROUNDS * steps):
        both = metric[:, before] + gains[:, step % steps]
        choices[step] = both[..., 1] > both[..., 0]
        metric = both.max(axis=2)
        if step % steps < len(prefix):
            metric[:, newest != prefix[step % steps]] = -np.inf
        metric -= metric.max(axis=1, keepdims=True)
    return [_traced(choices[:, row], int(metric[row].argmax()), steps) for row in range(count)]


def checked(word: int) -> int | None:
    """The payload of a decoded word of 40 bits; None if its checksum is wrong."""
    number = word >> CHECK_BITS
    return number if checksum(number) == word & (1 << CHECK_BITS) - 1 else None


def _traced(choices: np.ndarray, state: int, steps: int) -> int:
    """The bits of the middle round along the best path that ends in ``state``."""
    _, before = _trellis()
    bits: list[int] = []
    for step in reversed(range(len(choices))):
        bits.append(state >> _MEMORY - 1)
        state = int(before[state, int(choices[step, state])])
    middle = bits[::-1][steps : 2 * steps]
    return int("".join(map(str, middle)), 2)


def _bits_of(word: int) -> np.ndarray:
    width = PAYLOAD_BITS + CHECK_BITS
    return np.array([word >> width - 1 - place & 1 for place in range(width)])


@lru_cache(maxsize=1)
def _trellis() -> tuple[np.ndarray, np.ndarray]:
    """(256, 2, 4) float32 signs on the way into each state, and (256, 2) its predecessors."""
    signs = np.zeros((_STATES, 2, len(_GENERATORS)), np.float32)
    before = np.zeros((_STATES, 2), np.int64)
    for state in range(_STATES):
        for last in range(2):
            register = state << 1 | last
            before[state, last] = register & _STATES - 1
            for place, generator in enumerate(_GENERATORS):
                signs[state, last, place] = 1 - 2 * ((register & generator).bit_count() & 1)
    return signs, before
