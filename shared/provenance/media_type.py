"""Media types of files by their first bytes, not their names, among those of the signing library."""

from __future__ import annotations

from pathlib import Path

ANY_TYPE = "application/octet-stream"

_STARTS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypavi", "image/avif"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypmif", "image/heif"),
    (4, b"ftyp", "video/mp4"),
    (8, b"AVI ", "video/avi"),
    (8, b"WAVE", "audio/wav"),
    (8, b"WEBP", "image/webp"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
)


def media_type_of(path: Path) -> str:
    """The type by content; :data:`ANY_TYPE` for every type that cannot embed a manifest.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(16)
    return next((kind for at, mark, kind in _STARTS if start[at : at + len(mark)] == mark), ANY_TYPE)
