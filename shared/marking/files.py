"""Marks of files: what a picture, video or sound file carries, on which layer, and marked copies of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shared.audio.reading import decode_sound, has_sound
from shared.audio.sound import SOUND_SUFFIXES
from shared.audio.writing import WRITTEN, write_channels
from shared.errors import MediaError, UsageError
from shared.marking.embed import MarkWriter
from shared.marking.notice import with_notice, with_tones
from shared.marking.payload import FAKE_KINDS, KINDS, Payload
from shared.marking.read import MOST_WINDOWS, MarkReader
from shared.marking.reading import MarkReading
from shared.marking.sound import LEAST_RATE, mark_sound, read_sound_mark
from shared.marking.video_sound import marked_sound, need_markable_sound
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import EMBEDDABLE, read_provenance
from shared.provenance.sign import sign_clip
from shared.provenance.types import (
    COMPOSITE_WITH_MODEL,
    FAKE_SOURCES,
    MADE_BY_MODEL,
    Action,
    Provenance,
    SoftBinding,
)
from shared.storage import replacing, sha256_file
from shared.video import VideoReader, VideoWriter
from shared.video.container import VIDEO_SUFFIXES
from shared.video.encoding import CONTAINERS
from shared.video.images import SUFFIXES, encode_jpeg, encode_png, is_still, read_picture

PICTURE_ALGORITHM = "assay.tile.1"
SOUND_ALGORITHM = "assay.loudness.1"
READ_SUFFIXES = frozenset({*SUFFIXES, *VIDEO_SUFFIXES, *SOUND_SUFFIXES, ".gif"})
"""File suffixes of what is read in a folder."""

_WINDOW_FRAMES = 250
_SOUND_SECONDS = 30.0
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class FileMarks:
    """The marks of one file; None for a layer that it does not have."""

    picture: MarkReading | None = None
    sound: MarkReading | None = None

    @property
    def found(self) -> bool:
        """Whether any mark was read."""
        return any(one is not None and one.found for one in (self.picture, self.sound))


def picture_binding(payload: Payload) -> SoftBinding:
    """How a manifest names a picture mark."""
    return SoftBinding(PICTURE_ALGORITHM, payload.text)


def sound_binding(payload: Payload) -> SoftBinding:
    """How a manifest names a sound mark."""
    return SoftBinding(SOUND_ALGORITHM, payload.text)


def read_marks(path: Path) -> FileMarks:
    """The marks of a picture, video or sound file.

    Of a video, windows of 250 frames are read until a mark is found, eight at most; of sound, the first half minute.
    A layer that cannot be decoded is left out if the other one can.

    Raises:
        MediaError: neither picture nor sound can be read.
    """
    if is_still(path):
        reader = MarkReader()
        reader.add(cv2.cvtColor(read_picture(path), cv2.COLOR_RGB2GRAY))
        return FileMarks(picture=reader.read())
    layers: list[MarkReading | None] = []
    problem: MediaError | None = None
    for read in (_read_video, _read_sound):
        try:
            layers.append(read(path))
        except MediaError as error:  # a damaged layer takes the other one with it no longer
            layers.append(None)
            problem = problem or error
    if problem is not None and not any(layers):
        raise problem
    return FileMarks(*layers)


def _read_sound(path: Path) -> MarkReading | None:
    return read_sound_mark(*decode_sound(path, seconds=_SOUND_SECONDS)) if has_sound(path) else None


def _read_video(path: Path) -> MarkReading:
    best: MarkReading | None = None
    reader, looked = MarkReader(), 0
    with VideoReader(path) as video:
        for luma in video.gray_frames():
            reader.add(luma)
            looked += 1
            if looked % _WINDOW_FRAMES == 0:
                best = max(filter(None, (best, reader.read())), key=MarkReading.order)
                reader = MarkReader()
                if best.found or looked == MOST_WINDOWS * _WINDOW_FRAMES:
                    return best
    if best is None or reader.frames:
        best = max(filter(None, (best, reader.read())), key=MarkReading.order)
    return best


def mark_file(
    source: Path,
    out: Path,
    *,
    kind: str = "own",
    notice: bool = False,
    sound: bool = False,
    tick: Callable[[int], object] | None = None,
) -> Payload:
    """Writes a marked and signed copy of a picture, video or sound file; the payload of the mark.

    The record that the payload leads to is the source's SHA-256. A source whose mark or manifest says that a model had
    a hand in it keeps that statement, in its mark and in its signature; so does a kind that says so. The sound
    of a video is copied unchanged, unless it is to be marked as well.

    Args:
        source: the file.
        out: .png, .jpg, a video container, .wav or .flac, of the kind of the source; replaced when it is there.
        kind: one of :data:`shared.marking.payload.KINDS`.
        notice: whether pictures get a visible label in a corner, and a sound file tones before it.
        sound: whether the sound of a video is marked too, which encodes it anew.
        tick: called with 1 after each frame.

    Raises:
        UsageError: an unknown kind, ``out`` is the source or of another kind of media, or ``sound`` without a video
            that has sound.
        MediaError: the source cannot be read.
        ProvenanceError, StorageError: signing or writing failed.
    """
    if kind not in KINDS:
        raise UsageError(f"no kind {kind!r}", hint=f"one of {', '.join(KINDS)}")
    if out.resolve() == source.resolve():
        raise UsageError(f"{out} is the source itself", hint="name another file: the original is kept")
    medium = _medium(source)
    need_suffix(out, medium)
    if sound and medium != "video":
        raise UsageError(f"{source} is no video with sound", hint="leave --sound out: a sound file is always marked")
    if sound:
        need_markable_sound(source)
    known = read_provenance(source)
    payload = Payload.of(_kind(kind, known, read_marks(source)), sha256_file(source))
    with replacing(out) as draft:
        if medium == "picture":
            draft.write_bytes(_encoded(_marked(read_picture(source), payload, notice=notice), out.suffix.lower()))
        elif medium == "video":
            _mark_video(source, draft, payload, notice=notice, sound=sound, tick=tick)
        else:
            samples, rate = decode_sound(source)
            if rate < LEAST_RATE:
                raise MediaError(
                    f"{source} has {rate} samples a second", hint=f"sound is marked from {LEAST_RATE:,} on"
                )
            write_channels(draft, mark_sound(with_tones(samples, rate) if notice else samples, rate, payload), rate)
        bindings = [] if medium == "sound" else [picture_binding(payload)]
        bindings += [sound_binding(payload)] if medium == "sound" or sound else []
        _sign(draft, source, out.name, payload, known, bindings, notice=notice)
    return payload


def need_suffix(out: Path, medium: str) -> None:
    """Refuses a file name that cannot hold this kind of media.

    Raises:
        UsageError: its suffix is not one of those that are written.
    """
    videos = tuple(suffix for suffix in CONTAINERS if suffix in EMBEDDABLE)  # the signature has to be in the file
    written = {"picture": (".png", ".jpg", ".jpeg"), "video": videos, "sound": tuple(WRITTEN)}[medium]
    if out.suffix.lower() not in written:
        raise UsageError(f"a marked {medium} is not written as {out.suffix or 'a file without a suffix'}",
                         hint=f"use {', '.join(written)}")  # fmt: skip


def _medium(path: Path) -> str:
    if is_still(path):
        return "picture"
    try:
        with VideoReader(path):
            return "video"
    except MediaError:
        if path.suffix.lower() in SOUND_SUFFIXES and has_sound(path):
            return "sound"
        raise


def _kind(kind: str, known: Provenance | None, marks: FileMarks) -> str:
    """The kind that is written: material that a mark or a signature calls a fake is never marked as a user's own.

    A mark goes first, because it outlasts a signature that was stripped.
    """
    payloads = [one.payload for one in (marks.picture, marks.sound) if one is not None and one.payload is not None]
    stated = [each.kind for each in payloads]
    if known is not None:
        record = str((known.record or {}).get("kind", ""))
        stated += [record if record in KINDS else "generate"] if known.says_fake or record in FAKE_KINDS else []
    return next((each for each in stated if each != "own"), kind)


def _marked(image: np.ndarray, payload: Payload, *, notice: bool) -> np.ndarray:
    return MarkWriter(payload).mark(with_notice(image) if notice else image)


def _encoded(image: np.ndarray, suffix: str) -> bytes:
    return encode_png(image) if suffix == ".png" else encode_jpeg(image, _JPEG_QUALITY)


def _mark_video(
    source: Path, draft: Path, payload: Payload, *, notice: bool, sound: bool, tick: Callable[[int], object] | None
) -> None:
    writer = MarkWriter(payload)
    with ExitStack() as stack:
        audio = stack.enter_context(marked_sound(source, payload, draft.suffix.lower())) if sound else source
        reader = stack.enter_context(VideoReader(source))
        video = stack.enter_context(VideoWriter.like(reader.info, draft, audio_from=audio))
        for frame in reader:
            video.write(writer.mark(with_notice(frame.image) if notice else frame.image), frame.time)
            if tick is not None:
                tick(1)


def _sign(
    draft: Path,
    source: Path,
    title: str,
    payload: Payload,
    known: Provenance | None,
    bindings: list[SoftBinding],
    *,
    notice: bool,
) -> None:
    kept = next((term for term in (known.digital_source_types if known else ()) if term in FAKE_SOURCES), None)
    if kept is None and payload.kind in FAKE_KINDS:
        kept = MADE_BY_MODEL if payload.kind in ("generate", "speech") else COMPOSITE_WITH_MODEL
    told = [Action("c2pa.edited", "a notice to people was added")] if notice else []
    sign_clip(
        draft,
        SigningIdentity.load_or_create(),
        title=title,
        actions=[*told, Action("c2pa.watermarked", "an imperceptible mark was written")],
        ingredient=source,
        digital_source_type=kept,
        record={"kind": payload.kind, "label": None if kept is None else "fake"},
        bindings=bindings,
    )
