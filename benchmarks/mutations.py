"""Seeded damage to files: to bytes, to boxes of MP4, to values in JSON and TOML, to names."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

_CONTAINER_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"mvex", b"moof", b"traf", b"dinf")
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
CONTROLS = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\u202egpj.\x9b31m\r\n\x00"
"""Characters that a terminal would obey."""
NAMES = (
    "nul\x00byte", "../../outside", "/etc/passwd", "a/../../b", "x" * 300, "", ".", "..", "-rf", "a\nb", CONTROLS,
    "CON", "<script>alert(1)</script>", "\udcff\udcfe", "é\u0301" * 40, "%s%n{0}", "[red]markup[/]", "http://127.0.0.1/",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**40, -(2**63), 2**63, 2**64, 10**400, 0.0, -0.5, 1e-300, 1e300, 1e308,
    math.nan, math.inf, -math.inf, "", "nan", "1e999", [], {}, [[]], [None], {"": None}, [2**40] * 3, "x" * 70_000,
    *NAMES,
)  # fmt: skip


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off somewhere."""
    return data[: int(rng.integers(0, max(len(data), 1)))]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """1 to 64 bits the other way, anywhere or in the first kilobyte."""
    found = bytearray(data)
    end = len(found) if rng.random() < 0.6 else min(len(found), 1024)
    for place in rng.integers(0, max(end, 1), int(2 ** rng.integers(0, 7))):
        if found:
            found[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(found)


def spliced(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece of the file copied over, inserted at, or cut from another place."""
    if len(data) < 8:
        return data
    start, place = (int(value) for value in rng.integers(0, len(data), 2))
    piece = data[start : start + int(rng.integers(1, 2048))]
    kind = rng.integers(3)
    if kind == 0:
        return data[:place] + piece + data[place + len(piece) :]
    return data[:place] + piece + data[place:] if kind == 1 else data[:start] + data[start + len(piece) :]


def zeroed(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch of zeros, ones or noise."""
    if not data:
        return data
    start = int(rng.integers(len(data)))
    length = int(rng.integers(1, 4096))
    fill = [b"\x00" * length, b"\xff" * length, rng.bytes(length)][int(rng.integers(3))]
    return data[:start] + fill + data[start + length :]


def extended(data: bytes, rng: np.random.Generator) -> bytes:
    """Something behind the end."""
    return data + (rng.bytes(int(rng.integers(1, 5000))) if rng.random() < 0.5 else data)


def numbered(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of 1, 2 or 4 bytes replaced by one at the edge of its range."""
    length = int(rng.choice([1, 2, 4]))
    if len(data) <= length:
        return data
    place = int(rng.integers(len(data) - length))
    value = int(rng.choice(_NUMBERS)) & (256**length - 1)
    order = "big" if rng.random() < 0.5 else "little"
    return data[:place] + value.to_bytes(length, order) + data[place + length :]  # type: ignore[arg-type]


def boxes(data: bytes, start: int = 0, end: int | None = None, depth: int = 0) -> list[tuple[int, int, bytes]]:
    """Offset, size and type of every box of an MP4 file, outer before inner."""
    found: list[tuple[int, int, bytes]] = []
    end = len(data) if end is None else end
    while start + 8 <= end and depth < 12:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end:
            break
        found.append((start, size, kind))
        if kind in _CONTAINER_BOXES:
            found += boxes(data, start + 8, start + size, depth + 1)
        start += size
    return found


def box_resized(data: bytes, rng: np.random.Generator) -> bytes:
    """The size of a box is not what it is."""
    found = boxes(data)
    if not found:
        return numbered(data, rng)
    start, size, _ = found[int(rng.integers(len(found)))]
    sizes = [0, 1, 7, 8, size - 1, size + 1, size * 2, 0x7FFFFFFF, 0xFFFFFFFF, int(rng.integers(2**32))]
    return (
        data[:start] + struct.pack(">I", max(0, sizes[int(rng.integers(len(sizes)))] & 0xFFFFFFFF)) + data[start + 4 :]
    )


def box_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """A box dropped, doubled, renamed or put into another's place."""
    found = boxes(data)
    if not found:
        return spliced(data, rng)
    (start, size, _), (other, other_size, _) = (found[int(place)] for place in rng.integers(0, len(found), 2))
    box = data[start : start + size]
    kind = rng.integers(4)
    if kind == 0:
        return data[:start] + data[start + size :]
    if kind == 1:
        return data[: start + size] + box + data[start + size :]
    if kind == 2:
        return data[: start + 4] + rng.bytes(4) + data[start + 8 :]
    return data[:other] + box + data[other + other_size :]


def box_field(data: bytes, rng: np.random.Generator) -> bytes:
    """A number inside a box of the header: times, counts, sizes, rates."""
    found = [
        (start, size) for start, size, kind in boxes(data) if kind not in (*_CONTAINER_BOXES, b"mdat") and size > 16
    ]
    if not found:
        return numbered(data, rng)
    start, size = found[int(rng.integers(len(found)))]
    place = start + 8 + 4 * int(rng.integers(max(1, (size - 12) // 4)))
    return data[:place] + struct.pack(">I", int(rng.choice(_NUMBERS))) + data[place + 4 :]


BYTES: tuple[Mutation, ...] = (truncated, flipped, spliced, zeroed, extended, numbered)
BOXES: tuple[Mutation, ...] = (box_resized, box_moved, box_field)


def mutated(data: bytes, rng: np.random.Generator, *, mp4: bool = False) -> tuple[str, bytes]:
    """The bytes after one or two mutations, and their names."""
    kinds = (*BYTES, *BOXES, *BOXES) if mp4 else BYTES
    chosen = [kinds[int(place)] for place in rng.integers(0, len(kinds), int(rng.integers(1, 3)))]
    for mutation in chosen:
        data = mutation(data, rng)
    return "+".join(mutation.__name__ for mutation in chosen), data


def value_for(rng: np.random.Generator) -> Any:
    """A value that is out of place almost anywhere."""
    return VALUES[int(rng.integers(len(VALUES)))]


def name_for(rng: np.random.Generator) -> str:
    """A name that is out of place almost anywhere."""
    return NAMES[int(rng.integers(len(NAMES)))]


def changed_value(document: Any, rng: np.random.Generator) -> tuple[str, Any]:
    """A plain document with one value replaced, removed, repeated or nested deeply, and where."""
    places = _places(document)
    if not places:
        return "all", value_for(rng)
    path = places[int(rng.integers(len(places)))]
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    key, kind = path[-1], rng.random()
    if kind < 0.12:
        del inner[key]
    elif kind < 0.2 and isinstance(inner, list):
        inner.extend([inner[key]] * int(rng.integers(1, 4)))
    elif kind < 0.25:
        inner[key] = _nested(int(rng.integers(10, 80)))
    elif kind < 0.3 and isinstance(inner, dict):
        inner[name_for(rng)] = value_for(rng)
    else:
        inner[key] = value_for(rng)
    return ".".join(map(str, path)), document


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in ((*path, key), *_places(inner, (*path, key)))]


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value
