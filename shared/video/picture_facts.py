"""EXIF and XMP metadata of a still picture, as text of bounded length. Any of it can be forged."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from PIL import ExifTags

from shared.video.images import opened_picture

_MOST_TAGS = 256
_MOST_CHARACTERS = 1024
_MOST_XMP_CHARACTERS = 1 << 16
_BLOCKS = {"exif": ExifTags.IFD.Exif, "gps": ExifTags.IFD.GPSInfo}


def picture_tags(path: Path) -> dict[str, str]:
    """EXIF by name (``make``, ``exif.datetimeoriginal``, ``gps.gpslatitude``, ...) and the whole XMP packet as ``xmp``.

    Raises:
        MediaError: the file is no picture.
    """
    with opened_picture(path) as image:
        try:
            exif = image.getexif()
            xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
            found = _named(exif, ExifTags.TAGS, "")
            for name, block in _BLOCKS.items():
                names = ExifTags.GPSTAGS if name == "gps" else ExifTags.TAGS
                found |= _named(exif.get_ifd(block), names, f"{name}.")
        except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error) as error:
            return {"exif": f"damaged: {type(error).__name__}"}
    if xmp:
        text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp)
        found["xmp"] = text[:_MOST_XMP_CHARACTERS]
    return found


def _named(tags: Any, names: dict[int, str], prefix: str) -> dict[str, str]:
    items = list(dict(tags).items())[:_MOST_TAGS]
    return {
        f"{prefix}{names.get(number, str(number)).lower()}": _text(value)
        for number, value in items
        if not isinstance(value, dict) and number not in set(_BLOCKS.values())
    }


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value[:_MOST_CHARACTERS].decode("utf-8", "backslashreplace").rstrip("\x00")
    return str(value)[:_MOST_CHARACTERS]
