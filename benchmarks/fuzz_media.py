"""Hostile media: damaged and crafted videos, tags, sound, pictures and archives, for the commands that take them."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import material as words_of
from benchmarks.material import Material
from benchmarks.mutations import CONTROLS, flipped, mutated, name_for
from shared.video.container import opened


@dataclass(frozen=True)
class Case:
    """A command line that takes something hostile; ``what`` says what was done to it."""

    what: str
    words: tuple[str, ...]
    reseal: Path | None = None
    """A dataset to be sealed first, so that what is behind the seal is reached too."""


@dataclass(frozen=True)
class Setting:
    """Where a case is made, of what, and what hostile files point at: a file and a port that nobody may touch."""

    rng: np.random.Generator
    material: Material
    folder: Path
    decoy: Path
    port: int

    def one(self, *choices: Any) -> Any:
        """One of ``choices``."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """True in that share of the cases."""
        return bool(self.rng.random() < share)


def copied(at: Setting, source: Path) -> Path:
    """A copy of a folder of the material in that of the case."""
    target = at.folder / source.name
    shutil.copytree(source, target)
    return target


def video(at: Setting) -> Case:
    """A damaged video in a container of any kind, perhaps under another suffix."""
    suffix = at.one(*at.material.clips)
    mp4 = suffix in (".mp4", ".mov", ".m4v")
    how, data = mutated(at.material.clips[suffix].read_bytes(), at.rng, mp4=mp4)
    named = at.one(suffix, suffix, suffix, ".mp4", ".png", ".tar", ".json", "")
    clip = at.folder / f"clip{named}"
    clip.write_bytes(data)
    return Case(f"{suffix} as {named or 'no suffix'}: {how}", _media_words(at, clip))


def _media_words(at: Setting, clip: Path) -> tuple[str, ...]:
    out = at.folder / "out"
    kind = at.one("extract", "swap", "add", "inspect", "import", "each")
    if kind == "extract":
        return words_of.extract_words(clip, out)
    if kind == "swap":
        return words_of.swap_words(clip, at.material.swapper, out)
    if kind == "inspect":
        return words_of.inspect_words(clip, at.material.detector, out)
    if kind == "add":
        return words_of.add_words(copied(at, at.material.dataset), clip)
    root = at.folder / "them"
    (root / "real").mkdir(parents=True)
    clip.rename(root / "real" / clip.name)
    shutil.copy(at.material.clips[".mp4"], root / "real" / "sound.mp4")
    if kind == "each":
        words = words_of.extract_words(root / "real", out)
        return (*words[:3], *words[5:], "--each", "--jobs", "1")
    return words_of.import_words("folders", root, out)


def crafted(at: Setting) -> Case:
    """What is no video and leads elsewhere: playlists and pages of the kinds that FFmpeg and viewers follow."""
    target = at.one(
        str(at.decoy), f"file:{at.decoy}", f"http://127.0.0.1:{at.port}/decoy.mp4", f"concat:{at.decoy}|{at.decoy}"
    )
    documents = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{target}'\nduration 3\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {at.port} RTP/AVP 96\n",
        "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>',
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}" width="9" height="9"/></svg>',
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
        "quicktime reference": f"\x00\x00\x00\x38moov\x00\x00\x00\x30rmra\x00\x00\x00\x28rmdardrfurl {target}",
        "images": f"{target}%05d.png",
        "y4m": f"YUV4MPEG2 W{at.one(1, 8192, 2**31, 10**12)} H{at.one(1, 8192, 2**31)} F1:0 Ip A0:0 C420\nFRAME\n",
        "empty": "",
    }
    kind = at.one(*documents)
    clip = at.folder / f"clip{at.one('.mp4', '.mov', '.mkv', '.avi', '.m3u8', '.png', '.y4m', '.gif')}"
    clip.write_bytes(documents[kind].encode())
    return Case(f"{kind} that leads to {target.split(':')[0]}", _media_words(at, clip))


def metadata(at: Setting) -> Case:
    """Tags that are no UTF-8, commands of a terminal, or very long."""
    suffix = at.one(".mp4", ".mkv", ".mov")
    clip = at.folder / f"clip{suffix}"
    mark = "PLACEHOLDER" * at.one(2, 2, 40, 3000)
    words_of.rewrap(at.material.clips[".mp4"], clip, tags={at.one("title", "comment", "encoder", "date"): mark})
    hostile = at.one(b"\xff\xfe\xc3(\x80", CONTROLS.encode(), b"\x00", "\u202egpj.".encode(), at.rng.bytes(11))
    data = clip.read_bytes().replace(mark.encode(), (hostile * len(mark))[: len(mark)])
    clip.write_bytes(data)
    return Case(f"tag of {len(mark)} x {hostile[:12]!r} in {suffix}", _media_words(at, clip))


def sound(at: Setting) -> Case:
    """Damaged sound between sound pictures."""
    suffix = at.one(".mp4", ".mkv", ".ts", ".mov")
    source = at.material.clips[suffix]
    with opened(source) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.pos is not None and p.size]
    data = bytearray(source.read_bytes())
    for number in at.rng.integers(0, max(len(places), 1), int(at.rng.integers(1, 12))):
        if places:
            start, size = places[int(number)]
            data[start : start + size] = flipped(bytes(data[start : start + size]), at.rng)
    clip = at.folder / f"clip{suffix}"
    clip.write_bytes(data)
    return Case(f"damaged sound in {suffix}", _media_words(at, clip))


def _picture(at: Setting, size: int = 96) -> tuple[str, bytes]:
    crop = at.one(*sorted((at.material.faces[0] / "crops").glob("*.png")))
    kind = at.one("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
    packed = io.BytesIO()
    with Image.open(crop) as image:
        image.convert("RGB").resize((size, size)).save(packed, kind)
    return kind.lower().replace("jpeg", "jpg"), packed.getvalue()


def pictures(at: Setting) -> Case:
    """A folder of pictures, one of them damaged."""
    place = at.folder / "ff" / "real" / "pictures"
    place.mkdir(parents=True)
    said = ""
    for number in range(3):
        kind, data = _picture(at)
        if number == 1:
            how, data = mutated(data, at.rng)
            said = f"{kind}: {how}"
        (place / f"{number}.{at.one(kind, kind, 'png')}").write_bytes(data)
    out = at.folder / "out"
    line = at.one(
        words_of.extract_words(place, out),
        (*words_of.swap_words(place, at.material.swapper, out), "--frames"),
        words_of.inspect_words(next(place.glob("1.*")), at.material.detector, out),
        words_of.import_words("df40", at.folder / "ff", out),
    )
    return Case(f"picture {said}", line)


def archive(at: Setting) -> Case:
    """A tar archive with members that lie about their size, leave the place, or repeat a hole."""
    packed = io.BytesIO()
    form = at.one(tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)
    with tarfile.open(fileobj=packed, mode="w", format=form, errors="surrogateescape") as tar:
        for number in range(int(at.rng.integers(1, 5))):
            kind, data = _picture(at, 32)
            member = tarfile.TarInfo(
                at.one(f"1/{number}.{kind}", f"1/{number}.png", f"{number}/{name_for(at.rng)}.png")
            )
            member.size = len(data)
            if at.chance(0.3):
                member.type = at.one(*(bytes([code]) for code in b"0123456789SLKxgVNXD"))
                member.linkname = at.one(str(at.decoy), "../../x", "")
            if form == tarfile.PAX_FORMAT and at.chance(0.3):
                member.pax_headers = {
                    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "1/0.png",
                    "GNU.sparse.realsize": str(at.one(1, 2**26, 2**40, -1, "x")),
                }  # fmt: skip
            with suppress(ValueError, OverflowError):
                tar.addfile(member, io.BytesIO(data))
    data, how = packed.getvalue(), "crafted"
    if at.chance(0.6):
        how, data = mutated(data, at.rng)
    if at.chance(0.5):
        data = gzip.compress(data, 1, mtime=0)
        if at.chance(0.3):
            how, data = mutated(data, at.rng)
    place = at.folder / "them" / "real train"
    place.mkdir(parents=True)
    (place / at.one("1.tar.gz", "1.tar")).write_bytes(data)
    return Case(f"archive: {how}", words_of.import_words("wilddeepfake", place.parent, at.folder / "out"))
