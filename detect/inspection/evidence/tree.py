"""The structure of a file: boxes of ISO media, chunks of PNG and RIFF, segments of JPEG, elements of Matroska.

Boxes: ISO/IEC 14496-12; JPEG: ITU-T T.81, annex B; PNG: ISO/IEC 15948; RIFF: Microsoft's "Multimedia Programming
Interface", 1991; Matroska: RFC 9559 (top level only). Only heads are read, and at most :data:`_MOST` of them.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from detect.inspection.evidence.found import Details, Found, Material, found
from shared.results.scores import Evidence

_MOST = 3_000
_DEEP = 8
_SHOWN = 60
_SCANNED_BYTES = 2 << 20
_CONTAINERS = frozenset(
    b"moov trak mdia minf stbl edts udta dinf moof traf mvex ilst meta iprp ipco sinf schi tref".split()
)
_KNOWN = _CONTAINERS | frozenset(
    b"ftyp styp mdat free skip wide pdin mfra mfro tfra mvhd tkhd mdhd hdlr vmhd smhd hmhd nmhd gmhd dref "
    b"stsd stts ctts stss stsz stsc stco co64 sdtp sbgp sgpd cslg elst uuid sidx emsg prft mfhd tfhd tfdt "
    b"trun saiz saio senc mehd trex keys iinf iloc pitm iref idat ispe pixi colr hvcC av1C ipma auxC grpl "
    b"load tapt imap chpl iods Xtra name".split()
)
_STRINGS = re.compile(
    rb"x26[45](?: \(build \d+\)| - core \d+)?[ -~]{0,24}|Lav[fc]\d[\d.]+|HandBrake[ -~]{0,20}|GPAC[ -~]{0,24}|"
    rb"Adobe (?:Photoshop|Premiere)[ -~]{0,24}|GIMP \d[ -~]{0,10}|CapCut[ -~]{0,12}|Google\x00?|Lavf"
)
_JPEG_NAMES = {
    0xC0: "baseline frame", 0xC1: "extended frame", 0xC2: "progressive frame", 0xC4: "Huffman tables",
    0xDA: "scan", 0xDB: "quantisation tables", 0xDD: "restart interval", 0xFE: "comment", 0xD9: "end",
}  # fmt: skip
_LIMITS = (
    "The structure is that of the last program that wrote the file, and unusual parts are common in honest files: "
    "phones, editors and messengers all have their own."
)


@dataclass(frozen=True)
class TreePart:
    """One part of a file: its name, place, size and depth below the top."""

    name: str
    offset: int
    size: int
    depth: int


@dataclass(frozen=True)
class Tree:
    """The structure of a file.

    Attributes:
        kind: the format by its first bytes; "unknown" if none of those above.
        parts: in order of place; at most a fixed number.
        odd: what does not fit the format, a sentence each.
        strings: names of programs found in the first and last 2 MiB, in order, without repeats.
    """

    kind: str
    parts: tuple[TreePart, ...]
    odd: tuple[str, ...]
    strings: tuple[str, ...]


def read_tree(path: Path) -> Tree:
    """The structure of ``path``, from the heads of its parts; content is skipped."""
    size = path.stat().st_size
    parts: list[TreePart] = []
    odd: list[str] = []
    with path.open("rb") as file:
        head = file.read(16)
        kind, walk = _format(head)
        if walk is not None:
            for part in walk(file, size, odd):
                if len(parts) >= _MOST:
                    odd.append(f"it has more than {_MOST} parts; only these were read")
                    break
                parts.append(part)
        strings = _strings(file, size)
    return Tree(kind, tuple(parts), tuple(odd[:_SHOWN]), strings)


def tree_evidence(material: Material) -> list[Found]:
    """Evidence from the structure of the file and the names of programs in it."""
    tree = material.source.call(read_tree)
    if tree.kind == "unknown":
        return [Found(Evidence("structure of the file", "a format whose structure is not read here", limits=_LIMITS))]
    top = [part.name for part in tree.parts if part.depth == 0]
    details: Details = {f"{'. ' * part.depth}{part.name} at {part.offset}": part.size for part in tree.parts[:_SHOWN]}
    if len(tree.parts) > _SHOWN:
        details["further parts"] = len(tree.parts) - _SHOWN
    details |= {f"unusual {number}": text for number, text in enumerate(tree.odd, 1)}
    details["programs named in it"] = ", ".join(tree.strings) or "none"
    counts = ", ".join(name if number == 1 else f"{number} x {name}" for name, number in Counter(top).items())
    told = f"; unusual: {'; '.join(tree.odd[:3])}" if tree.odd else "; nothing unusual"
    evidence = Evidence(
        "structure of the file",
        f"{tree.kind}: {counts}{told}",
        details,
        limits=_LIMITS,
        value=float(len(tree.odd)),
        reference="the parts that the format's standard names, each whole and in its place",
        odd=bool(tree.odd),
    )
    return [found(evidence)]


def _format(head: bytes):  # noqa: ANN202 - a pair of name and walker
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
        return "ISO media", _boxes
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG", _segments
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG", _chunks
    if head[:4] == b"RIFF":
        return f"RIFF {head[8:12].decode('latin-1').strip()}", _riff
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "Matroska", _elements
    return "unknown", None


def _boxes(file: IO[bytes], size: int, odd: list[str]) -> Iterator[TreePart]:
    tops: list[str] = []
    for part in _boxes_in(file, 0, size, 0, odd):
        if part.depth == 0:
            tops.append(part.name)
        yield part
    for name in ("moov", "ftyp"):
        if tops.count(name) > 1:
            odd.append(f"{name} stands {tops.count(name)} times")
    if "moov" not in tops and "moof" not in tops and "meta" not in tops:
        odd.append("it has no moov: the index of the recording is missing")
    if tops and tops[0] not in ("ftyp", "styp", "wide"):
        odd.append(f"it begins with {tops[0]}, not with ftyp")


def _boxes_in(file: IO[bytes], start: int, stop: int, depth: int, odd: list[str]) -> Iterator[TreePart]:
    place = start
    while place + 8 <= stop:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head[:8])
        skip = 8
        if length == 1 and len(head) == 16:
            length, skip = struct.unpack(">Q", head[8:])[0], 16
        elif length == 0:
            length = stop - place
        text = name.decode("latin-1")
        plain = text if text.isprintable() else name.hex()
        if length < skip or place + length > stop:
            odd.append(f"{plain} at {place} states {length:,} bytes, of which {stop - place:,} are there")
            length = stop - place
        if depth == 0 and name not in _KNOWN:
            odd.append(f"{plain} at {place} is no box that the standard names")
        yield TreePart(plain, place, length, depth)
        if name in _CONTAINERS and depth < _DEEP:
            yield from _boxes_in(
                file, place + skip + _version_bytes(file, name, place + skip), place + length, depth + 1, odd
            )
        place += length
    if depth == 0 and place < stop:
        odd.append(f"{stop - place} bytes follow the last box")


def _version_bytes(file: IO[bytes], name: bytes, place: int) -> int:
    """``meta`` begins with version and flags in ISO files, and without in QuickTime's."""
    if name != b"meta":
        return 0
    file.seek(place + 4)
    return 0 if file.read(4) == b"hdlr" else 4


def _segments(file: IO[bytes], size: int, odd: list[str]) -> Iterator[TreePart]:
    place, names = 2, []
    while place + 4 <= size:
        file.seek(place)
        head = file.read(4)
        if head[0] != 0xFF:
            odd.append(f"no marker at {place}")
            return
        marker, length = head[1], struct.unpack(">H", head[2:])[0] + 2
        name = _JPEG_NAMES.get(marker) or (f"APP{marker - 0xE0}" if 0xE0 <= marker <= 0xEF else f"marker {marker:02X}")
        if 0xE0 <= marker <= 0xEF:
            name += f" {_label(file.read(12))}".rstrip()
        names.append(name)
        yield TreePart(name, place, length, 0)
        if marker == 0xDA:
            break
        place += length
    end = _jpeg_end(file, place, size)
    if end is None:
        odd.append("it has no end mark: it is cut off")
    elif end < size:
        odd.append(f"{size - end:,} bytes follow its end mark")
    if sum(name.endswith("frame") for name in names) > 1:
        odd.append("it holds more than one frame")


def _label(data: bytes) -> str:
    text = data.split(b"\0")[0].decode("latin-1")
    return text if text.isprintable() else ""


def _jpeg_end(file: IO[bytes], place: int, size: int) -> int | None:
    """The place behind the end mark of the first picture, or of the last one where several follow (as MPF does)."""
    file.seek(max(place, size - (1 << 20)))
    tail = file.read()
    at = tail.rfind(b"\xff\xd9")
    return None if at < 0 else size - len(tail) + at + 2


def _chunks(file: IO[bytes], size: int, odd: list[str]) -> Iterator[TreePart]:
    place, last = 8, ""
    while place + 12 <= size and last != "IEND":
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        last = name.decode("latin-1")
        yield TreePart(last if last.isprintable() else name.hex(), place, length + 12, 0)
        place += length + 12
    if last != "IEND" or place > size:
        odd.append("it has no end mark: it is cut off")
    elif place < size:
        odd.append(f"{size - place:,} bytes follow its end mark")


def _riff(file: IO[bytes], size: int, odd: list[str]) -> Iterator[TreePart]:
    file.seek(4)
    stated = struct.unpack("<I", file.read(4))[0] + 8
    if stated > size:
        odd.append(f"it states {stated:,} bytes, of which {size:,} are there")
    elif stated < size:
        odd.append(f"{size - stated:,} bytes follow the end that it states")
    place = 12
    while place + 8 <= min(size, stated):
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        text = name.decode("latin-1")
        yield TreePart(text.strip() if text.isprintable() else name.hex(), place, length + 8, 0)
        place += 8 + length + (length & 1)


def _elements(file: IO[bytes], size: int, odd: list[str]) -> Iterator[TreePart]:
    names = {
        0x1A45DFA3: "EBML", 0x18538067: "Segment", 0x114D9B74: "SeekHead", 0x1549A966: "Info", 0x1654AE6B: "Tracks",
        0x1F43B675: "Cluster", 0x1C53BB6B: "Cues", 0x1941A469: "Attachments", 0x1043A770: "Chapters",
        0x1254C367: "Tags", 0xEC: "Void", 0xBF: "CRC-32",
    }  # fmt: skip
    place, depth = 0, 0
    while place + 2 <= size:
        number, at = _vint(file, place, keep_mark=True)
        length, at = _vint(file, at, keep_mark=False)
        if number is None or length is None:
            odd.append(f"no element at {place}")
            return
        name = names.get(number, f"{number:X}")
        if name not in names.values():
            odd.append(f"element {name} at {place} is none that the standard has there")
        yield TreePart(name, place, min(length, size - at), depth)
        if name == "Segment":
            place, depth = at, 1
        else:
            place = at + length


def _vint(file: IO[bytes], place: int, *, keep_mark: bool) -> tuple[int | None, int]:
    file.seek(place)
    data = file.read(8)
    if not data or not data[0]:
        return None, place
    count = 9 - data[0].bit_length()
    value = int.from_bytes(data[:count], "big")
    return (value if keep_mark else value & ~(1 << (7 * count))), place + count


def _strings(file: IO[bytes], size: int) -> tuple[str, ...]:
    file.seek(0)
    data = file.read(_SCANNED_BYTES)
    if size > _SCANNED_BYTES:
        file.seek(max(_SCANNED_BYTES, size - _SCANNED_BYTES), os.SEEK_SET)
        data += b"\n" + file.read(_SCANNED_BYTES)
    names = (match[0].decode("latin-1").strip("\0 ") for match in _STRINGS.finditer(data))
    return tuple(list(dict.fromkeys(name for name in names if name))[:20])
