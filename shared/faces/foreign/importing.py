"""Facesets made of the extracted faces of other programs, with the landmarks that these stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shared.console import console
from shared.errors import MediaError, UsageError
from shared.faces.facesets.extract import extract
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.reader import FacesetInfo
from shared.faces.finders.finder import FaceFinder
from shared.faces.foreign import Program, faceswap
from shared.faces.foreign.deepfacelab import AlignedPicture, read_aligned
from shared.faces.foreign.stored import StoredFinder
from shared.types import Framing
from shared.video.images import pictures_in

_WIDTHS: tuple[Framing, ...] = ("half", "midface", "full", "whole", "head")


def import_faces(
    path: Path,
    out: Path,
    config: ExtractConfig,
    program: Program,
    *,
    framing: Framing | None = None,
    source: Path | None = None,
    force: bool = False,
) -> FacesetInfo:
    """Writes the faces that another program extracted as the faceset ``out``; returns its ``faceset.toml``.

    DeepFaceLab: ``path`` is a folder of aligned pictures, whose own landmarks are taken. faceswap: with ``source``, the
    video, picture or folder of pictures that the faces are from, ``path`` is its alignments file or the folder of face
    pictures, and faces are cut from the source by the stored landmarks. Without it landmarks are found anew in the face
    pictures, which do not say where their own are.

    Args:
        path: what the other program wrote.
        out: the folder of the faceset.
        config: the settings of the extraction; its framing is used where ``framing`` is None and the pictures do not
            limit it.
        program: which one it was.
        framing: how much of the head a crop shows; at most what the pictures show.
        source: what the faces of faceswap were extracted from.
        force: replace an existing faceset.

    Raises:
        UsageError: ``path`` is not what that program writes, a framing wider than the pictures, or a ``source`` where
            none is used.
        MediaError: no picture can be read.
        NoFaceError: no face in any of them.
        StorageError: writing failed.
    """
    config = config if framing is None else replace(config, framing=framing)
    if program == "deepfacelab":
        if source is not None:
            raise UsageError("DeepFaceLab's pictures hold all that is needed", hint="leave out --source")
        return _import_aligned(path, out, config, framing, force=force)
    if source is None:
        if not path.is_dir():
            raise UsageError(f"{path} holds no pictures", hint="name the video that they are from: --source VIDEO")
        faceswap.need_faces(path)
        console.warn(
            "landmarks are found anew, since faceswap's pictures do not say where theirs are; "
            "--source VIDEO takes the stored ones"
        )
        return extract([path], out, config, force=force)
    faces = faceswap.need_faces(path)
    faceswap.need_source(faces, source)
    return extract([source], out, config, finder_of=lambda clip: faceswap.finder_for(faces, clip), force=force)


def _import_aligned(
    path: Path, out: Path, config: ExtractConfig, framing: Framing | None, *, force: bool
) -> FacesetInfo:
    if not path.is_dir():
        raise UsageError(f"{path} is no folder of aligned faces", hint="a faceset.pak is unpacked in DeepFaceLab first")
    read: dict[Path, AlignedPicture | MediaError] = {}
    for picture in pictures_in(path):
        try:
            read[picture] = read_aligned(picture)
        except MediaError as error:
            read[picture] = error
    shown = [one.framing for one in read.values() if isinstance(one, AlignedPicture)]
    if shown:
        narrowest = min(shown, key=_WIDTHS.index)
        if framing is not None and _WIDTHS.index(framing) > _WIDTHS.index(narrowest):
            raise UsageError(f"the pictures in {path} show no more than {narrowest}", hint=f"--framing {narrowest}")
        config = replace(config, framing=framing or narrowest)
    return extract([path], out, config, finder_of=_finder_of(read), force=force)


def _finder_of(read: dict[Path, AlignedPicture | MediaError]) -> Callable[[Path], FaceFinder]:
    def find(picture: Path) -> FaceFinder:
        one = read[picture]
        if isinstance(one, MediaError):
            raise one
        return StoredFinder("deepfacelab", {0: [one.landmarks]})

    return find
