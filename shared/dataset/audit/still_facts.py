"""Features of a picture's file without its pixels: format, quantisation tables, size, chroma, bytes, metadata.

The counterpart of :mod:`shared.dataset.audit.facts` for stills. The C2PA manifest counts in none of them, see there.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from shared.dataset.audit.facts import Facts, FileFacts, manifest_bytes
from shared.video.images import opened_picture

_MOST_PARTS = 4096
_SHOWN_PARTS = 40
_CHUNK = 1 << 16
_PNG_START = 8
_C2PA_MARKER = 0xEB  # APP11, of which JPEG Trust and C2PA make use (C2PA 2.x, A.3.1)
_C2PA_CHUNK = b"caBX"
_NAMED = {0xC4: "DHT", 0xDB: "DQT", 0xDD: "DRI", 0xDA: "SOS", 0xFE: "COM"}
_COPIED = ("exif", "icc_profile", "xmp", "XML:com.adobe.xmp", "comment", "dpi", "jfif", "adobe", "gamma", "srgb")

_LUMA = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ]
)  # fmt: skip
"""(64,) the table of luma at quality 50, by rows: ITU-T T.81, table K.1."""


def read_still_facts(path: Path) -> FileFacts:
    """The features of a picture.

    Raises:
        MediaError: the file is no picture.
    """
    manifest = manifest_bytes(path)
    with opened_picture(path) as image:
        parts, signed_bytes = _parts(path, image.format or "")
        shown = max(1, image.width * image.height)
        size = path.stat().st_size - max(signed_bytes, manifest)
        container: Facts = {
            "format": str(image.format),
            "mode": image.mode,
            "progressive": float(bool(image.info.get("progressive") or image.info.get("interlace"))),
            "parts": " ".join(parts[:_SHOWN_PARTS]) or "-",
            "signed": float(manifest > 0 or signed_bytes > 0),
        }
        sides = image.width, image.height
        tables, chroma = (
            (_tables(image), _chroma(image)) if isinstance(image, JpegImagePlugin.JpegImageFile) else ({}, {})
        )
        metadata = _metadata(image)
    dimensions: Facts = {"width": float(sides[0]), "height": float(sides[1]), "ratio": sides[0] / max(1, sides[1])}
    amount: Facts = {"bytes_per_pixel_log": float(np.log(max(1, size) / shown))}
    return FileFacts(
        container, {}, {}, {}, tables=tables, dimensions=dimensions, chroma=chroma, amount=amount, metadata=metadata
    )


def estimated_quality(luma: np.ndarray) -> tuple[float, float]:
    """Libjpeg's quality, 1 to 100, whose luma table is nearest to ``luma`` (64,), and the mean difference from it.

    The difference is 0 for an encoder that scales the standard's tables, as libjpeg does.
    """
    qualities = np.arange(1, 101)
    scales = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    scaled = np.clip((_LUMA[None] * scales[:, None] + 50) // 100, 1, 255)
    # Sorted, because readers give the values by rows or along the zigzag.
    apart = np.abs(np.sort(scaled, axis=1) - np.sort(luma)[None]).mean(axis=1)
    best = int(apart.argmin())
    return float(qualities[best]), float(apart[best])


def _tables(image: JpegImagePlugin.JpegImageFile) -> Facts:
    tables = {number: np.asarray(list(values), np.int64) for number, values in image.quantization.items()}
    sound = [tables[number] for number in sorted(tables) if tables[number].shape == (64,)]
    if not sound:
        return {"tables": 0.0}
    quality, apart = estimated_quality(sound[0])
    return {
        "tables": float(len(tables)),
        "estimated_quality": quality,
        "apart_from_standard": apart,
        "luma_mean_log": float(np.log(sound[0].mean())),
        "chroma_mean_log": float(np.log(sound[-1].mean())),
    }


def _chroma(image: JpegImagePlugin.JpegImageFile) -> Facts:
    layers = [(float(layer[1]), float(layer[2])) for layer in getattr(image, "layer", [])][:4]
    text = ":".join(f"{across:g}x{down:g}" for across, down in layers)
    known = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(image), "other")
    return {"subsampling": known, "factors": text or "-", "components": float(len(layers))}


def _metadata(image: Image.Image) -> Facts:
    """Which blocks of metadata are there, and how many EXIF tags; none of what they say."""
    facts: Facts = {f"has_{name.lower()}": float(bool(image.info.get(name))) for name in _COPIED}
    try:
        facts["exif_tags"] = float(min(1000, len(image.getexif())))
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        facts["exif_tags"] = -1.0
    text = getattr(image, "text", {}) if image.format == "PNG" else {}
    return facts | {"text_chunks": float(min(1000, len(text)))}


def _parts(path: Path, kind: str) -> tuple[list[str], int]:
    """The names of a file's parts in order, without those of a C2PA manifest, and the bytes of those."""
    if kind in ("JPEG", "MPO"):  # MPO: with further pictures behind the first, as telephones write
        return _segments(path)
    return _chunks(path) if kind == "PNG" else ([], 0)


def _segments(path: Path) -> tuple[list[str], int]:
    """Of a JPEG file, up to its first scan. Fill bytes before a marker are skipped (ITU-T T.81, B.1.1.2)."""
    names: list[str] = []
    manifest, place, end = 0, 2, path.stat().st_size
    with path.open("rb") as file:
        for _ in range(_MOST_PARTS):
            file.seek(place)
            head = file.read(4)
            if len(head) < 4 or head[0] != 0xFF or place >= end:
                break
            if head[1] == 0xFF:
                place += 1
                continue
            marker, length = head[1], int.from_bytes(head[2:], "big") + 2
            if marker == _C2PA_MARKER:
                manifest += length
            else:
                names.append(_NAMED.get(marker, f"APP{marker - 0xE0}" if 0xE0 <= marker <= 0xEF else f"{marker:02X}"))
            if marker == 0xDA:
                break
            place += length
    return names, manifest


def _chunks(path: Path) -> tuple[list[str], int]:
    """Of a PNG file; runs of one name are named once."""
    names: list[str] = []
    manifest, place = 0, _PNG_START
    with path.open("rb") as file:
        for _ in range(_MOST_PARTS):
            file.seek(place)
            head = file.read(8)
            if len(head) < 8:
                break
            length, name = int.from_bytes(head[:4], "big") + 12, head[4:]
            text = re.sub(r"[^A-Za-z]", "?", name.decode("latin-1"))
            if name == _C2PA_CHUNK:
                manifest += length
            elif not names or names[-1] != text:
                names.append(text)
            place += length
    return names, manifest
