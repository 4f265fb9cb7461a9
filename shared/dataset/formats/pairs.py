"""Datasets of two folders: UADFV, FFIW-10K, and folders real/ and fake/."""

from __future__ import annotations

from pathlib import Path

from shared.dataset.formats.found import FoundClip, Media, Scan, ScanOptions, Video, unknown
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, folders_in, split_word
from shared.dataset.names import safe_name
from shared.types import Split

_PICTURE_FOLDERS = frozenset({"frames", "videos", "images"})


@IMPORTERS.register("uadfv")
def scan_uadfv(root: Path, options: ScanOptions) -> Scan:
    """UADFV (Yang et al., ICASSP 2019): ``real/0000.mp4`` and ``fake/0000_fake.mp4``; no split, no names.

    A fake belongs to the real clip of its number. According to the literature all fakes show one source person, so no
    split of this set separates people.

    Raises:
        UsageError: no such folder.
    """
    found = Findings(root)
    for path in found.videos(root / "real"):
        name = safe_name(path.stem)
        found.add(FoundClip(name, Video(path), found.where(path), f"video-{name}"))
    reals = {clip.name for clip in found.clips}
    for path in found.videos(root / "fake"):
        name = safe_name(path.stem)
        original = name.removesuffix("_fake")
        found.add(
            FoundClip(
                name=name,
                media=Video(path),
                where=found.where(path),
                target=f"video-{original}",
                manipulation="FakeApp",
                kind="swap",
                source="uadfv-source",
                parent=original if original in reals else None,
            )
        )
        if original not in reals:
            found.issue("missing", path, "the real clip of its number is not there")
    _need_both(found)
    return found.done()


@IMPORTERS.register("ffiw")
def scan_ffiw(root: Path, options: ScanOptions) -> Scan:
    """FFIW-10K (Zhou et al., CVPR 2021): ``source/SPLIT/`` is real, ``target/SPLIT/`` forged; several people per frame.

    A fake and a real clip with the same name share an identity, so that they are in one split. Only some faces of a
    fake are forged, which the set does not mark: frames are labelled as a whole.

    Raises:
        UsageError: no such folder.
    """
    found = Findings(root)
    for top, manipulation in (("source", None), ("target", "FFIW")):
        for place in folders_in(root / top):
            split = split_word(place.name)
            if split is None:
                found.issue("unlisted", place, "its name is no split; left out")
                continue
            for path in found.videos(place):
                found.add(_ffiw_clip(found, path, split, manipulation))
    _need_both(found)
    return found.done()


@IMPORTERS.register("folders")
def scan_folders(root: Path, options: ScanOptions) -> Scan:
    """``real/`` and ``fake/``, or ``train/real`` and so on; videos, or folders of numbered pictures.

    A folder below ``real`` names a person, one below ``fake`` a manipulation. Without such a folder, the clip's name is
    used as the person's, and the manipulation is ``fake``. Sources are unknown.

    Raises:
        UsageError: no such folder.
    """
    found = Findings(root)
    places: list[tuple[Path, Split | None]] = [(root, None)]
    for place in folders_in(root):
        split = split_word(place.name)
        if split is not None:
            places.append((place, split))
    for place, split in places:
        _real_folder(found, place / "real", split)
        _fake_folder(found, place / "fake", split)
    _need_both(found)
    return found.done()


def _ffiw_clip(found: Findings, path: Path, split: Split, manipulation: str | None) -> FoundClip:
    name = safe_name(path.stem)
    return FoundClip(
        name=f"{split}-{name}",
        media=Video(path),
        where=found.where(path),
        target=f"video-{split}-{name}",
        manipulation=manipulation,
        kind="swap" if manipulation else "real",
        source=unknown(f"{split}-{name}") if manipulation else None,
        split=split,
    )


def _real_folder(found: Findings, folder: Path, split: Split | None) -> None:
    for where, group, name, media in _clips_in(found, folder):
        target = safe_name(group) if group else f"video-{name}"
        full = f"{target}-{name}" if group else name
        found.add(FoundClip(_named(full, split), media, where, target, split=split))


def _fake_folder(found: Findings, folder: Path, split: Split | None) -> None:
    for where, group, name, media in _clips_in(found, folder):
        manipulation = safe_name(group) if group else "fake"
        found.add(
            FoundClip(
                name=_named(name, split),
                media=media,
                where=where,
                target=f"video-{name}",
                manipulation="fake" if manipulation == "real" else manipulation,
                kind="swap",
                source=unknown(f"{manipulation}-{_named(name, split)}"),
                split=split,
            )
        )


def _clips_in(found: Findings, folder: Path) -> list[tuple[str, str, str, Media]]:
    """Path, group (the folder below, or ""), name and media of each clip under ``folder``."""
    clips: list[tuple[str, str, str, Media]] = []
    for path in found.videos(folder, deep=True):
        clips.append((found.where(path), _group(path.parent, folder), safe_name(path.stem), Video(path)))
    for place, pictures in found.sequences(folder):
        if place == folder:
            found.issue("unlisted", place, "single pictures are no clip; put each clip's into a folder of its own")
            continue
        clips.append((found.where(place), _group(place.parent, folder), safe_name(place.name), pictures))
    return clips


def _group(place: Path, folder: Path) -> str:
    parts = [part for part in place.relative_to(folder).parts if part not in _PICTURE_FOLDERS]
    return "-".join(parts)


def _named(name: str, split: Split | None) -> str:
    return f"{split}-{name}" if split else name


def _need_both(found: Findings) -> None:
    for label in ("real", "fake"):
        if not any(clip.label == label for clip in found.clips):
            found.issue("missing", found.root, f"no {label} clip was found")
