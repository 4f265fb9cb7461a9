"""Extraction of the facesets of many people: one task per person, on any engine."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from shared.config import to_mapping
from shared.console import console
from shared.device import with_threads
from shared.engine.local import LocalEngine
from shared.engine.tasks import Engine, Task
from shared.errors import (
    ConfigError,
    FacesetError,
    FinderError,
    MediaError,
    NoFaceError,
    UsageError,
    storage_errors,
)
from shared.faces.facesets.extract import BESIDE, extract
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.facesets.layout import SETTINGS
from shared.faces.facesets.reader import Faceset, FacesetInfo
from shared.faces.facesets.writer import check_target
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.storage import folder_lock, sha256_file, sweep_drafts, write_text
from shared.video.container import VIDEO_SUFFIXES
from shared.video.images import is_picture, pictures_in
from shared.video.unread import say_others

RECORD = "extract.json"
"""File with the settings of the facesets of a folder."""


@dataclass(frozen=True)
class Extracted:
    """Result of one person.

    Attributes:
        identity: the person; also the name of the faceset in the folder.
        kept: number of kept faces; 0 without a faceset.
        why: reason why there is no faceset; empty when there is one.
        was_there: whether the faceset already existed, of the same files with the same settings.
        clips: number of clips of the person that were read; unread: those that could not be, with the reason.
    """

    identity: str
    kept: int
    why: str = ""
    was_there: bool = False
    clips: int = field(default=0, compare=False)
    unread: dict[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, info: FacesetInfo, *, was_there: bool) -> Extracted:
        """From what ``faceset.toml`` says."""
        return cls(info.identity, info.kept, was_there=was_there, clips=len(info.clips), unread=info.unread)


@dataclass(frozen=True)
class _Order:
    clips: tuple[str, ...]
    out: str
    config: ExtractConfig
    force: bool


def people_in(paths: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """The clips of each person, by name, in the order of ``paths`` and of names within a folder.

    A video or image is one person, named like the file. In a folder every video, every image and every folder is one
    person; all videos and images of an inner folder are of that person. Hidden files, and files that are neither videos
    nor images by their names, are ignored.

    Raises:
        UsageError: no clip at all, or two people of one name.
        MediaError: a path does not exist.
    """
    people: dict[str, tuple[Path, ...]] = {}
    for path in _opened(paths):
        name = path.name if path.is_dir() else path.stem
        clips = _media_in(path) if path.is_dir() else (path,)
        if not clips:
            continue
        if name in people:
            raise UsageError(
                f"{path} and {people[name][0]} are both called {name}", hint="rename one, or extract them separately"
            )
        people[name] = clips
    if not people:
        raise UsageError("no clip was found", hint="name videos, pictures, or folders that hold some")
    return people


def extract_each(
    people: Mapping[str, Sequence[Path]],
    out: Path,
    config: ExtractConfig,
    *,
    engine: Engine | None = None,
    force: bool = False,
) -> list[Extracted]:
    """Writes the faces of each person as the faceset ``out/NAME``; returns the results in the order of ``people``.

    Clips that cannot be read are named, and a person of whom no clip can be read or shows a face is reported and
    skipped. An interrupted call can be repeated: existing facesets are kept. Every task uses one torch thread, so
    facesets are the same on every engine.

    Args:
        people: clips (videos and images, no folders) by name; see :func:`people_in`.
        out: the folder of the facesets.
        config: the settings; its ``identity`` is replaced by each name.
        engine: where tasks run; by default on all cores of this machine.
        force: replace existing facesets. Those made with other settings are removed first, so that none is taken for
            one of the new settings.

    Raises:
        ConfigError: an invalid name.
        UsageError: ``out`` holds facesets made with other settings, or something else of a person's name.
        NoFaceError: no person has a face.
        AssayError: an error of the engine.
    """
    out = out.absolute()
    tasks = [
        Task(name, _extract_one, (_Order(_names(clips), str(out / name), one, force),), device=config.device)
        for name, clips, one in _configured(people, config)
    ]
    done: dict[str, Extracted] = {}
    with folder_lock(out / ".lock", timeout_seconds=2.0):
        sweep_drafts(out)
        _same_settings(out, config, list(people), force=force)
        engine = engine or LocalEngine()
        engine.need([out], [clip.absolute() for clips in people.values() for clip in clips])
        with console.progress("extracting faces", len(tasks), unit="faceset") as tick:
            for one in engine.run(tasks):
                done[one.key] = one.result
                tick(note=one.key)
    found = [done[name] for name in people]
    if all(one.why for one in found):
        raise NoFaceError(f"no faceset was made: {found[0].identity}: {found[0].why}", hint="try --finder yunet")
    return found


def _opened(paths: Sequence[Path]) -> Iterator[Path]:
    """The given files; for folders, their contents."""
    for path in paths:
        if path.is_dir():
            inner = [one for one in sorted(path.iterdir()) if _counts(one)]
            say_others(path, inner, "video, picture or folder")
            yield from inner
        elif path.is_file():
            yield path
        else:
            raise MediaError(f"{path} does not exist", hint="check the path")


def _counts(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.is_dir() or is_picture(path) or path.suffix.lower() in VIDEO_SUFFIXES


def _media_in(folder: Path) -> tuple[Path, ...]:
    inner = [path for path in sorted(folder.iterdir()) if _counts(path) and path.is_file()]
    videos = [path for path in inner if not is_picture(path)]
    return (*videos, *(pictures_in(folder) if len(videos) < len(inner) else ()))


def _configured(
    people: Mapping[str, Sequence[Path]], config: ExtractConfig
) -> Iterator[tuple[str, Sequence[Path], ExtractConfig]]:
    for name, clips in people.items():
        try:
            yield name, clips, replace(config, identity=name)
        except ConfigError as error:
            raise ConfigError(f"{clips[0]}: {error}", hint="rename it: letters, digits and . _ + = @ -") from error


def _names(clips: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(clip.absolute()) for clip in clips)


def _same_settings(out: Path, config: ExtractConfig, people: Sequence[str], *, force: bool) -> None:
    """Records the settings in ``out``, unless facesets there were made with others.

    With ``force`` the facesets of ``people`` with other settings are removed before the new settings are recorded, so
    that an interruption leaves no mismatch.
    """
    settings = {key: value for key, value in to_mapping(config).items() if key != "identity"}
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    path = out / RECORD
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
        old = sorted(folder.parent.name for folder in out.glob(f"*/{SETTINGS}"))
        if force:
            for name in sorted(set(old) & set(people)):
                _remove(out / name)
        elif old:
            raise UsageError(
                f"{out} holds facesets made with other settings, see {RECORD} there",
                hint="choose another --out, or --force to make them all again",
            )
    write_text(path, text)


def _remove(faceset: Path) -> None:
    """Removes a faceset atomically: a partial one would block the next."""
    draft = faceset.with_name(f".{faceset.name}.{os.getpid()}.old")
    with storage_errors(faceset):
        faceset.rename(draft)
        if draft.is_symlink():
            draft.unlink()
        else:
            shutil.rmtree(draft)


def _extract_one(order: _Order) -> Extracted:
    """The task of one person."""
    out, config, clips = Path(order.out), order.config, [Path(clip) for clip in order.clips]
    try:
        before = None if order.force else _there(out, clips, config)
        if before is not None:
            return Extracted.of(before, was_there=True)
    except MediaError as error:
        return Extracted(config.identity, 0, why=str(error))
    check_target(out, force=order.force)
    with with_threads(1):
        finder = None if config.finder == BESIDE else _finder(config.finder, config.device)
        embedder = _embedder() if config.embed_every else None
        try:
            info = extract(clips, out, config, finder=finder, embedder=embedder, force=order.force)
        except (NoFaceError, MediaError, FinderError, UsageError) as error:
            # Settings and finder were checked, so an error now is about this person's files.
            return Extracted(config.identity, 0, why=str(error))
    return Extracted.of(info, was_there=False)


def _there(out: Path, clips: Sequence[Path], config: ExtractConfig) -> FacesetInfo | None:
    """The faceset ``out`` if it is intact and made of these files, those that cannot be read apart, as asked now."""
    try:
        info = Faceset.open(out).info
    except FacesetError:
        return None
    if (info.px, info.framing, info.rights) != (config.px, config.framing, config.rights):
        return None
    now = dict.fromkeys(sha256_file(clip) for clip in clips if clip.name not in info.unread)
    return info if [clip.sha256 for clip in info.clips] == list(now) else None


@lru_cache(maxsize=1)
def _finder(name: str, device: str) -> FaceFinder:
    return make_finder(name, device=device)


@lru_cache(maxsize=1)
def _embedder() -> IdentityEmbedder | None:
    return make_embedder()
