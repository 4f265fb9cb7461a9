"""Opens what a dataset holds: a video, or a still, which is a clip of one frame."""

from __future__ import annotations

from pathlib import Path

from shared.types import VideoInfo
from shared.video.images import SUFFIXES, PictureReader, picture_info
from shared.video.reader import VideoReader, probe


def is_still_clip(path: Path) -> bool:
    """Whether the file is called as a picture is; a draft's hidden name counts too."""
    return path.suffix.lower() in SUFFIXES


def clip_reader(path: Path) -> VideoReader | PictureReader:
    """The reader of a clip: of a single picture if the file is called as one is, else of a video.

    Raises:
        MediaError: it cannot be read; a picture only when it is read.
    """
    return PictureReader(path) if is_still_clip(path) else VideoReader(path)


def clip_info(path: Path, *, count: bool = False) -> VideoInfo:
    """The clip's facts; with ``count``, also how many frames can be decoded (reads the whole file).

    Raises:
        MediaError: it cannot be read.
    """
    if not is_still_clip(path):
        return probe(path, count=count)
    if count:
        for _ in PictureReader(path).frames():
            pass
    return picture_info(path)
