"""Extraction of a faceset from clips: decoding, finding, aligning and writing in parallel, in bounded memory."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shared.console import Tick, console, counted
from shared.errors import FacesetError, FinderError, MediaError, NoFaceError, UsageError
from shared.faces.align import align
from shared.faces.facesets.embedding_queue import EmbeddingQueue
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.layout import encode_crop
from shared.faces.facesets.reader import FaceRow, FacesetInfo, FacesetWriter, SourceClip
from shared.faces.facesets.selection import OTHER_PERSON, KeepRule
from shared.faces.facesets.writer import check_target
from shared.faces.finders.finder import SIDECAR, FaceFinder, make_finder
from shared.faces.finders.sidecar import sidecar_of
from shared.faces.finders.turned import TurnedFinder, turned_finder, turned_note
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.faces.pose import Pose, head_pose, sharpness
from shared.faces.stream import FollowConfig, follow
from shared.storage import need_free_space, sha256_file
from shared.types import Face, Frame
from shared.video import VideoReader
from shared.video.images import PictureReader, pictures_in
from shared.video.media import clip_info, clip_reader
from shared.video.unread import Unread, frames_found, say_others

BESIDE = SIDECAR.rstrip(":")
"""The finder name for the sidecar file of each clip."""

__all__ = ["BESIDE", "ExtractConfig", "extract", "following"]

_PNG_BYTES_A_PIXEL = 1.6


def extract(
    clips: Sequence[str | Path],
    out: str | Path,
    config: ExtractConfig,
    *,
    finder: FaceFinder | None = None,
    finder_of: Callable[[Path], FaceFinder] | None = None,
    embedder: IdentityEmbedder | None = None,
    force: bool = False,
) -> FacesetInfo:
    """Writes the faces of ``clips``, all of one person, as the faceset ``out``; returns its ``faceset.toml``.

    A clip that cannot be read is named there (``unread``), and the others are used. All faces are written; ``kept``
    marks those for training. Frames without a face are counted. An existing faceset is replaced only with ``force``,
    and only once the new one is complete.

    Args:
        clips: videos, pictures or folders of pictures; a picture is a clip of one frame, a duplicate is read once.
        out: the folder of the faceset.
        config: the settings.
        finder: used instead of that of ``config``.
        finder_of: gives each clip or picture a finder of its own, such as one of stored faces.
        embedder: used instead of the installed one.
        force: replace an existing faceset.

    Raises:
        UsageError: no clips, or ``out`` is taken.
        MediaError: no clip can be read.
        FinderError: the finder is not available, or no clip has the landmarks that it takes from beside it.
        NoFaceError: no face in any clip.
        StorageError: writing failed.
    """
    out = Path(out)
    check_target(out, force=force)
    unread = Unread(MediaError, FinderError)
    sources = _sources([Path(clip) for clip in clips], config, finder, finder_of, unread)
    if embedder is None and config.embed_every:
        embedder = make_embedder()
    frames = sum(-(-(source.claimed or 0) // config.every) for source in sources)
    need_free_space(out.absolute(), round(frames * _PNG_BYTES_A_PIXEL * config.px**2))
    rule = KeepRule(
        min_face_px=config.min_face_px,
        min_sharpness=config.min_sharpness,
        all_people=config.all_people,
        same_distance=embedder.threshold if embedder else None,
    )
    writer = FacesetWriter(
        out,
        identity=config.identity,
        rights=config.rights,
        finder=_merged([source.finder.describe() for source in sources]),
        framing=config.framing,
        px=config.px,
        embedder=embedder.name if embedder else "",
        force=force,
    )
    total = frames if all(source.claimed for source in sources) else None
    with writer, console.progress("extracting faces", total, unit="frame") as tick:
        with _Extraction(writer, rule, config, embedder, tick) as extraction:
            for source in sources:
                with unread.passing_over(source.path):
                    writer.clips.append(extraction.run(source))
        unread.need_some(len(writer.clips))
        writer.set_aside_reasons = rule.set_aside_reasons
        writer.unread = unread.reasons
    return _reported(writer, rule)


def following(config: ExtractConfig, finder: FaceFinder) -> FollowConfig:
    """The settings of :func:`shared.faces.stream.follow` for these settings and ``finder``."""
    suited = FollowConfig.suited_to(finder)
    # Faces that are too small to keep are still followed, because they may become larger.
    smallest = min(suited.min_face_px, config.min_face_px)
    every = suited.detect_every if config.detect_every is None else config.detect_every
    return replace(suited, detect_every=every, max_faces=config.max_faces, min_face_px=smallest)


class _Extraction:
    """The last stages: pose, crop and PNG in worker threads, embeddings in another, ordered writing in the caller's."""

    def __init__(
        self,
        writer: FacesetWriter,
        rule: KeepRule,
        config: ExtractConfig,
        embedder: IdentityEmbedder | None,
        tick: Tick,
    ) -> None:
        self._writer = writer
        self._rule = rule
        self._config = config
        self._embedder = embedder if config.embed_every else None
        self._tick = tick
        workers = max(1, min(4, os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="assay-crop")
        self._most_waiting = 3 * workers
        self._waiting: deque[tuple[Future[tuple[FaceRow, bytes]], np.ndarray | None]] = deque()
        self._rows = EmbeddingQueue(self._embedder, self._finished)
        self._first_track = 0
        self._seen: dict[int, int] = {}
        self._faces = 0

    def __enter__(self) -> _Extraction:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._rows.__exit__(kind, *rest)

    def run(self, source: _Source) -> SourceClip:
        """Extracts one clip. Where it cannot be read on behind some faces, it ends there, with a warning.

        Raises:
            MediaError: not one frame could be read.
        """
        path, number = source.path, len(self._writer.clips)
        with source.opened() as reader:
            read, empty = self._follow(reader, number, source.finder)
            turned = self._turned(source) if read == empty else None
            if turned is not None:
                turned_note(turned, path.name)
                read, empty = self._follow(reader, number, turned)
            while self._waiting:
                self._write_next()
        self._first_track = max(self._seen, default=-1) + 1
        return SourceClip(
            path.name,
            source.sha256,
            read,
            empty,
            reader.decode_failures,
            reader.frames_decoded,
            source.declared,
            reader.first_failure,
        )

    def _turned(self, source: _Source) -> TurnedFinder | None:
        # A separate reader: the counts of the first pass are still needed.
        with source.opened() as reader:
            return turned_finder(reader.frames(step=self._config.every), source.finder)

    def _follow(self, reader: PictureReader | VideoReader, number: int, finder: FaceFinder) -> tuple[int, int]:
        """Processes all faces of a clip; returns the number of frames, and of those without a face."""
        read = empty = 0
        try:
            with closing(
                follow(reader.frames(step=self._config.every), finder, following(self._config, finder))
            ) as followed:
                for frame, faces in followed:
                    read += 1
                    empty += not faces
                    for face in faces:
                        self._take(number, frame, face)
                    self._tick(note=counted(self._faces, "face"))
        except MediaError as error:
            if not read:
                raise
            console.warn(f"read up to frame {read - 1}: {error}")
        return read, empty

    def _take(self, clip: int, frame: Frame, face: Face) -> None:
        track = self._first_track + (face.track or 0)
        seen = self._seen[track] = self._seen.get(track, -1) + 1
        chip = None
        if self._embedder is not None and seen % self._config.embed_every == 0:
            chip = self._embedder.chips(frame.image, [face])[0]
        while len(self._waiting) >= self._most_waiting:
            self._write_next()
        task = self._pool.submit(_cut_out, clip, frame, replace(face, track=track), self._config)
        self._waiting.append((task, chip))
        self._faces += 1

    def _write_next(self) -> None:
        task, chip = self._waiting.popleft()
        row, png = task.result()
        self._writer.add_crop(png)
        self._rows.put(row, chip)

    def _finished(self, row: FaceRow) -> None:
        self._rule.note(row)
        self._writer.add_row(row)


@dataclass(frozen=True)
class _Source:
    """One clip or picture that can be opened: its hash, its finder, and how many frames it says it has."""

    path: Path
    sha256: str
    finder: FaceFinder
    declared: int | None

    @property
    def claimed(self) -> int | None:
        """The declared frames, as far as a file of its size can hold them: a packet has a few bytes at least."""
        return None if self.declared is None else min(self.declared, max(1, self.path.stat().st_size // 8))

    def opened(self) -> PictureReader | VideoReader:
        """A new reader."""
        return clip_reader(self.path)


def _cut_out(clip: int, frame: Frame, face: Face, config: ExtractConfig) -> tuple[FaceRow, bytes]:
    height, width = frame.image.shape[:2]
    aligned = align(frame.image, face, px=config.px, framing=config.framing, frame=frame.index)
    try:
        pose = head_pose(face.landmarks, width=width, height=height)
    except NoFaceError:
        pose = Pose(math.nan, math.nan, math.nan)
    assert face.track is not None
    row = FaceRow(
        clip=clip,
        frame=frame.index,
        pts=frame.time.pts,
        seconds=frame.time.seconds,
        track=face.track,
        box=face.box,
        landmarks=face.landmarks,
        matrix=aligned.frame_to_crop,
        confidence=face.confidence,
        sharpness=sharpness(aligned.crop),
        yaw_degrees=pose.yaw_degrees,
        pitch_degrees=pose.pitch_degrees,
        roll_degrees=pose.roll_degrees,
    )
    return row, encode_crop(aligned.crop)


def _sources(
    clips: Sequence[Path],
    config: ExtractConfig,
    given: FaceFinder | None,
    finder_of: Callable[[Path], FaceFinder] | None,
    unread: Unread,
) -> list[_Source]:
    """The clips that can be opened, folders opened up, each once; the others are noted in ``unread``.

    The finder is one and the same unless every clip brings its own landmarks.

    Raises:
        UsageError: no clip was named.
        AssayError: none can be opened; a finder is not available.
    """
    if not clips:
        raise UsageError("no clip was given", hint="name one or more videos, or pictures, of one person")
    if given is None and finder_of is None and config.finder == BESIDE:
        finder_of = _beside
    one = None if finder_of else given or make_finder(config.finder, device=config.device)
    sources: dict[str, _Source] = {}
    for clip in _named(clips):
        with unread.passing_over(clip):
            declared = clip_info(clip).frames_declared
            digest = sha256_file(clip)
            if digest in sources:
                console.warn(f"{clip} and {sources[digest].path} are the same file, which is read once")
            else:
                finder = finder_of(clip) if finder_of else one
                assert finder is not None
                sources[digest] = _Source(clip, digest, finder, declared)
    unread.need_some(len(sources))
    return list(sources.values())


def _beside(clip: Path) -> FaceFinder:
    return make_finder(f"{SIDECAR}{sidecar_of(clip)}")


def _named(clips: Sequence[Path]) -> Iterator[Path]:
    """The clips, with the pictures of a folder in its place; what else lies in a folder is said."""
    for path in clips:
        if not path.is_dir():
            yield path
            continue
        pictures = pictures_in(path)
        yield from pictures
        say_others(path, pictures, "picture")


def _merged(facts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The merged descriptions of all finders, with all values where they differ."""
    keys = dict.fromkeys(key for one in facts for key in one)
    return {key: " ".join(dict.fromkeys(one[key] for one in facts if key in one)) for key in keys}


def _reported(writer: FacesetWriter, rule: KeepRule) -> FacesetInfo:
    """The written faceset's info, after warnings about its faces."""
    info = writer.info
    if info is None:
        raise FacesetError(f"{writer.path} was not completed", hint="run the command again")
    if info.set_aside.get(OTHER_PERSON):
        console.warn(
            f"{counted(info.set_aside[OTHER_PERSON], 'face')} in {counted(rule.people_aside, 'track')} "
            f"seem to be of other people than {info.identity} and are set aside; --all-people keeps them"
        )
    for clip in info.clips:
        if clip.frames_declared not in (None, clip.frames_decoded):
            found = frames_found(clip.frames_declared, clip.frames_decoded or 0)
            console.warn(f"{clip.name}: {found} declared frames could be read")
        if clip.frames_without_face > clip.frames_read / 2:
            console.warn(f"{clip.name}: no face in {clip.frames_without_face} of {clip.frames_read} frames")
        if clip.decode_failures:
            console.warn(
                f"{clip.name}: {clip.decode_failures} damaged packets were stepped over, first {clip.first_failure}"
            )
    return info
