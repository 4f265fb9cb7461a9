"""Extraction of a faceset from clips: decoding, finding, aligning and writing in parallel, in bounded memory."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from shared.console import Tick, console, counted
from shared.errors import FacesetError, NoFaceError, UsageError
from shared.faces.align import align
from shared.faces.facesets.embedding_queue import EmbeddingQueue
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.layout import encode_crop
from shared.faces.facesets.reader import FaceRow, FacesetInfo, FacesetWriter, SourceClip
from shared.faces.facesets.selection import OTHER_PERSON, KeepRule
from shared.faces.facesets.writer import check_target
from shared.faces.finders.finder import SIDECAR, FaceFinder, make_finder
from shared.faces.finders.sidecar import sidecar_of
from shared.faces.finders.turned import TurnedFinder, turned_finder
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.faces.pose import Pose, head_pose, sharpness
from shared.faces.stream import FollowConfig, follow
from shared.storage import need_free_space, sha256_file
from shared.types import Face, Frame
from shared.video import VideoReader, probe
from shared.video.images import PictureReader, is_picture, pictures_in

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
    embedder: IdentityEmbedder | None = None,
    force: bool = False,
) -> FacesetInfo:
    """Writes the faces of ``clips``, all of one person, as the faceset ``out``; returns its ``faceset.toml``.

    All faces are written; ``kept`` marks those for training. Frames without a face are counted. An existing faceset is
    replaced only with ``force``, and only once the new one is complete.

    Args:
        clips: different videos, pictures or folders of pictures; a picture is a clip of one frame.
        out: the folder of the faceset.
        config: the settings.
        finder: used instead of that of ``config``.
        embedder: used instead of the installed one.
        force: replace an existing faceset.

    Raises:
        UsageError: no clips, one given twice, or ``out`` is taken.
        MediaError: a clip cannot be read.
        NoFaceError: no face in any clip.
        StorageError: writing failed.
    """
    out = Path(out)
    check_target(out, force=force)
    sources = _check_clips([Path(clip) for clip in clips])
    finders = _finders(sources, config, finder)
    if embedder is None and config.embed_every:
        embedder = make_embedder()
    declared = [_frames_declared(clip) for clip in sources]
    frames = sum(-(-(count or 0) // config.every) for count in declared)
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
        finder=_merged([one.describe() for one in finders]),
        framing=config.framing,
        px=config.px,
        embedder=embedder.name if embedder else "",
        force=force,
    )
    total = frames if all(declared) else None
    with writer, console.progress("extracting faces", total, unit="frame") as tick:
        with _Extraction(writer, rule, config, embedder, tick) as extraction:
            for (path, sha256), one in zip(sources.items(), finders, strict=True):
                writer.clips.append(extraction.run(path, sha256, one))
        writer.set_aside_reasons = rule.set_aside_reasons
    return _reported(writer, rule)


def following(config: ExtractConfig) -> FollowConfig:
    """The settings of :func:`shared.faces.stream.follow` for these settings."""
    on_device = FollowConfig.on(config.device)
    # Faces that are too small to keep are still followed, because they may become larger.
    smallest = min(on_device.min_face_px, config.min_face_px)
    every = on_device.detect_every if config.detect_every is None else config.detect_every
    return replace(on_device, detect_every=every, max_faces=config.max_faces, min_face_px=smallest)


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

    def run(self, path: Path, sha256: str, finder: FaceFinder) -> SourceClip:
        """Extracts one clip."""
        number = len(self._writer.clips)
        with _opened(path) as reader:
            read, empty = self._follow(reader, number, finder)
            turned = self._turned(path, finder) if read == empty else None
            if turned is not None:
                degrees = turned.degrees_clockwise
                console.warn(f"{path.name}: faces were found by turning its pictures {degrees} degrees clockwise")
                read, empty = self._follow(reader, number, turned)
            while self._waiting:
                self._write_next()
            failures = reader.decode_failures
        self._first_track = max(self._seen, default=-1) + 1
        return SourceClip(path.name, sha256, read, empty, failures)

    def _turned(self, path: Path, finder: FaceFinder) -> TurnedFinder | None:
        # A separate reader: the counts of the first pass are still needed.
        with _opened(path) as reader:
            return turned_finder(reader.frames(step=self._config.every), finder)

    def _follow(self, reader: PictureReader | VideoReader, number: int, finder: FaceFinder) -> tuple[int, int]:
        """Processes all faces of a clip; returns the number of frames, and of those without a face."""
        read = empty = 0
        with closing(follow(reader.frames(step=self._config.every), finder, following(self._config))) as followed:
            for frame, faces in followed:
                read += 1
                empty += not faces
                for face in faces:
                    self._take(number, frame, face)
                self._tick(note=counted(self._faces, "face"))
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


def _opened(path: Path) -> PictureReader | VideoReader:
    return PictureReader(path) if is_picture(path) else VideoReader(path)


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


def _check_clips(clips: Sequence[Path]) -> dict[Path, str]:
    """The SHA-256 of each clip.

    Raises:
        UsageError: there is no clip, or two have the same content.
        MediaError: a clip does not exist.
    """
    if not clips:
        raise UsageError("no clip was given", hint="name one or more videos, or pictures, of one person")
    sources: dict[Path, str] = {}
    seen: dict[str, Path] = {}
    named = [pictures_in(path) if path.is_dir() else [path] for path in clips]
    for clip in itertools.chain.from_iterable(named):
        if not is_picture(clip):
            probe(clip)
        digest = sha256_file(clip)
        if digest in seen:
            raise UsageError(f"{clip} and {seen[digest]} are the same file", hint="name every clip once")
        seen[digest] = clip
        sources[clip] = digest
    return sources


def _frames_declared(clip: Path) -> int | None:
    """The declared number of frames, limited by the file's size: a packet has at least a few bytes."""
    if is_picture(clip):
        return 1
    claimed = probe(clip).frames_declared
    return None if claimed is None else min(claimed, clip.stat().st_size // 8)


def _finders(clips: Iterable[Path], config: ExtractConfig, given: FaceFinder | None) -> list[FaceFinder]:
    """The finder for each clip; the same for all, except for sidecar landmarks."""
    if given is None and config.finder == BESIDE:
        return [make_finder(f"{SIDECAR}{sidecar_of(clip)}") for clip in clips]
    one = given or make_finder(config.finder, device=config.device)
    return [one for _ in clips]


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
        if clip.frames_without_face > clip.frames_read / 2:
            console.warn(f"{clip.name}: no face in {clip.frames_without_face} of {clip.frames_read} frames")
        if clip.decode_failures:
            console.warn(f"{clip.name}: {clip.decode_failures} damaged packets were stepped over")
    return info
