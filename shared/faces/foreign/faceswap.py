"""Faces of faceswap: its alignments file, and the notes in the face pictures that it extracts.

Both name, for each frame of the source, the faces with their landmarks in pixels of that frame. The alignments file
(.fsa) is a pickle compressed by zlib; a face picture (PNG) has an iTXt chunk ``faceswap`` with a dict as Python text.
Facts of the formats: deepfakes/faceswap, ``lib/serializer.py``, ``lib/align/objects.py``, ``lib/image.py``.
"""

from __future__ import annotations

import ast
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import MediaError, UsageError
from shared.faces.foreign.pickled import plain_values
from shared.faces.foreign.stored import StoredFinder, landmarks_of
from shared.storage import read_bytes
from shared.video.images import is_picture, pictures_in
from shared.video.unread import Unread

FacesByFrame = dict[str, list[np.ndarray]]
"""Landmarks, (68, 2) in frame pixels, by the file name of the frame."""

MAX_ALIGNMENTS_BYTES = 256 << 20
_MOST_FACES = 200_000
"""Largest size of an alignments file, and of its unpacked content: about 17,000 faces with masks."""

_MAX_PICTURE_BYTES, _MAX_NOTE_BYTES = 64 << 20, 1 << 20
_MAX_DEPTH = 12
_NAME = "faceswap"
_HINT = "name the .fsa file or the folder of face pictures that faceswap extract wrote"
_FRAME = re.compile(r"(.+)_([0-9]{1,9})")
_TOKEN = re.compile(
    r"\s+|[bB]?'(?:[^'\\\n]|\\.)*'|[bB]?\"(?:[^\"\\\n]|\\.)*\"|[-+]?[0-9][0-9a-zA-Z_.]*(?:(?<=[eE])[-+][0-9]+)?"
    r"|True\b|False\b|None\b|nan\b|inf\b|[\[\](){},:]"
)


def read_alignments(path: Path) -> FacesByFrame:
    """The faces of an alignments file.

    Raises:
        MediaError: it cannot be read, is too large, or is no such file.
    """
    packed = read_bytes(path, MAX_ALIGNMENTS_BYTES, error=MediaError, hint=_HINT)
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, MAX_ALIGNMENTS_BYTES)
    except zlib.error as error:
        raise MediaError(f"{path} is no alignments file of faceswap", hint=_HINT) from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        cut = (
            "it is cut off"
            if not unpacker.unconsumed_tail
            else f"it unpacks to more than {MAX_ALIGNMENTS_BYTES >> 20} MiB"
        )
        raise MediaError(f"{path} is not read: {cut}", hint="extract shorter videos, or name the face pictures")
    content = plain_values(data, str(path))
    frames = _dict_in(content, "__data__") or (content if isinstance(content, dict) else {})
    found: FacesByFrame = {}
    left = _MOST_FACES
    for name, entry in frames.items():
        faces = entry.get("faces") if isinstance(entry, dict) else None
        left -= len(faces) if isinstance(faces, list) else 0
        if left < 0:
            raise MediaError(f"{path} is not read: it names more than {_MOST_FACES} faces", hint=_HINT)
        for face in faces if isinstance(faces, list) else ():
            if isinstance(face, dict):
                found.setdefault(name, []).append(landmarks_of(face.get("landmarks_xy"), f"{path}, frame {name!r:.80}"))
    if not found:
        raise MediaError(f"{path} names no face", hint=_HINT)
    return found


def read_face_pictures(folder: Path) -> FacesByFrame:
    """The faces of the pictures in a folder; those that cannot be read are said.

    Raises:
        MediaError: the folder holds no picture, or none can be read.
    """
    found: FacesByFrame = {}
    unread, read = Unread(), 0
    for path in pictures_in(folder):
        with unread.passing_over(path):
            frame, landmarks = read_face_picture(path)
            found.setdefault(frame, []).append(landmarks)
            read += 1
    unread.need_some(read)
    unread.say(read)
    return found


def read_face_picture(path: Path) -> tuple[str, np.ndarray]:
    """The file name of the frame that the face of a picture is from, and its landmarks there.

    Raises:
        MediaError: it cannot be read, is no PNG, or has no note of faceswap that can be read.
    """
    data = read_bytes(path, _MAX_PICTURE_BYTES, error=MediaError, hint=_HINT)
    note = next((text for keyword, text in _notes(data, path) if keyword == _NAME), None)
    if note is None:
        raise MediaError(f"{path} holds no note of faceswap", hint=_HINT)
    content = literal(note, str(path))
    source, face = _dict_in(content, "source"), _dict_in(content, "alignments")
    frame = (source or {}).get("source_filename")
    if face is None or not isinstance(frame, str) or not frame:
        raise MediaError(f"{path} does not say which frame its face is from", hint=_HINT)
    return frame, landmarks_of(face.get("landmarks_xy"), str(path))


def literal(text: str, what: str) -> object:
    """The value of a Python literal: numbers, texts, bytes, lists, tuples and dicts, nested twelve deep at most.

    Raises:
        MediaError: it is longer, deeper or something else.
    """
    refused = MediaError(f"the note in {what} is not read: it is no plain dict of at most 1 MiB", hint=_HINT)
    if len(text) > _MAX_NOTE_BYTES:
        raise refused
    # Python's own parser may overflow its stack on deep or odd texts, so these are found first.
    place = depth = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise refused
        depth += (token[0] in "[({") - (token[0] in "])}") if len(token[0]) == 1 else 0
        if not 0 <= depth <= _MAX_DEPTH:
            raise refused
        place = token.end()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise refused from error


def finder_for(faces: Mapping[str, list[np.ndarray]], source: Path) -> StoredFinder:
    """The finder of these faces in ``source``: one picture, which may show none, or a video.

    Raises:
        MediaError: no face is of a frame of the video.
    """
    if is_picture(source):
        return StoredFinder(_NAME, {0: faces.get(source.name, [])})
    frames: dict[int, list[np.ndarray]] = {}
    for name, landmarks in faces.items():
        numbered = _FRAME.fullmatch(name.rpartition(".")[0])
        if numbered is not None and numbered[1] == source.stem and int(numbered[2]):
            frames.setdefault(int(numbered[2]) - 1, []).extend(landmarks)  # its first frame is number 1
    if not frames:
        raise MediaError(
            f"{source} is not what these faces are from", hint=f"they are from {next(iter(faces))[:120]!r}"
        )
    return StoredFinder(_NAME, frames)


def need_source(faces: FacesByFrame, source: Path) -> None:
    """Refuses a folder of pictures of which none shows one of these faces.

    Raises:
        MediaError: it is one, or holds no picture.
    """
    if source.is_dir() and not any(path.name in faces for path in pictures_in(source)):
        raise MediaError(
            f"{source} is not what these faces are from", hint=f"they are from {next(iter(faces))[:120]!r}"
        )


def need_faces(path: Path) -> FacesByFrame:
    """The faces of an alignments file, or of a folder of face pictures.

    Raises:
        UsageError: it is neither.
        MediaError: it cannot be read.
    """
    if path.is_dir():
        return read_face_pictures(path)
    if path.suffix.lower() != ".fsa":
        raise UsageError(f"{path} is neither an alignments file of faceswap nor a folder", hint=_HINT)
    return read_alignments(path)


def _dict_in(content: object, name: str) -> dict[str, Any] | None:
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else None


def _notes(data: bytes, path: Path) -> Iterator[tuple[str, str]]:
    """Keyword and text of the uncompressed iTXt chunks of a PNG file."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise MediaError(f"{path} is no PNG picture", hint=_HINT)
    place = 8
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if kind == b"iTXt" and length <= _MAX_NOTE_BYTES:
            keyword, _, rest = data[place + 8 : place + 8 + length].partition(b"\0")
            _language, _, translated = rest[2:].partition(b"\0")
            _translated, _, text = translated.partition(b"\0")
            if rest[:2] == b"\0\0":
                yield keyword.decode("latin-1"), text.decode("utf-8", "replace")
        place += 12 + length
